//! `[tree]`.

use std::path::PathBuf;

/// Rings as plain folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The folder in which each ring's stands; none for no trees.
    pub folder: Option<PathBuf>,
    /// How a file gets there.
    pub files: TreeFiles,
}

/// How a file gets into a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeFiles {
    /// As a file of its own, sharing bytes where the file system can.
    Copy,
    /// As another name of the store's file, where that is allowed.
    Link,
}
