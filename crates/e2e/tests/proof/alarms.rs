//! Vendor, mirror, endpoint and process stopped one after another, on the real clock, with short limits.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::{Site, elastic, get, until};
use platform::lock::FileLock;
use rustix::process::Signal;
use serde_json::Value;
use vendor_sim::{Settings, Simulator};

use crate::shell::saw;

/// Everything is told within this long of its limit.
const MINUTE: Duration = Duration::from_secs(60);
const MANIFEST: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";

/// An endpoint that asks once a second, as long as it lives.
struct Endpoint {
    asks: Arc<AtomicBool>,
    mirror: Arc<Mutex<SocketAddr>>,
}

impl Endpoint {
    fn of(mirror: SocketAddr) -> Self {
        let endpoint = Self { asks: Arc::new(AtomicBool::new(true)), mirror: Arc::new(Mutex::new(mirror)) };
        let (asks, mirror) = (Arc::downgrade(&endpoint.asks), Arc::clone(&endpoint.mirror));
        std::thread::spawn(move || {
            while let Some(asks) = asks.upgrade() {
                if asks.load(Ordering::SeqCst) {
                    // A mirror that was killed does not answer.
                    let _ = get(*mirror.lock().unwrap(), MANIFEST);
                }
                drop(asks);
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        endpoint
    }
}

/// Somebody outside who counts signs of life.
fn outside() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alive", listener.local_addr().unwrap());
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 204 Heard\r\nConnection: close\r\n\r\n");
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, heard)
}

fn told(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let message: Value = serde_json::from_str(line).unwrap();
        let alarms = message["alarms"].as_array().unwrap();
        let reasons: Vec<&str> = alarms.iter().map(|alarm| alarm["reason"].as_str().unwrap()).collect();
        format!("{} {}", message["kind"].as_str().unwrap(), reasons.join(" "))
    };
    text.lines().map(line).collect()
}

struct Bench {
    site: Site,
    file: std::path::PathBuf,
    expected: Vec<String>,
}

impl Bench {
    /// Waits until exactly this was told next, and says how long it took.
    fn next(&mut self, what: &str, limit: Duration) -> Duration {
        let begun = Instant::now();
        self.expected.push(what.to_owned());
        until(&format!("{what} is told"), limit, || (told(&self.file).len() >= self.expected.len()).then_some(()));
        assert_eq!(told(&self.file), self.expected);
        begun.elapsed()
    }
}

#[test]
fn each_that_stops_is_told_alone_within_a_minute_i9() {
    let vendor = Simulator::start(Settings::lately()).unwrap();
    let (address, (url, heard)) = (vendor.address(), outside());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let alarm = format!(
        "schedule = \"2s\"\n[freshness]\ncheck = {{ warn = \"20s\", fail = \"1h\" }}\n\
         [alarm]\nsettle = \"0s\"\nendpoints_silent_after = \"10s\"\n\
         [[alarm.command]]\nargv = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n\
         [alarm.heartbeat]\nurl = \"{url}\"\nevery = \"1s\"\n",
        file.display()
    );
    let site = Site::new(&[elastic(&vendor.elastic_url(), &["9.0.0"]), alarm]);
    site.act(&["alarm", "test", "--to", "heartbeat"]).expect(0);
    let mut run = site.start("run");
    until("the mirror serves", MINUTE, || get(run.content, MANIFEST).ok().filter(|answer| answer.status == 200));
    let endpoint = Endpoint::of(run.content);
    let mut bench = Bench { site, file, expected: Vec::new() };
    let mut lines = Vec::new();
    std::thread::sleep(Duration::from_secs(20));
    assert!(told(&bench.file).is_empty(), "{:?}", told(&bench.file));

    endpoint.asks.store(false, Ordering::SeqCst);
    lines.push(("endpoints silent (limit 10 s)", bench.next("raised endpoints_silent", MINUTE)));
    endpoint.asks.store(true, Ordering::SeqCst);
    bench.next("recovered endpoints_silent", MINUTE);

    let lock = FileLock::acquire_blocking(&bench.site.data().join("locks/fetch")).unwrap();
    lines.push(("mirror not looking (limit 20 s)", bench.next("raised not_checked", MINUTE + Duration::from_secs(20))));
    drop(lock);
    bench.next("recovered not_checked", MINUTE);

    vendor.shutdown();
    lines.push(("vendor gone (2 runs, 2 s apart)", bench.next("raised connect_failed", MINUTE)));
    let _vendor = Simulator::start(Settings { address, ..Settings::lately() }).unwrap();
    bench.next("recovered connect_failed", MINUTE);

    // What was told is on the disk a moment later; killed before, it would be told again.
    let state = bench.site.data().join("alarms/state.json");
    until("what was told is kept", MINUTE, || {
        let text = std::fs::read_to_string(&state).unwrap();
        (!text.contains("\"over\":false")).then_some(())
    });
    let beats = heard.load(Ordering::SeqCst);
    assert!(beats > 30, "{beats}");
    run.signal(Signal::KILL);
    run.wait(MINUTE);
    let beats = heard.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(4));
    assert!(heard.load(Ordering::SeqCst) <= beats + 1, "the heartbeat stops with the process");
    let run = bench.site.start("run");
    *endpoint.mirror.lock().unwrap() = run.content;
    lines.push(("process killed, begun again", bench.next("passed was_down", MINUTE)));

    let list = bench.site.act(&["alarm", "list", "--json"]).expect(0).lines().remove(0);
    assert_eq!((list["running"].as_bool(), list["alarms"].as_array().unwrap().len()), (Some(true), 0), "{list}");
    let line = "waystation_alarm_sends_total{to=\"command\",outcome=\"told\"} 1";
    until("metrics count it", MINUTE, || {
        let metrics = String::from_utf8(get(run.admin, "/metrics").unwrap().body).unwrap();
        metrics.contains(line).then_some(())
    });
    let alarms = bench.expected.len();
    until("each is in the history", MINUTE, || {
        let history = bench.site.act(&["history", "list", "--limit", "1000", "--json"]).expect(0).lines();
        (history.iter().filter(|entry| entry["kind"] == "alarm").count() == alarms).then_some(())
    });
    run.finish();
    let told: Vec<String> =
        lines.iter().map(|(what, took)| format!("{what}: told after {} s", took.as_secs())).collect();
    saw(&format!("{}; {alarms} entries in the history", told.join("; ")));
}
