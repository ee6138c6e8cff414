//! `[tree]`.

use std::path::Path;

use super::scope;
use crate::reader::Reader;
use crate::types::{Tree, TreeFiles};

pub(super) fn tree(reader: &Reader<'_>, data_dir: Option<&Path>) -> Option<Tree> {
    let scope = scope(reader, "tree")?;
    let folder = scope.path("folder");
    let files: Option<String> = scope.get("files");
    let folder = folder?;
    if let (Some(folder), Some(data)) = (&folder, data_dir)
        && (folder.starts_with(data) || data.starts_with(folder))
    {
        let wrong = if folder.starts_with(data) {
            "lies in data_dir, which nobody but this program may share or change; name a folder beside it"
        } else {
            "holds data_dir, which would be shared with it; name a folder beside it"
        };
        scope.wrong("folder", wrong);
        return None;
    }
    let files = if files? == "link" { TreeFiles::Link } else { TreeFiles::Copy };
    Some(Tree { folder, files })
}
