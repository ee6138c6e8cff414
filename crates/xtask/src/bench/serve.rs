//! What serving costs, beside nginx and Apache: the server's own CPU time, each server in turn on one core and the
//! clients on another, every answer checked.

mod client;
mod cpu;
mod generator;
mod peer;
mod rows;
mod soak;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use model::Generation;
use tempfile::TempDir;

use super::programs::Programs;
use super::site::Site;
use super::table::{goal, head, row};
use super::vendor::Vendor;
pub(super) use cpu::{family as family_of, time as time_of};
use generator::Seen;
pub(crate) use generator::{Generator, run as generate};
pub(super) use peer::find;
use peer::{Peer, Running, Stage};
pub(crate) use rows::Case;
use rows::{Cost, Goal, Line, ROWS, Row};
pub(crate) use soak::{Soak, run as soak};

/// The core that clients run on; servers have another.
const CLIENT_CORE: &str = "1";

/// Downloads beside polls.
const BULK: usize = 8;

/// What is measured, and how often.
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) rows: Rows,
}

/// Which rows are measured.
pub(crate) enum Rows {
    /// Every one.
    All,
    /// Those whose name holds this.
    Named(String),
    /// Those where clients do this.
    Of(Case),
}

impl Rows {
    fn take(&self, line: &Line) -> bool {
        match self {
            Self::All => true,
            Self::Named(part) => line.name.contains(part.as_str()),
            Self::Of(case) => line.case == *case,
        }
    }
}

/// A data folder, the same files as a tree, and what clients ask for.
struct House<'a> {
    site: Site<'a>,
    tree: TempDir,
    files: Vec<(String, String)>,
    certificate: (PathBuf, PathBuf),
}

/// What a fleet's files are for the mix.
const MIXED: &str = "--size 1MB --artifacts 20 --defender-size 40MB";
const POLLED: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";

pub(crate) fn run(programs: &Programs, effort: &Effort) -> Result<bool> {
    let mut peers = Vec::new();
    for peer in Peer::ALL {
        match peer.version() {
            Ok(version) => {
                println!("{}: {version}, access log {}", peer.name(), if peer.logs() { "on" } else { "off" });
                peers.push(peer);
            }
            Err(missing) => println!("{} is NOT measured: {missing}", peer.name()),
        }
    }
    let small = House::build(programs, "--size 4KB --artifacts 30 --defender-size 250MB")?;
    let mixed = House::build(programs, MIXED)?;
    let mut met = true;
    for line in ROWS.iter().filter(|line| effort.rows.take(line)) {
        let house = if line.case == Case::Mix { &mixed } else { &small };
        met &= measure(programs, house, (&peers, line), effort)?;
    }
    Ok(met && peers.len() == Peer::ALL.len())
}

/// How often a round is begun again whose answers from another server were not good: it may drop connections when pressed.
const AGAIN: usize = 2;

/// One row: every peer in turn, so many rounds. A peer that cannot be measured is told, and not asked again in this row.
fn measure(programs: &Programs, house: &House<'_>, (peers, line): (&[Peer], &Line), effort: &Effort) -> Result<bool> {
    let mut found: BTreeMap<&str, Row> = BTreeMap::new();
    let mut failed: BTreeMap<&str, anyhow::Error> = BTreeMap::new();
    for _ in 0..effort.rounds {
        for peer in peers {
            if failed.contains_key(peer.name()) {
                continue;
            }
            match house.attempts(programs, *peer, line, effort.seconds) {
                Ok(cost) => found.entry(peer.name()).or_default().add(cost),
                Err(error) => {
                    found.remove(peer.name());
                    failed.insert(peer.name(), error);
                }
            }
        }
    }
    println!("\n### {}", line.name);
    head(&["server", line.unit(), "spread", "p50 / p99 of polls", "304", "downloads beside", "against ours"]);
    let ours = found.get(Peer::Waystation.name()).map_or(0.0, Row::median);
    for peer in peers {
        let Some(seen) = found.get(peer.name()) else { continue };
        row(&seen.cells(peer.name(), ours));
    }
    let mut met = failed.is_empty();
    for (name, error) in &failed {
        println!("- {name} is NOT measured: {error:#}");
    }
    if failed.contains_key(Peer::Waystation.name()) {
        return Ok(false);
    }
    for Goal { against, least } in line.goals {
        let Some(theirs) = found.get(against.name()) else { continue };
        let value = if line.case == Case::Beside {
            theirs.p99() / found.get(Peer::Waystation.name()).map_or(f64::INFINITY, Row::p99)
        } else {
            theirs.median() / ours
        };
        met &= goal(&format!("at least {least} times cheaper than {}", against.name()), value, value >= *least);
    }
    if let Some(most) = line.at_most {
        met &= goal(&format!("at most {most} {}", line.unit()), ours, ours <= most);
    }
    Ok(met)
}

impl<'a> House<'a> {
    /// Syncs from simulated vendors, lays the same files out as a tree, and makes a certificate.
    fn build(programs: &'a Programs, sizes: &str) -> Result<Self> {
        let arguments: Vec<&str> = sizes.split(' ').chain(["--versions", "9.0.0"]).collect();
        let vendor = Vendor::start(programs, &arguments)?;
        let site = Site::new(
            programs,
            &format!(
                "[elastic]\norigin = \"{}\"\nversions = [\"9.0.0\"]\n[defender]\norigin = \"{}\"\narchitectures = \
                 [\"x86_64\"]\n",
                vendor.elastic, vendor.defender
            ),
        )?;
        site.sync()?;
        let tree = programs.folder()?;
        // Apache refuses to run as root, and its user reads what is ours.
        for folder in [site.path(), tree.path()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        }
        let files = lay_out(&site.path().join("data"), tree.path())?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let certificate = (site.path().join("bench.crt"), site.path().join("bench.key"));
        fs::write(&certificate.0, made.cert.pem())?;
        fs::write(&certificate.1, made.signing_key.serialize_pem())?;
        Ok(Self { site, tree, files, certificate })
    }

    /// One round. Ours has one attempt; another server's is made again, and that is told.
    fn attempts(&self, programs: &Programs, peer: Peer, line: &Line, seconds: u64) -> Result<Cost> {
        let mut left = if peer == Peer::Waystation { 0 } else { AGAIN };
        loop {
            match self.once(programs, peer, line, seconds) {
                Err(error) if left > 0 => {
                    eprintln!("xtask: {} as {}, once more: {error:#}", line.name, peer.name());
                    left -= 1;
                }
                done => return done,
            }
        }
    }

    fn once(&self, programs: &Programs, peer: Peer, line: &Line, seconds: u64) -> Result<Cost> {
        let (certificate, key) = &self.certificate;
        let tls = line.tls.is_some().then_some((certificate.as_path(), key.as_path()));
        let server = Running::start(peer, &Stage { site: &self.site, tree: self.tree.path(), tls })?;
        let base = if line.case == Case::Idle { Some(self.idle(programs, &server, line, 1)?) } else { None };
        if let Some(base) = base {
            let full = self.idle(programs, &server, line, line.connections)?;
            return Ok(Cost::memory(full.saturating_sub(base), line.connections.saturating_sub(1)));
        }
        // In a process of their own, behind the polls' in the queue for their core: what is measured is how long the
        // server lets a poll wait, not how long its client does.
        let mut bulk = None;
        if line.case == Case::Beside {
            let work = Line { case: Case::Bulk, ..*line };
            let arguments = self.arguments(&server, &work, BULK, seconds);
            bulk = Some(Clients::start_with(programs, arguments, Haste::Last)?);
        }
        let haste = if line.case == Case::Beside { Haste::Real } else { Haste::Usual };
        let arguments = self.arguments(&server, line, line.connections, seconds);
        let mut clients = Clients::start_with(programs, arguments, haste)?;
        clients.expect("ready")?;
        if let Some(bulk) = &mut bulk {
            bulk.expect("ready")?;
            bulk.go()?;
        }
        let before = server.cpu()?;
        clients.go()?;
        let seen = clients.seen()?;
        let cpu = server.cpu()?.saturating_sub(before);
        check(&seen)?;
        ensure!(
            !(line.case.polls() && peer.revalidates()) || seen.not_modified == seen.requests,
            "{} of {} polls were answered with the whole file",
            seen.requests - seen.not_modified,
            seen.requests
        );
        let beside = match &mut bulk {
            None => None,
            Some(bulk) => {
                let seen = bulk.seen()?;
                check(&seen)?;
                Some(seen.bytes / seconds.max(1))
            }
        };
        Ok(Cost::of(line, cpu, &seen).beside(beside))
    }

    /// The server's memory while so many connections do nothing.
    fn idle(&self, programs: &Programs, server: &Running, line: &Line, connections: usize) -> Result<u64> {
        let mut clients = Clients::start(programs, self.arguments(server, line, connections, 0))?;
        clients.expect("ready")?;
        clients.go()?;
        clients.expect("idle")?;
        let memory = server.memory()?;
        clients.go()?;
        clients.seen()?;
        Ok(memory)
    }

    fn arguments(&self, server: &Running, line: &Line, connections: usize, seconds: u64) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["bench", "generator", "--address", &server.address, "--poll", POLLED].map(str::to_owned).to_vec();
        let work = line.case.work();
        arguments.extend(["--work".to_owned(), work.to_owned(), "--connections".to_owned(), connections.to_string()]);
        arguments.extend(["--seconds".to_owned(), seconds.to_string()]);
        for (path, digest) in self.files.iter().filter(|(path, _)| line.case.wants(path)) {
            arguments.extend(["--file".to_owned(), format!("{path}={digest}")]);
        }
        if let Some(resume) = line.tls {
            arguments.extend(["--certificate".to_owned(), self.certificate.0.display().to_string()]);
            arguments.extend(resume.then(|| "--resume".to_owned()));
        }
        arguments
    }
}

/// Fails where answers were wrong, or where the server dropped more connections than servers do that close one now and
/// then: who drops connections looks cheap.
fn check(seen: &Seen) -> Result<()> {
    ensure!(seen.errors == 0, "{} of {} answers were wrong, the first: {:?}", seen.errors, seen.requests, seen.error);
    let few = seen.requests / 100 + 10;
    ensure!(seen.closed <= few, "{} connections were closed before an answer, {} answers", seen.closed, seen.requests);
    Ok(())
}

/// Every route of the newest generation as a file, by hard links; what was laid out, with its digest.
fn lay_out(data: &Path, tree: &Path) -> Result<Vec<(String, String)>> {
    let ring = data.join("rings/broad");
    let current = fs::read_to_string(ring.join("current"))?;
    let number = current.split_whitespace().next().context("an empty current")?;
    let generation = Generation::decode(&fs::read(ring.join(format!("generation-{number}")))?)?;
    let mut files = Vec::new();
    for (path, route) in &generation.routes {
        let (path, digest) = (path.to_string(), route.digest.to_string());
        let target = tree.join(path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().context("a file without a folder")?)?;
        let (shard, _) = digest.split_at(2);
        fs::hard_link(data.join("blobs").join(shard).join(&digest), target)?;
        files.push((path, digest));
    }
    Ok(files)
}

/// Whose turn it is when several want the clients' core.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// Before all others: their own waiting is not what is measured.
    Real,
    Usual,
    Last,
}

/// The clients' process.
pub(super) struct Clients {
    child: Child,
    tell: ChildStdin,
    said: std::io::Lines<BufReader<ChildStdout>>,
}

impl Clients {
    pub(super) fn start(programs: &Programs, arguments: Vec<String>) -> Result<Self> {
        Self::start_with(programs, arguments, Haste::Usual)
    }

    fn start_with(programs: &Programs, arguments: Vec<String>, haste: Haste) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", CLIENT_CORE]);
        match haste {
            Haste::Real => command.args(["chrt", "--fifo", "1"]),
            Haste::Usual => &mut command,
            Haste::Last => command.args(["nice", "-n", "19"]),
        };
        command.arg(&programs.xtask).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting the clients")?;
        let (Some(tell), Some(out)) = (child.stdin.take(), child.stdout.take()) else { bail!("no pipes") };
        Ok(Self { child, tell, said: BufReader::new(out).lines() })
    }

    fn line(&mut self) -> Result<String> {
        self.said.next().context("the clients ended early; see their message above")?.context("reading their word")
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        let line = self.line()?;
        ensure!(line == word, "the clients said {line:?}, not {word:?}");
        Ok(())
    }

    pub(super) fn go(&mut self) -> Result<()> {
        writeln!(self.tell)?;
        Ok(self.tell.flush()?)
    }

    pub(super) fn seen(&mut self) -> Result<Seen> {
        Ok(serde_json::from_str(&self.line()?)?)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
