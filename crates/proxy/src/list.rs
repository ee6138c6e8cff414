//! The wanted list: what endpoints asked for and is not held.

use model::{FeedId, Reason, RingName, RoutePath, Timestamp};
use serde::{Deserialize, Serialize};
use vendors::elastic::{DOWNLOADS, ElasticSettings, wanted};

use crate::Seen;

/// How many entries are kept.
const CAP: usize = 1000;

/// Something that endpoints asked for and is not held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedEntry {
    /// The feed that it belongs to; none where the path is of no form that is known.
    pub feed: Option<FeedId>,
    /// The path that was asked for.
    pub path: RoutePath,
    /// The ring in which it was asked for.
    pub ring: RingName,
    /// How often.
    pub count: u64,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
    /// The form that such paths would have, where it is a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guess: Option<String>,
    /// What came of asking the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<Tried>,
}

impl WantedEntry {
    /// Whether the vendor has it, and it is not followed because there is no room.
    pub fn is_shut_out(&self) -> bool {
        self.tried.as_ref().is_some_and(|tried| tried.reason == Reason::LearnedFull)
    }
}

/// What came of asking the vendor for something that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// When it was asked.
    pub at: Timestamp,
    /// Why it is not held all the same.
    pub reason: Reason,
    /// On what, in words.
    pub detail: String,
}

/// What endpoints asked for and is not held. At the cap the one that was asked for least and longest ago goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedList {
    /// Counts up when what is written here changes its form.
    form: u32,
    entries: Vec<WantedEntry>,
    /// How many entries went because there was no room.
    #[serde(default)]
    pushed_out: u64,
}

impl WantedList {
    /// What is wanted, most asked for first.
    pub fn entries(&self) -> Vec<WantedEntry> {
        let mut entries = self.entries.clone();
        entries
            .sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)).then_with(|| a.ring.cmp(&b.ring)));
        entries
    }

    /// Whether the vendor has any of it that is not followed because there is no room.
    pub(crate) fn is_any_shut_out(&self) -> bool {
        self.entries.iter().any(WantedEntry::is_shut_out)
    }

    /// How many entries went because there was no room.
    pub fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes in what was seen; whether anything changed.
    pub fn add(&mut self, seen: &Seen, settings: &ElasticSettings) -> bool {
        if !seen.path.is_under(DOWNLOADS) {
            return false;
        }
        let found = wanted(&seen.path, settings);
        let (feed, guess) = found.map_or((None, None), |found| (Some(found.feed), found.guess));
        let same = |entry: &&mut WantedEntry| entry.path == seen.path && entry.ring == seen.ring;
        if let Some(known) = self.entries.iter_mut().find(same) {
            known.count = known.count.saturating_add(seen.count);
            known.first = known.first.min(seen.first);
            known.last = known.last.max(seen.last);
            (known.feed, known.guess) = (feed, guess);
            return true;
        }
        if self.entries.len() >= CAP {
            self.push_out();
        }
        let Seen { ring, path, count, first, last } = seen.clone();
        self.entries.push(WantedEntry { feed, path, ring, count, first, last, guess, tried: None });
        true
    }

    fn push_out(&mut self) {
        let least = self.entries.iter().enumerate().min_by_key(|(_, entry)| (entry.count, entry.last));
        if let Some(at) = least.map(|(at, _)| at) {
            self.entries.swap_remove(at);
            self.pushed_out = self.pushed_out.saturating_add(1);
        }
    }

    /// Lets go of what is held by now; whether anything was.
    pub fn drop_held(&mut self, is_held: impl Fn(&RingName, &RoutePath) -> bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| !is_held(&entry.ring, &entry.path));
        self.entries.len() != before
    }

    /// Notes what came of asking the vendor for a feed; whether it is wanted at all.
    pub fn note(&mut self, feed: &FeedId, tried: &Tried) -> bool {
        let mut any = false;
        for entry in self.entries.iter_mut().filter(|entry| entry.feed.as_ref() == Some(feed)) {
            entry.tried = Some(tried.clone());
            any = true;
        }
        any
    }

    /// Notes what came of asking the vendor for a path; whether it is wanted at all.
    pub fn note_path(&mut self, path: &RoutePath, tried: &Tried) -> bool {
        let mut any = false;
        for entry in self.entries.iter_mut().filter(|entry| entry.path == *path) {
            entry.tried = Some(tried.clone());
            any = true;
        }
        any
    }

    /// Its text, as it is kept.
    pub(crate) fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Self { form: 1, ..self.clone() })
    }

    /// Reads it back; none if a newer program wrote it, or it is damaged.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let list: Self = serde_json::from_str(text).ok()?;
        (list.form <= 1 && list.entries.len() <= CAP).then_some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, count: u64, last: i64) -> Seen {
        let (first, last) = (Timestamp::from_micros(1), Timestamp::from_micros(last));
        Seen { ring: RingName::broad(), path: path.parse().unwrap(), count, first, last }
    }

    fn manifest(version: &str) -> String {
        format!("/downloads/endpoint/manifest/artifacts-{version}.zip")
    }

    #[test]
    fn what_is_wanted_is_told_apart_and_added_up() {
        let (mut list, settings) = (WantedList::default(), ElasticSettings::default());
        assert!(list.add(&seen(&manifest("9.0.0"), 2, 5), &settings));
        assert!(list.add(&seen(&manifest("9.0.0"), 3, 4), &settings));
        assert!(list.add(&seen("/downloads/endpoint/x", 9, 4), &settings));
        assert!(!list.add(&seen("/favicon.ico", 9, 4), &settings), "no endpoint fetches outside of /downloads");
        let told: Vec<_> = list.entries().into_iter().map(|entry| (entry.feed, entry.count, entry.last)).collect();
        let feed = Some("elastic/9.0.0".parse().unwrap());
        assert_eq!(told, [(None, 9, Timestamp::from_micros(4)), (feed, 5, Timestamp::from_micros(5))]);
        assert!(list.drop_held(|_, path| path.as_str() == manifest("9.0.0")));
        assert_eq!(list.entries().len(), 1);
        assert_eq!(WantedList::read(&list.text().unwrap()).unwrap().entries(), list.entries());
    }

    #[test]
    fn a_flood_does_not_push_out_what_the_fleet_asks_for_v32() {
        let (mut list, settings) = (WantedList::default(), ElasticSettings::default());
        list.add(&seen(&manifest("9.0.0"), 2, 1), &settings);
        for number in 0..3000 {
            list.add(&seen(&format!("/downloads/{number}"), 1, 10 + number), &settings);
        }
        let entries = list.entries();
        assert_eq!(entries.len(), CAP);
        assert_eq!(entries[0].feed, Some("elastic/9.0.0".parse().unwrap()));
        assert_eq!(list.pushed_out(), 3001 - CAP as u64);
    }

    #[test]
    fn a_damaged_or_newer_list_is_none_s41() {
        for text in ["", "{", "{\"form\":2,\"entries\":[]}", "{\"form\":1}"] {
            assert_eq!(WantedList::read(text), None, "{text}");
        }
    }
}
