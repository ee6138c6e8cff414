//! Endpoints by the thousand: most poll a manifest, some download an archive over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// Who asks for what.
#[derive(Args)]
pub(crate) struct Load {
    /// The mirror.
    #[arg(long)]
    address: String,
    /// Connections, all open at once.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// For how long.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// One in so many downloads.
const DOWNLOADS: usize = 10;
const POLLED: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";
const DOWNLOADED: &str = "/linux/production/arch_x86_64/updates.zip";
/// A poll and the next one.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Seen {
    open: AtomicU64,
    polls: AtomicU64,
    downloads: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
}

pub(crate) fn run(load: &Load) -> Result<bool> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = Arc::new(Seen::default());
    runtime.block_on(all(load, &seen))?;
    let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{} connections at once: {} polls, {} whole downloads, {} MB, {} errors",
        number(&seen.open),
        number(&seen.polls),
        number(&seen.downloads),
        number(&seen.bytes) / 1_000_000,
        number(&seen.errors),
    );
    ensure!(number(&seen.open) == load.connections as u64, "not all connections were open at once");
    Ok(number(&seen.errors) == 0)
}

async fn all(load: &Load, seen: &Arc<Seen>) -> Result<()> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(TcpStream::connect(&load.address).await.context("connecting")?);
    }
    seen.open.store(connections.len() as u64, Ordering::Relaxed);
    let end = Instant::now() + Duration::from_secs(load.seconds);
    let mut tasks = JoinSet::new();
    for (number, stream) in connections.into_iter().enumerate() {
        let (seen, address) = (Arc::clone(seen), load.address.clone());
        tasks.spawn(async move {
            let mut endpoint = Endpoint { stream, address, tag: String::new(), head: Vec::new() };
            let work = endpoint.work(number.is_multiple_of(DOWNLOADS), &seen);
            // Being cut off at the end is no error.
            if let Ok(Err(_)) = timeout_at(end, work).await {
                seen.errors.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// One endpoint and its connection.
struct Endpoint {
    stream: TcpStream,
    address: String,
    tag: String,
    head: Vec<u8>,
}

impl Endpoint {
    async fn work(&mut self, downloads: bool, seen: &Seen) -> Result<()> {
        loop {
            if downloads {
                let bytes = self.ask(DOWNLOADED, "", seen).await?;
                seen.downloads.fetch_add(u64::from(bytes > 0), Ordering::Relaxed);
            } else {
                let condition = format!("If-None-Match: {}\r\n", self.tag);
                self.ask(POLLED, if self.tag.is_empty() { "" } else { &condition }, seen).await?;
                seen.polls.fetch_add(1, Ordering::Relaxed);
                sleep(PAUSE).await;
            }
        }
    }

    /// One request and its whole answer; how long its body was.
    async fn ask(&mut self, path: &str, fields: &str, seen: &Seen) -> Result<u64> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.address);
        self.stream.write_all(request.as_bytes()).await?;
        self.head.clear();
        let mut buffer = vec![0; 64 * 1024];
        let end = loop {
            let read = self.stream.read(&mut buffer).await?;
            ensure!(read > 0, "closed in the head");
            self.head.extend_from_slice(buffer.get(..read).unwrap_or_default());
            if let Some(at) = self.head.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = String::from_utf8_lossy(self.head.get(..end).unwrap_or_default()).to_lowercase();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        ensure!(text.starts_with("http/1.1 200") || text.starts_with("http/1.1 304"), "{text}");
        let length: u64 = match field("content-length:") {
            Some(length) if text.starts_with("http/1.1 200") => length.parse()?,
            _ => 0,
        };
        if let Some(tag) = field("etag:") {
            self.tag = tag.to_owned();
        }
        let mut left = length.saturating_sub((self.head.len() - end) as u64);
        while left > 0 {
            let read = self.stream.read(&mut buffer).await? as u64;
            ensure!(read > 0 && read <= left, "closed in the body");
            left -= read;
            seen.bytes.fetch_add(read, Ordering::Relaxed);
        }
        Ok(length)
    }
}
