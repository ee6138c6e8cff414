//! The clients, in a process of their own on a core of their own: `ready` when all are connected and every file was
//! downloaded and hashed once, then, at the word, so many seconds of work and one line of JSON.

use std::io::{BufRead as _, Write as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::client::{Client, ClosedIdle, Target, request};

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// If-None-Match with the server's own tag, over and over on one connection each.
    Poll,
    /// The same, with a connection of its own each time.
    Connect,
    /// The first file, whole, over and over.
    File,
    /// Nine polls, then one of the files, in turn.
    Mix,
    /// Polls with a pause between, as endpoints have them: their latency is what counts.
    Beside,
    /// Connections that do nothing, for as long as the word to end does not come.
    Idle,
}

/// Who asks for what.
#[derive(Args)]
pub(crate) struct Generator {
    #[arg(long)]
    address: String,
    #[arg(long)]
    work: Work,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    seconds: u64,
    /// What is polled.
    #[arg(long)]
    poll: String,
    /// A file and its SHA-256, as PATH=DIGEST.
    #[arg(long)]
    file: Vec<String>,
    /// The server's certificate: speak TLS.
    #[arg(long)]
    certificate: Option<std::path::PathBuf>,
    /// Whether sessions are resumed.
    #[arg(long)]
    resume: bool,
}

/// What was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Answers, whole and as they should be.
    pub(crate) requests: u64,
    /// Answers 304 among them.
    pub(crate) not_modified: u64,
    /// Bytes of bodies.
    pub(crate) bytes: u64,
    /// Connections that the server closed before it answered, so that the client had to ask again.
    pub(crate) closed: u64,
    /// What went wrong, and the first of it in words.
    pub(crate) errors: u64,
    pub(crate) error: Option<String>,
    /// Of polls, in microseconds.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// Between two polls of one connection, where their latency counts.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn run(generator: &Generator) -> Result<bool> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = LocalSet::new().block_on(&runtime, work(generator))?;
    println!("{}", serde_json::to_string(&seen)?);
    Ok(true)
}

/// What all clients know.
struct Task {
    target: Target,
    poll: Vec<u8>,
    files: Vec<Vec<u8>>,
    lengths: Vec<u64>,
}

async fn work(generator: &Generator) -> Result<Seen> {
    let target = Target::new(&generator.address, tls(generator)?);
    let mut first = target.connect().await?;
    let (polled, _) = first.digest_of(&generator.poll).await?;
    let tag = polled.tag.context("no tag on what is polled")?;
    let mut lengths = Vec::new();
    let mut files = Vec::new();
    for file in &generator.file {
        let (path, expected) = file.split_once('=').context("a file without its digest")?;
        let (answer, digest) = first.digest_of(path).await?;
        ensure!(answer.status == 200 && digest.to_string() == expected, "{path}: other bytes than held");
        lengths.push(answer.length);
        files.push(request(path, ""));
    }
    drop(first);
    let poll = request(&generator.poll, &format!("If-None-Match: {tag}\r\n"));
    let task = Rc::new(Task { target, poll, files, lengths });
    let mut clients = Vec::new();
    for _ in 0..generator.connections {
        clients.push(task.target.connect().await?);
    }
    word("ready")?;
    task.target.received.set(0);
    let mut seen = Watch::default();
    if generator.work == Work::Idle {
        word("idle")?;
        return Ok(seen.seen);
    }
    let end = Instant::now() + Duration::from_secs(generator.seconds);
    let mut all = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        all.spawn_local(one(Rc::clone(&task), client, (generator.work, number), end));
    }
    while let Some(ended) = all.join_next().await {
        seen.add(ended?);
    }
    seen.seen.bytes = task.target.received.get();
    Ok(seen.finish())
}

/// Says a word and waits for a line.
fn word(say: &str) -> Result<()> {
    println!("{say}");
    std::io::stdout().flush()?;
    std::io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

/// One client's work until the end; what is under way then is not counted.
async fn one(task: Rc<Task>, mut client: Client, (work, number): (Work, usize), end: Instant) -> Watch {
    let mut watch = Watch::default();
    let mut turn = number;
    while Instant::now() < end {
        let turned = tokio::time::timeout_at(end, once(&task, &mut client, (work, turn), &mut watch)).await;
        match turned {
            Err(_) => return watch,
            Ok(Ok(())) => turn += 1,
            Ok(Err(error)) => {
                if error.is::<ClosedIdle>() {
                    watch.seen.closed += 1;
                } else {
                    watch.seen.errors += 1;
                    watch.seen.error.get_or_insert(format!("{error:#}"));
                }
                match task.target.connect().await {
                    Ok(again) => client = again,
                    Err(_) => return watch,
                }
            }
        }
    }
    watch
}

async fn once(task: &Task, client: &mut Client, (work, turn): (Work, usize), watch: &mut Watch) -> Result<()> {
    match work {
        Work::Poll | Work::Idle => poll(task, client, watch).await,
        Work::Beside => {
            tokio::time::sleep(PAUSE).await;
            poll(task, client, watch).await
        }
        Work::Connect => {
            *client = task.target.connect().await?;
            poll(task, client, watch).await
        }
        Work::File => file(task, client, 0, watch).await,
        Work::Mix if turn % 10 == 9 => file(task, client, turn / 10, watch).await,
        Work::Mix => poll(task, client, watch).await,
    }
}

async fn poll(task: &Task, client: &mut Client, watch: &mut Watch) -> Result<()> {
    let begun = Instant::now();
    let answer = client.ask(&task.poll).await?;
    // The vendor page's nginx never answers 304: a whole 200 is the cost of its poll.
    ensure!(matches!(answer.status, 200 | 304), "a poll was answered {}", answer.status);
    watch.latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
    watch.seen.not_modified += u64::from(answer.status == 304);
    watch.seen.requests += 1;
    if answer.closes {
        *client = task.target.connect().await?;
    }
    Ok(())
}

async fn file(task: &Task, client: &mut Client, number: usize, watch: &mut Watch) -> Result<()> {
    let which = number % task.files.len().max(1);
    let (asked, length) = (task.files.get(which).context("no file")?, task.lengths.get(which).copied().unwrap_or(0));
    let answer = client.ask(asked).await?;
    ensure!(answer.status == 200 && answer.length == length, "a file was answered {answer:?}, not {length} bytes");
    watch.seen.requests += 1;
    if answer.closes {
        *client = task.target.connect().await?;
    }
    Ok(())
}

fn tls(generator: &Generator) -> Result<Option<Arc<ClientConfig>>> {
    let Some(path) = &generator.certificate else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    if !generator.resume {
        config.resumption = rustls::client::Resumption::disabled();
    }
    Ok(Some(Arc::new(config)))
}

/// What one client saw.
#[derive(Default)]
struct Watch {
    seen: Seen,
    latencies: Vec<u32>,
}

impl Watch {
    fn add(&mut self, other: Self) {
        self.seen.requests += other.seen.requests;
        self.seen.not_modified += other.seen.not_modified;
        self.seen.closed += other.seen.closed;
        self.seen.errors += other.seen.errors;
        self.seen.error = self.seen.error.take().or(other.seen.error);
        self.latencies.extend(other.latencies);
    }

    fn finish(mut self) -> Seen {
        self.latencies.sort_unstable();
        let at = |of: usize| self.latencies.get(self.latencies.len() * of / 100).copied().map_or(0, u64::from);
        Seen { p50: at(50), p99: at(99), ..self.seen }
    }
}
