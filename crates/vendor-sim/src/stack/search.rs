//! Searches: a composite aggregation over one term, with the newest document of each bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::Timestamp;
use serde_json::{Map, Value, json};

use super::{Shared, StackFault, at_the_door, lock};

/// What a cluster takes by default (`search.max_buckets`, `index.max_result_window`).
const MAX_BUCKETS: u64 = 65_536;
const MAX_WINDOW: u64 = 10_000;

pub(crate) async fn search(
    State(world): State<Shared>,
    Path(index): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    let mut world = lock(&world);
    if let Err(answer) = at_the_door(&mut world, &headers, format!("POST {index}/_search")) {
        return *answer;
    }
    let shards =
        |total: u64, failed: u64| json!({"total": total, "successful": total - failed, "skipped": 0, "failed": failed});
    let pattern = index.contains('*');
    let fits = index.trim_end_matches('*');
    if world.fault == Some(StackFault::SeesNothing) || !"metrics-endpoint.policy-default".starts_with(fits) {
        if pattern {
            return Json(json!({"took": 1, "timed_out": false, "_shards": shards(0, 0), "hits": {"hits": []}}))
                .into_response();
        }
        return refusal(404, "index_not_found_exception", &format!("no such index [{index}]"));
    }
    if asked.get("size").and_then(Value::as_u64).unwrap_or(10) > MAX_WINDOW {
        return refusal(400, "illegal_argument_exception", "Result window is too large");
    }
    let Some(composite) = asked.pointer("/aggs/endpoints/composite") else {
        return refusal(400, "parsing_exception", "only a composite aggregation is played here");
    };
    let size = composite.get("size").and_then(Value::as_u64).unwrap_or(10);
    if size > MAX_BUCKETS {
        let message = format!("Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}]");
        return refusal(400, "too_many_buckets_exception", &message);
    }
    let after = match world.fault {
        Some(StackFault::SamePage) => None,
        _ => composite.pointer("/after/agent").and_then(Value::as_str),
    };
    let newest = newest(&world.documents, &asked);
    let includes: Vec<&str> = asked
        .pointer("/aggs/endpoints/aggs/newest/top_hits/_source/includes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let page: Vec<(&str, &Value)> = newest
        .into_iter()
        .filter(|(agent, _)| after.is_none_or(|after| *agent > after))
        .take(usize::try_from(size).unwrap_or(usize::MAX))
        .collect();
    let bucket = |(agent, document): &(&str, &Value)| {
        json!({"key": {"agent": agent}, "doc_count": 1, "newest": {"hits": {
            "total": {"value": 1, "relation": "eq"}, "max_score": null,
            "hits": [{"_index": ".ds-metrics-endpoint.policy-default-000001", "_id": agent,
                      "_source": only(document, &includes, "")}]
        }}})
    };
    let mut endpoints = json!({"buckets": page.iter().map(bucket).collect::<Vec<_>>()});
    if let (Some((last, _)), Value::Object(members)) = (page.last(), &mut endpoints) {
        members.insert("after_key".to_owned(), json!({"agent": last}));
    }
    let failed = u64::from(world.fault == Some(StackFault::HalfShards));
    Json(json!({
        "took": 1, "timed_out": world.fault == Some(StackFault::OutOfTime), "_shards": shards(2, failed),
        "hits": {"hits": []}, "aggregations": {"endpoints": endpoints}
    }))
    .into_response()
}

/// The newest document of each agent that the query takes, in the order of ids.
fn newest<'a>(documents: &'a [(Option<Timestamp>, Value)], asked: &Value) -> BTreeMap<&'a str, &'a Value> {
    let initial = asked.pointer("/query/bool/must_not/0/term/Endpoint.policy.applied.id").and_then(Value::as_str);
    let days = asked
        .pointer("/query/bool/filter/0/range/@timestamp/gte")
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix("now-")?.strip_suffix('d')?.parse::<u64>().ok());
    let oldest = days.map(|days| crate::server::now().before(Duration::from_secs(days * 86_400)));
    let mut newest: BTreeMap<&str, (Option<Timestamp>, &Value)> = BTreeMap::new();
    for (at, document) in documents {
        let applied = document.pointer("/Endpoint/policy/applied/id").and_then(Value::as_str);
        let Some(agent) = document.pointer("/agent/id").and_then(Value::as_str) else { continue };
        let taken = (initial.is_none() || applied != initial) && *at >= oldest;
        if taken && newest.get(agent).is_none_or(|(known, _)| known <= at) {
            newest.insert(agent, (*at, document));
        }
    }
    newest.into_iter().map(|(agent, (_, document))| (agent, document)).collect()
}

/// What is left of a document when only these fields are included; lists are looked into, as there.
fn only(value: &Value, includes: &[&str], at: &str) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, member) in members {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                let leads = |field: &&str| *field == path || path.starts_with(&format!("{field}."));
                let passes = |field: &&str| field.starts_with(&format!("{path}."));
                if includes.iter().any(leads) {
                    kept.insert(name.clone(), member.clone());
                } else if includes.iter().any(passes) {
                    kept.insert(name.clone(), only(member, includes, &path));
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| only(item, includes, at)).collect()),
        other => other.clone(),
    }
}

/// A refusal in Elasticsearch's form.
fn refusal(status: u16, kind: &str, reason: &str) -> Response {
    let error = json!({"type": kind, "reason": reason, "root_cause": [{"type": kind, "reason": reason}]});
    let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status_code, Json(json!({"error": error, "status": status}))).into_response()
}
