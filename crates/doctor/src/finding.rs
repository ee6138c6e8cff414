//! What was found, and the report it stands in.

use std::fmt;

use model::{Digest, FeedId, Timestamp};
use serde::Serialize;

use crate::Check;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, and yet costs something or depends on what is not known.
    Warn,
    /// Endpoints, or this site, do not get what they need.
    Fail,
}

impl Level {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The most places that one finding lists; it counts the others.
const MAX_PLACES: usize = 20;
/// The longest text from outside that a finding shows, in characters.
const MAX_TEXT: usize = 400;

/// One finding: what was asked, what came, why that matters and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Which check found it; its code is stable.
    pub check: Check,
    /// On what: routes, hosts, folders. The first ones, where there are many.
    pub on: Vec<String>,
    /// On how many altogether.
    pub count: usize,
    /// What was asked or looked at.
    pub asked: String,
    /// What came. Control characters are escaped.
    pub came: String,
    /// Why it matters; empty where all is well.
    pub why: &'static str,
    /// What to do; empty where all is well.
    pub remedy: &'static str,
}

impl Finding {
    /// All is well with it.
    pub fn ok(check: Check, on: &str, asked: impl Into<String>, came: impl Into<String>) -> Self {
        Self::new(Level::Ok, check, on, asked, came)
    }

    /// Something works, and yet not as it should.
    pub fn warn(check: Check, on: &str, asked: impl Into<String>, came: impl Into<String>) -> Self {
        Self::new(Level::Warn, check, on, asked, came)
    }

    /// Something does not work.
    pub fn fail(check: Check, on: &str, asked: impl Into<String>, came: impl Into<String>) -> Self {
        Self::new(Level::Fail, check, on, asked, came)
    }

    /// With a level that was weighed elsewhere.
    pub fn new(level: Level, check: Check, on: &str, asked: impl Into<String>, came: impl Into<String>) -> Self {
        let told = level != Level::Ok;
        Self {
            level,
            check,
            on: vec![clean(on)],
            count: 1,
            asked: clean(&asked.into()),
            came: clean(&came.into()),
            why: if told { check.why() } else { "" },
            remedy: if told { check.remedy() } else { "" },
        }
    }

    /// With a remedy of its own.
    pub(crate) fn with_remedy(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }

    /// Whether it says the same of another place.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.level, self.check) == (other.level, other.check)
            && (&self.asked, &self.came) == (&other.asked, &other.came)
    }
}

/// A host that must be reachable, as a firewall ticket has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostRow {
    /// Its name, or `*.` and a suffix where the vendor has many.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What is spoken with it.
    pub protocol: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// By whom: the vendor's content, or this site's own proxy.
    pub needed_by: String,
    /// Whether it could be reached; none where it was not asked.
    pub level: Option<Level>,
    /// What came of it.
    pub result: String,
    /// The way: `direct`, or the proxy without credentials.
    pub via: String,
}

/// What a feed turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedSeen {
    /// Which.
    pub feed: FeedId,
    /// The vendor's version that is served, where it could be read.
    pub vendor_version: Option<String>,
    /// That of the release before, where the layout has one and it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// How far its bytes could be checked, in words.
    pub checked: Option<String>,
    /// Files fetched whole and compared.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What was fetched whole of what changes under its address, and which bytes came.
    #[serde(skip)]
    pub given: Vec<(String, Digest)>,
}

/// A whole examination.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was examined: a URL, or `surroundings`.
    pub subject: String,
    /// When it began, in microseconds since 1970 in UTC.
    pub at: Timestamp,
    /// The worst level found.
    pub level: Level,
    /// The hosts that vendors need; empty for a mirror.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostRow>,
    /// The feeds looked at; empty for the surroundings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<FeedSeen>,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(subject: impl Into<String>, at: Timestamp) -> Self {
        Self {
            subject: clean(&subject.into()),
            at,
            level: Level::Ok,
            hosts: Vec::new(),
            feeds: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Takes a finding in; one that says the same of another place is joined with it.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.level = self.level.max(finding.level);
        match self.findings.iter_mut().find(|known| known.says_the_same(&finding)) {
            Some(known) => {
                known.count += finding.count;
                let room = MAX_PLACES.saturating_sub(known.on.len());
                known.on.extend(finding.on.into_iter().take(room));
            }
            None => self.findings.push(finding),
        }
    }

    /// Takes findings in.
    pub(crate) fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// Worst first; among equals as they were found.
    pub(crate) fn sorted(mut self) -> Self {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        self
    }

    /// The findings above ok.
    pub fn troubles(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.level != Level::Ok)
    }

    /// How many findings have a level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// A text from outside as a report may show it: on one line, nothing hidden in it, and not endless.
pub(crate) fn clean(text: &str) -> String {
    model::shown(text, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_many_places_is_said_once() {
        let mut report = Report::new("x", Timestamp::from_micros(0));
        for place in 0..100 {
            report.add(Finding::warn(Check::EtagHyphen, &format!("/{place}"), "GET", "a"));
        }
        report.add(Finding::ok(Check::EtagHyphen, "/ok", "GET", "a"));
        assert_eq!((report.findings.len(), report.level), (2, Level::Warn));
        assert_eq!((report.findings[0].count, report.findings[0].on.len()), (100, MAX_PLACES));
        assert_eq!(report.troubles().count(), 1);
    }

    #[test]
    fn foreign_texts_stay_on_one_line_c36() {
        let hostile = "a\r\nb\u{1b}[2J\u{202e}";
        let finding = Finding::fail(Check::Redirect, hostile, hostile, hostile);
        for text in [&finding.on[0], &finding.asked, &finding.came] {
            assert_eq!(text, "a\\r\\nb\\u{1b}[2J\\u{202e}");
        }
        assert!(clean(&"x".repeat(10_000)).chars().count() <= MAX_TEXT + 1);
    }
}
