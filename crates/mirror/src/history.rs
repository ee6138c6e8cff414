//! What the history is told, and how it is read back: both sides of each kind of entry stand side by side here, so
//! that a look back in time knows everything that was known then.
//!
//! A member that is left out says nothing, or what the entry's doc says it says: checks are by far the most frequent
//! entries, and most of them say "as before".

use std::collections::BTreeMap;

use catalog::{Batch, Entry, EntryFilter, EntryKind, EntryOrder, FeedRecord, NewEntry};
use model::{
    Digest, FeedId, Generation, Note, Outcome, Release, ReleaseId, ReleaseState, RingName, ServedFeed, Timestamp,
    Trust, VendorVersion,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ruling::Costs;
use crate::{Engine, EngineError};

/// The most characters of a text that somebody typed which an entry keeps.
const TYPED: usize = 100;

/// How a process that stays began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It began.
    Start,
    /// It was told to end, and does.
    Stop,
}

impl ProcessEvent {
    /// The word in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// A configuration as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptConfig {
    /// The digest of its settings.
    pub digest: Digest,
    /// Its settings, one `key = value` a line, without secrets; none where an earlier version did not keep them.
    pub settings: Option<String>,
}

impl Engine {
    pub(crate) fn verdict_entry(&self, release: &Release, word: &str, state: Option<ReleaseState>) -> NewEntry {
        let mut data = json!({
            "feed": release.feed, "vendor_version": release.vendor_version, "verdict": word,
            "reasons": release.verdict.reasons, "notes": release.verdict.notes.len(), "trust": release.verdict.trust,
            "held_since": release.held_since, "files": release.items.len(), "bytes": release.bytes(),
        });
        set(&mut data, "vendor_time", release.vendor_time.map(|at| json!(at)));
        set(&mut data, "state", state.map(|state| json!(state)));
        self.entry(EntryKind::Verdict, release.id.to_string(), data)
    }

    /// A check: the feed's record as it is from now on, and what the check cost.
    pub(crate) fn check_entry(&self, record: &FeedRecord, costs: Costs) -> NewEntry {
        let mut data = record_data(record);
        set(&mut data, "requests", (costs.requests > 0).then(|| json!(costs.requests)));
        set(&mut data, "bytes", (costs.bytes > 0).then(|| json!(costs.bytes)));
        self.entry(EntryKind::Check, record.feed.as_str(), data)
    }

    /// Records that an act was refused or failed. What cannot be recorded is told in the log: the act's own error is
    /// what the operator is told.
    pub(crate) async fn record_refusal(&self, act: &str, on: &str, why: &str, error: &EngineError) {
        let on: String = on.chars().take(TYPED).collect();
        let data = json!({ "act": act, "why": why, "refused": error.reason(), "detail": model::error_chain(error) });
        if let Err(error) = self.record_one(EntryKind::Act, &on, data).await {
            tracing::error!(act, error = %model::error_chain(&error), "that the act was refused could not be recorded");
        }
    }

    /// Records that the configuration is another than before: its digest, its settings, and what changed, all without
    /// secrets. `noticed` says when that was seen.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog fails.
    pub async fn record_config(&self, kept: &KeptConfig, changes: &[String], noticed: &str) -> Result<(), EngineError> {
        let mut data = json!({ "digest": kept.digest, "changes": changes, "noticed": noticed });
        set(&mut data, "settings", kept.settings.as_ref().map(|settings| json!(settings)));
        self.record_one(EntryKind::ConfigChange, "configuration", data).await
    }

    /// The configuration that was recorded last; none when none was.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog fails.
    pub async fn last_config(&self) -> Result<Option<KeptConfig>, EngineError> {
        Ok(self.last(EntryKind::ConfigChange).await?.as_ref().and_then(kept_config))
    }

    /// Records that a process that stays began or ended. A start says whether the one before was seen to end.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog fails.
    pub async fn record_process(&self, event: ProcessEvent, version: &str) -> Result<(), EngineError> {
        let mut data = json!({ "event": event.as_str(), "version": version });
        if event == ProcessEvent::Start {
            let before = self.last(EntryKind::Process).await?;
            let event = before.as_ref().and_then(|before| text(before, "event"));
            set(&mut data, "before", event.map(|event| json!(if event == "stop" { "ended" } else { "end not seen" })));
        }
        let verb = self.settings.actor.verb.clone();
        self.record_one(EntryKind::Process, &verb, data).await
    }

    /// Records that an alarm was raised, or that what it told of is over.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog fails.
    pub async fn record_alarm(&self, key: &str, data: Value) -> Result<(), EngineError> {
        self.record_one(EntryKind::Alarm, key, data).await
    }

    /// Records that a feed is followed, or is followed no longer, though the configuration says nothing of it.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog fails.
    pub async fn record_learning(&self, feed: &FeedId, act: &str, why: &str) -> Result<(), EngineError> {
        self.record_one(EntryKind::Act, feed.as_str(), json!({ "act": act, "why": why })).await
    }

    async fn record_one(&self, kind: EntryKind, subject: &str, data: Value) -> Result<(), EngineError> {
        // What was moved away is not written into, though it can be: nobody would find it there.
        self.in_place()?;
        let history = vec![self.entry(kind, subject, data)];
        Ok(self.ports.catalog.apply(Batch { history, ..Batch::default() }).await?)
    }

    pub(crate) async fn last(&self, kind: EntryKind) -> Result<Option<Entry>, EngineError> {
        let filter = EntryFilter { kinds: vec![kind], ..EntryFilter::default() };
        Ok(self.ports.catalog.entries(&filter, EntryOrder::NewestFirst, 1).await?.pop())
    }
}

/// A feed's record in an entry. Left out: what is none or zero, a mark that is what is offered, and the time of the
/// last success where it is that of this check. Of the validator only the vendor's tag or date is kept.
pub(crate) fn record_data(record: &FeedRecord) -> Value {
    let mut data = serde_json::to_value(record).unwrap_or_default();
    let Some(members) = data.as_object_mut() else { return data };
    members.remove("feed");
    members.remove("validator");
    if record.mark == record.offered {
        members.remove("mark");
    }
    members.retain(|_, value| !value.is_null());
    if record.failures == 0 {
        members.remove("failures");
    }
    if record.succeeded_at == Some(record.checked_at) {
        members.remove("succeeded_at");
    } else {
        members.insert("succeeded_at".to_owned(), json!(record.succeeded_at));
    }
    if record.offered.is_some() && record.mark.is_none() {
        members.insert("mark".to_owned(), Value::Null);
    }
    let tag = record.validator.as_ref().and_then(|known| known.etag.as_ref().or(known.last_modified.as_ref()));
    set(&mut data, "validator", tag.map(|tag| json!(tag)));
    data
}

/// The feed's record that an entry of `at` holds.
pub(crate) fn record_from(feed: &FeedId, at: Timestamp, data: &Value) -> Option<FeedRecord> {
    let mut members: Map<String, Value> = data.as_object()?.clone();
    members.insert("feed".to_owned(), json!(feed));
    members.remove("validator");
    // Earlier versions kept no times: what went well then succeeded then.
    if !members.contains_key("checked_at") {
        let outcome = members.get("outcome").and_then(Value::as_str).and_then(Outcome::from_word);
        let well = !matches!(outcome, Some(Outcome::Failed | Outcome::Quarantined));
        members.insert("checked_at".to_owned(), json!(at));
        members.insert("succeeded_at".to_owned(), json!(well.then_some(at)));
        members.insert("first_checked_at".to_owned(), json!(at));
    }
    let copies = [("succeeded_at", "checked_at"), ("mark", "offered")];
    for (name, from) in copies {
        if let (false, Some(value)) = (members.contains_key(name), members.get(from).cloned()) {
            members.insert(name.to_owned(), value);
        }
    }
    for name in ["mark", "validator", "reason", "detail", "release", "offered", "changed_at", "succeeded_at"] {
        members.entry(name).or_insert(Value::Null);
    }
    members.entry("failures").or_insert(json!(0));
    serde_json::from_value(Value::Object(members)).ok()
}

/// What a verdict's entry says of its release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ToldVerdict {
    pub(crate) feed: FeedId,
    pub(crate) vendor_version: VendorVersion,
    pub(crate) verdict: String,
    #[serde(default)]
    pub(crate) reasons: Vec<Note>,
    #[serde(default)]
    pub(crate) notes: usize,
    pub(crate) trust: Trust,
    pub(crate) held_since: Option<Timestamp>,
    pub(crate) vendor_time: Option<Timestamp>,
    pub(crate) number: Option<u64>,
    pub(crate) files: Option<usize>,
    pub(crate) bytes: Option<u64>,
    state: Option<ReleaseState>,
}

impl ToldVerdict {
    /// The state that the release has from then on, if the verdict changed it; `known` is the one before.
    pub(crate) fn state(&self, known: Option<ReleaseState>) -> Option<ReleaseState> {
        // Earlier versions said only the word: an offer of a release that was admitted changes nothing.
        self.state.or(match self.verdict.as_str() {
            "admitted" => Some(ReleaseState::Admitted),
            "quarantined" if known != Some(ReleaseState::Admitted) => Some(ReleaseState::Quarantined),
            _ => None,
        })
    }
}

/// What a generation serves, for an entry: what the ring remembers of releases, their verdicts' entries tell.
pub(crate) fn told_feeds(generation: &Generation) -> BTreeMap<&FeedId, ServedFeed> {
    let told = |served: &ServedFeed| ServedFeed { remembers: Vec::new(), ..served.clone() };
    generation.feeds.iter().map(|(feed, served)| (feed, told(served))).collect()
}

/// What an intended publication's entry says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ToldIntent {
    pub(crate) number: u64,
    pub(crate) digest: Digest,
    pub(crate) feeds: BTreeMap<FeedId, ServedFeed>,
}

/// What the end of a publication says; an abandoned one may leave the digest out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ToldEnd {
    pub(crate) number: u64,
    pub(crate) digest: Option<Digest>,
}

/// What a ring's publication said that it would serve, and what came of it.
pub(crate) fn ring_of(entry: &Entry) -> Option<RingName> {
    entry.subject.parse().ok()
}

/// The releases that an entry of upkeep let expire.
pub(crate) fn expired(data: &Value) -> Vec<ReleaseId> {
    #[derive(Deserialize)]
    struct Gone {
        id: ReleaseId,
    }
    if data.get("act").and_then(Value::as_str) != Some("expire") {
        return Vec::new();
    }
    let gone: Option<Vec<Gone>> = data.get("releases").and_then(|all| serde_json::from_value(all.clone()).ok());
    gone.into_iter().flatten().map(|gone| gone.id).collect()
}

/// The particulars of an entry as JSON.
pub(crate) fn particulars(entry: &Entry) -> Value {
    serde_json::from_str(&entry.data).unwrap_or_default()
}

fn kept_config(entry: &Entry) -> Option<KeptConfig> {
    let digest = text(entry, "digest")?.parse().ok()?;
    Some(KeptConfig { digest, settings: text(entry, "settings") })
}

fn text(entry: &Entry, name: &str) -> Option<String> {
    particulars(entry).get(name)?.as_str().map(ToOwned::to_owned)
}

fn set(data: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (data.as_object_mut(), value) {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use catalog::StoredValidator;
    use model::{Reason, VendorVersion};
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn version(number: u32) -> VendorVersion {
        VendorVersion::plain(format!("1.0.{number}").parse().unwrap())
    }

    fn any_record() -> impl Strategy<Value = FeedRecord> {
        let times = (0i64..9, 0i64..9, proptest::option::of(0i64..9), proptest::option::of(0i64..9));
        let versions = (proptest::option::of(0u32..3), proptest::option::of(0u32..3));
        let words = (0usize..5, any::<bool>(), proptest::option::of("\\PC{0,9}"), 0u32..3);
        (times, versions, words).prop_map(|((first, checked, succeeded, changed), (mark, offered), words)| {
            let (outcome, reason, detail, failures) = words;
            let outcomes = [Outcome::Published, Outcome::Current, Outcome::Held, Outcome::Quarantined, Outcome::Failed];
            FeedRecord {
                mark: mark.map(version),
                validator: None,
                outcome: outcomes[outcome],
                reason: reason.then_some(Reason::ServerError),
                detail,
                release: reason.then(|| ReleaseId::of(&"elastic/9.0.0".parse().unwrap(), &[])),
                offered: offered.map(version),
                checked_at: at(checked),
                succeeded_at: succeeded.map(at),
                changed_at: changed.map(at),
                failures,
                ..FeedRecord::new("elastic/9.0.0".parse().unwrap(), at(first))
            }
        })
    }

    proptest! {
        #[test]
        fn a_record_reads_back_from_its_entry(record in any_record()) {
            let data = record_data(&record);
            prop_assert_eq!(record_from(&record.feed, at(77), &data), Some(record));
        }

        #[test]
        fn whatever_an_entry_holds_is_read_without_panic_s41(text in "\\PC{0,64}") {
            let data: Value = serde_json::from_str(&text).unwrap_or(json!({ "outcome": text }));
            let _ = (record_from(&"elastic/9.0.0".parse().unwrap(), at(1), &data), expired(&data));
        }
    }

    #[test]
    fn what_goes_without_saying_is_left_out() {
        let record = FeedRecord {
            outcome: Outcome::Current,
            mark: Some(version(1)),
            offered: Some(version(1)),
            checked_at: at(5),
            succeeded_at: Some(at(5)),
            validator: Some(StoredValidator {
                url: "https://vendor.test/".to_owned(),
                etag: Some("\"tag\"".to_owned()),
                last_modified: None,
                policy: "p".to_owned(),
            }),
            ..FeedRecord::new("elastic/9.0.0".parse().unwrap(), at(1))
        };
        let expected = json!({
            "outcome": "current", "offered": { "version": "1.0.1" }, "first_checked_at": 1,
            "checked_at": 5, "validator": "\"tag\"",
        });
        assert_eq!(record_data(&record), expected);
    }

    #[test]
    fn checks_of_earlier_versions_are_read() {
        let feed: FeedId = "elastic/9.0.0".parse().unwrap();
        let old = json!({
            "outcome": "current", "offered": { "version": "1.0.1", "engine": null }, "release": null, "reason": null,
            "detail": null, "requests": 1, "bytes": 0,
        });
        let record = record_from(&feed, at(9), &old).unwrap();
        assert_eq!((record.checked_at, record.succeeded_at, record.mark), (at(9), Some(at(9)), Some(version(1))));
        let failed = json!({ "outcome": "failed", "offered": null, "reason": "server_error" });
        let record = record_from(&feed, at(9), &failed).unwrap();
        assert_eq!((record.succeeded_at, record.reason), (None, Some(Reason::ServerError)));
    }
}
