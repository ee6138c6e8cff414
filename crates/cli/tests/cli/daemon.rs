//! `run` and `serve`: started, asked, and told to end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::site::{Site, command};

/// A daemon that is told to end when the test is over, however it is over.
pub(crate) struct Running {
    child: Child,
    logs: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(site: &Site, verb: &str) -> Self {
        let mut child = site.spawn(&[verb, "--log", "json"]);
        let logs = BufReader::new(child.stderr.take().unwrap());
        Self { child, logs }
    }

    /// Reads logs up to the event with this message.
    pub(crate) fn event(&mut self, message: &str) -> Value {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.logs.read_line(&mut line).unwrap(), 0, "it ended before '{message}':\n{seen}");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["message"] == message {
                return event;
            }
            seen.push_str(&line);
        }
    }

    fn end(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        // A full pipe must not keep it from ending.
        let mut rest = String::new();
        self.logs.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address.parse::<SocketAddr>().unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn both_serve_what_is_published_and_end_well_when_told() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    for verb in ["serve", "run"] {
        let mut running = Running::start(&site, verb);
        let address = running.event("serving content")["address"].as_str().unwrap().to_owned();
        running.event("health, metrics and status");
        let answer = get(&address, "/downloads/endpoint/manifest/artifacts-9.0.0.zip");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{verb}: {answer:.200}");
        site.run(&["status"]).with(0);
        assert_eq!(running.end(), Some(0), "{verb}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_v40() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for verb in ["serve", "run"] {
        let output = command(site.path(), &[verb, "-q"]).env("WAYSTATION__ADMIN__ADDRESS", &address).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.starts_with(&format!("waystation: {verb}: ")) && told.contains(&address), "{told}");
    }
}
