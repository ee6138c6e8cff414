//! The wanted list as a file that travels: from the closed side of an air gap to the connected one.

use std::path::{Path, PathBuf};

use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::WantedEntry;

/// The most bytes of such a file.
const MOST: u64 = 4 << 20;
const KIND: &str = "waystation-wanted";

/// Why a file with a wanted list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{path} is not a wanted list: {what}; write one with `waystation feed wanted --export FILE`")]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// A wanted list that travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    kind: String,
    form: u32,
    /// The site that it is from.
    pub site: Option<String>,
    /// When it was made.
    pub at: Timestamp,
    /// What is wanted there.
    pub wanted: Vec<WantedEntry>,
}

impl Exported {
    /// A list of a site.
    pub fn new(site: Option<String>, at: Timestamp, wanted: Vec<WantedEntry>) -> Self {
        Self { kind: KIND.to_owned(), form: 1, site, at, wanted }
    }
}

/// Writes a list to a file, whole or not at all.
///
/// # Errors
/// [`ExportError`] when it cannot be written.
pub fn write_export(path: &Path, exported: &Exported) -> Result<(), ExportError> {
    let failed = |source| ExportError::File { path: path.to_owned(), source };
    let text = serde_json::to_string_pretty(exported).map_err(|error| failed(error.into()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text + "\n").and_then(|()| std::fs::rename(&beside, path)).map_err(failed)
}

/// Reads a list from a file that somebody brought.
///
/// # Errors
/// [`ExportError`] when it cannot be read, or is something else.
pub fn read_export(path: &Path) -> Result<Exported, ExportError> {
    use std::io::Read as _;
    let failed = |source| ExportError::File { path: path.to_owned(), source };
    let wrong = |what: String| ExportError::Form { path: path.to_owned(), what };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST {
        return Err(wrong(format!("it has more than {MOST} bytes")));
    }
    // Some editors put a mark of the text's encoding before it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let exported: Exported = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    match (exported.kind.as_str(), exported.form) {
        (KIND, 1) => Ok(exported),
        (KIND, form) => Err(wrong(format!("it has form {form}, this version knows form 1"))),
        _ => Err(wrong("its kind is another".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_travels_and_other_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wanted.json");
        let at = Timestamp::from_micros(1);
        let entry = |feed: &str| WantedEntry {
            feed: Some(feed.parse().unwrap()),
            path: "/downloads/a.zip".parse().unwrap(),
            ring: model::RingName::broad(),
            count: 1,
            first: at,
            last: at,
            guess: None,
            tried: None,
        };
        let wanted = vec![entry("elastic/9.0.0"), entry("elastic/9.0.0"), entry("elastic/nothing")];
        let exported = Exported::new(Some("closed".to_owned()), at, wanted);
        write_export(&path, &exported).unwrap();
        let read = read_export(&path).unwrap();
        assert_eq!(read, exported);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
        assert_eq!(read_export(&path).unwrap(), exported);
        for text in ["", "{}", "[1]", &std::fs::read_to_string(&path).unwrap().replace("\"form\": 1", "\"form\": 2")] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(read_export(&path), Err(ExportError::Form { .. })), "{text}");
        }
    }
}
