//! The newest report of every endpoint, beyond what one search gives.

use fleet::{Elasticsearch, FleetError, Question};
use serde_json::{Value, json};
use vendor_sim::{Stack, StackFault};

use super::{KEY, access};

/// A report of `agent`, written so many hours ago. The stand-in has this machine's clock.
fn report(agent: &str, hours: u64, version: &str) -> Value {
    let at = hours_ago(hours);
    json!({
        "@timestamp": at, "agent": {"id": agent, "version": "9.0.0"}, "host": {"hostname": format!("host-{agent}")},
        "Endpoint": {"policy": {"applied": {"id": "b372", "status": "success",
            "actions": [{"name": "download_global_artifacts", "status": "success", "message": "x", "more": "unasked"}],
            "artifacts": {"global": {"version": version, "identifiers": [{"name": "n", "sha256": "s"}]}}}}}
    })
}

#[allow(clippy::disallowed_methods, reason = "the stand-in compares with this machine's clock")]
fn hours_ago(hours: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let micros = i64::try_from(now.as_micros()).unwrap() - i64::try_from(hours).unwrap() * 3_600_000_000;
    model::Timestamp::from_micros(micros).to_string()
}

fn stack() -> (Stack, Elasticsearch) {
    let stack = Stack::start(KEY).unwrap();
    let cluster = Elasticsearch::new(access(&stack, KEY));
    (stack, cluster)
}

#[tokio::test]
async fn more_than_ten_thousand_endpoints_are_read_once_each_with_their_newest_report() {
    let (stack, cluster) = stack();
    let old = (0..10_100).step_by(20).map(|index| report(&format!("{index:05}"), 48, "1.0.1"));
    let new = (0..10_100).map(|index| report(&format!("{index:05}"), 1, "1.0.2"));
    stack.add_documents(old.chain(new));
    let mut heard = Vec::new();
    let fleet = cluster.fleet(&Question::default(), |count| heard.push(count)).await.unwrap();
    assert_eq!((fleet.endpoints.len(), fleet.unread.len(), fleet.pages), (10_100, 0, 22));
    assert!(fleet.endpoints.iter().all(|endpoint| endpoint.applied.as_ref().unwrap().as_str() == "1.0.2"));
    assert!(heard.is_sorted() && heard.last() == Some(&10_100));
}

#[tokio::test]
async fn only_what_is_asked_for_is_read() {
    let (stack, cluster) = stack();
    let mut initial = report("initial", 1, "1.0.1");
    initial["Endpoint"]["policy"]["applied"]["id"] = json!("00000000-0000-0000-0000-000000000000");
    let mut odd = report("odd", 1, "1.0.1");
    odd["agent"]["version"] = json!({"not": "a text"});
    stack.add_documents([report("a", 1, "1.0.1"), report("old", 31 * 24, "1.0.1"), initial, odd]);
    let fleet = cluster.fleet(&Question::default(), |_| ()).await.unwrap();
    let agents: Vec<&str> = fleet.endpoints.iter().map(|endpoint| endpoint.agent.as_str()).collect();
    assert_eq!(agents, ["a", "odd"]);
    assert_eq!(fleet.endpoints[1].odd, ["'agent.version' is no text"]);
    let longer = Question { days: 40, ..Question::default() };
    assert_eq!(cluster.fleet(&longer, |_| ()).await.unwrap().endpoints.len(), 3);
}

#[tokio::test]
async fn an_answer_in_part_or_without_end_is_none_u03_u04() {
    for (fault, part) in [
        (StackFault::HalfShards, "1 of 2 shards failed"),
        (StackFault::OutOfTime, "ran out of time"),
        (StackFault::SamePage, "the same page comes twice"),
        (StackFault::SeesNothing, "the key sees none"),
        (StackFault::Html, "other than JSON"),
        (StackFault::Away, "leads elsewhere"),
    ] {
        let (stack, cluster) = stack();
        stack.add_documents([report("a", 1, "1.0.1")]);
        stack.play(Some(fault));
        let told = cluster.fleet(&Question::default(), |_| ()).await.unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
    let (stack, cluster) = stack();
    let elsewhere = Question { index: "logs-endpoint.alerts-default".to_owned(), ..Question::default() };
    let error = cluster.fleet(&elsewhere, |_| ()).await.unwrap_err();
    assert!(matches!(error, FleetError::Missing { .. }), "{error}");
    let stranger = Elasticsearch::new(access(&stack, "eve:hunter2hunter2"));
    let told = stranger.fleet(&Question::default(), |_| ()).await.unwrap_err().to_string();
    assert!(told.contains("(401)") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn an_empty_stream_is_an_empty_fleet() {
    let (_stack, cluster) = stack();
    let fleet = cluster.fleet(&Question::default(), |_| ()).await.unwrap();
    assert_eq!((fleet.endpoints.len(), fleet.pages), (0, 1));
}
