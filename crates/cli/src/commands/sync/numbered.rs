//! What a download tool names anew where a file of that name is there already: nobody asks for it under that name.

use std::io::{self, Write as _};
use std::path::Path;

/// Where the vendor publishes that manifests lie, below a folder's root.
const MANIFESTS: &str = "downloads/endpoint/manifest";

/// Names the manifests of a folder that lie there under a number.
pub(super) fn tell(folder: &Path) {
    for name in numbered(folder) {
        let told = "a download tool numbers what is there already, and no endpoint asks for such a name: it is left out; \
                    where it is the newer, rename it, and remove the folder's manifests before they are downloaded again";
        let path = folder.join(MANIFESTS).join(&name);
        let _ = writeln!(io::stderr(), "{}: {told}", crate::show::clean(&path.display().to_string()));
    }
}

fn numbered(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(MANIFESTS)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = names.filter(|name| is_numbered(name)).collect();
    found.sort();
    found
}

fn is_numbered(name: &str) -> bool {
    let manifest = name.rsplit_once('.').filter(|(_, number)| number.parse::<u32>().is_ok());
    manifest.is_some_and(|(name, _)| name.starts_with("artifacts-") && name.ends_with(".zip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_download_tool_numbered_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let manifests = folder.path().join(MANIFESTS);
        assert!(numbered(folder.path()).is_empty());
        std::fs::create_dir_all(&manifests).unwrap();
        for name in
            ["artifacts-9.0.0.zip", "artifacts-9.0.0.zip.1", "artifacts-9.0.0.zip.12", "a.1", "artifacts-9.0.0.zip.x"]
        {
            std::fs::write(manifests.join(name), "").unwrap();
        }
        assert_eq!(numbered(folder.path()), ["artifacts-9.0.0.zip.1", "artifacts-9.0.0.zip.12"]);
    }
}
