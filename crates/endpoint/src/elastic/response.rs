//! The document that Elastic Endpoint sends to `metrics-endpoint.policy-*`, in its published shape.

use model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::policy::Snapshot;
use super::poll::Endpoint;
use super::store::{Applied, Record};
use settings::elastic::Channel;

/// A policy response.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Document(pub Value);

const DAY: u64 = 86_400;

impl Document {
    /// What this endpoint would report now.
    pub fn of(endpoint: &Endpoint, applied: Option<&Applied>, record: &Record) -> Self {
        let now = endpoint.clock.0.now();
        let at = instant(now);
        let (status, message) = state(endpoint, applied, record);
        let built = endpoint.built.as_deref().map(|day| build(&endpoint.version, day));
        let mut document = json!({
            "@timestamp": at,
            "agent": { "id": record.agent, "type": "endpoint", "version": endpoint.version },
            "data_stream": { "type": "metrics", "dataset": "endpoint.policy", "namespace": "default" },
            "event": {
                "action": "endpoint_policy_response",
                "category": ["host"],
                "created": at,
                "dataset": "endpoint.policy",
                "kind": "state",
                "module": "endpoint",
                "type": ["change"],
            },
            "host": { "hostname": endpoint.host, "os": { "type": endpoint.os.in_documents() } },
            "message": "Endpoint policy change",
            "Endpoint": { "policy": { "applied": {
                "id": endpoint.policy.id,
                "name": endpoint.policy.name,
                "version": endpoint.policy.revision.to_string(),
                "endpoint_policy_version": endpoint.policy.revision.to_string(),
                "status": status,
                "actions": [{ "name": "download_global_artifacts", "status": status, "message": message }],
                "artifacts": {
                    "global": applied.map(|applied| global(endpoint, applied, record, now)),
                    "user": { "version": "1.0.0", "identifiers": [] },
                },
            }}},
        });
        if let (Some(built), Some(agent)) = (built, document.get_mut("agent").and_then(Value::as_object_mut)) {
            agent.insert("build".to_owned(), json!({ "original": built }));
        }
        Self(document)
    }
}

/// What `agent.build.original` says of a build, in the form of the published sample; of its time the day alone is known.
fn build(version: &str, day: &str) -> String {
    let moment = day.parse::<jiff::civil::Date>().map(|date| date.strftime("%a %b %-d 00:00:00 %Y").to_string());
    format!("version: {version}, compiled: {}", moment.unwrap_or_else(|_| day.to_owned()))
}

/// The status and the message of `download_global_artifacts`; those in quotes in the notes are the vendor's.
fn state(endpoint: &Endpoint, applied: Option<&Applied>, record: &Record) -> (&'static str, String) {
    let wanted = &endpoint.policy.snapshot;
    match (applied, &record.fail) {
        (Some(applied), _) if applied.snapshot != wanted.as_str() => {
            let (have, want) = (&applied.snapshot, wanted.as_str());
            ("warning", format!("Global artifacts snapshot {have} does not match target snapshot: {want}"))
        }
        (Some(_), None) => ("success", "Global artifacts are available for use".to_owned()),
        (Some(_), Some(fail)) => ("warning", format!("Failed to download new global artifacts manifest ({fail})")),
        (None, Some(fail)) => ("failure", format!("Global configuration artifact is not available ({fail})")),
        (None, None) => ("failure", "Global configuration artifact is not available".to_owned()),
    }
}

fn global(endpoint: &Endpoint, applied: &Applied, record: &Record, now: Timestamp) -> Value {
    let identifiers: Vec<Value> =
        applied.identifiers.iter().map(|one| json!({ "name": one.name, "sha256": one.sha256 })).collect();
    let channel = match endpoint.policy.channel {
        // What documents show where nothing is set.
        Channel::Default => Channel::Stable.as_str(),
        other => other.as_str(),
    };
    json!({
        "version": applied.version,
        "snapshot": applied.snapshot,
        "update_age": age(endpoint, applied, record, now),
        "channel": channel,
        "manifest_type": applied.manifest_type,
        "identifiers": identifiers,
    })
}

/// Days since it was last updated or found to be current; of a pinned day, since that day.
fn age(endpoint: &Endpoint, applied: &Applied, record: &Record, now: Timestamp) -> u64 {
    let pinned = match &endpoint.policy.snapshot {
        Snapshot::Date(date) if *date == applied.snapshot => Timestamp::parse(&format!("{date}T00:00:00Z")),
        _ => None,
    };
    let since = pinned.or(record.current).unwrap_or(applied.at);
    now.since(since).as_secs() / DAY
}

fn instant(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
