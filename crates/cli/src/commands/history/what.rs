//! An entry in one line, for people.

use catalog::{Entry, EntryKind};
use serde_json::Value;

use super::particulars;
use crate::show;

/// What happened.
pub(super) fn what(entry: &Entry) -> String {
    let data = Said(particulars(entry));
    let parts = match entry.kind {
        EntryKind::Check => data.check(),
        EntryKind::Verdict => data.verdict(),
        EntryKind::PublicationIntended => vec![data.generation(), data.count("feeds", "feed")],
        EntryKind::PublicationDone => vec![data.generation(), data.text("why")],
        EntryKind::PublicationAbandoned => vec![data.generation(), data.text("why")],
        EntryKind::Act => data.act(),
        EntryKind::Upkeep => data.upkeep(),
        EntryKind::ConfigChange => data.config(),
        EntryKind::Alarm => ["event", "level", "reason", "subject", "detail"].map(|name| data.text(name)).to_vec(),
        EntryKind::Process => {
            vec![data.word("", "event"), data.word("version ", "version"), data.word("before: ", "before")]
        }
        EntryKind::Pruned => data.pruned(),
        EntryKind::Carried => data.carried(),
    };
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// The particulars.
struct Said(Value);

impl Said {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(ToOwned::to_owned)
    }

    fn word(&self, before: &str, name: &str) -> Option<String> {
        Some(format!("{before}{}", self.text(name)?))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    fn count(&self, name: &str, one: &str) -> Option<String> {
        let many = match self.0.get(name)? {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            other => usize::try_from(other.as_u64()?).ok()?,
        };
        (many > 0).then(|| show::count(many, one))
    }

    fn version(&self, name: &str) -> Option<String> {
        let version: model::VendorVersion = serde_json::from_value(self.0.get(name)?.clone()).ok()?;
        Some(version.to_string())
    }

    fn generation(&self) -> Option<String> {
        self.number("number").map(|number| format!("generation {number}"))
    }

    fn release(&self) -> Option<String> {
        self.number("number").map(|number| format!("release {number}"))
    }

    /// A reason's code and what it is about.
    fn why(&self) -> Option<String> {
        let detail = self.text("detail").map(|detail| format!(": {detail}")).unwrap_or_default();
        Some(format!("{}{detail}", self.text("reason")?))
    }

    fn check(&self) -> Vec<Option<String>> {
        let bytes = self.number("bytes").filter(|bytes| *bytes > 0).map(show::bytes);
        vec![self.text("outcome"), self.version("offered"), self.why(), self.count("requests", "request"), bytes]
    }

    fn verdict(&self) -> Vec<Option<String>> {
        let reasons = self.0.get("reasons").and_then(Value::as_array).into_iter().flatten();
        let codes: Vec<&str> = reasons.filter_map(|note| note.get("reason")?.as_str()).collect();
        let trust = self.0.get("trust").and_then(|trust| serde_json::from_value::<model::Trust>(trust.clone()).ok());
        vec![
            self.text("verdict"),
            self.release(),
            self.version("vendor_version"),
            Some(codes.join(", ")),
            trust.map(|trust| trust.checked.to_string()),
        ]
    }

    fn act(&self) -> Vec<Option<String>> {
        let refused = self.word("refused: ", "refused");
        let undone = self.word("undone: ", "undone");
        vec![self.text("act"), self.release(), refused, undone, self.word("because: ", "why"), self.text("detail")]
    }

    fn upkeep(&self) -> Vec<Option<String>> {
        let bytes = self.number("bytes").filter(|bytes| *bytes > 0).map(show::bytes);
        let counts =
            [("blobs", "blob"), ("releases", "release"), ("generations", "generation file"), ("faults", "fault")];
        let counts = counts.map(|(name, one)| self.count(name, one));
        [self.text("act")].into_iter().chain(counts).chain([bytes, self.text("why"), self.text("detail")]).collect()
    }

    fn config(&self) -> Vec<Option<String>> {
        let changes = self.0.get("changes").and_then(Value::as_array);
        let first = changes.and_then(|changes| changes.first()?.as_str().map(ToOwned::to_owned));
        let more = changes.map_or(0, Vec::len).saturating_sub(1);
        let more = (more > 0).then(|| format!("and {more} more"));
        vec![self.word("noticed: ", "noticed"), first, more]
    }

    fn pruned(&self) -> Vec<Option<String>> {
        let through = self.0.get("through").and_then(|through| through.get("seq")?.as_u64());
        let from = self.number("from").unwrap_or(1);
        let gone = through.map(|through| format!("entries {from} to {through} were let go"));
        vec![
            gone,
            self.count("carried", "entry").map(|_| format!("{} carried over", self.number("carried").unwrap_or(0))),
        ]
    }

    fn carried(&self) -> Vec<Option<String>> {
        let inner = self.0.get("entry").cloned().and_then(|inner| serde_json::from_value::<Entry>(inner).ok());
        // One level, whatever stands in it.
        let said = inner.filter(|inner| inner.kind != EntryKind::Carried);
        vec![
            said.map(|inner| format!("entry {} of {}: {}: {}", inner.seq, inner.at, inner.kind.as_str(), what(&inner))),
        ]
    }
}
