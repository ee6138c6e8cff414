//! What this program wrote and reads back: generation files, the catalog's records, the history.

use std::collections::BTreeSet;

use async_trait::async_trait;
use blob_store::fuzzing::pointer;
use catalog::{
    Batch, Catalog, CatalogError, ChainHead, Entry, EntryFilter, EntryKind, EntryOrder, FeedRecord, Lived,
    MemoryCatalog, NewEntry, Publication, ReleaseFilter, ReleaseRecord, Remover, Span, Sweep, chain_digest,
    verify_chain,
};
use futures_util::FutureExt as _;
use model::{Digest, FeedId, Generation, Release, ReleaseId, Timestamp};
use proxy::fuzzing;
use serde_json::Value;

use crate::{fit_to_show, reads_back};

/// The bytes as a generation file, and again with the checksum that they should have: what is taken is written in
/// one form, which reads back, and of which no byte can change.
pub fn generation_file(bytes: &[u8]) {
    generation(bytes);
    let sum = format!("sha256:{}\n", Digest::of(bytes));
    generation(&[bytes, sum.as_bytes()].concat());
}

/// The bytes as what a ring's readers follow: what is taken has one spelling, and a number that another generation can
/// follow.
pub fn ring_pointer(bytes: &[u8]) {
    let Some((number, digest, written)) = pointer(bytes) else { return };
    assert_eq!(written.as_bytes(), bytes, "two spellings");
    assert_eq!(written, format!("{number} {digest}\n"));
    assert!(i64::try_from(number).is_ok_and(|number| number < i64::MAX), "no generation can follow {number}");
    assert_eq!(pointer(written.trim_end().as_bytes()), None, "it can be cut");
}

fn generation(bytes: &[u8]) {
    let taken = match Generation::decode(bytes) {
        Ok(taken) => taken,
        Err(error) => return fit_to_show(&error.to_string()),
    };
    let written = taken.encode();
    assert_eq!(Generation::decode(&written).as_ref(), Ok(&taken), "does not read back");
    for at in (0..written.len()).step_by(written.len() / 16 + 1) {
        let mut changed = written.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1;
        }
        assert!(Generation::decode(&changed).is_err(), "byte {at} can change");
        let cut = written.get(..at).unwrap_or_default();
        assert!(Generation::decode(cut).is_err(), "it can be cut at {at}");
    }
}

/// Text as a file that the content side left of what it saw, which another may have put there: each line is taken or
/// refused, and what is taken can have been seen by now and is bounded.
pub fn sightings(bytes: &[u8]) {
    let now = Timestamp::from_micros(1_790_000_000_000_000);
    let text = String::from_utf8_lossy(bytes);
    let (seen, refused) = fuzzing::sightings(&text, now);
    assert_eq!(seen.len() as u64 + refused, text.lines().count() as u64);
    for one in &seen {
        reads_back(one);
        assert!(one.count > 0 && one.first <= one.last && one.last <= now && one.path.as_str().len() <= 256, "{one:?}");
    }
    let lines: Vec<String> = seen.iter().filter_map(|one| serde_json::to_string(one).ok()).collect();
    assert_eq!(fuzzing::sightings(&lines.join("\n"), now), (seen, 0));
}

/// Lines of JSON as rows of the catalog: what is taken reads back; what happened is chained, and no chain that does
/// not fit together is called whole.
pub fn history(bytes: &[u8]) {
    let lines = || bytes.split(|byte| *byte == b'\n').take(16);
    lines().filter_map(row::<FeedRecord>).for_each(|record| reads_back(&record));
    lines().filter_map(row::<Publication>).for_each(|record| reads_back(&record));
    lines().filter_map(row::<Release>).for_each(|release| identified(&release));
    let entries: Vec<Entry> = lines().filter_map(row).collect();
    for entry in &entries {
        reads_back(entry);
        apart(entry, &entries);
    }
    given(&entries);
    recorded(&entries);
}

fn row<T: serde::de::DeserializeOwned>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(line).ok()
}

fn identified(release: &Release) {
    reads_back(release);
    let id = ReleaseId::of(&release.feed, &release.items);
    assert_eq!(id.to_string().parse::<ReleaseId>(), Ok(id));
    let mut other = release.items.clone();
    if let Some(item) = other.first_mut() {
        item.size ^= 1;
        assert_ne!(ReleaseId::of(&release.feed, &other), id, "other items, the same release");
    }
}

/// Entries that say different things have different digests.
fn apart(entry: &Entry, entries: &[Entry]) {
    for other in entries {
        let same = Entry { digest: entry.digest, ..other.clone() } == *entry;
        assert_eq!(chain_digest(other) == chain_digest(entry), same, "{entry:?} and {other:?}");
    }
}

/// A history that somebody gives: called whole only if each entry follows the one before it.
fn given(entries: &[Entry]) {
    let verdict = verify_chain(&Given(entries)).now_or_never().expect("memory answers at once");
    let mut previous = Digest::from_bytes([0; 32]);
    let fits = |(seq, entry): (u64, &Entry)| {
        let fits = entry.seq == seq && entry.previous == previous && chain_digest(entry) == entry.digest;
        previous = entry.digest;
        fits
    };
    // Told page by page, so that a number that lies hides what it stands on.
    let whole = (1u64..).zip(entries).all(fits);
    match verdict {
        Ok(head) => {
            let last = entries.last().map_or(Digest::from_bytes([0; 32]), |entry| entry.digest);
            assert!(whole, "called whole, and is not");
            assert_eq!(
                head,
                ChainHead { seq: entries.len() as u64, digest: last, at: entries.last().map(|entry| entry.at) }
            );
        }
        Err(fault) => {
            assert!(!whole, "whole, and called {fault}");
            fit_to_show(&fault.to_string());
        }
    }
}

/// What entries say, recorded anew, makes a whole chain that says the same.
fn recorded(entries: &[Entry]) {
    let store = MemoryCatalog::new();
    let history: Vec<NewEntry> = entries.iter().map(renewed).collect();
    let batch = Batch { history: history.clone(), ..Batch::default() };
    store.apply(batch).now_or_never().expect("memory answers at once").expect("entries alone cannot be refused");
    let head = verify_chain(&store).now_or_never().expect("memory answers at once").expect("a whole chain");
    assert_eq!(head.seq, entries.len() as u64);
    let kept = store.history(1, entries.len()).now_or_never().expect("memory answers at once").expect("is there");
    let mut digests = BTreeSet::new();
    for (new, kept) in history.iter().zip(&kept) {
        assert_eq!((&new.subject, new.kind, new.at, &new.actor), (&kept.subject, kept.kind, kept.at, &kept.actor));
        assert!(digests.insert(kept.digest), "two entries with one digest");
    }
}

fn renewed(entry: &Entry) -> NewEntry {
    let Entry { at, actor, kind, subject, data, .. } = entry.clone();
    NewEntry { at, actor, kind, subject, data: serde_json::from_str(&data).unwrap_or(Value::String(data)) }
}

/// A catalog that holds this history, whatever it is, and nothing else.
struct Given<'a>(&'a [Entry]);

#[async_trait]
impl Catalog for Given<'_> {
    async fn apply(&self, _: Batch) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn feeds(&self) -> Result<Vec<FeedRecord>, CatalogError> {
        Ok(Vec::new())
    }
    async fn feed(&self, _: &FeedId) -> Result<Option<FeedRecord>, CatalogError> {
        Ok(None)
    }
    async fn releases(&self, _: &ReleaseFilter) -> Result<Vec<ReleaseRecord>, CatalogError> {
        Ok(Vec::new())
    }
    async fn visit_releases(
        &self,
        _: &ReleaseFilter,
        _: &mut (dyn FnMut(ReleaseRecord) + Send),
    ) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn release(&self, _: &ReleaseId) -> Result<Option<ReleaseRecord>, CatalogError> {
        Ok(None)
    }
    async fn find_releases(&self, _: &str) -> Result<Vec<ReleaseRecord>, CatalogError> {
        Ok(Vec::new())
    }
    async fn open_publications(&self) -> Result<Vec<Publication>, CatalogError> {
        Ok(Vec::new())
    }
    async fn host_waits(&self) -> Result<Vec<(String, Timestamp)>, CatalogError> {
        Ok(Vec::new())
    }
    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(self.0.iter().skip(skipped).take(limit).cloned().collect())
    }
    async fn entries(&self, filter: &EntryFilter, _: EntryOrder, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        Ok(self.0.iter().filter(|entry| filter.fits(entry)).take(limit).cloned().collect())
    }
    async fn latest(&self, _: EntryKind, _: u64) -> Result<Vec<Entry>, CatalogError> {
        Ok(Vec::new())
    }
    async fn lived(&self, _: Timestamp, spans: &[Span]) -> Result<Vec<Option<Lived>>, CatalogError> {
        Ok(vec![None; spans.len()])
    }
    async fn examine(&self, _: &mut (dyn FnMut(CatalogError) + Send)) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn chain_head(&self) -> Result<ChainHead, CatalogError> {
        let last = self.0.last();
        let digest = last.map_or(Digest::from_bytes([0; 32]), |entry| entry.digest);
        Ok(ChainHead { seq: last.map_or(0, |entry| entry.seq), digest, at: last.map(|entry| entry.at) })
    }
    async fn reserve(&self, _: &str, _: &[Digest]) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn unreserve(&self, _: Option<&str>) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn sweep(
        &self,
        _: &[Digest],
        _: &(dyn for<'d> Fn(&'d Digest) -> bool + Send + Sync),
        _: &dyn Remover,
    ) -> Result<Sweep, CatalogError> {
        Ok(Sweep::default())
    }
}
