//! Lines of versions: which patch levels the vendor has is found out by asking it, one after the other.

use model::FeedId;

/// How many patch levels in a row the vendor may lack before a line of versions is taken to end.
const GAP: u32 = 4;
/// The highest patch level that is asked for.
const PATCHES: u32 = 60;

/// Every patch level of a line of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As it is written: `8.19.*`.
    pub name: String,
    /// Its line: `8.19`.
    pub line: String,
}

impl Pattern {
    /// Whether it stands for a feed.
    pub(crate) fn covers(&self, feed: &FeedId) -> bool {
        self.patch_of(feed).is_some()
    }

    fn patch_of(&self, feed: &FeedId) -> Option<u32> {
        let mut segments = feed.segments();
        let version = segments.next().filter(|_| feed.date().is_none())?;
        if segments.next().is_some() {
            return None;
        }
        version.strip_prefix(&self.line)?.strip_prefix('.')?.parse().ok()
    }

    /// Walks along the line, past what is followed.
    pub(crate) fn walk(&self, followed: &[FeedId]) -> Walk<'_> {
        let known: Vec<u32> = followed.iter().filter_map(|feed| self.patch_of(feed)).collect();
        Walk { pattern: self, highest: known.iter().max().copied().unwrap_or(0), known, next: 0, missing: 0 }
    }
}

/// What the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Feeds, one by one.
    pub feeds: Vec<FeedId>,
    /// Lines of versions.
    pub patterns: Vec<Pattern>,
}

impl Named {
    /// Whether a feed is among it.
    pub(crate) fn covers(&self, feed: &FeedId) -> bool {
        self.feeds.contains(feed) || self.patterns.iter().any(|pattern| pattern.covers(feed))
    }
}

/// A walk along a line of versions.
pub(crate) struct Walk<'a> {
    pattern: &'a Pattern,
    known: Vec<u32>,
    highest: u32,
    next: u32,
    missing: u32,
}

impl Walk<'_> {
    /// The next patch level that is to be asked for; none at the line's end.
    pub(crate) fn next(&mut self) -> Option<FeedId> {
        while self.missing < GAP && self.next <= PATCHES {
            let patch = self.next;
            self.next += 1;
            if self.known.contains(&patch) {
                self.missing = 0;
            } else {
                return format!("elastic/{}.{patch}", self.pattern.line).parse().ok();
            }
        }
        None
    }

    /// The vendor has what was asked for last.
    pub(crate) fn there(&mut self) {
        self.missing = 0;
    }

    /// The vendor does not have it. Below what is followed that says nothing of where the line ends.
    pub(crate) fn absent(&mut self) {
        if self.next > self.highest {
            self.missing += 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The patch levels asked for, where the vendor has some and some are followed.
    fn asked(has: &[u32], followed: &[&str]) -> Vec<String> {
        let pattern = Pattern { name: "8.19.*".to_owned(), line: "8.19".to_owned() };
        let followed: Vec<FeedId> = followed.iter().map(|feed| feed.parse().unwrap()).collect();
        let (mut walk, mut asked) = (pattern.walk(&followed), Vec::new());
        while let Some(feed) = walk.next() {
            if has.iter().any(|patch| feed.as_str().ends_with(&format!(".{patch}"))) {
                walk.there()
            } else {
                walk.absent()
            }
            asked.push(feed.as_str().rsplit('.').next().unwrap().to_owned());
        }
        asked
    }

    #[test]
    fn a_line_ends_where_several_in_a_row_are_missing() {
        assert_eq!(asked(&[], &[]), ["0", "1", "2", "3"]);
        assert_eq!(asked(&[0, 1, 3], &[]), ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(asked(&[], &["elastic/8.19.5", "elastic/8.19.5@2026-01-01", "elastic/8.20.9"]).len(), 9);
        let all: Vec<u32> = (0..1000).collect();
        assert_eq!(asked(&all, &[]).len(), 61, "a vendor that has whatever it is asked for is asked an end to it");
    }
}
