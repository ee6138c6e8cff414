//! A `sync` that is killed at any point, while a `serve` looks on.

use std::time::{Duration, Instant};

use e2e::whole::{Published, serves_what_the_vendor_shows};
use e2e::{Daemon, Site, until};
use vendor_sim::{Change, DefenderChange, DefenderTarget, Network, Simulator};

use crate::vendor::{FEEDS, VERSIONS, sections, vendor};

const POINTS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// When so many requests were answered.
    Requests(u64),
    /// So long after the last request: while it proves, stores and publishes.
    After(Duration),
}

#[test]
fn whatever_point_a_sync_is_killed_at_what_is_served_is_whole_and_the_next_one_converges_i1_i8_i15() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&sections(&vendor));
    let mut published = Published::default();
    published.note(&vendor);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let requests = requests_of_an_update(&vendor, &site, &mut published);
    vendor.set_network(Network::with_latency(Duration::from_millis(2)));

    let mut dice = Dice(16);
    let mut killed = 0;
    for _ in 0..POINTS {
        let point = match dice.below(requests + requests / 2) {
            early if early < requests => Point::Requests(early + 1),
            _ => Point::After(Duration::from_micros(dice.below(60_000))),
        };
        publish(&vendor, &mut published);
        killed += u64::from(kill_at(&site, &vendor, point, requests));
        walk(&serve, &published, point);
    }
    assert!(killed >= POINTS / 2, "most runs ended before their point: {killed} of {POINTS} were killed");

    vendor.set_network(Network::default());
    site.sync(&[]).expect(0);
    until("the vendor's newest is served", PATIENCE, || {
        serves_what_the_vendor_shows(serve.content, &vendor, &VERSIONS, &FEEDS).then_some(())
    });
    assert_eq!(site.sync(&[]).expect(0).outcomes(), ["current"; 4]);
    serve.finish();
}

fn publish(vendor: &Simulator, published: &mut Published) {
    vendor.publish_elastic("all", Change::of(3)).unwrap();
    vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    published.note(vendor);
}

fn requests_of_an_update(vendor: &Simulator, site: &Site, published: &mut Published) -> u64 {
    publish(vendor, published);
    vendor.reset_counters();
    site.sync(&[]).expect(0);
    vendor.requests().requests
}

/// Whether the run was still alive at its point.
fn kill_at(site: &Site, vendor: &Simulator, point: Point, requests: u64) -> bool {
    vendor.reset_counters();
    let mut run = site.begin_sync();
    let (count, more) = match point {
        Point::Requests(count) => (count, Duration::ZERO),
        Point::After(more) => (requests, more),
    };
    let mut reached = None;
    until("the run comes to its point", PATIENCE, || {
        if vendor.requests().requests >= count {
            reached.get_or_insert_with(Instant::now);
        }
        let there = reached.is_some_and(|at| at.elapsed() >= more);
        (there || run.try_wait().unwrap().is_some()).then_some(())
    });
    let alive = run.try_wait().unwrap().is_none();
    // Killing what ended is no fault.
    let _ = run.kill();
    run.wait().unwrap();
    alive
}

/// Everything served is one whole release or another, of every feed.
fn walk(serve: &Daemon, published: &Published, point: Point) {
    for version in VERSIONS {
        assert!(published.walk_elastic(serve.content, version).is_some(), "{version} is gone after {point:?}");
    }
    for feed in FEEDS {
        assert!(published.walk_defender(serve.content, feed).is_some(), "{feed} is gone after {point:?}");
    }
}
