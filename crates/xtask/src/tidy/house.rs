//! The workspace as it lies on the disk.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// A text file of the workspace.
pub(crate) struct Source {
    /// From the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, end)| end == extension)
    }

    /// The crate that it belongs to.
    pub(crate) fn owner(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("")
    }
}

/// The workspace: what cargo says of it, and its text files.
pub(crate) struct House {
    pub(crate) root: PathBuf,
    pub(crate) metadata: Metadata,
    pub(crate) sources: Vec<Source>,
}

impl House {
    pub(crate) fn open() -> Result<Self> {
        let metadata = MetadataCommand::new().exec().context("reading `cargo metadata`")?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .context("running git, which says which files belong to the workspace")?;
        ensure!(listed.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr));
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut sources: Vec<Source> = names
            .split('\0')
            .filter(|name| !name.is_empty())
            // A file deleted but still in the index, and one that is not text, has nothing to be checked.
            .filter_map(|name| {
                Some(Source { path: name.to_owned(), text: std::fs::read_to_string(root.join(name)).ok()? })
            })
            .collect();
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { root, metadata, sources })
    }

    /// The crates of the workspace that belong to it by git's word.
    pub(crate) fn crates(&self) -> Vec<&Package> {
        let ours = |package: &&Package| {
            let manifest = format!("crates/{}/Cargo.toml", package.name);
            self.sources.iter().any(|source| source.path == manifest)
        };
        self.metadata.workspace_packages().into_iter().filter(ours).collect()
    }

    pub(crate) fn text(&self, path: &str) -> Result<&str> {
        let source = self.sources.iter().find(|source| source.path == path);
        source.map(|source| source.text.as_str()).with_context(|| format!("{path} is missing"))
    }

    pub(crate) fn documents(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.is("md"))
    }
}
