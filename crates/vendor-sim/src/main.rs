//! `vendor-sim`: the simulated vendors for use by hand.

use std::io::{self, BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

use anyhow::Context as _;
use clap::Parser;
use vendor_sim::{
    ElasticTarget, FaultRule, Network, Settings, SigningKey, Simulator, Times, parse_duration, parse_size,
};

/// Simulates Elastic's and Microsoft's content hosts on loopback.
///
/// Reads commands from standard input, one a line: `help` lists them. At the end of the input it serves on.
#[derive(Debug, Parser)]
#[command(after_help = "Example: vendor-sim --address 127.0.0.1:9000 --latency 30ms --fault html@manifest")]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Round-trip time of the line, such as 30ms.
    #[arg(long, value_parser = parse_duration, default_value = "0ms")]
    latency: Duration,
    /// The most bytes a second on one connection, such as 10MB.
    #[arg(long, value_parser = parse_size)]
    rate: Option<u64>,
    /// What all content is made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Endpoint versions, comma separated.
    #[arg(long, value_delimiter = ',')]
    versions: Vec<String>,
    /// Artifacts of each version.
    #[arg(long, default_value_t = 30)]
    artifacts: usize,
    /// How many of a hundred artifacts all versions share.
    #[arg(long, default_value_t = 80)]
    shared: usize,
    /// The encoded size of an artifact.
    #[arg(long, value_parser = parse_size, default_value = "64KB")]
    size: u64,
    /// The size of a Defender archive.
    #[arg(long, value_parser = parse_size, default_value = "64KB")]
    defender_size: u64,
    /// A fault for all requests, NAME@PATTERN, such as status-503@manifest; may be given several times.
    #[arg(long)]
    fault: Vec<String>,
    /// The signing key: read from this file, or made and written there.
    #[arg(long)]
    key: Option<PathBuf>,
    /// Writes the public key there.
    #[arg(long)]
    public_key: Option<PathBuf>,
    /// Writes the trees that the vendor page's one-liner and Microsoft's script make there, and ends.
    #[arg(long)]
    tree: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let simulator = Simulator::start(settings(&arguments)?)?;
    if let Some(path) = &arguments.public_key {
        fs::write(path, simulator.public_key_pem()?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(folder) = &arguments.tree {
        return write_trees(&simulator, folder);
    }
    for text in &arguments.fault {
        let (name, pattern) = text.split_once('@').unwrap_or((text, "any"));
        let rule = FaultRule { pattern: pattern.parse()?, fault: name.parse()?, times: Times::Always };
        simulator.inject(rule);
    }
    say(&format!("elastic  {}\ndefender {}", simulator.elastic_url(), simulator.defender_url()))?;
    obey(&simulator)
}

fn settings(arguments: &Arguments) -> anyhow::Result<Settings> {
    let mut settings = Settings { address: arguments.address, seed: arguments.seed, ..Settings::lately() };
    settings.network = Network { bytes_per_second: arguments.rate, ..Network::with_latency(arguments.latency) };
    settings.elastic.artifacts = arguments.artifacts;
    settings.elastic.shared_percent = arguments.shared.min(100);
    settings.elastic.artifact_size = arguments.size;
    settings.defender.archive_size = arguments.defender_size;
    if !arguments.versions.is_empty() {
        settings.elastic.versions = arguments.versions.clone();
        settings.elastic.candidates.clear();
        settings.elastic.dated.clear();
    }
    if let Some(path) = &arguments.key {
        settings.signing_key = Some(key(path).with_context(|| format!("the key {}", path.display()))?);
    }
    Ok(settings)
}

fn key(path: &Path) -> anyhow::Result<SigningKey> {
    if path.exists() {
        return Ok(SigningKey::from_pkcs8(&fs::read(path)?)?);
    }
    let key = SigningKey::generate()?;
    fs::write(path, key.to_pkcs8()?)?;
    Ok(key)
}

fn write_trees(simulator: &Simulator, folder: &Path) -> anyhow::Result<()> {
    for target in simulator.elastic_targets().into_iter().filter(|target| matches!(target, ElasticTarget::Version(_))) {
        simulator
            .write_elastic_tree(folder, target)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
    }
    simulator.write_defender_tree(folder).with_context(|| format!("cannot write to {}", folder.display()))
}

/// Obeys lines until `quit`; when there are no more, serves on until the process is ended.
fn obey(simulator: &Simulator) -> anyhow::Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line.context("cannot read standard input")?;
        if line.trim() == "quit" {
            return Ok(());
        }
        match simulator.command(&line) {
            Ok(text) => say(&text)?,
            Err(error) => say(&format!("error: {error}"))?,
        }
    }
    loop {
        thread::park();
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to standard output")
}
