//! Publications while endpoints of both vendors walk what is served: whatever an endpoint ends up with is one whole
//! release that was published, and nothing fails.

mod walker;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use e2e::whole::companion;
use e2e::{Daemon, Site};
use model::Digest;
use vendor_sim::{
    Architecture, Change, DefenderChange, DefenderFeed, DefenderSettings, DefenderTarget, ElasticSettings, Platform,
    Settings, Simulator, Track,
};

use super::crowd::many::{descriptors, memory};
use crate::shell::{is_small, saw};
use walker::Walker;

const VERSION: &str = "9.0.0";
const FEED: DefenderFeed = DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64);
/// Larger than what is sent in one turn.
const ARCHIVE: u64 = 1_500_000;
/// A client's walk and its next.
const PAUSE: Duration = Duration::from_millis(100);

/// One at a time, so that each has the machine to itself.
static ALONE: Mutex<()> = Mutex::new(());

/// All that the vendors ever showed.
#[derive(Default)]
struct Shown {
    manifests: BTreeSet<Digest>,
    /// Companion and archive.
    pairs: BTreeSet<(String, Digest)>,
}

impl Shown {
    fn note(&mut self, vendor: &Simulator) {
        self.manifests.insert(Digest::of(&vendor.elastic_release(VERSION).unwrap().manifest));
        let release = vendor.defender_release(FEED).unwrap();
        self.pairs.insert((companion(&release), release.archive.digest()));
    }
}

/// What all clients did.
#[derive(Default)]
struct Done {
    walks: AtomicU64,
    answers: AtomicU64,
    bytes: AtomicU64,
    /// Resumed downloads that met the same release, and those that met a newer one and began again.
    resumed: AtomicU64,
    begun_again: AtomicU64,
    /// Pairs of companion and archive between which a publication came.
    torn: AtomicU64,
}

fn vendor() -> Simulator {
    let elastic = ElasticSettings {
        versions: vec![VERSION.to_owned()],
        artifacts: 6,
        artifact_size: 3_000,
        ..ElasticSettings::default()
    };
    let defender = DefenderSettings { archive_size: ARCHIVE, feeds: vec![FEED], ..DefenderSettings::default() };
    Simulator::start(Settings { elastic, defender, ..Settings::lately() }).unwrap()
}

/// A mirror of both vendors, and what its clients saw.
struct House {
    vendor: Simulator,
    site: Site,
    serve: Daemon,
    shown: RwLock<Shown>,
    done: Done,
}

impl House {
    fn new() -> Self {
        let vendor = vendor();
        let followed = e2e::defender(&vendor.defender_url(), &["linux"], &["production"]);
        let site = Site::new(&[
            e2e::elastic(&vendor.elastic_url(), &[VERSION]),
            format!("{followed}architectures = [\"x86_64\"]\n"),
        ]);
        let mut shown = Shown::default();
        shown.note(&vendor);
        site.sync(&[]).expect(0);
        let serve = site.start("serve");
        Self { vendor, site, serve, shown: RwLock::new(shown), done: Done::default() }
    }

    fn publish(&self) {
        self.vendor.publish_elastic("all", Change::of(2)).unwrap();
        self.vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
        // Known before it can be served.
        self.shown.write().unwrap().note(&self.vendor);
        self.site.sync(&[]).expect(0);
    }

    /// So many clients walk, with a pause behind each walk, while something else goes on. None got anything wrong.
    fn walked(&self, clients: u64, pause: Duration, other: impl FnOnce()) {
        let (over, wrong) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for number in 0..clients {
                let (over, wrong) = (&over, &wrong);
                let walk = move || {
                    let mut walker = Walker::new(self.serve.content, &self.shown, &self.done);
                    while !over.load(Ordering::Relaxed) {
                        if let Err(why) = walker.walk() {
                            wrong.lock().unwrap().push(format!("client {number}: {why}"));
                            return;
                        }
                        std::thread::sleep(pause);
                    }
                };
                std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, walk).unwrap();
            }
            let _over = Over(&over);
            other();
        });
        let wrong = wrong.into_inner().unwrap();
        let some = &wrong[..wrong.len().min(10)];
        assert!(wrong.is_empty(), "{} of {clients} clients got something wrong: {some:#?}", wrong.len());
    }
}

#[test]
fn clients_that_walk_during_publications_get_whole_releases_alone_v25_v26() {
    let _alone = ALONE.lock();
    let (publications, clients) = if is_small() { (20, 100) } else { (100, 1_000) };
    let house = House::new();
    let begun = Instant::now();
    house.walked(clients, PAUSE, || (0..publications).for_each(|_| house.publish()));
    let (done, number) = (&house.done, |count: &AtomicU64| count.load(Ordering::Relaxed));
    assert!(number(&done.resumed) > 0 && number(&done.walks) >= clients);
    saw(&format!(
        "{publications} publications while {clients} clients walked: {} walks, {} answers, {} MB in {:.0} s, {} resumed \
         downloads that met the same release and {} that met a newer one; 0 wrong, short, mixed or failed; {} times a \
         publication came between a companion and its archive",
        number(&done.walks),
        number(&done.answers),
        number(&done.bytes) / 1_000_000,
        begun.elapsed().as_secs_f64(),
        number(&done.resumed),
        number(&done.begun_again),
        number(&done.torn),
    ));
    house.serve.finish();
}

/// `cargo xtask bench soak` does so for an hour, on the release build.
#[test]
fn at_full_load_memory_and_descriptors_stay_as_they_are_v42() {
    let _alone = ALONE.lock();
    let (clients, seconds) = if is_small() { (64, 16) } else { (256, 300) };
    let house = House::new();
    let mut samples = Vec::new();
    let begun = Instant::now();
    house.walked(clients, Duration::ZERO, || {
        while begun.elapsed() < Duration::from_secs(seconds) {
            let pid = house.serve.id();
            samples.push((begun.elapsed().as_secs_f64(), memory(pid), descriptors(pid)));
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    // The first quarter warms caches.
    let settled = &samples[samples.len() / 4..];
    let (early, late) = settled.split_at(settled.len() / 2);
    let middle = |samples: &[(f64, u64, usize)]| {
        let (mut bytes, mut files): (Vec<u64>, Vec<usize>) =
            samples.iter().map(|(_, bytes, files)| (*bytes, *files)).unzip();
        bytes.sort_unstable();
        files.sort_unstable();
        (bytes[bytes.len() / 2], files[files.len() / 2])
    };
    let ((bytes, files), (bytes_late, files_late)) = (middle(early), middle(late));
    let slope =
        |of: fn(&(f64, u64, usize)) -> f64| slope(settled.iter().map(|sample| (sample.0, of(sample))).collect());
    let told = format!(
        "{} answers, {} MB in {seconds} s to {clients} clients without a pause: memory {:.2} MB, then {:.2} MB ({:+.1} kB a \
         minute), descriptors {files}, then {files_late} ({:+.2} a minute)",
        house.done.answers.load(Ordering::Relaxed),
        house.done.bytes.load(Ordering::Relaxed) / 1_000_000,
        bytes as f64 / 1e6,
        bytes_late as f64 / 1e6,
        slope(|sample| sample.1 as f64) * 60.0 / 1e3,
        slope(|sample| sample.2 as f64) * 60.0,
    );
    assert!(bytes_late <= bytes + bytes / 10 + 1_000_000, "memory grows: {told}");
    assert!(files_late <= files + 8, "descriptors grow: {told}");
    saw(&told);
    house.serve.finish();
}

/// How fast a line through points rises, by least squares.
fn slope(points: Vec<(f64, f64)>) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points.iter().map(|(a, b)| (a - x) * (b - y)).sum();
    over / points.iter().map(|(a, _)| (a - x).powi(2)).sum::<f64>()
}

/// Ends the clients, also when a publication fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
