//! The admin listener over a real socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "support/sample.rs"]
mod sample;

use std::sync::Arc;

use admin_http::{AdminServer, Serving};
use content_http::Stats;
use model::Reason;
use sample::{Catalog, Content, ask, scrape, status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

/// Content whose data folder is away.
struct Away {
    ready: bool,
}

impl Serving for Away {
    fn stats(&self) -> Stats {
        Content { ready: self.ready }.stats()
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    fn trouble(&self) -> Option<(Reason, String)> {
        Some((Reason::FolderGone, "it is gone".to_owned()))
    }

    fn whose(&self) -> Option<String> {
        Some("0123 dmz-1".to_owned())
    }
}

#[tokio::test]
async fn readiness_says_what_is_wrong_with_what_it_serves_from_s42() {
    for (ready, head, told) in [
        (true, "HTTP/1.1 200 ", "\r\n\r\nready, but folder_gone: it is gone\n"),
        (false, "HTTP/1.1 503 ", "\r\n\r\nfolder_gone: it is gone\n"),
    ] {
        let serving = Arc::new(Away { ready });
        let server = AdminServer::bind("127.0.0.1:0".parse().unwrap(), Some(serving), None).await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            let _ = ended.await;
        }));
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(head) && answer.ends_with(told), "{answer}");
        assert!(answer.contains("\r\nwaystation-folder: 0123 dmz-1\r\n"), "{answer}");
        end.send(()).unwrap();
        running.await.unwrap();
    }
}

#[tokio::test]
async fn a_data_folder_that_is_away_is_told_by_the_same_words_everywhere_s42() {
    let catalog = Arc::new(Catalog(Err("the data folder is gone".to_owned())));
    let server =
        AdminServer::bind("127.0.0.1:0".parse().unwrap(), Some(Arc::new(Away { ready: false })), Some(catalog));
    let server = server.await.unwrap();
    let address = server.address();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = ended.await;
    }));
    for (path, head, told) in [
        ("/api/v1/status", "HTTP/1.1 503 ", "\r\n\r\nfolder_gone: it is gone\n"),
        ("/metrics", "HTTP/1.1 200 ", "\nwaystation_freshness 2\n"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(head) && answer.contains(told), "{answer}");
    }
    end.send(()).unwrap();
    running.await.unwrap();
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
        "waystation_ring_refused{ring=\"broad\"} 1",
        "waystation_ring_refused{ring=\"canary\"} 0",
        "waystation_ring_went_back{ring=\"broad\"} 0",
        "waystation_ring_went_back{ring=\"canary\"} 1",
        "waystation_feed_outcome{feed=\"elastic/9.0.0\",outcome=\"current\"} 1",
        "waystation_feed_outcome{feed=\"elastic/9.0.0\",outcome=\"failed\"} 0",
        "waystation_feed_reason{feed=\"defender/linux/production/x86_64\",reason=\"hash_mismatch\"} 1",
        "waystation_feed_last_check_seconds{feed=\"elastic/9.0.0\"} 1790000000",
        "waystation_catalog_readable 1",
        "waystation_freshness 2",
        "waystation_alarms{reason=\"vendor_silent\",level=\"fail\"} 2",
        "waystation_alarm_sends_total{to=\"pager\",outcome=\"failed\"} 2",
        "waystation_alarm_way_failing{to=\"pager\"} 1",
        "waystation_alarms_dropped_total 1",
        "waystation_heartbeats_total{outcome=\"sent\"} 7",
        "waystation_feed_freshness{feed=\"elastic/9.0.0\",measure=\"check\"} 2",
        "waystation_feed_freshness{feed=\"elastic/9.0.0\",measure=\"lag\",ring=\"broad\"} 0",
        "waystation_feed_freshness_reason{feed=\"elastic/9.0.0\",measure=\"check\",reason=\"not_checked\"} 1",
        "waystation_feed_age_seconds{feed=\"elastic/9.0.0\",measure=\"check\"} 1000000",
        "waystation_feed_age_limit_seconds{feed=\"elastic/9.0.0\",measure=\"check\",level=\"fail\"} 2000",
        "waystation_feed_clock_seconds{feed=\"elastic/9.0.0\",clock=\"vendor\",source=\"vendor-date\"} 1789999400",
        "waystation_store_free_bytes 1099511627776",
        "waystation_store_reserve_bytes 1073741824",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text, scrape().await, "the same facts are the same bytes");
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
