//! What a plan must hold whatever it is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{
    Attestation, Checked, Digest, FeedId, Generation, Held, ItemKind, Provenance, Reason, ReleaseState, RingName,
    RoutePath, Timestamp, VendorVersion,
};
use proptest::prelude::*;
use trust::{Admitted, Context, Decision, Proposal, decide};

use super::{Input, Newcomer, Plan, plan};
use crate::{Ends, Graces};

const HOUR: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_secs(86_400);
const A: &str = "elastic/9.0.0";
const B: &str = "elastic/8.18.3";
const D: &str = "defender/linux/production/x86_64";
const ZIP: &str = "/linux/production/arch_x86_64/updates.zip";
const BACK: &str = "/linux/production_back/arch_x86_64/updates.zip";

fn id(feed: &str) -> FeedId {
    feed.parse().unwrap()
}

fn path(text: &str) -> RoutePath {
    text.parse().unwrap()
}

/// A release whose items are paths with a number for their bytes. Paths that end in `.zip` of Elastic's are manifests.
fn release(feed: &str, version: u32, items: &[(&str, u32)]) -> Admitted {
    let vendor_version = VendorVersion::plain(format!("1.0.{version}").parse().unwrap());
    let mut proposal = Proposal::new(id(feed), vendor_version, Checked::VendorHashed);
    for (route, bytes) in items {
        let manifest = feed.starts_with("elastic") && route.ends_with(".zip");
        let kind = if manifest { ItemKind::Manifest } else { ItemKind::Artifact };
        proposal = proposal.item(path(route), Held::attest(digest(*bytes), u64::from(*bytes)), kind);
    }
    match decide(proposal, Attestation::PublicTls, Provenance::default(), &Context::default(), at(0)) {
        Decision::Admitted(admitted) => admitted,
        Decision::Quarantined(release) | Decision::RejectedBefore(release) => {
            Admitted::by_operator(release, ReleaseState::Quarantined).unwrap()
        }
    }
}

fn digest(bytes: u32) -> Digest {
    Digest::of(&bytes.to_be_bytes())
}

fn at(hours: u32) -> Timestamp {
    Timestamp::from_micros(1_000_000_000_000_000).after(HOUR * hours)
}

/// A ring that plans are carried out on.
struct Ring {
    generation: Generation,
    served: BTreeMap<FeedId, Admitted>,
    all: Vec<Admitted>,
    hours: u32,
}

impl Ring {
    fn new() -> Self {
        let generation = Generation::empty(RingName::broad(), at(0));
        Self { generation, served: BTreeMap::new(), all: Vec::new(), hours: 0 }
    }

    fn earlier(&self) -> BTreeMap<FeedId, Vec<Admitted>> {
        let mut earlier: BTreeMap<FeedId, Vec<Admitted>> = BTreeMap::new();
        for admitted in &self.all {
            if !vendors::registry(admitted.release().feed.vendor()).back_bases(&admitted.release().feed).is_empty() {
                earlier.entry(admitted.release().feed.clone()).or_default().push(admitted.clone());
            }
        }
        for releases in earlier.values_mut() {
            releases.sort_by(|a, b| b.release().vendor_version.version.cmp(&a.release().vendor_version.version));
        }
        earlier
    }

    fn plan(&self, newcomers: &[Newcomer], retire: &[&str]) -> Plan {
        let retire: BTreeSet<FeedId> = retire.iter().map(|feed| id(feed)).collect();
        plan(&Input {
            present: &self.generation,
            incumbents: &self.served,
            newcomers,
            earlier: &self.earlier(),
            denied: &BTreeMap::new(),
            retire: &retire,
            gone: &BTreeSet::new(),
            grace: Graces::same(GRACE),
            now: at(self.hours),
            calm: Ends::same(at(self.hours)),
        })
    }

    /// Plans, carries the plan out, and asserts that the same plan made again changes nothing.
    fn apply(&mut self, newcomers: &[Newcomer], retire: &[&str]) -> Plan {
        self.all.extend(newcomers.iter().map(|newcomer| newcomer.admitted.clone()));
        let made = self.plan(newcomers, retire);
        self.served.retain(|feed, _| !retire.contains(&feed.as_str()));
        for newcomer in newcomers {
            let feed = newcomer.admitted.release().feed.clone();
            if !made.held.iter().any(|(held, _)| *held == feed) {
                self.served.insert(feed, newcomer.admitted.clone());
            }
        }
        if made.changed {
            assert_eq!(made.generation.number, self.generation.number + 1);
        }
        self.generation = made.generation.clone();
        let again = self.plan(newcomers, retire);
        assert!(!again.changed, "{:?}\n{:?}", made.generation, again.generation);
        assert_eq!((&again.generation, held(&again)), (&made.generation, held(&made)));
        made
    }

    fn serve(&mut self, releases: &[Admitted]) -> Plan {
        self.apply(&releases.iter().map(come).collect::<Vec<_>>(), &[])
    }

    #[track_caller]
    fn shows(&self, route: &str, bytes: u32) {
        let found = self.generation.routes.get(&path(route)).map(|route| route.digest);
        assert_eq!(found, Some(digest(bytes)), "{route}");
    }

    #[track_caller]
    fn shows_not(&self, route: &str) {
        assert!(!self.generation.routes.contains_key(&path(route)), "{route}");
    }

    fn in_grace(&self, route: &str) -> bool {
        self.generation.routes.get(&path(route)).is_some_and(|route| route.until.is_some())
    }

    fn version(&self, feed: &str) -> Option<String> {
        self.generation.feeds.get(&id(feed)).map(|served| served.vendor_version.version.to_string())
    }
}

fn come(admitted: &Admitted) -> Newcomer {
    Newcomer { admitted: admitted.clone(), takes_paths: false }
}

fn take(admitted: &Admitted) -> Newcomer {
    Newcomer { admitted: admitted.clone(), takes_paths: true }
}

fn held(made: &Plan) -> Vec<(&str, Reason)> {
    made.held.iter().map(|(feed, note)| (feed.as_str(), note.reason)).collect()
}

#[test]
fn what_a_release_names_is_routed_i1() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)]), release(B, 1, &[("/m/b.zip", 2), ("/x/1", 11)])]);
    for (route, bytes) in [("/m/a.zip", 1), ("/m/b.zip", 2), ("/x/1", 11)] {
        ring.shows(route, bytes);
    }
    assert_eq!(ring.generation.feeds.len(), 2);
}

#[test]
fn what_no_manifest_names_makes_room_for_what_one_does() {
    const F: &str = "elastic/forwarded";
    let mut ring = Ring::new();
    ring.serve(&[release(F, 1, &[("/x/1", 77), ("/x/9", 9)])]);
    ring.shows("/x/1", 77);
    let made = ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)])]);
    assert!(held(&made).is_empty(), "{:?}", made.held);
    ring.shows("/x/1", 11);
    ring.shows("/x/9", 9);
    let made = ring.serve(&[release(F, 2, &[("/x/1", 78), ("/x/8", 8)])]);
    assert!(held(&made).is_empty(), "{:?}", made.held);
    ring.shows("/x/1", 11);
    ring.shows("/x/8", 8);
    ring.shows_not("/x/9");
    // Both at once.
    let mut ring = Ring::new();
    ring.serve(&[release(F, 1, &[("/x/1", 77)]), release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)])]);
    ring.shows("/x/1", 11);
    assert_eq!(ring.generation.feeds.len(), 2);
}

#[test]
fn the_copy_of_a_manifest_leaves_with_it_at_once_i1() {
    const F: &str = "elastic/forwarded";
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)])]);
    ring.serve(&[release(F, 1, &[("/m/second/a.zip", 1), ("/x/9", 9)])]);
    ring.shows("/m/second/a.zip", 1);
    // Its feed moves, backwards as forwards: no path shows what the other shows no longer.
    ring.serve(&[release(A, 2, &[("/m/a.zip", 2), ("/x/1", 11)])]);
    ring.shows_not("/m/second/a.zip");
    ring.shows("/x/9", 9);
    ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)])]);
    ring.shows("/m/second/a.zip", 1);
    ring.apply(&[], &[A]);
    ring.shows_not("/m/second/a.zip");
    ring.shows("/x/9", 9);
}

#[test]
fn superseded_routes_stay_through_grace_then_go_i2() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)])]);
    ring.hours = 5;
    let made = ring.serve(&[release(A, 2, &[("/m/a.zip", 2), ("/x/2", 12)])]);
    assert!(made.lost_grace.is_empty(), "a manifest is superseded in place: {:?}", made.lost_grace);
    ring.shows("/x/1", 11);
    assert!(ring.in_grace("/x/1") && !ring.in_grace("/x/2"));
    ring.hours = 28;
    assert!(!ring.apply(&[], &[]).changed);
    ring.hours = 29;
    assert!(ring.apply(&[], &[]).changed);
    ring.shows_not("/x/1");
}

#[test]
fn a_path_that_comes_back_leaves_its_grace() {
    let mut ring = Ring::new();
    let first = release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)]);
    ring.serve(std::slice::from_ref(&first));
    ring.hours = 1;
    ring.serve(&[release(A, 2, &[("/m/a.zip", 2)])]);
    assert!(ring.in_grace("/x/1"));
    ring.serve(&[release(A, 3, &[("/m/a.zip", 3), ("/x/1", 11)])]);
    assert!(!ring.in_grace("/x/1"));
    assert_eq!(ring.generation.routes[&path("/x/1")].since, at(0), "the bytes stood there all the time");
}

#[test]
fn other_bytes_never_get_a_date_that_was_given_for_those_before_s28_v15() {
    let second = |ring: &Ring, route: &str| ring.generation.routes[&path(route)].since.as_micros() / 1_000_000;
    let mut ring = Ring::new();
    ring.hours = 48;
    ring.serve(&[release(D, 1, &[(ZIP, 1)])]);
    let ahead = second(&ring, ZIP);
    ring.serve(&[release(D, 2, &[(ZIP, 2)])]);
    let same_second = second(&ring, ZIP);
    assert!(same_second > ahead);
    ring.hours = 0;
    ring.serve(&[release(D, 3, &[(ZIP, 3)])]);
    let set_back = second(&ring, ZIP);
    assert!(set_back > same_second);
    ring.serve(&[release(A, 1, &[("/x/1", 11)])]);
    assert!(second(&ring, "/x/1") > same_second, "nobody knows what stood there");
    ring.hours = 96;
    ring.serve(&[release(D, 4, &[(ZIP, 4)])]);
    assert_eq!(ring.generation.routes[&path(ZIP)].since, at(96), "and the true time again");
}

#[test]
fn a_clock_set_back_does_not_stretch_grace_s28() {
    let mut ring = Ring::new();
    ring.hours = 90_000;
    ring.serve(&[release(A, 1, &[("/x/1", 11)])]);
    ring.serve(&[release(A, 2, &[("/x/2", 12)])]);
    ring.hours = 0;
    ring.apply(&[], &[]);
    ring.hours = 24;
    ring.apply(&[], &[]);
    ring.shows_not("/x/1");
}

#[test]
fn lost_grace_is_told_of_artifacts_with_unique_addresses_alone() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/1", 11)]), release(D, 1, &[(ZIP, 21)])]);
    let made = ring.serve(&[release(A, 2, &[("/m/a.zip", 2), ("/x/1", 12)]), release(D, 2, &[(ZIP, 22)])]);
    assert_eq!(made.lost_grace, [path("/x/1")]);
    ring.shows("/x/1", 12);
}

#[test]
fn shared_paths_survive_one_feeds_superseding() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/x/s", 11)]), release(B, 1, &[("/x/s", 11)])]);
    for feed in [A, B] {
        let other = if feed == A { B } else { A };
        let mut ring = Ring { generation: ring.generation.clone(), served: ring.served.clone(), ..Ring::new() };
        ring.serve(&[release(feed, 2, &[("/x/n", 12)])]);
        ring.shows("/x/s", 11);
        assert!(!ring.in_grace("/x/s"), "{other} still names it");
        ring.apply(&[], &[other]);
        assert!(ring.in_grace("/x/s"), "nobody names it any more");
    }
}

#[test]
fn other_bytes_on_a_path_hold_the_newcomer_until_a_person_decides() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/x/s", 11)])]);
    let newcomer = release(B, 1, &[("/m/b.zip", 1), ("/x/s", 12)]);
    let made = ring.apply(&[come(&newcomer)], &[]);
    assert_eq!(held(&made), [(B, Reason::PathConflict)]);
    assert!(!made.changed);
    ring.shows("/x/s", 11);
    ring.shows_not("/m/b.zip");

    let made = ring.apply(&[take(&newcomer)], &[]);
    assert!(made.held.is_empty());
    ring.shows("/x/s", 12);
    assert_eq!(made.lost_grace, [path("/x/s")]);
    // What was taken stays taken, also when the taker moves on.
    assert!(!ring.apply(&[], &[]).changed);
    ring.serve(&[release(B, 2, &[("/m/b.zip", 2), ("/x/s", 13)])]);
    ring.shows("/x/s", 13);
    assert_eq!(ring.version(B).as_deref(), Some("1.0.2"));
    // The one that lost it may not take it back by itself, and has it again once nobody else names it.
    let made = ring.apply(&[come(&release(A, 2, &[("/x/s", 14)]))], &[]);
    assert_eq!(held(&made), [(A, Reason::PathConflict)]);
    ring.apply(&[], &[B]);
    ring.shows("/x/s", 11);
}

#[test]
fn of_two_newcomers_with_one_path_the_later_waits() {
    let mut ring = Ring::new();
    let made = ring.serve(&[release(B, 1, &[("/x/s", 1)]), release(A, 1, &[("/x/s", 2)])]);
    assert_eq!(held(&made), [(A, Reason::PathConflict)]);
    ring.shows("/x/s", 1);
    let made = ring.apply(&[come(&release(B, 2, &[("/x/s", 3)])), take(&release(A, 2, &[("/x/s", 4)]))], &[]);
    assert_eq!(held(&made), [(B, Reason::PathConflict)], "the operator's word goes first");
}

#[test]
fn feeds_that_share_a_path_change_its_bytes_together() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/x/s", 1)]), release(B, 1, &[("/x/s", 1)])]);
    let (a, b) = (release(A, 2, &[("/x/s", 2)]), release(B, 2, &[("/x/s", 2)]));
    assert_eq!(held(&ring.plan(&[come(&a)], &[])), [(A, Reason::PathConflict)]);
    assert_eq!(held(&ring.plan(&[come(&b)], &[])), [(B, Reason::PathConflict)]);
    assert!(ring.serve(&[a, b]).held.is_empty());
    ring.shows("/x/s", 2);
}

#[test]
fn one_that_must_wait_does_not_make_another_wait() {
    let mut ring = Ring::new();
    ring.serve(&[release(D, 1, &[("/x/d", 1)])]);
    // A collides with what D serves, B only with A.
    let made = ring.serve(&[release(A, 1, &[("/x/d", 2), ("/x/s", 3)]), release(B, 1, &[("/x/s", 4)])]);
    assert_eq!(held(&made), [(A, Reason::PathConflict)]);
    ring.shows("/x/s", 4);
}

#[test]
fn back_is_the_newest_older_release_i3() {
    let mut ring = Ring::new();
    ring.serve(&[release(D, 1, &[(ZIP, 1)])]);
    ring.shows_not(BACK);
    ring.serve(&[release(D, 2, &[(ZIP, 2)])]);
    ring.shows(BACK, 1);
    ring.serve(&[release(D, 3, &[(ZIP, 3)])]);
    ring.shows(BACK, 2);
    let served = &ring.generation.feeds[&id(D)];
    assert!(served.bases.contains(&path("/linux/production_back/arch_x86_64")), "{:?}", served.bases);
    // Sent back, it serves what is older still.
    ring.serve(&[release(D, 2, &[(ZIP, 2)])]);
    ring.shows(BACK, 1);
    ring.serve(&[release(D, 1, &[(ZIP, 1)])]);
    assert_eq!(ring.generation.feeds[&id(D)].back, None);
    ring.shows_not(BACK);
    ring.serve(&[release(D, 3, &[(ZIP, 3)])]);
    ring.serve(&[release(D, 1, &[(ZIP, 1)])]);
    ring.shows_not(BACK);
}

#[test]
fn a_retired_feed_leaves_after_its_grace() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/s", 11)]), release(B, 1, &[("/m/b.zip", 2), ("/x/s", 11)])]);
    ring.apply(&[], &[B]);
    assert_eq!(ring.version(B), None);
    assert!(ring.in_grace("/m/b.zip") && !ring.in_grace("/x/s"));
    ring.hours = 24;
    ring.apply(&[], &[B]);
    ring.shows_not("/m/b.zip");
    ring.shows("/x/s", 11);
}

#[test]
fn a_served_feed_without_a_record_keeps_its_routes_s18() {
    let mut ring = Ring::new();
    ring.serve(&[release(A, 1, &[("/m/a.zip", 1), ("/x/s", 11)]), release(B, 1, &[("/m/b.zip", 2), ("/x/s", 11)])]);
    ring.served.clear();
    assert!(!ring.apply(&[], &[]).changed);
    ring.serve(&[release(A, 2, &[("/m/a.zip", 3)])]);
    ring.shows("/x/s", 11);
    assert!(!ring.in_grace("/x/s"));
    assert_eq!((ring.version(A).as_deref(), ring.version(B).as_deref()), (Some("1.0.2"), Some("1.0.1")));
    let made = ring.apply(&[come(&release(A, 3, &[("/m/b.zip", 9)]))], &[]);
    assert_eq!(held(&made), [(A, Reason::PathConflict)], "it keeps them against others, too");
}

/// One step of a random life.
#[derive(Clone, Debug)]
struct Turn {
    newcomers: Vec<(usize, BTreeMap<usize, u32>, bool)>,
    retire: Option<usize>,
    hours: u32,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let items = prop::collection::btree_map(0..6_usize, 0..3_u32, 1..5);
    let newcomer = (0..FEEDS.len(), items, prop::bool::weighted(0.1));
    let turn = (prop::collection::vec(newcomer, 0..3), prop::option::weighted(0.1, 0..FEEDS.len()), 0..30_u32);
    prop::collection::vec(turn.prop_map(|(newcomers, retire, hours)| Turn { newcomers, retire, hours }), 1..12)
}

const FEEDS: [&str; 4] = [A, B, "elastic/9.1.2", D];
const PATHS: [&str; 6] = ["/x/1", "/x/2", "/x/3", "/m/a.zip", ZIP, "/linux/production/arch_x86_64/manifest.json"];

proptest! {
    #[test]
    fn whatever_comes_the_ring_stays_whole(turns in turns()) {
        let mut ring = Ring::new();
        for (count, turn) in turns.iter().enumerate() {
            ring.hours += turn.hours;
            let mut seen = BTreeSet::new();
            let version = u32::try_from(count).unwrap() + 1;
            let newcomers: Vec<Newcomer> = turn
                .newcomers
                .iter()
                .filter(|(feed, ..)| turn.retire != Some(*feed) && seen.insert(*feed))
                .map(|(feed, items, takes_paths)| {
                    let items: Vec<(&str, u32)> = items.iter().map(|(path, bytes)| (PATHS[*path], *bytes)).collect();
                    Newcomer { admitted: release(FEEDS[*feed], version, &items), takes_paths: *takes_paths }
                })
                .collect();
            let before = ring.generation.clone();
            let retire: Vec<&str> = turn.retire.iter().map(|feed| FEEDS[*feed]).collect();
            let made = ring.apply(&newcomers, &retire);
            whole(&ring)?;
            granted(&newcomers, &made)?;
            graceful(&before, &made, at(ring.hours))?;
        }
    }
}

/// Every item of every seated release is a route with its bytes, but where the operator let another feed take it.
fn whole(ring: &Ring) -> Result<(), TestCaseError> {
    let routes = &ring.generation.routes;
    for (feed, served) in &ring.generation.feeds {
        let release = ring.served[feed].release();
        prop_assert_eq!(served.release, release.id);
        for item in &release.items {
            let route = routes.get(&item.route);
            prop_assert!(route.is_some_and(|route| route.until.is_none()), "{} is missing", item.route);
            let taken = route.is_some_and(|route| route.feed != *feed);
            prop_assert!(taken || route.is_some_and(|route| route.digest == item.digest), "{}", item.route);
        }
        let back = served.back.and_then(|back| ring.all.iter().find(|admitted| admitted.release().id == back));
        prop_assert!(back.is_none_or(|back| back.release().vendor_version.version < release.vendor_version.version));
    }
    prop_assert_eq!(ring.generation.feeds.keys().collect::<Vec<_>>(), ring.served.keys().collect::<Vec<_>>());
    Ok(())
}

/// A newcomer that is seated without the operator's word has all that it names.
fn granted(newcomers: &[Newcomer], made: &Plan) -> Result<(), TestCaseError> {
    for newcomer in newcomers.iter().filter(|newcomer| !newcomer.takes_paths) {
        let release = newcomer.admitted.release();
        if made.held.iter().all(|(feed, _)| *feed != release.feed) {
            for item in &release.items {
                let found = made.generation.routes.get(&item.route).map(|route| route.digest);
                prop_assert_eq!(found, Some(item.digest), "{}", &item.route);
            }
        }
    }
    Ok(())
}

/// What was reachable is reachable still, has passed its grace, or gave its path to newer bytes.
fn graceful(before: &Generation, made: &Plan, now: Timestamp) -> Result<(), TestCaseError> {
    for (path, route) in before.routes.iter().filter(|(path, _)| !path.as_str().contains("_back/")) {
        match made.generation.routes.get(path) {
            Some(after) => prop_assert!(after.until.is_none_or(|until| until > now), "{}", path),
            None => prop_assert!(route.until.is_some_and(|until| until <= now), "{} left early", path),
        }
        if let Some(after) = made.generation.routes.get(path) {
            let later = after.since >= route.since.after(Duration::from_secs(1));
            prop_assert!(if after.digest == route.digest { after.since == route.since } else { later }, "{}", path);
        }
    }
    Ok(())
}
