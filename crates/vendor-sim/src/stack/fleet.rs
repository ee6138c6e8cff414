//! Package policies.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Shared, StackFault, World, at_the_door, lock, refusal};

/// What may only be read.
const READ_ONLY: [&str; 6] = ["id", "revision", "created_at", "created_by", "updated_at", "updated_by"];

/// A policy as Kibana makes it.
pub(crate) fn policy(id: &str, name: &str) -> Value {
    let os = || json!({"events": {"process": true, "network": true}, "malware": {"mode": "prevent"}, "advanced": {}});
    json!({
        "id": id, "version": "WzMwOTcsMV0=", "name": name, "namespace": "default", "description": "",
        "package": {"name": "endpoint", "title": "Elastic Defend", "version": "9.0.0"},
        "enabled": true, "policy_id": "a1", "policy_ids": ["a1"],
        "inputs": [{
            "type": "endpoint", "enabled": true, "streams": [],
            "config": {
                "integration_config": {"value": {"type": "endpoint", "endpointConfig": {"preset": "EDRComplete"}}},
                "artifact_manifest": {"value": {"manifest_version": "1.0.2", "schema_version": "v1", "artifacts": {}}},
                "policy": {"value": {
                    "meta": {"license": "enterprise"}, "global_manifest_version": "latest",
                    "windows": os(), "mac": os(), "linux": os()
                }}
            }
        }],
        "revision": 3, "created_at": "2026-01-01T00:00:00.000Z", "created_by": "elastic",
        "updated_at": "2026-01-02T00:00:00.000Z", "updated_by": "elastic",
        "spaceIds": ["default"], "secret_references": []
    })
}

pub(crate) async fn list(
    State(world): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut world = lock(&world);
    if let Err(answer) = at_the_door(&mut world, &headers, "GET package_policies".to_owned()) {
        return *answer;
    }
    let number = |name: &str, or: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(or);
    let (per_page, page) = (number("perPage", 20), number("page", 1).max(1));
    let items: Vec<Value> = world.policies.iter().skip((page - 1) * per_page).take(per_page).cloned().collect();
    Json(json!({"items": items, "total": world.policies.len(), "page": page, "perPage": per_page})).into_response()
}

pub(crate) async fn read(
    State(world): State<Shared>,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let id = path.get("id").cloned().unwrap_or_default();
    let mut world = lock(&world);
    if let Err(answer) = at_the_door(&mut world, &headers, format!("GET {id}")) {
        return *answer;
    }
    if let Some(StackFault::BlindAfterWrite(status)) = world.fault
        && world.calls.contains(&format!("PUT {id}"))
    {
        return refusal(status, "Bad Gateway", "upstream is gone");
    }
    match world.place(&id).and_then(|place| world.policies.get(place)) {
        Some(item) => Json(json!({"item": item})).into_response(),
        None => refusal(404, "Not Found", format!("Package policy {id} not found")),
    }
}

pub(crate) async fn write(
    State(world): State<Shared>,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
    Json(sent): Json<Value>,
) -> Response {
    let id = path.get("id").cloned().unwrap_or_default();
    let mut world = lock(&world);
    if let Err(answer) = at_the_door(&mut world, &headers, format!("PUT {id}")) {
        return *answer;
    }
    if !headers.contains_key("kbn-xsrf") {
        return refusal(400, "Bad Request", "Request must contain a kbn-xsrf header.");
    }
    let Some(place) = world.place(&id) else {
        // As an open issue has it: 500, not 404.
        return refusal(500, "Internal Server Error", "An internal server error occurred.");
    };
    world.meddle(place);
    if let Some(answer) = world.objection(place, &sent) {
        return answer;
    }
    let item = world.keep(place, &sent);
    Json(json!({"item": item})).into_response()
}

impl World {
    fn place(&self, id: &str) -> Option<usize> {
        self.policies.iter().position(|item| item.get("id").and_then(Value::as_str) == Some(id))
    }

    /// What others do right before a write.
    fn meddle(&mut self, place: usize) {
        let Some(item) = self.policies.get_mut(place) else { return };
        match &mut self.fault {
            Some(StackFault::BusyFleet(times)) if *times > 0 => {
                *times -= 1;
                if let Some(list) = item.pointer_mut("/inputs/0/config/artifact_manifest/value/manifest_version") {
                    *list = json!(format!("1.0.{}", 3 + *times));
                }
            }
            Some(StackFault::BusyPerson) => {
                if let Some(mode) = item.pointer_mut("/inputs/0/config/policy/value/linux/malware/mode") {
                    *mode = json!("detect");
                }
                self.fault = None;
            }
            _ => return,
        }
        touch(item);
    }

    fn objection(&self, place: usize, sent: &Value) -> Option<Response> {
        let known = self.policies.get(place)?;
        let mut unknown: Vec<&str> = READ_ONLY.into_iter().filter(|name| sent.get(name).is_some()).collect();
        if let Some(StackFault::ReadOnlyMembers(names)) = &self.fault {
            unknown.extend(names.iter().map(String::as_str).filter(|name| sent.get(name).is_some()));
        }
        if let Some(name) = unknown.first() {
            let message = format!("[request body.{name}]: definition for this key is missing");
            return Some(refusal(400, "Bad Request", message));
        }
        if self.fault == Some(StackFault::MayNotWrite) {
            let message = "API [PUT /api/fleet/package_policies/{id}] is unauthorized for user, this action is granted \
                           by the Kibana privileges [fleet-all,integrations-all]";
            return Some(refusal(403, "Forbidden", message));
        }
        let base = |item: &Value| {
            let windows = "/inputs/0/config/policy/value/windows/advanced/artifacts/global/base_url";
            item.pointer(windows).cloned()
        };
        if self.fault == Some(StackFault::Protected) && base(sent) != base(known) {
            let message = "Only superusers may change: windows.advanced.artifacts.global.base_url";
            return Some(refusal(403, "Forbidden", message));
        }
        let date = sent.pointer("/inputs/0/config/policy/value/global_manifest_version").and_then(Value::as_str);
        if date.is_some_and(|date| date != "latest" && date < "2025-01-01") {
            return Some(refusal(400, "Bad Request", "Global manifest version is too far in the past."));
        }
        (sent.get("version") != known.get("version")).then(|| {
            let id = known.get("id").and_then(Value::as_str).unwrap_or_default();
            refusal(409, "Conflict", format!("Saved object [ingest-package-policies/{id}] conflict"))
        })
    }

    fn keep(&mut self, place: usize, sent: &Value) -> Value {
        let forgets = self.fault == Some(StackFault::Forgetful);
        let Some(item) = self.policies.get_mut(place) else { return Value::Null };
        if let (Value::Object(item), Value::Object(sent), false) = (&mut *item, sent, forgets) {
            for (name, value) in sent.iter().filter(|(name, _)| *name != "version") {
                item.insert(name.clone(), value.clone());
            }
        }
        touch(item);
        item.clone()
    }
}

/// A new version and revision.
fn touch(item: &mut Value) {
    let Value::Object(members) = item else { return };
    let revision = members.get("revision").and_then(Value::as_u64).unwrap_or(0) + 1;
    members.insert("revision".to_owned(), json!(revision));
    members.insert("version".to_owned(), json!(format!("WzMwOTcs{revision}V0=")));
    members.insert("updated_by".to_owned(), json!("somebody"));
}
