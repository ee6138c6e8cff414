//! The admin listener over a real socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use admin_http::{AdminServer, Serving, StatusSource};
use async_trait::async_trait;
use content_http::{RingStats, Stats, Trouble};
use mirror::{FeedStatus, RingStatus, Status};
use model::{Clocks, Finding, Level, Measure, Outcome, Reason, RingName, SourcedTime, TimeSource, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Content {
    ready: bool,
}

impl Serving for Content {
    fn stats(&self) -> Stats {
        Stats {
            requests: vec![(200, 3), (304, 40)],
            troubles: vec![(Trouble::BadRequest, 1)],
            bytes_sent: 4096,
            connections_open: 2,
            connections_total: 9,
            rings: vec![RingStats {
                ring: RingName::broad(),
                generation: Some(7),
                published: None,
                routes: 12,
                broken: 3,
                refused: None,
            }],
            since: Timestamp::from_micros(0),
        }
    }

    fn is_ready(&self) -> bool {
        self.ready
    }
}

struct Catalog(Result<Status, String>);

#[async_trait]
impl StatusSource for Catalog {
    async fn status(&self) -> Result<Status, String> {
        self.0.clone()
    }
}

fn finding(feed: &str, measure: Measure, level: Level, reason: Option<Reason>) -> Finding {
    Finding {
        feed: feed.parse().unwrap(),
        ring: (measure == Measure::Lag).then(RingName::broad),
        measure,
        level,
        since: SourcedTime { at: Timestamp::from_micros(1_789_000_000_000_000), source: TimeSource::LastSuccess },
        age_seconds: 1_000_000,
        warn_seconds: 1000,
        fail_seconds: 2000,
        reason,
    }
}

fn status() -> Status {
    let at = Timestamp::from_micros(1_790_000_000_000_000);
    let feed = |name: &str, outcome, reason: Option<Reason>| FeedStatus {
        feed: name.parse().unwrap(),
        followed: true,
        outcome: Some(outcome),
        reason,
        detail: reason.map(|_| "https://user:secret@vendor.example/x".to_owned()),
        remedy: reason.map(Reason::remedy),
        offered: None,
        mark: None,
        served: None,
        first_checked_at: Some(at),
        checked_at: Some(at),
        succeeded_at: None,
        changed_at: None,
        failures: 2,
        clocks: Clocks {
            vendor: Some(SourcedTime { at: at.before(Duration::from_secs(600)), source: TimeSource::VendorDate }),
            ..Clocks::default()
        },
        notes: Vec::new(),
    };
    Status {
        at,
        ring: RingStatus {
            ring: RingName::broad(),
            generation: 7,
            since: Some(at),
            routes: 12,
            in_grace: 0,
            fault: None,
        },
        feeds: vec![
            feed("elastic/9.0.0", Outcome::Current, None),
            feed("defender/linux/production/x86_64", Outcome::Failed, Some(Reason::HashMismatch)),
        ],
        quarantined: Vec::new(),
        host_waits: Vec::new(),
        free_bytes: Some(1 << 40),
        freshness: vec![
            finding("elastic/9.0.0", Measure::Lag, Level::Fine, None),
            finding("elastic/9.0.0", Measure::Check, Level::Fail, Some(Reason::NotChecked)),
        ],
        notices: vec!["hosts are checked by name".to_owned()],
    }
}

async fn ask(serving: Option<Content>, catalog: Option<Catalog>, request: &str) -> (u16, String) {
    let serving = serving.map(|content| Arc::new(content) as Arc<dyn Serving>);
    let catalog = catalog.map(|catalog| Arc::new(catalog) as Arc<dyn StatusSource>);
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap(), serving, catalog).await.unwrap();
    let address = server.address();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = ended.await;
    }));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    end.send(()).unwrap();
    running.await.unwrap();
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn health_does_not_depend_on_content_or_catalog() {
    let broken = Catalog(Err("the disk is gone".to_owned()));
    assert_eq!(ask(None, Some(broken), "GET /healthz").await, (200, "alive\n".to_owned()));
}

#[tokio::test]
async fn readiness_is_about_serving_and_never_about_staleness() {
    assert_eq!(ask(Some(Content { ready: false }), None, "GET /readyz").await.0, 503);
    let failing = Catalog(Ok(status()));
    assert_eq!(ask(Some(Content { ready: true }), Some(failing), "GET /readyz").await.0, 200);
}

#[tokio::test]
async fn metrics_are_open_metrics_with_bounded_labels() {
    let (code, text) = ask(Some(Content { ready: true }), Some(Catalog(Ok(status()))), "GET /metrics").await;
    assert_eq!(code, 200);
    for line in [
        "waystation_http_answers_total{status=\"304\"} 40",
        "waystation_ring_generation{ring=\"broad\"} 7",
        "waystation_ring_routes{ring=\"broad\"} 12",
        "waystation_ring_broken_routes{ring=\"broad\"} 3",
        "waystation_feed_outcome{feed=\"elastic/9.0.0\",outcome=\"current\"} 1",
        "waystation_feed_outcome{feed=\"elastic/9.0.0\",outcome=\"failed\"} 0",
        "waystation_feed_reason{feed=\"defender/linux/production/x86_64\",reason=\"hash_mismatch\"} 1",
        "waystation_feed_last_check_seconds{feed=\"elastic/9.0.0\"} 1790000000",
        "waystation_catalog_readable 1",
        "waystation_freshness 2",
        "waystation_feed_freshness{feed=\"elastic/9.0.0\",measure=\"check\"} 2",
        "waystation_feed_freshness{feed=\"elastic/9.0.0\",measure=\"lag\",ring=\"broad\"} 0",
        "waystation_feed_freshness_reason{feed=\"elastic/9.0.0\",measure=\"check\",reason=\"not_checked\"} 1",
        "waystation_feed_age_seconds{feed=\"elastic/9.0.0\",measure=\"check\"} 1000000",
        "waystation_feed_age_limit_seconds{feed=\"elastic/9.0.0\",measure=\"check\",level=\"fail\"} 2000",
        "waystation_feed_clock_seconds{feed=\"elastic/9.0.0\",clock=\"vendor\",source=\"vendor-date\"} 1789999400",
        "waystation_store_free_bytes 1099511627776",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let again = ask(Some(Content { ready: true }), Some(Catalog(Ok(status()))), "GET /metrics").await.1;
    assert_eq!(text, again, "the same facts are the same bytes");
    assert!(!text.contains("secret") && !text.contains("vendor.example"), "a30: details stay out of metrics");
}

#[tokio::test]
async fn a_catalog_that_cannot_be_read_leaves_the_contents_metrics_a26() {
    let broken = Catalog(Err("the disk is gone".to_owned()));
    let (code, text) = ask(Some(Content { ready: true }), Some(broken), "GET /metrics").await;
    assert_eq!(code, 200);
    assert!(
        text.contains("waystation_catalog_readable 0\n") && text.contains("waystation_http_sent_bytes_total 4096\n")
    );
}

#[tokio::test]
async fn status_is_json_or_says_why_not() {
    let (code, text) = ask(None, Some(Catalog(Ok(status()))), "GET /api/v1/status").await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["feeds"][1]["reason"]), (200, &serde_json::json!("hash_mismatch")));
    // What the command line shows: findings, clocks with their sources, notices.
    assert_eq!(json["freshness"][1]["reason"], "not_checked");
    assert_eq!(json["feeds"][0]["clocks"]["vendor"]["source"], "vendor-date");
    assert_eq!(json["notices"][0], "hosts are checked by name");
    assert_eq!(ask(None, Some(Catalog(Err(String::new()))), "GET /api/v1/status").await.0, 503);
    assert_eq!(ask(None, None, "GET /api/v1/status").await.0, 404);
}

#[tokio::test]
async fn nothing_here_changes_anything_a02() {
    for request in ["POST /api/v1/status", "DELETE /healthz", "PUT /metrics"] {
        assert_eq!(ask(None, None, request).await.0, 405, "{request}");
    }
    assert_eq!(ask(None, None, "GET /").await.0, 404);
}
