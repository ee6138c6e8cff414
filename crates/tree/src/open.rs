//! What lies in a tree is for all.

use platform::fs::Folder;

use crate::case::failed;
use crate::error::FolderError;
use crate::place;
use crate::report::Report;

/// A folder as a person is told of it.
pub(crate) fn at_root(folder: &str) -> String {
    if folder.is_empty() { "the folder itself".to_owned() } else { folder.to_owned() }
}

/// Opens every folder on the way to a file to everybody: what lies in them is for all, and a run under another umask, or
/// somebody's hand, may have closed one.
pub(crate) fn opened(root: &Folder, above: &[String], report: &mut Report) {
    for folder in above {
        let at = match place::at(root, folder) {
            // It went with the last of its files.
            Err(error) if error.is_missing() => continue,
            other => other,
        };
        let settled = at.and_then(|at| {
            place::settle(&at)?;
            at.look_here()
        });
        let closed = || FolderError::Closed { name: at_root(folder) };
        match settled {
            Ok(look) if place::is_open(&look) => {}
            Ok(_) => report.failed.push(failed(folder, &closed())),
            Err(error) => report.failed.push(failed(folder, &error.into())),
        }
    }
}
