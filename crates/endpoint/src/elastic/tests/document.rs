//! The document beside the vendor's published one.

use serde_json::Value;

use super::world::World;

/// The members of the vendor's sample (endpoint-package, `data_stream/policy/sample_event.json` and its fields), as far as
/// the notes quote them; the values are ours.
const SAMPLE: &str = r#"{ "@timestamp": "2022-04-04T18:38:15.717Z",
  "agent": { "id": "4c9c9cb3", "type": "endpoint", "version": "8.3.0-SNAPSHOT",
             "build": { "original": "version: 8.3.0-SNAPSHOT, compiled: Fri Apr 1 06:00:00 2022" } },
  "host": { "hostname": "data-viz-win-1", "os": { "type": "windows" } },
  "event": { "created": "2022-04-04T18:38:15.717Z", "action": "endpoint_policy_response", "dataset": "endpoint.policy" },
  "data_stream": { "type": "metrics", "dataset": "endpoint.policy", "namespace": "default" },
  "Endpoint": { "policy": { "applied": {
     "id": "b372", "name": "endpoint-1", "version": "2", "endpoint_policy_version": "1", "status": "success",
     "actions": [ { "name": "download_global_artifacts", "status": "success", "message": "Global artifacts are available for use" } ],
     "artifacts": { "global": { "version": "1.0.261", "snapshot": "2023-09-26", "update_age": 0, "channel": "stable", "manifest_type": "stable",
                      "identifiers": [ { "name": "endpointpe-v4-model", "sha256": "c05c025c" } ] },
                    "user": { "version": "1.0.0", "identifiers": [] } } } } } }"#;

/// Every member of the sample, and the kind of its value.
fn members(value: &Value, at: &str, found: &mut Vec<(String, &'static str)>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| members(value, &format!("{at}/{key}"), found)),
        Value::Array(array) => array.iter().take(1).for_each(|value| members(value, &format!("{at}/0"), found)),
        Value::String(_) => found.push((at.to_owned(), "string")),
        Value::Number(_) => found.push((at.to_owned(), "number")),
        _ => found.push((at.to_owned(), "other")),
    }
}

/// Where the two stand side by side for people.
const PAGE: &str = include_str!("../../../../../docs/reference-endpoint.md");

/// A member as the page has it: its name, the vendor's value, ours.
fn row(at: &str, ours: &Value) -> String {
    let sample: Value = serde_json::from_str(SAMPLE).unwrap();
    let shown = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let name = at.trim_start_matches('/').replace("/0", "[]").replace('/', ".");
    let ours = match name.rsplit('.').next() {
        Some("sha256") => "64 digits".to_owned(),
        Some("id") if name.starts_with("agent") => "kept in the state".to_owned(),
        _ => format!("`{}`", shown(ours.pointer(at))),
    };
    format!("| `{name}` | `{}` | {} |", shown(sample.pointer(at)), ours.replace("``", ""))
}

#[tokio::test]
async fn the_page_shows_the_vendors_sample_beside_what_is_written_here() {
    let document = World::new().poll().await.document.0;
    let mut members_of_both = Vec::new();
    members(&serde_json::from_str(SAMPLE).unwrap(), "", &mut members_of_both);
    let rows: Vec<String> = members_of_both.iter().map(|(at, _)| row(at, &document)).collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !PAGE.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/reference-endpoint.md lacks rows; all of them:\n{}", rows.join("\n"));
}

#[tokio::test]
async fn every_member_of_the_published_shape_is_there_and_of_its_kind() {
    let world = World::new();
    let document = world.poll().await.document.0;
    let mut expected = Vec::new();
    members(&serde_json::from_str(SAMPLE).unwrap(), "", &mut expected);
    let mut ours = Vec::new();
    members(&document, "", &mut ours);
    let missing: Vec<_> = expected.iter().filter(|member| !ours.contains(member)).collect();
    assert!(missing.is_empty(), "{missing:?} of {document:#}");
    assert_eq!(document["@timestamp"], "2026-10-04T18:38:15.717Z");
    assert_eq!(world.endpoint.store.response().unwrap(), Some(document.clone()), "what was written is what was told");
    let again = world.poll().await.document.0;
    assert_eq!(document["agent"]["id"], again["agent"]["id"], "an endpoint keeps its id");
}
