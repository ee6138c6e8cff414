//! Many who mean harm, or nothing at all, and a few good clients who are served throughout.

mod good;
pub(super) mod many;

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::whole::{defender_folder, manifest_path};
use e2e::{Daemon, Site, get, until};
use vendor_sim::{Architecture, DefenderFeed, DefenderSettings, ElasticSettings, Platform, Settings, Simulator, Track};

use crate::shell::{is_small, saw};
use good::Good;
use many::{connect, descriptors, memory};

const VERSION: &str = "9.0.0";
const FEED: DefenderFeed = DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64);
/// How many bytes a second slow readers take: a little more than they must.
const RATE: usize = 150;
/// One crowd at a time, so that each is seen alone.
static ALONE: Mutex<()> = Mutex::new(());

/// How long good clients are looked at.
fn looking() -> Duration {
    Duration::from_secs(if is_small() { 1 } else { 5 })
}

/// A mirror and what it serves.
struct House {
    serve: Daemon,
    _site: Site,
    _vendor: Simulator,
}

impl House {
    fn new(limits: &str) -> Self {
        let elastic = ElasticSettings {
            versions: vec![VERSION.to_owned()],
            artifacts: 3,
            artifact_size: 4_000,
            ..ElasticSettings::default()
        };
        let defender = DefenderSettings { archive_size: 24_000_000, feeds: vec![FEED], ..DefenderSettings::default() };
        let vendor = Simulator::start(Settings { elastic, defender, ..Settings::lately() }).unwrap();
        let followed = e2e::defender(&vendor.defender_url(), &["linux"], &["production"]);
        let site = Site::new(&[
            limits.to_owned(),
            e2e::elastic(&vendor.elastic_url(), &[VERSION]),
            format!("{followed}architectures = [\"x86_64\"]\n"),
        ]);
        site.sync(&[]).expect(0);
        let serve = site.start("serve");
        Self { serve, _site: site, _vendor: vendor }
    }

    fn at(&self) -> SocketAddr {
        self.serve.content
    }

    /// Good clients for a while, with nobody else about.
    fn calm(&self) -> Good {
        Good::during(self.at(), &manifest_path(VERSION), || std::thread::sleep(looking()))
    }

    /// Waits until the server holds no more than it did.
    fn settles(&self, descriptors_before: usize) {
        until("the server has closed what it need not hold", Duration::from_secs(120), || {
            (descriptors(self.serve.id()) <= descriptors_before + 8).then_some(())
        });
    }
}

/// The value of a metric that has no labels.
pub(super) fn metric(admin: SocketAddr, name: &str) -> u64 {
    let page = get(admin, "/metrics").unwrap();
    let text = String::from_utf8(page.body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no metric {name} in:\n{text}")).parse::<f64>().unwrap() as u64
}

#[test]
fn heads_that_trickle_are_closed_at_their_deadline_and_good_clients_are_served_v08() {
    let _alone = ALONE.lock();
    let (count, deadline) = if is_small() { (400, 3) } else { (2_000, 10) };
    let house = House::new(&format!("serve_head_timeout = \"{deadline}s\"\n"));
    let calm = house.calm();
    let before = descriptors(house.serve.id());
    let mut slow: Vec<_> = (0..count).map(|number| connect(house.at(), number)).collect();
    let begun = Instant::now();
    let good = Good::during(house.at(), &manifest_path(VERSION), || {
        // A byte each, again and again, until the last of them is told to go.
        let head = format!("GET /{} HTTP/1.1\r\n", "a".repeat(4_000));
        for byte in head.as_bytes().chunks(1) {
            slow.retain_mut(|stream| stream.write_all(byte).is_ok());
            if slow.is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{} slow clients are still there", slow.len());
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let took = begun.elapsed();
    house.settles(before);
    let told = metric(house.serve.admin, "waystation_http_troubles_total{kind=\"head_timeout\"}");
    assert!(told >= count as u64, "{told} of {count} heads that trickle were counted");
    saw(&format!(
        "{count} heads that trickle, all closed within {:.1} s at a deadline of {deadline} s; good clients beside: {good}; \
         with nobody about: {calm}",
        took.as_secs_f64()
    ));
    house.serve.finish();
}

#[test]
fn readers_that_hardly_read_hold_no_memory_and_good_clients_are_served_v10() {
    let _alone = ALONE.lock();
    // Past every timeout at full size, and far more than lies in the readers' own buffers.
    let (count, seconds) = if is_small() { (200, 4) } else { (2_000, 150) };
    let house = House::new("");
    let calm = house.calm();
    let (before, held) = (descriptors(house.serve.id()), memory(house.serve.id()));
    let archive = format!("GET {}/updates.zip HTTP/1.1\r\nHost: h\r\n\r\n", defender_folder(FEED, ""));
    let mut slow: Vec<_> = (0..count).map(|number| many::narrow(house.at(), number)).collect();
    let (mut most, mut moved) = (0, vec![0; count]);
    let good = Good::during(house.at(), &manifest_path(VERSION), || {
        for stream in &mut slow {
            stream.write_all(archive.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
        }
        for _ in 0..seconds {
            std::thread::sleep(Duration::from_secs(1));
            for (stream, moved) in slow.iter_mut().zip(&mut moved) {
                match stream.read(&mut [0; RATE]) {
                    Ok(read) => {
                        assert_ne!(read, 0, "a slow reader was closed though it read");
                        *moved += read;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
                }
            }
            most = most.max(memory(house.serve.id()));
        }
    });
    let least = moved.iter().min().copied().unwrap_or_default();
    assert!(least >= RATE * seconds / 2, "a reader got {least} bytes in {seconds} s");
    let told = metric(house.serve.admin, "waystation_http_troubles_total{kind=\"stalled\"}");
    assert_eq!(told, 0, "whoever reads at the least rate is served on");
    let each = most.saturating_sub(held) / count as u64;
    assert!(each < 16 * 1024, "{each} bytes of memory for each slow reader");
    drop(slow);
    house.settles(before);
    saw(&format!(
        "{count} readers of {RATE} bytes a second for {seconds} s, all served on, {each} bytes of memory each; good clients \
         beside: {good}; with nobody about: {calm}"
    ));
    house.serve.finish();
}

#[test]
fn thousands_of_idle_connections_stay_and_good_clients_are_served_v12() {
    let _alone = ALONE.lock();
    let count = many::room_for(if is_small() { 1_500 } else { 10_000 });
    let house = House::new("serve_connections = 15000\nserve_idle_timeout = \"10m\"\n");
    let calm = house.calm();
    let (before, held) = (descriptors(house.serve.id()), memory(house.serve.id()));
    let poll = format!("HEAD {} HTTP/1.1\r\nHost: h\r\n\r\n", manifest_path(VERSION));
    let ask = |stream: &mut std::net::TcpStream| {
        stream.write_all(poll.as_bytes()).unwrap();
        let mut read = [0; 1024];
        let length = stream.read(&mut read).unwrap();
        assert!(read[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&read[..length]));
    };
    let mut idle = Vec::new();
    let coming = Good::during(house.at(), &manifest_path(VERSION), || {
        for number in 0..count {
            let mut stream = connect(house.at(), number);
            ask(&mut stream);
            idle.push(stream);
        }
    });
    let each = memory(house.serve.id()).saturating_sub(held) / count as u64;
    let open = metric(house.serve.admin, "waystation_http_open_connections");
    assert!(open >= count as u64, "{open} of {count} are open");
    let good = Good::during(house.at(), &manifest_path(VERSION), || std::thread::sleep(looking()));
    // Each of them is still served.
    idle.iter_mut().for_each(ask);
    drop(idle);
    house.settles(before);
    saw(&format!(
        "{count} idle connections from 20 addresses, {each} bytes each; good clients while they come: {coming}; beside them: \
         {good}; with nobody about: {calm}"
    ));
    house.serve.finish();
}

#[test]
fn thousands_that_ask_at_once_are_all_answered_v36() {
    let _alone = ALONE.lock();
    let count = many::room_for(if is_small() { 1_500 } else { 10_000 });
    let house = House::new("serve_connections = 15000\n");
    let calm = house.calm();
    let before = descriptors(house.serve.id());
    let manifest = manifest_path(VERSION);
    let body = get(house.at(), &manifest).unwrap().body;
    let ask = format!("GET {manifest} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let mut all: Vec<_> = (0..count).map(|number| connect(house.at(), number)).collect();
    let begun = Instant::now();
    let good = Good::during(house.at(), &manifest, || {
        all.iter_mut().for_each(|stream| stream.write_all(ask.as_bytes()).unwrap());
        for stream in &mut all {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&body), "an answer that is not whole");
        }
    });
    let took = begun.elapsed();
    drop(all);
    house.settles(before);
    saw(&format!(
        "{count} that ask at once, all answered within {:.2} s; good clients beside: {good}; with nobody about: {calm}",
        took.as_secs_f64()
    ));
    house.serve.finish();
}

#[test]
fn a_storm_of_connections_leaves_nothing_behind_v37() {
    let _alone = ALONE.lock();
    let seconds = if is_small() { 2 } else { 30 };
    let house = House::new("");
    let calm = house.calm();
    let (before, done) = (descriptors(house.serve.id()), AtomicBool::new(false));
    let mut stormed = 0_u64;
    let good = Good::during(house.at(), &manifest_path(VERSION), || {
        let storms: Vec<u64> = std::thread::scope(|scope| {
            let storm = |from: usize| {
                let mut count = 0;
                while !done.load(Ordering::Relaxed) {
                    // Dropped at once; half of them after a cut head.
                    if let Some(mut stream) = many::try_connect(house.at(), from)
                        && u64::is_multiple_of(count, 2)
                    {
                        let _ = stream.write_all(b"GET / HT");
                    }
                    count += 1;
                }
                count
            };
            let all: Vec<_> = (0..2).map(|from| scope.spawn(move || storm(from))).collect();
            std::thread::sleep(Duration::from_secs(seconds));
            done.store(true, Ordering::Relaxed);
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        stormed = storms.iter().sum();
    });
    house.settles(before);
    saw(&format!(
        "{stormed} connections made and dropped in {seconds} s; good clients beside: {good}; with nobody about: {calm}"
    ));
    house.serve.finish();
}
