//! Rings as plain folders.

use super::Kind::{Path, Word};
use super::{Section, Shape, key};

pub(super) const TREE: Section = Section {
    name: "tree",
    shape: Shape::Hidden,
    doc: "Each ring as a plain folder beside HTTP, for NFS, SMB or another web server to share. See docs/tree.md.",
    keys: &[
        key(
            "folder",
            Path,
            "\"/srv/waystation\"",
            "Where the rings' folders stand, each under its ring's name; without it there are none. The folder itself must be there, and nothing of a ring's folder may be anybody else's.",
        ),
        key(
            "files",
            Word(&["copy", "link"]),
            "\"copy\"",
            "How a file gets there: copy shares its bytes with the store where the file system can (a reflink) and copies them otherwise; link makes it the store's own file under a second name where owner, mode, label and file system allow that, and a copy otherwise. Who can write a linked file can damage the store: link only what is shared read-only.",
        )
        .or("\"copy\""),
    ],
};
