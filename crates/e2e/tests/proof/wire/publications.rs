//! Publications while endpoints of both vendors walk what is served: whatever an endpoint ends up with is one whole
//! release that was published, and nothing fails.

mod walker;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use e2e::Site;
use e2e::whole::companion;
use model::Digest;
use vendor_sim::{
    Architecture, Change, DefenderChange, DefenderFeed, DefenderSettings, DefenderTarget, ElasticSettings, Platform,
    Settings, Simulator, Track,
};

use crate::shell::{is_small, saw};
use walker::Walker;

const VERSION: &str = "9.0.0";
const FEED: DefenderFeed = DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64);
/// Larger than what is sent in one turn.
const ARCHIVE: u64 = 1_500_000;
/// A client's walk and its next.
const PAUSE: Duration = Duration::from_millis(100);

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

#[test]
fn clients_that_walk_during_publications_get_whole_releases_alone_v25_v26() {
    let (publications, clients) = if is_small() { (20, 100) } else { (100, 1_000) };
    let vendor = vendor();
    let followed = e2e::defender(&vendor.defender_url(), &["linux"], &["production"]);
    let site = Site::new(&[
        e2e::elastic(&vendor.elastic_url(), &[VERSION]),
        format!("{followed}architectures = [\"x86_64\"]\n"),
    ]);
    let (shown, done, over) = (RwLock::new(Shown::default()), Done::default(), AtomicBool::new(false));
    shown.write().unwrap().note(&vendor);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let begun = Instant::now();
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..clients {
            let (shown, done, over, wrong) = (&shown, &done, &over, &wrong);
            let walk = move || {
                let mut walker = Walker::new(serve.content, shown, done);
                while !over.load(Ordering::Relaxed) {
                    if let Err(why) = walker.walk() {
                        wrong.lock().unwrap().push(format!("client {number}: {why}"));
                        return;
                    }
                    std::thread::sleep(PAUSE);
                }
            };
            std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, walk).unwrap();
        }
        let serve_ends = Over(&over);
        for _ in 0..publications {
            vendor.publish_elastic("all", Change::of(2)).unwrap();
            vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
            // Known before it can be served.
            shown.write().unwrap().note(&vendor);
            site.sync(&[]).expect(0);
        }
        drop(serve_ends);
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {clients} clients got something wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
    let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
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
    serve.finish();
}

/// Ends the clients, also when a publication fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
