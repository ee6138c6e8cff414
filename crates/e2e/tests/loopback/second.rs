//! Second paths of manifests: with the very bytes of the first or not at all, forwards and backwards; and what is under way
//! when forwarding ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{Daemon, Site, get, until};
use rustix::process::Signal;
use vendor_sim::{Change, ElasticSettings, Settings, Simulator};

const PATIENCE: Duration = Duration::from_secs(90);
const FIRST: &str = "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip";
const SECOND: &str = "/downloads/endpoint/manifest/2026-01-15/artifacts-8.18.3.zip";
const FEED: &str = "8.18.3@2026-01-15";
const SLOW: &str = "/downloads/endpoint/slow.bin";

/// The vendor behind a host where the dated manifest lies at a second path, too; and at that alone once it was moved. A
/// third path answers when it is let go.
#[derive(Clone, Default)]
struct Host {
    moved: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    let_go: Arc<AtomicBool>,
    /// What a cache in between keeps of the second path.
    stale: Option<Vec<u8>>,
}

impl Host {
    fn start(&self, vendor: SocketAddr) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let host = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let host = host.clone();
                std::thread::spawn(move || host.answer(connection, vendor));
            }
        });
        format!("http://{address}")
    }

    fn answer(&self, mut connection: std::net::TcpStream, vendor: SocketAddr) {
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(first) = lines.next() else { return };
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        let path = first.split(' ').nth(1).unwrap_or_default();
        let head = "HTTP/1.1 200 X\r\nConnection: close\r\n";
        let answer = if let (SECOND, Some(stale)) = (path, &self.stale) {
            [format!("{head}Content-Length: {}\r\n\r\n", stale.len()).as_bytes(), stale].concat()
        } else if path == SLOW {
            self.asked.store(true, Ordering::SeqCst);
            until("it is let go", PATIENCE, || self.let_go.load(Ordering::SeqCst).then_some(()));
            [format!("{head}Content-Length: 4\r\n\r\n").as_bytes(), b"slow"].concat()
        } else if path == FIRST && self.moved.load(Ordering::SeqCst) {
            b"HTTP/1.1 404 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec()
        } else {
            let theirs = get(vendor, if path == SECOND { FIRST } else { path }).unwrap();
            let head = format!("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: ", theirs.status);
            [format!("{head}{}\r\n\r\n", theirs.body.len()).as_bytes(), &theirs.body].concat()
        };
        // Whoever is gone needs no answer.
        let _ = connection.write_all(&answer);
    }
}

fn vendor() -> Simulator {
    let elastic = ElasticSettings { artifacts: 6, artifact_size: 4 * 1024, ..ElasticSettings::default() };
    Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap()
}

fn section(origin: &str, lines: &str) -> [String; 1] {
    [format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\n{lines}")]
}

fn publish(vendor: &Simulator) {
    vendor.publish_elastic(FEED.parse::<vendor_sim::ElasticTarget>().unwrap(), Change::of(2)).unwrap();
}

fn body(run: &Daemon, path: &str) -> Option<Vec<u8>> {
    get(run.content, path).ok().filter(|answer| answer.status == 200).map(|answer| answer.body.to_vec())
}

fn both(run: &Daemon) -> Vec<u8> {
    until("both paths are served with the same bytes", PATIENCE, || {
        let first = body(run, FIRST)?;
        (body(run, SECOND)? == first).then_some(first)
    })
}

#[test]
fn a_second_path_moves_with_its_manifest_and_never_shows_what_the_first_does_not_i1_i2() {
    let (vendor, host) = (vendor(), Host::default());
    let site = Site::new(&section(&host.start(vendor.address()), "unknown_paths = \"refuse\"\nrevalidate = \"1s\"\n"));
    let run = site.start("run");
    assert_eq!(get(run.content, FIRST).unwrap().status, 200);
    let old = both(&run);
    publish(&vendor);
    until("the newer is served", PATIENCE, || body(&run, FIRST).filter(|now| *now != old));
    let second = get(run.content, SECOND).unwrap();
    assert_eq!(second.status, 200, "it left with the other, and is looked for at once");
    assert_ne!(second.body, old);
    let new = both(&run);
    assert_ne!(new, old);
    run.finish();

    // What the operator goes back from is gone at both, whoever serves.
    let serve = site.start("serve");
    assert_eq!(both(&serve), new);
    site.act(&["release", "admit", "1", "--reason", "a test"]).expect(0);
    until("the older is served", PATIENCE, || body(&serve, FIRST).filter(|now| *now == old));
    assert_ne!(body(&serve, SECOND).as_ref(), Some(&new));
    serve.finish();
    let run = site.start("run");
    until("the vendor is asked again", PATIENCE, || {
        let second = get(run.content, SECOND).unwrap();
        assert_ne!(second.body, new[..], "it counts as rejected");
        (second.status == 503).then_some(())
    });
    assert_eq!(body(&run, FIRST), Some(old));
    run.finish();
}

#[test]
fn a_second_path_stays_where_what_was_learned_is_lost_and_nothing_else_is_forwarded_s41() {
    let (vendor, host) = (vendor(), Host::default());
    let site = Site::new(&section(&host.start(vendor.address()), "unknown_paths = \"refuse\"\nrevalidate = \"1h\"\n"));
    let run = site.start("run");
    assert_eq!(get(run.content, FIRST).unwrap().status, 200);
    both(&run);
    run.finish();
    std::fs::remove_file(site.data().join("wanted/learned.json")).unwrap();
    let synced = site.act(&["sync"]).expect(0).text();
    assert!(!synced.contains("served no longer"), "{synced}");
    let serve = site.start("serve");
    both(&serve);
    serve.finish();
}

#[test]
fn a_path_of_a_list_at_which_nothing_was_fetched_is_named() {
    let (vendor, host) = (vendor(), Host::default());
    let site = Site::new(&[format!("[elastic]\norigin = \"{}\"\n", host.start(vendor.address()))]);
    // Both, and what a next round would bring.
    for paths in [&[FIRST, SECOND][..], &[SECOND]] {
        let entries: Vec<(String, u64)> =
            paths.iter().zip([2, 1]).map(|(path, count)| ((*path).to_owned(), count)).collect();
        let list = crate::brought::list(&site, &entries);
        let told = site.act(&["sync", "--wanted", list.to_str().unwrap()]).expect(3).text();
        assert!(told.contains(&format!("{SECOND}: in the list, and not fetched")), "{told}");
        assert!(told.contains(&format!("is held at {FIRST}")), "{told}");
    }
}

#[test]
fn a_dated_manifest_that_the_vendor_moves_is_found_at_its_new_path() {
    let (vendor, host) = (vendor(), Host::default());
    let site = Site::new(&section(&host.start(vendor.address()), "revalidate = \"1h\"\n"));
    let run = site.start("run");
    assert_eq!(get(run.content, FIRST).unwrap().status, 200);
    let old = body(&run, FIRST).unwrap();
    publish(&vendor);
    host.moved.store(true, Ordering::SeqCst);
    let new = until("it is served where it lies now", PATIENCE, || body(&run, SECOND));
    assert_ne!(new, old);
    run.finish();
    let list = site.act(&["feed", "list", "--json"]).expect(0).lines();
    let feed = list.iter().find(|line| line["feed"] == format!("elastic/{FEED}")).unwrap();
    assert_eq!(feed["reason"], serde_json::Value::Null, "{feed}");
    let synced = site.sync(&[]).expect(0);
    assert_eq!(synced.feed(&format!("elastic/{FEED}"))["outcome"], "current", "{}", synced.text());
}

#[test]
fn a_copy_leads_where_the_vendor_moves_to_and_nothing_stands_still_in_its_grace() {
    let (vendor, host) = (vendor(), Host::default());
    let site = Site::new(&section(&host.start(vendor.address()), "unknown_paths = \"refuse\"\nrevalidate = \"1s\"\n"));
    let run = site.start("run");
    assert_eq!(get(run.content, FIRST).unwrap().status, 200);
    let old = both(&run);
    publish(&vendor);
    host.moved.store(true, Ordering::SeqCst);
    let new = until("it goes on where the copy was", PATIENCE, || body(&run, SECOND).filter(|now| *now != old));
    // What stands at the first for its grace is not passed off as current.
    until("its age is told", PATIENCE, || {
        let first = get(run.content, FIRST).unwrap();
        assert_eq!(first.body, old[..]);
        first.header("age").is_some().then_some(())
    });
    let url = format!("http://{}", run.content);
    let told = site.act(&["validate", "elastic", "--url", &url]).expect(0).text();
    assert!(told.contains(&format!("at {FIRST} ring broad serves what was before")), "{told}");
    host.moved.store(false, Ordering::SeqCst);
    assert_eq!(until("the first is renewed", PATIENCE, || body(&run, FIRST).filter(|now| *now != old)), new);
    publish(&vendor);
    until("both go on", PATIENCE, || {
        let first = body(&run, FIRST).filter(|now| *now != new && *now != old)?;
        (body(&run, SECOND)? == first).then_some(())
    });
    let cache = Host { stale: Some(old), ..Host::default() }.start(run.content);
    let told = site.act(&["validate", "elastic", "--url", &cache]).expect(1).text();
    assert!(told.contains(&format!("another manifest below {SECOND}")), "{told}");
    run.finish();
}

#[test]
fn a_mirror_finds_what_the_vendor_moved_where_endpoints_ask_for_it_now() {
    let dated = format!("auto_learn = false\ndated = [\"{FEED}\"]\n");
    for (more, verb) in [("auto_learn = true\n", "run"), ("auto_learn = true\n", "serve"), (&dated, "serve")] {
        moved_from_a_mirror(more, verb);
    }
}

/// Asks a mirror that stays up, or one that only serves beside a `sync` now and then.
fn moved_from_a_mirror(more: &str, verb: &str) {
    let (vendor, host) = (vendor(), Host::default());
    let site = Site::new(&[format!("[elastic]\norigin = \"{}\"\n{more}", host.start(vendor.address()))]);
    let syncs = || {
        if verb == "serve" {
            site.act(&["sync"]);
        }
    };
    syncs();
    let mirror = site.start(verb);
    let asked = |mirror: &Daemon, path: &str| {
        until(&format!("{more}{verb}: {path} is served"), PATIENCE, || {
            let found = body(mirror, path);
            if found.is_none() {
                syncs();
            }
            found
        })
    };
    let old = asked(&mirror, FIRST);
    publish(&vendor);
    host.moved.store(true, Ordering::SeqCst);
    mirror.finish();
    syncs();
    let mirror = site.start(verb);
    assert_ne!(asked(&mirror, SECOND), old);
    mirror.finish();
}

#[test]
fn what_is_under_way_when_forwarding_ends_is_not_served_once_it_comes() {
    let (vendor, host) = (vendor(), Host::default());
    let origin = host.start(vendor.address());
    let site = Site::new(&section(&origin, "revalidate = \"1h\"\nwait = \"100ms\"\n"));
    let run = site.start("run");
    assert_eq!(get(run.content, SLOW).unwrap().status, 503);
    until("the vendor is asked", PATIENCE, || host.asked.load(Ordering::SeqCst).then_some(()));
    site.configure(&section(&origin, "unknown_paths = \"refuse\"\nrevalidate = \"1h\"\nwait = \"100ms\"\n"));
    run.signal(Signal::HUP);
    until("what nothing names is refused", PATIENCE, || {
        (get(run.content, "/downloads/endpoint/other.bin").unwrap().status == 404).then_some(())
    });
    host.let_go.store(true, Ordering::SeqCst);
    run.wait_said("nothing is forwarded any more");
    assert_eq!(get(run.content, SLOW).unwrap().status, 404);
    run.finish();
}
