//! What clients ask for never becomes a label.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use admin_http::{AdminServer, Serving};
use content_http::{ContentServer, Loaded, Settings, Source, SourceError, Stats};
use model::{Clock, Digest, RingName, Timestamp};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Publishes nothing.
struct Nothing;

impl Source for Nothing {
    fn rings(&self) -> Result<Vec<RingName>, SourceError> {
        Ok(Vec::new())
    }

    fn pointer_digest(&self, _: &RingName) -> Result<Option<Digest>, SourceError> {
        Ok(None)
    }

    fn load(&self, _: &RingName) -> Result<Option<Loaded>, SourceError> {
        Ok(None)
    }

    fn open(&self, _: &Digest, _: u64) -> Result<File, SourceError> {
        Err("there is none".into())
    }
}

struct Content(ContentServer);

impl Serving for Content {
    fn stats(&self) -> Stats {
        self.0.stats()
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}

/// Each series that a scrape shows: a name and its labels.
async fn series(address: std::net::SocketAddr) -> BTreeSet<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    body.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Ten thousand requests for paths, with methods and headers that a label would not like, over as few connections as
/// the server allows.
async fn harass(address: std::net::SocketAddr, requests: usize) {
    const ODD: [&str; 6] = ["%00%0d%0a", "x\"y", "a{b}", "%C2%9B31m", "%E2%80%AE", "..%2f..%2f"];
    let mut sent = 0;
    while sent < requests {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        while sent < requests {
            let method = if sent % 100 == 99 { format!("BREW{sent}") } else { "GET".to_owned() };
            let odd = ODD[sent % ODD.len()];
            let head = format!(
                "{method} /{sent}/{odd}?q={sent} HTTP/1.1\r\nHost: h{sent}\r\nUser-Agent: \"}} {sent}\r\nReferer: {odd}\r\n\r\n"
            );
            sent += 1;
            if stream.write_all(head.as_bytes()).await.is_err() || !answered(&mut stream).await {
                break;
            }
        }
    }
}

/// Whether a whole answer came on a connection that stays open.
async fn answered(stream: &mut BufReader<TcpStream>) -> bool {
    let (mut length, mut open) = (0, true);
    loop {
        let mut line = String::new();
        if !stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            return false;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        open &= line != "connection: close";
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.is_ok() && open
}

#[tokio::test]
async fn v32_ten_thousand_odd_paths_add_no_label() {
    let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap(), RingName::broad());
    settings.workers = NonZeroUsize::new(1);
    let content = ContentServer::start(settings, Arc::new(Nothing), Arc::new(Still)).unwrap();
    let reached = content.local_addresses()[0];
    let content = Arc::new(Content(content));
    let admin = AdminServer::bind("127.0.0.1:0".parse().unwrap(), Some(content.clone()), None).await.unwrap();
    let address = admin.address();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(admin.run(async {
        let _ = ended.await;
    }));
    harass(reached, 200).await;
    let before = series(address).await;
    harass(reached, 10_000).await;
    let after = series(address).await;
    assert_eq!(before, after);
    assert!(before.len() < 60, "{before:#?}");
    assert!(after.iter().any(|series| series == "waystation_http_answers_total{status=\"404\"}"), "{after:#?}");
    assert!(!after.iter().any(|series| series.contains("BREW") || series.contains('%')), "{after:#?}");
    let answers: u64 = content.stats().requests.iter().map(|(_, count)| count).sum();
    assert!(answers >= 10_200, "{answers}");
    end.send(()).unwrap();
    running.await.unwrap();
}
