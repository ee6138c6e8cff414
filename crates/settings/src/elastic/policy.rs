//! A policy as Fleet's API gives it out: changed, stripped for being sent back, and looked through.

use serde_json::{Map, Value};

use super::{System, Wanted};
use crate::check::{Check, Finding};
use crate::document::Change;
use crate::text::{shown, shown_url};

/// What a policy that is read has and one that is sent must not have (Elastic, create an Elastic Defend policy using
/// the API).
const READ_ONLY: [&str; 6] = ["id", "revision", "created_at", "created_by", "updated_at", "updated_by"];

/// Why a policy cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is another integration's.
    #[error("'{name}' is a policy of the integration '{package}', not of Elastic Defend (endpoint): name one that is")]
    Foreign {
        /// Its name.
        name: String,
        /// The integration.
        package: String,
    },
    /// It is not laid out as Fleet's API has it.
    #[error("the policy has no {0}: this is not what Fleet's API is documented to answer, and nothing was changed")]
    Shape(&'static str),
}

/// Puts what is wanted into a policy as it was read; everything else stays. What changes is told, setting by setting.
///
/// # Errors
/// [`PolicyError`] when it is not a policy of Elastic Defend's, laid out as documented.
pub fn change(item: &Value, wanted: &Wanted) -> Result<(Value, Vec<Change>), PolicyError> {
    let package = item.pointer("/package/name").and_then(Value::as_str).unwrap_or_default();
    if package != "endpoint" {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        return Err(PolicyError::Foreign { name: shown(name), package: shown(package) });
    }
    let mut changed = item.clone();
    let settings = settings_mut(&mut changed)?;
    let mut changes = Vec::new();
    for system in &wanted.systems {
        for (name, value) in wanted.keys() {
            let steps: Vec<&str> = [system.as_str(), "advanced"].into_iter().chain(name.split('.')).collect();
            let before = put(settings, &steps, &value)?;
            if before.as_ref() != Some(&value) {
                changes.push(Change { at: steps.join("."), before, after: value });
            }
        }
    }
    Ok((changed, changes))
}

/// A policy without what may not be sent back; its `version` stays: it is the lock.
pub fn strip(item: &Value, more: &[String]) -> Value {
    let mut stripped = item.clone();
    if let Value::Object(members) = &mut stripped {
        members.retain(|name, _| !READ_ONLY.contains(&name.as_str()) && !more.contains(name));
    }
    stripped
}

/// What else in a policy keeps a mirror from working, for the systems that are wanted.
pub fn look(item: &Value, systems: &[System]) -> Vec<Finding> {
    let Some(settings) = settings(item) else { return Vec::new() };
    let mut findings = Vec::new();
    let mut tell = |check: Check, at: &str, seen: &str| findings.push(Finding::new(check, at, seen));
    match settings.get("global_manifest_version").and_then(Value::as_str) {
        None | Some("latest") => {}
        Some(date) => tell(Check::ManifestDated, "global_manifest_version", date),
    }
    for system in systems {
        let advanced = settings.get(system.as_str()).and_then(|os| os.get("advanced"));
        let get = |steps: &[&str]| {
            let value = steps.iter().try_fold(advanced?, |value, step| value.get(*step))?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)).filter(|text| !text.is_empty())
        };
        let global = |name: &'static str| get(&["artifacts", "global", name]);
        let at = |name: &str| format!("{}.advanced.{name}", system.as_str());
        if let Some(features) = get(&["allow_cloud_features"])
            && !features.split(',').any(|one| matches!(one.trim(), "artifacts-update" | "all"))
        {
            tell(Check::CloudFeatures, &at("allow_cloud_features"), &features);
        }
        if let Some(path) = global("manifest_relative_url") {
            tell(Check::ManifestPinned, &at("artifacts.global.manifest_relative_url"), &path);
        }
        if global("public_key").is_some() {
            tell(Check::ForeignKey, &at("artifacts.global.public_key"), "a key is set");
        }
        if let Some(proxy) = global("proxy_url")
            && global("proxy_disable").as_deref() != Some("true")
        {
            tell(Check::ArtifactProxy, &at("artifacts.global.proxy_url"), &shown_url(&proxy));
        }
        match global("channel").as_deref() {
            Some("stable") => {}
            other => {
                let seen = other.map_or_else(|| "not set".to_owned(), str::to_owned);
                tell(Check::ChannelUnmirrored, &at("artifacts.global.channel"), &seen);
            }
        }
    }
    findings
}

fn endpoint_input(inputs: &[Value]) -> Option<usize> {
    inputs.iter().position(|input| input.get("type").and_then(Value::as_str) == Some("endpoint"))
}

fn settings(item: &Value) -> Option<&Value> {
    let inputs = item.get("inputs")?.as_array()?;
    inputs.get(endpoint_input(inputs)?)?.pointer("/config/policy/value")
}

fn settings_mut(item: &mut Value) -> Result<&mut Value, PolicyError> {
    let inputs = item.get_mut("inputs").and_then(Value::as_array_mut).ok_or(PolicyError::Shape("array 'inputs'"))?;
    let index = endpoint_input(inputs).ok_or(PolicyError::Shape("input of type 'endpoint'"))?;
    let value = inputs.get_mut(index).and_then(|input| input.pointer_mut("/config/policy/value"));
    value.filter(|value| value.is_object()).ok_or(PolicyError::Shape("object 'config.policy.value' in its input"))
}

/// Sets a value at the end of steps, and gives back what stood there. What is no object on the way is not replaced.
fn put(top: &mut Value, steps: &[&str], value: &Value) -> Result<Option<Value>, PolicyError> {
    let (Some((last, way)), mut here) = (steps.split_last(), top) else { return Ok(None) };
    let none = PolicyError::Shape("object where the settings of a system belong");
    for step in way {
        let Value::Object(members) = here else { return Err(none) };
        let next = members.entry(*step).or_insert_with(|| Value::Object(Map::new()));
        if next.is_null() {
            *next = Value::Object(Map::new());
        }
        here = next;
    }
    let Value::Object(members) = here else { return Err(none) };
    Ok(members.insert((*last).to_owned(), value.clone()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::elastic::Channel;
    use crate::mirror_url::{MirrorUrl, OverPlainHttp};

    fn wanted(systems: &[System]) -> Wanted {
        Wanted {
            mirror: MirrorUrl::parse("https://mirror.example", OverPlainHttp::Refused).unwrap(),
            systems: systems.to_vec(),
            channel: Some(Channel::Stable),
            interval: None,
            ca: None,
            past_proxies: false,
        }
    }

    fn item() -> Value {
        json!({
            "id": "p1", "version": "WzMwOTcsMV0=", "name": "fleet", "revision": 4, "created_at": "x", "updated_by": "y",
            "package": {"name": "endpoint", "version": "9.0.0"},
            "inputs": [
                {"type": "other"},
                {"type": "endpoint", "config": {"artifact_manifest": {"value": {"a": 1}}, "policy": {"value": {
                    "global_manifest_version": "latest",
                    "windows": {"events": {"z": true, "a": false},
                                "advanced": {"artifacts": {"global": {"base_url": "https://old.example"}}, "x": "1"}},
                    "mac": {}, "linux": {"advanced": {}}
                }}}}
            ]
        })
    }

    #[test]
    fn a_policy_is_changed_where_it_is_said_and_nowhere_else() {
        let (changed, changes) = change(&item(), &wanted(&System::ALL)).unwrap();
        let told: Vec<String> = changes
            .iter()
            .map(|change| {
                format!("{}: {:?} -> {}", change.at, change.before.as_ref().map(Value::to_string), change.after)
            })
            .collect();
        assert_eq!(
            told[0],
            "windows.advanced.artifacts.global.base_url: Some(\"\\\"https://old.example\\\"\") -> \"https://mirror.example\""
        );
        assert_eq!(told.len(), 6);
        let value = "/inputs/1/config/policy/value";
        for (at, expected) in [
            ("/windows/events", json!({"z": true, "a": false})),
            ("/windows/advanced/x", json!("1")),
            ("/linux/advanced/artifacts/global/base_url", json!("https://mirror.example")),
            ("/mac/advanced/artifacts/global/channel", json!("stable")),
        ] {
            assert_eq!(changed.pointer(&format!("{value}{at}")), Some(&expected), "{at}");
        }
        assert_eq!(
            changed.pointer("/inputs/1/config/artifact_manifest"),
            item().pointer("/inputs/1/config/artifact_manifest")
        );
        // Once more: nothing left to change.
        assert_eq!(change(&changed, &wanted(&System::ALL)).unwrap().1, []);
    }

    #[test]
    fn what_is_sent_back_keeps_its_lock() {
        let sent = strip(&item(), &["name".to_owned()]);
        assert_eq!(sent.as_object().unwrap().keys().collect::<Vec<_>>(), ["version", "package", "inputs"]);
    }

    #[test]
    fn other_shapes_are_refused_c18() {
        let with = |pointer: &str, value: Value| {
            let mut item = item();
            *item.pointer_mut(pointer).unwrap() = value;
            change(&item, &wanted(&System::ALL)).unwrap_err().to_string()
        };
        assert!(with("/package/name", json!("log")).contains("integration 'log'"));
        assert!(with("/inputs", json!({})).contains("array 'inputs'"));
        assert!(with("/inputs/1/type", json!(1)).contains("input of type"));
        assert!(with("/inputs/1/config/policy/value", json!([])).contains("config.policy.value"));
        assert!(with("/inputs/1/config/policy/value/windows", json!("x")).contains("of a system"));
        assert!(change(&json!(null), &wanted(&System::ALL)).is_err());
    }

    #[test]
    fn what_else_stands_in_the_way_is_told() {
        let mut item = item();
        *item.pointer_mut("/inputs/1/config/policy/value").unwrap() = json!({
            "global_manifest_version": "2026-01-15",
            "linux": {"advanced": {"allow_cloud_features": "sample-collection", "artifacts": {"global": {
                "manifest_relative_url": "/downloads/endpoint/manifest/artifacts-8.18.0.zip", "channel": "rapid",
                "public_key": "-----BEGIN", "proxy_url": "http://eve:hunter2@proxy:3128"}}}}
        });
        let found = look(&item, &[System::Linux]);
        let codes: Vec<&str> = found.iter().map(|finding| finding.check.code()).collect();
        assert_eq!(
            codes,
            [
                "manifest_dated",
                "cloud_features",
                "manifest_pinned",
                "foreign_key",
                "artifact_proxy",
                "channel_unmirrored"
            ]
        );
        assert!(!format!("{found:?}").contains("hunter2"));
        let (changed, _) = change(&self::item(), &wanted(&System::ALL)).unwrap();
        assert_eq!(look(&changed, &System::ALL), []);
    }
}
