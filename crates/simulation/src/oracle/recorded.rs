//! What the catalog was told: the operator's words, releases and their ends.

use std::fmt;
use std::time::Duration;

use catalog::{Batch, EntryKind};
use model::{Digest, FeedId, Release, ReleaseId, ReleaseState};

use super::Oracle;
use super::back::Made;
use super::leap::counter;
use super::spoken::{Said, said};
use crate::violation::{Holds, Violation};

/// What of a batch the oracle remembers.
pub(crate) struct Recorded {
    parts: [usize; 6],
    words: Vec<String>,
    said: Vec<Said>,
    held: Vec<ReleaseId>,
    made: Vec<(ReleaseId, Made)>,
    /// Each of them with its feed and the number that its vendor moves.
    numbers: Vec<(String, (FeedId, u64))>,
    /// How much time had truly passed.
    truly: Duration,
    /// Generations whose publication is called done.
    done: Vec<Digest>,
    /// What each release is from then on, in order.
    states: Vec<(ReleaseId, ReleaseState)>,
    expired: Vec<ReleaseId>,
    rejected: Vec<ReleaseId>,
}

impl Recorded {
    pub(crate) fn of(batch: &Batch, truly: Duration) -> Self {
        let admits = |entry: &&catalog::NewEntry| {
            entry.kind == EntryKind::Act && entry.data.get("act").and_then(|act| act.as_str()) == Some("admit")
        };
        Self {
            parts: [
                batch.feeds.len(),
                batch.releases.len(),
                batch.states.len(),
                batch.publications.len(),
                batch.host_waits.len(),
                batch.history.len(),
            ],
            words: batch.history.iter().filter(admits).map(|entry| entry.subject.clone()).collect(),
            said: said(batch),
            truly,
            held: batch.releases.iter().map(|new| new.release.id).collect(),
            made: batch.releases.iter().map(|new| (new.release.id, made(&new.release))).collect(),
            numbers: numbers(batch),
            done: done(batch),
            states: states(batch),
            expired: ended(batch, ReleaseState::Expired),
            rejected: ended(batch, ReleaseState::Rejected),
        }
    }
}

fn numbers(batch: &Batch) -> Vec<(String, (FeedId, u64))> {
    let releases = batch.releases.iter().map(|new| &new.release);
    let number = |release: &Release| {
        Some((release.id.to_string(), (release.feed.clone(), counter(&release.vendor_version.version)?)))
    };
    releases.filter_map(number).collect()
}

fn made(release: &Release) -> Made {
    let files = release.items.iter().map(|item| (item.digest, item.size)).collect();
    Made { version: release.vendor_version.version.clone(), files }
}

fn done(batch: &Batch) -> Vec<Digest> {
    let entries = batch.history.iter().filter(|entry| entry.kind == EntryKind::PublicationDone);
    entries.filter_map(|entry| entry.data.get("digest")?.as_str()?.parse().ok()).collect()
}

fn states(batch: &Batch) -> Vec<(ReleaseId, ReleaseState)> {
    let recorded = batch.releases.iter().map(|new| (new.release.id, new.state));
    recorded.chain(batch.states.iter().map(|(id, state, _)| (*id, *state))).collect()
}

fn ended(batch: &Batch, end: ReleaseState) -> Vec<ReleaseId> {
    batch.states.iter().filter(|(_, state, _)| *state == end).map(|(id, ..)| *id).collect()
}

impl Recorded {
    /// Generations whose publication is called done.
    pub(crate) fn done(&self) -> &[Digest] {
        &self.done
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [feeds, releases, states, publications, waits, history] = self.parts;
        write!(
            f,
            "feeds {feeds} releases {releases} states {states} publications {publications} waits {waits} history {history}"
        )
    }
}

impl Oracle {
    /// Remembers a batch; a release that a clock's jump let go is a violation (I14).
    pub(super) fn note(&self, recorded: Recorded) -> Holds {
        let mut seen = self.seen();
        let truly = recorded.truly;
        for id in recorded.held {
            seen.held.entry(id).or_insert(truly);
        }
        seen.states.extend(recorded.states);
        seen.made.extend(recorded.made);
        seen.is_done(&recorded.done);
        seen.numbers.extend(recorded.numbers);
        for word in &recorded.words {
            let Some((feed, number)) = seen.numbers.get(word).cloned() else { continue };
            let reached = seen.reach.entry(feed).or_default();
            *reached = number.max(*reached);
        }
        // With fixed addresses the operator's word lets one feed take another's path.
        seen.taken |= seen.terms.fixed && !recorded.words.is_empty();
        // Nothing but the operator's word lets in what the operator left or turned down, also once its bytes went.
        seen.rejected.retain(|id| !recorded.words.contains(&id.to_string()));
        seen.rejected.extend(recorded.rejected);
        seen.words.extend(recorded.words);
        seen.hear(recorded.said);
        let Some(age) = seen.terms.age else { return Ok(()) };
        for id in recorded.expired {
            let Some(since) = seen.held.get(&id) else { continue };
            if !self.clock.outlived((*since, truly), age) {
                let held = truly.saturating_sub(*since);
                let what = format!("release {} is let go after {held:?}; it is kept for {age:?}", id.short());
                return Err(Violation::new("I14", what));
            }
        }
        Ok(())
    }
}
