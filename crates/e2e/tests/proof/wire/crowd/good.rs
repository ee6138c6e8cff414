//! Good clients: each polls what it has over and over, half of them on a new connection each time, and one downloads.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::get;

use crate::wire::raw::PATIENCE;

/// What good clients saw: every poll was answered 304.
pub(super) struct Good {
    pub(super) count: usize,
    p50: Duration,
    p99: Duration,
    most: Duration,
}

const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(5);

impl Good {
    /// Good clients while something else goes on.
    pub(super) fn during(address: SocketAddr, path: &str, other: impl FnOnce()) -> Self {
        let plain = get(address, path).unwrap();
        let tag = plain.header("etag").unwrap().to_owned();
        let poll = format!("GET {path} HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\n\r\n");
        let (done, all) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (poll, done, all) = (&poll, &done, &all);
                scope.spawn(move || {
                    let seen = one(address, poll, number, done);
                    all.lock().unwrap().extend(seen);
                });
            }
            // Also when the other fails, so that the test ends.
            let _ends = Ends(&done);
            other();
        });
        let mut all = all.into_inner().unwrap();
        all.sort_unstable();
        assert!(!all.is_empty(), "good clients were not served");
        let at = |percent: usize| all[(all.len() * percent / 100).min(all.len() - 1)];
        Self { count: all.len(), p50: at(50), p99: at(99), most: all[all.len() - 1] }
    }
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn one(address: SocketAddr, poll: &str, number: usize, done: &AtomicBool) -> Vec<Duration> {
    let connect = || {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    let (mut stream, mut seen, mut buffer) = (connect(), Vec::new(), [0; 2048]);
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        if number.is_multiple_of(2) {
            stream = connect();
        }
        stream.write_all(poll.as_bytes()).unwrap();
        let length = stream.read(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]);
        assert!(
            answer.starts_with("HTTP/1.1 304") && answer.ends_with("\r\n\r\n"),
            "a good client was answered {answer:?}"
        );
        seen.push(begun.elapsed());
        std::thread::sleep(PAUSE);
    }
    seen
}

impl fmt::Display for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Self { count, p50, p99, most } = self;
        write!(f, "{count} polls, p50 {:.2} ms, p99 {:.2} ms, most {:.1} ms", ms(*p50), ms(*p99), ms(*most))
    }
}
