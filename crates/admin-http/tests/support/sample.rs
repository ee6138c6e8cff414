//! What a mirror might show, and one question asked of the admin listener over a real socket.

use std::sync::Arc;
use std::time::Duration;

use admin_http::{AdminServer, AlarmFacts, AlarmSource, Serving, StatusSource, WayFacts};
use async_trait::async_trait;
use content_http::{CertificateFacts, FileKind, RingStats, Stats, Trouble};
use mirror::{FeedStatus, RingStatus, Status};
use model::{Clocks, Finding, Level, Measure, Note, Outcome, Reason, RingName, SourcedTime, TimeSource, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) struct Content {
    pub(crate) ready: bool,
}

impl Serving for Content {
    fn stats(&self) -> Stats {
        Stats {
            requests: vec![(200, 3), (304, 40)],
            troubles: vec![(Trouble::BadRequest, 1)],
            bytes_sent: 4096,
            connections_open: 2,
            connections_most: 10_000,
            connections_total: 9,
            rings: [Reason::GenerationRefused, Reason::RingWentBack]
                .into_iter()
                .zip([RingName::broad(), "canary".parse().unwrap()])
                .map(|(reason, ring)| RingStats {
                    ring,
                    generation: Some(7),
                    published: None,
                    routes: 12,
                    broken: 3,
                    refused: Some(Note { reason, detail: "secret".to_owned() }),
                })
                .collect(),
            certificates: [FileKind::Certificate, FileKind::ClientCa, FileKind::ClientCrl, FileKind::Credentials]
                .map(|kind| {
                    let ends = (kind != FileKind::Credentials).then(|| Timestamp::from_micros(1_800_000_000_500_000));
                    CertificateFacts {
                        kind,
                        listener: ([10, 0, 0, 1], 8443).into(),
                        path: "/etc/waystation/tls.pem".into(),
                        not_before: ends.map(|_| Timestamp::from_micros(1_780_000_000_000_000)),
                        begins: None,
                        not_after: ends,
                        refused: None,
                        whose: None,
                        nobody: None,
                    }
                })
                .to_vec(),
            since: Timestamp::from_micros(0),
        }
    }

    fn is_ready(&self) -> bool {
        self.ready
    }
}

pub(crate) struct Catalog(pub(crate) Result<Status, String>);

#[async_trait]
impl StatusSource for Catalog {
    async fn status(&self) -> Result<Status, String> {
        self.0.clone()
    }
}

struct Alarms;

impl AlarmSource for Alarms {
    fn alarms(&self) -> AlarmFacts {
        let way = |name: &str, failing| WayFacts { name: name.to_owned(), told: 4, failed: 2, failing };
        AlarmFacts {
            standing: vec![(Reason::VendorSilent, Level::Fail, 2), (Reason::NotChecked, Level::Warn, 1)],
            passed: vec![(Reason::WasDown, Level::Fail, 1)],
            ways: vec![way("pager", true), way("mail", false)],
            dropped: 1,
            heartbeats: vec![("sent", 7)],
        }
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

pub(crate) fn status() -> Status {
    let at = Timestamp::from_micros(1_790_000_000_000_000);
    let feed = |name: &str, outcome, reason: Option<Reason>| FeedStatus {
        feed: name.parse().unwrap(),
        followed: true,
        outcome: Some(outcome),
        reason,
        detail: reason.map(|_| "https://user:secret@vendor.example/x".to_owned()),
        besides: None,
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
        reserve_bytes: 1 << 30,
        freshness: vec![
            finding("elastic/9.0.0", Measure::Lag, Level::Fine, None),
            finding("elastic/9.0.0", Measure::Check, Level::Fail, Some(Reason::NotChecked)),
        ],
        faults: Vec::new(),
        notices: vec!["hosts are checked by name".to_owned()],
    }
}

pub(crate) async fn ask(serving: Option<Content>, catalog: Option<Catalog>, request: &str) -> (u16, String) {
    let serving = serving.map(|content| Arc::new(content) as Arc<dyn Serving>);
    let catalog = catalog.map(|catalog| Arc::new(catalog) as Arc<dyn StatusSource>);
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap(), serving, catalog).await.unwrap();
    let server = server.with_alarms(Arc::new(Alarms));
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

/// The metrics of a mirror that runs.
pub(crate) async fn scrape() -> String {
    ask(Some(Content { ready: true }), Some(Catalog(Ok(status()))), "GET /metrics").await.1
}
