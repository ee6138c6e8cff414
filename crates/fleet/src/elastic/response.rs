//! One policy response, as Endpoint writes it (elastic/endpoint-package, data_stream/policy).
//!
//! It is written by machines that may be compromised, of versions that do not exist yet: what is missing is none, what
//! has another type than documented is told.

use model::{Timestamp, Version};
use serde_json::Value;

use model::shown;

/// The longest text that is kept of a document, in characters.
const MOST: usize = 200;

/// What one endpoint reported last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyResponse {
    /// `agent.id`.
    pub agent: String,
    /// `host.hostname`, or `host.name`.
    pub host: Option<String>,
    /// `host.os.type`.
    pub system: Option<String>,
    /// `agent.version`: it says which manifest is asked for.
    pub agent_version: Option<Version>,
    /// `@timestamp`: when the document was written, which is on changes, not on each check.
    pub at: Timestamp,
    /// `…artifacts.global.version`: the manifest's version that is applied.
    pub applied: Option<Version>,
    /// `…artifacts.global.snapshot`, where it is a date: what the endpoint has.
    pub has_date: Option<String>,
    /// The date that it wants, where its actions name one.
    pub wants_date: Option<String>,
    /// Whether its actions say that it wants the latest, whatever it has.
    pub wants_latest: bool,
    /// `…artifacts.global.update_age`, in days.
    pub update_age_days: Option<u64>,
    /// `…artifacts.global.channel`.
    pub channel: Option<String>,
    /// `…artifacts.global.manifest_type`: stable or candidate.
    pub manifest_type: Option<String>,
    /// The day that the endpoint's program was built, where `agent.build.original` says it.
    pub built: Option<String>,
    /// How the action `download_global_artifacts` ended.
    pub download: Option<Download>,
    /// What in the document is not as documented.
    pub odd: Vec<String>,
}

/// How the download of global artifacts ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// `success`, `warning`, `failure`, `unsupported`.
    pub status: String,
    /// In its words.
    pub message: String,
}

/// A document that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{agent}: {what}")]
pub struct Unread {
    /// Whose, as far as it says.
    pub agent: String,
    /// What is wrong with it.
    pub what: String,
}

/// Reads members, and remembers those that are not as documented.
struct Reader<'a> {
    document: &'a Value,
    odd: Vec<String>,
}

impl PolicyResponse {
    /// Reads the `_source` of a document.
    ///
    /// # Errors
    /// [`Unread`] when it does not say whose it is or when it was written.
    pub fn read(document: &Value) -> Result<Self, Unread> {
        let mut reader = Reader { document, odd: Vec::new() };
        let agent = reader.text("/agent/id");
        let unread =
            |what: &str| Unread { agent: agent.clone().unwrap_or_else(|| "?".to_owned()), what: what.to_owned() };
        let at = reader.text("/@timestamp").ok_or_else(|| unread("no text '@timestamp'"))?;
        let at = Timestamp::parse(&at).ok_or_else(|| unread(&format!("'@timestamp' is '{at}', which is no time")))?;
        let id = agent.clone().ok_or_else(|| unread("no text 'agent.id'"))?;
        let global = "/Endpoint/policy/applied/artifacts/global";
        let snapshot = reader.text(&format!("{global}/snapshot"));
        let download = reader.download();
        let wants = download.as_ref().and_then(|download| wanted(&download.message));
        Ok(Self {
            agent: id,
            host: reader.text("/host/hostname").or_else(|| reader.text("/host/name")),
            system: reader.text("/host/os/type"),
            agent_version: reader.version("/agent/version"),
            at,
            applied: reader.version(&format!("{global}/version")),
            has_date: snapshot.filter(|text| is_date(text)),
            wants_latest: wants == Some("latest"),
            wants_date: wants.filter(|text| is_date(text)).map(str::to_owned),
            update_age_days: reader.whole(&format!("{global}/update_age")),
            channel: reader.text(&format!("{global}/channel")),
            manifest_type: reader.text(&format!("{global}/manifest_type")),
            built: reader.text("/agent/build/original").as_deref().and_then(built),
            download,
            odd: reader.odd,
        })
    }

    /// The date that it is pinned to. What it has is of a date until it has followed what it wants.
    pub fn date(&self) -> Option<&str> {
        let has = self.has_date.as_deref().filter(|_| !self.wants_latest);
        self.wants_date.as_deref().or(has)
    }

    /// The version that manifests are named by, without what builds of one's own append.
    pub fn released(&self) -> Option<&str> {
        let version = self.agent_version.as_ref()?.as_str();
        let released = version.split('+').next().unwrap_or(version);
        Some(released.strip_suffix("-SNAPSHOT").unwrap_or(released))
    }
}

impl Reader<'_> {
    fn odd(&mut self, pointer: &str, what: &str) {
        let name = pointer.trim_start_matches('/').replace('/', ".");
        self.odd.push(format!("'{name}' {what}"));
    }

    fn text(&mut self, pointer: &str) -> Option<String> {
        match self.document.pointer(pointer) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(shown(text, MOST)),
            Some(_) => {
                self.odd(pointer, "is no text");
                None
            }
        }
    }

    fn version(&mut self, pointer: &str) -> Option<Version> {
        let text = self.text(pointer)?;
        match text.parse() {
            Ok(version) => Some(version),
            Err(_) => {
                self.odd(pointer, &format!("is '{text}', which is no version"));
                None
            }
        }
    }

    fn whole(&mut self, pointer: &str) -> Option<u64> {
        match self.document.pointer(pointer) {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64() {
                Some(number) => Some(number),
                None => {
                    self.odd(pointer, "is no whole number");
                    None
                }
            },
        }
    }

    /// The worst end of the action, should it be there twice.
    fn download(&mut self) -> Option<Download> {
        let actions = match self.document.pointer("/Endpoint/policy/applied/actions") {
            None | Some(Value::Null) => return None,
            Some(Value::Array(actions)) => actions,
            Some(_) => {
                self.odd("/Endpoint/policy/applied/actions", "is no list");
                return None;
            }
        };
        let text = |action: &Value, name: &str| {
            action.get(name).and_then(Value::as_str).map(|text| shown(text, MOST)).unwrap_or_default()
        };
        let named = actions.iter().filter(|action| text(action, "name") == "download_global_artifacts");
        let ends: Vec<Download> =
            named.map(|action| Download { status: text(action, "status"), message: text(action, "message") }).collect();
        ends.iter().find(|end| end.status != "success").or(ends.first()).cloned()
    }
}

/// What a host wants, out of `Global artifacts snapshot {have} does not match target snapshot: {date or latest}`.
fn wanted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("target snapshot:")?;
    Some(rest.split_whitespace().next()?.trim_end_matches(['.', ',', ';']))
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_some()
}

/// The day in `version: 8.3.0, compiled: Fri Apr 1 06:00:00 2022, branch: …`.
fn built(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once("compiled:")?;
    let compiled = rest.split(',').next()?;
    let words: Vec<&str> = compiled.split_whitespace().collect();
    let [_, month, day, _, year] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    let date = format!("{year}-{month:02}-{:02}", day.parse::<u8>().ok()?);
    is_date(&date).then_some(date)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({
            "@timestamp": "2022-04-04T18:38:15.717Z",
            "agent": {"id": "4c9c9cb3", "version": "8.3.0-SNAPSHOT", "build": {"original":
                "version: 8.3.0-SNAPSHOT, compiled: Fri Apr 1 06:00:00 2022, branch: main, commit: f8b0"}},
            "host": {"hostname": "data-viz-win-1", "os": {"type": "windows"}},
            "Endpoint": {"policy": {"applied": {"status": "success",
                "actions": [{"name": "x", "status": "failure"},
                    {"name": "download_global_artifacts", "status": "success", "message": "Global artifacts are available for use"}],
                "artifacts": {"global": {"version": "1.0.261", "snapshot": "latest", "update_age": 0,
                    "channel": "stable", "manifest_type": "stable"}}}}}
        })
    }

    #[test]
    fn the_vendor_s_published_shape_is_read() {
        let read = PolicyResponse::read(&sample()).unwrap();
        assert_eq!(read.host.as_deref(), Some("data-viz-win-1"));
        assert_eq!(read.applied.as_ref().map(Version::as_str), Some("1.0.261"));
        assert_eq!((read.built.as_deref(), read.update_age_days), (Some("2022-04-01"), Some(0)));
        assert_eq!((read.has_date, read.wants_date, read.odd.len()), (None, None, 0));
        assert_eq!(read.download.unwrap().status, "success");
    }

    #[test]
    fn a_pinned_host_says_what_it_wants() {
        let mut document = sample();
        let applied = document.pointer_mut("/Endpoint/policy/applied").unwrap();
        applied["actions"] = json!([{"name": "download_global_artifacts", "status": "warning",
            "message": "Global artifacts snapshot latest does not match target snapshot: 2026-01-15."}]);
        let read = PolicyResponse::read(&document).unwrap();
        assert_eq!((read.has_date, read.wants_date.as_deref()), (None, Some("2026-01-15")));
        assert!(!read.wants_latest);
        let applied = document.pointer_mut("/Endpoint/policy/applied").unwrap();
        applied["artifacts"]["global"]["snapshot"] = json!("2026-01-15");
        applied["actions"][0]["message"] =
            json!("Global artifacts snapshot 2026-01-15 does not match target snapshot: latest.");
        let read = PolicyResponse::read(&document).unwrap();
        assert_eq!((read.has_date.as_deref(), read.wants_date, read.wants_latest), (Some("2026-01-15"), None, true));
    }

    #[test]
    fn odd_documents_are_told_and_end_nothing_c16_c18() {
        let mut document = sample();
        document["agent"]["version"] = json!("$(id)");
        document["host"] = json!("x");
        document["Endpoint"]["policy"]["applied"]["actions"] = json!({"a": 1});
        document["Endpoint"]["policy"]["applied"]["artifacts"]["global"] =
            json!({"version": 7, "update_age": -1.5, "snapshot": "2026-13-40", "channel": "\u{1b}[2J"});
        let read = PolicyResponse::read(&document).unwrap();
        assert_eq!(read.odd.len(), 4, "{:?}", read.odd);
        assert_eq!((read.applied, read.has_date, read.channel.as_deref()), (None, None, Some("\\u{1b}[2J")));
        for (time, part) in [(json!("NaN"), "is no time"), (json!(1.5), "no text"), (json!(null), "no text")] {
            let mut document = sample();
            document["@timestamp"] = time;
            let unread = PolicyResponse::read(&document).unwrap_err();
            assert!(unread.agent == "4c9c9cb3" && unread.what.contains(part), "{unread}");
        }
        assert!(PolicyResponse::read(&json!(null)).is_err());
        assert!(PolicyResponse::read(&json!([[[]]])).is_err());
    }

    #[test]
    fn days_of_builds() {
        for (text, day) in [
            ("compiled: Fri Apr  1 06:00:00 2022, x", Some("2022-04-01")),
            // As the reference endpoint tells it.
            ("version: 9.0.0, compiled: Sun Mar 1 00:00:00 2026", Some("2026-03-01")),
            ("compiled: Fri Apr 31 06:00:00 2022", None),
            ("compiled: yesterday", None),
            ("compiled:", None),
            ("", None),
        ] {
            assert_eq!(built(text).as_deref(), day, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_values_have_an_end_and_are_fit_to_show_c36_i10(
            text in ".{0,300}",
            pointer in prop::sample::select(vec!["/@timestamp", "/agent/id", "/agent/version", "/agent/build/original",
                "/host/hostname", "/Endpoint/policy/applied/artifacts/global/snapshot",
                "/Endpoint/policy/applied/actions/1/message"]),
        ) {
            let mut document = sample();
            *document.pointer_mut(pointer).unwrap() = Value::String(text);
            let shown = match PolicyResponse::read(&document) {
                Ok(read) => format!("{}{:?}{:?}", read.agent, read.host, read.download),
                Err(unread) => unread.to_string(),
            };
            prop_assert!(!shown.chars().any(char::is_control) && shown.chars().count() < 2_000);
        }
    }
}
