//! Members' names: plain, relative, and without doubles on any file system.

use std::collections::BTreeSet;

use super::{Member, ZipError};

const DEPTH: usize = 32;

/// A name as text, if it is one that every reader spells alike and no system takes for another place.
pub(super) fn text(raw: &[u8], utf8: bool, cap: usize) -> Result<&str, &'static str> {
    if raw.is_empty() || raw.len() > cap {
        return Err("has an empty name or one longer than the cap");
    }
    if !utf8 && !raw.is_ascii() {
        return Err("has a name that is neither ASCII nor marked as UTF-8");
    }
    let name = std::str::from_utf8(raw).map_err(|_| "has a name that is not UTF-8")?;
    if name.chars().any(is_hidden) {
        return Err("has a name with control or invisible characters");
    }
    // A colon is a drive or a stream, a backslash a second slash, on Windows.
    if name.contains(['\\', ':']) {
        return Err("has a name with a backslash or a colon");
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.split('/').count() > DEPTH {
        return Err("lies too deep");
    }
    if path.split('/').any(is_bad_segment) {
        return Err("has an absolute name, or one with an empty or relative part");
    }
    Ok(name)
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Windows drops dots and spaces at the end.
fn is_bad_segment(segment: &str) -> bool {
    segment.is_empty() || segment.ends_with(['.', ' '])
}

/// The names met so far, as the least discerning file system compares them.
#[derive(Default)]
pub(super) struct Names {
    all: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Names {
    pub(super) fn add(&mut self, member: &Member) -> Result<(), &'static str> {
        let key = member.name.trim_end_matches('/').to_lowercase();
        if !member.is_folder {
            self.files.insert(key.clone());
        }
        if self.all.insert(key) { Ok(()) } else { Err("is there twice, as some systems compare names") }
    }

    /// No file is a folder of another.
    pub(super) fn finish(&self) -> Result<(), ZipError> {
        let inside = |name: &&String| {
            name.match_indices('/').any(|(at, _)| name.get(..at).is_some_and(|p| self.files.contains(p)))
        };
        match self.all.iter().find(inside) {
            Some(name) => Err(ZipError::header(name, "lies below a member that is a file")),
            None => Ok(()),
        }
    }
}
