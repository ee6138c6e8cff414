//! A `run` or `serve` that lives.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::until;
use crate::until::until_or;

/// A daemon and what it said so far; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    /// Where it serves content.
    pub content: SocketAddr,
    /// Where it serves health, metrics and status.
    pub admin: SocketAddr,
}

/// How long a daemon may take to start; machines are busy.
const START: Duration = Duration::from_secs(30);

impl Daemon {
    /// Starts a command, and waits until it tells where it listens.
    pub fn start(command: Command) -> Self {
        Self::start_writing_to(command, Stdio::piped())
    }

    /// The same with a standard output of the test's own.
    pub fn start_writing_to(mut command: Command, stdout: Stdio) -> Self {
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Mutex::new(Vec::new()));
        // Without the command, which holds what was handed over as the child's output.
        drop(command);
        if let Some(stdout) = child.stdout.take() {
            listen(stdout, &said);
        }
        listen(child.stderr.take().unwrap(), &said);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Self { child, said, content: nowhere, admin: nowhere };
        (daemon.content, daemon.admin) = until("it tells where it listens", START, || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("it ended with {status}:\n{}", daemon.log());
            }
            Some((daemon.address("serving content")?, daemon.address("health, metrics and status")?))
        });
        daemon
    }

    fn address(&self, before: &str) -> Option<SocketAddr> {
        let said = self.said.lock().unwrap();
        let (_, after) = said.iter().find(|line| line.contains(before))?.split_once("127.0.0.1:")?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        Some(SocketAddr::from(([127, 0, 0, 1], digits.parse().ok()?)))
    }

    /// All that it said so far.
    pub fn log(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Waits until it has said this.
    pub fn wait_said(&self, what: &str) {
        let said = || self.log().contains(what).then_some(());
        until_or(START, said, || format!("it says '{what}'; it said\n{}", self.log()));
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        until("it ends", limit, || self.child.try_wait().unwrap())
    }

    /// Asks it to end, and sees that it does so in order.
    pub fn finish(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait(START);
        assert!(status.success(), "it ended with {status}:\n{}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(from: impl Read + Send + 'static, to: &Arc<Mutex<Vec<String>>>) {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            match line {
                Ok(line) => to.lock().unwrap().push(line),
                Err(_) => return,
            }
        }
    });
}
