//! The memory of the whole program at its hardest: large archives come in, many endpoints are served.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::programs::Programs;
use super::site::Site;
use super::table::{goal, head, row};
use super::vendor::Vendor;

/// Feeds followed: two of Defender, one of Elastic.
const FEEDS: usize = 3;
/// The goal, in MB of 1,000,000 bytes.
const GOAL: f64 = 128.0;
/// How long the endpoints stay.
const SECONDS: u64 = 25;

pub(crate) fn run(programs: &Programs, connections: usize) -> Result<bool> {
    let arguments = "--defender-size 250MB --size 250MB --artifacts 1 --shared 100 --versions 9.0.0 --rate 40MB";
    let mut vendor = Vendor::start(programs, &arguments.split(' ').collect::<Vec<_>>())?;
    let sections = format!(
        "[elastic]\norigin = \"{}\"\nversions = [\"9.0.0\"]\n[defender]\norigin = \"{}\"\n",
        vendor.elastic, vendor.defender
    );
    let site = Site::new(programs, &sections)?;
    let alone = peak_of(site.command("sync").stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)?;
    vendor.command("publish elastic all next")?;
    let _ = vendor.command("publish defender linux/production/x86_64 next")?;
    let _ = vendor.command("publish defender linux/production/arm64 next")?;

    let begun = Instant::now();
    let mut run = Watched::start(site.command("run"))?;
    let address = run.address()?;
    let idle = run.peak()?;
    let load = load(&address, connections)?;
    let mut synced = None;
    let mut load = Some(load);
    let told = loop {
        ensure!(begun.elapsed() < Duration::from_secs(300), "it did not end:\n{}", run.said());
        if synced.is_none() && run.said().matches("outcome=\"published\"").count() >= FEEDS {
            synced = Some(begun.elapsed());
        }
        let ended = load.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
        if ended && synced.is_some() {
            let answer = load.take().context("the load")?.wait_with_output()?;
            ensure!(answer.status.success(), "the clients ended with {}", answer.status);
            break String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let peak = run.peak()?;
    run.finish()?;
    println!(
        "3 feeds with 250 MB each, fetched in {:.1} s at 40 MB/s; {told}",
        synced.unwrap_or_default().as_secs_f64()
    );
    head(&["peak resident memory", "MB"]);
    for (what, megabytes) in [("sync alone", alone), ("run, started", idle), ("run, syncing and serving", peak)] {
        row(&[what.to_owned(), format!("{megabytes:.1}")]);
    }
    println!();
    Ok(goal("at most 128 MB", peak, peak <= GOAL))
}

/// The clients, in a process of their own: this one has few descriptors left.
fn load(address: &str, connections: usize) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "load", "--address", address, "--connections", &connections.to_string()]);
    command.args(["--seconds", &SECONDS.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().context("starting the clients")
}

/// The peak of a process that ends by itself.
fn peak_of(mut child: Child) -> Result<f64> {
    let mut peak = 0.0;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "sync ended with {status}");
            return Ok(peak);
        }
        // It may end between the two looks.
        peak = peak_of_pid(child.id()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The most memory that a process ever had resident, in MB.
#[allow(clippy::cast_precision_loss, reason = "megabytes with one decimal")]
fn peak_of_pid(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib as f64 * 1024.0 / 1e6)
}

/// A daemon and what it said.
struct Watched {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Watched {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("starting run")?;
        let said = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            listen(stderr, Arc::clone(&said));
        }
        Ok(Self { child, said })
    }

    fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it serves content.
    fn address(&mut self) -> Result<String> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            let said = self.said();
            let line = said.lines().find(|line| line.contains("serving content"));
            if let Some((_, port)) = line.and_then(|line| line.split_once("127.0.0.1:")) {
                let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
                return Ok(format!("127.0.0.1:{digits}"));
            }
            if self.child.try_wait()?.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("it does not serve:\n{}", self.said())
    }

    fn peak(&self) -> Result<f64> {
        peak_of_pid(self.child.id())
    }

    fn finish(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "run ended with {status}:\n{}", self.said());
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(from: impl Read + Send + 'static, to: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut said = to.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
        }
    });
}
