//! `[history]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Config, SyslogAddress};

/// What is recorded, for how long, and where its heads go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Entries older than this may go.
    pub keep: Duration,
    /// The file that heads are appended to.
    pub head_file: Option<PathBuf>,
    /// The syslog that heads are sent to; never over TLS.
    pub head_syslog: Option<SyslogAddress>,
    /// How long a new head may wait until it is told.
    pub head_every: Duration,
    /// After how many entries a head is told at once.
    pub head_entries: u64,
}

impl Config {
    /// What changed since a configuration whose [`Config::canonical`] text is given, one setting each. Secrets are not
    /// in it, so that a secret alone changes nothing.
    pub fn changes_since(&self, canonical: &str) -> Vec<String> {
        let before = canonical.lines().filter_map(|line| line.split_once(" = "));
        let before: BTreeMap<String, String> = before.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        changes(&before, &self.settings)
    }
}

/// The settings that differ, one a line, in the order of their keys.
pub(super) fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, was) in old {
        match new.get(key) {
            None => lines.push(format!("{key}: {was} → (unset)")),
            Some(is) if is != was => lines.push(format!("{key}: {was} → {is}")),
            Some(_) => {}
        }
    }
    let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
    lines.extend(added.map(|(key, is)| format!("{key}: (unset) → {is}")));
    lines.sort();
    lines
}
