//! The history answers for the past: what it tells of a moment is what was seen live at that moment.

use std::collections::BTreeMap;
use std::time::Duration;

use catalog::{Entry, EntryFilter, EntryKind, EntryOrder, FeedRecord, ReleaseFilter};
use mirror::{EngineError, Past};
use model::{FeedId, Finding, Outcome, ReleaseId, ReleaseState, ServedFeed, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use vendor_sim::{Change, DefenderChange, DefenderTarget, FaultRule, Kind, Step};

use crate::upstream::fault;
use crate::world::{DAY, ELASTIC, World};

/// What was so at a moment.
#[derive(Debug, PartialEq)]
struct Facts {
    records: Vec<FeedRecord>,
    ring: Option<(u64, BTreeMap<FeedId, ServedFeed>)>,
    releases: BTreeMap<ReleaseId, Kept>,
    findings: Vec<String>,
}

/// A release that is held.
#[derive(Debug, PartialEq)]
struct Kept {
    number: Option<u64>,
    state: ReleaseState,
    vendor_version: String,
    trust: String,
    held_since: Timestamp,
    vendor_time: Option<Timestamp>,
    files: Option<usize>,
    bytes: Option<u64>,
}

fn is_held(state: ReleaseState) -> bool {
    matches!(state, ReleaseState::Admitted | ReleaseState::Quarantined)
}

/// Ages go on by themselves, and a state begins a moment before its entry is written.
fn finding(finding: &Finding) -> String {
    let since = finding.since.at.as_micros() / 10_000_000;
    let ring = finding.ring.as_ref().map(ToString::to_string);
    format!(
        "{} {ring:?} {} {} {since} {:?} {:?}",
        finding.feed, finding.measure, finding.level, finding.since.source, finding.reason
    )
}

/// What is so now, by everything but the history.
async fn live(world: &World) -> Facts {
    let held = world.ports.catalog.releases(&ReleaseFilter::default()).await.unwrap();
    let releases = held.into_iter().filter(|found| is_held(found.state)).map(|found| {
        let release = &found.release;
        let kept = Kept {
            number: Some(found.number),
            state: found.state,
            vendor_version: release.vendor_version.to_string(),
            trust: release.verdict.trust.to_string(),
            held_since: release.held_since,
            vendor_time: release.vendor_time,
            files: Some(release.items.len()),
            bytes: Some(release.bytes()),
        };
        (release.id, kept)
    });
    let records = world.ports.catalog.feeds().await.unwrap();
    Facts {
        records: records.into_iter().map(|record| FeedRecord { validator: None, ..record }).collect(),
        ring: world.generation().await.map(|mut generation| {
            // What the ring remembers of releases, the history tells elsewhere.
            generation.feeds.values_mut().for_each(|served| served.remembers.clear());
            (generation.number, generation.feeds)
        }),
        releases: releases.collect(),
        findings: world.engine().status().await.unwrap().freshness.iter().map(finding).collect(),
    }
}

/// What the history tells.
fn told(past: &Past, world: &World) -> Facts {
    let releases = past.releases.iter().filter(|release| is_held(release.state)).map(|release| {
        let kept = Kept {
            number: release.number,
            state: release.state,
            vendor_version: release.vendor_version.to_string(),
            trust: release.trust.to_string(),
            held_since: release.held_since,
            vendor_time: release.vendor_time,
            files: release.files,
            bytes: release.bytes,
        };
        (release.id, kept)
    });
    let mut records: Vec<FeedRecord> = past.feeds.iter().map(|feed| feed.record.clone()).collect();
    records.sort_by(|a, b| a.feed.as_str().cmp(b.feed.as_str()));
    let mut findings: Vec<Finding> = past.freshness(&world.settings.freshness);
    findings.sort_by(|a, b| a.feed.cmp(&b.feed));
    Facts {
        records,
        ring: past.rings.get(&world.settings.ring).map(|ring| (ring.generation, ring.feeds.clone())),
        releases: releases.collect(),
        findings: findings.iter().map(finding).collect(),
    }
}

async fn agree(world: &World, moments: &[(Timestamp, Facts)], what: &str) {
    for (number, (at, facts)) in moments.iter().enumerate() {
        let past = world.engine().past(*at).await.unwrap();
        assert!(!past.out_of_order);
        assert_eq!(&told(&past, world), facts, "{what}, moment {number}, {at}");
    }
}

/// Looks, and lets time pass so that the next thing is later.
async fn look(world: &World, moments: &mut Vec<(Timestamp, Facts)>) {
    world.clock.advance(Duration::from_secs(60));
    moments.push((model::Clock::now(world.clock.as_ref()), live(world).await));
    world.clock.advance(DAY / 2);
}

async fn quarantined(world: &World) -> Option<String> {
    let waiting = world.engine().status().await.unwrap().quarantined;
    waiting.first().map(|release| release.number.to_string())
}

/// A month: a vendor that goes back, a quarantine that is rejected, one that is admitted, and a step back by the
/// operator's act, which is what keeps a ring at a release as long as there are no pins.
#[tokio::test]
async fn a_month_is_told_as_it_was_seen_live() {
    let world = World::new().await;
    let mut moments = Vec::new();
    world.sync().await;
    look(&world, &mut moments).await;
    let first = world.generation().await.unwrap().feeds[&ELASTIC.parse().unwrap()].release.to_string();
    for _ in 0..3 {
        world.publish();
        world.sync().await;
        look(&world, &mut moments).await;
        world.sync().await;
        world.clock.advance(DAY * 3);
    }
    // The vendor goes back; it is declined.
    world.sim.publish_elastic("9.0.0", Change::regress()).unwrap();
    world.sync().await;
    look(&world, &mut moments).await;
    let waiting = quarantined(&world).await.unwrap();
    world.engine().reject(&waiting, "the vendor says it was a mistake").await.unwrap();
    look(&world, &mut moments).await;
    // The vendor cannot be reached for a while, and then leaps; it is let in.
    world.inject(FaultRule::always(Kind::Manifest, fault("status-500")));
    world.sync().await;
    look(&world, &mut moments).await;
    world.sim.clear_faults();
    world.sim.publish_elastic("9.0.0", Change::leap()).unwrap();
    world.sync().await;
    look(&world, &mut moments).await;
    let waiting = quarantined(&world).await.unwrap();
    world.engine().admit(&waiting, "announced").await.unwrap();
    look(&world, &mut moments).await;
    // It was not good after all.
    world.may_go_back();
    world.engine().admit(&first, "broke endpoints").await.unwrap();
    look(&world, &mut moments).await;
    world.clock.advance(DAY * 2);
    world.engine().collect().await.unwrap();
    look(&world, &mut moments).await;
    agree(&world, &moments, "a month").await;

    let past = world.engine().past(moments[9].0).await.unwrap();
    let acts: Vec<(&str, Option<&str>)> = past.acts.iter().map(|act| (act.act.as_str(), act.why.as_deref())).collect();
    assert_eq!(
        acts,
        [
            ("reject", Some("the vendor says it was a mistake")),
            ("admit", Some("announced")),
            ("admit", Some("broke endpoints")),
            ("roll-back", Some("broke endpoints")),
        ]
    );
    // What lies before the first entry, or ahead, cannot be told.
    let start = world.history().await[0].at;
    for (at, words) in [(start.before(DAY), "before the first entry"), (start.after(DAY * 400), "ahead")] {
        let refused = world.engine().past(at).await.unwrap_err();
        assert!(matches!(&refused, EngineError::NoPast(text) if text.contains(words)), "{refused}");
    }
}

/// In any world, at any moment.
#[tokio::test]
async fn any_world_is_told_as_it_was_seen_live() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new().await;
        world.may_go_back();
        let mut moments = Vec::new();
        for step in 0..16 {
            let act = random.random_range(0..10);
            println!("step {step}: {act}");
            match act {
                0 => drop(world.sim.publish_elastic("9.0.0", Change::same_version())),
                1 => drop(world.sim.publish_elastic("9.0.0", Change::leap())),
                2 => drop(world.sim.publish_defender(DefenderTarget::All, DefenderChange::step(Step::Back(1)))),
                3 => world.inject(FaultRule::once(Kind::Manifest, fault("status-404"))),
                4 => drop(world.engine().collect().await),
                5 | 6 => {
                    let waiting = quarantined(&world).await.unwrap_or_else(|| "1".to_owned());
                    let engine = world.engine();
                    // Refused now and then, which is recorded as well.
                    let done = if act == 5 {
                        engine.admit(&waiting, "yes").await
                    } else {
                        engine.reject(&waiting, "no").await
                    };
                    println!("{done:?}");
                }
                _ => world.publish(),
            }
            if random.random_bool(0.8) {
                world.try_sync(&mirror::SyncRequest::default()).await.unwrap();
            }
            if world.history().await.iter().any(|entry| entry.kind == EntryKind::Check) {
                look(&world, &mut moments).await;
            }
            world.clock.advance(DAY * random.random_range(0..5));
        }
        agree(&world, &moments, &format!("seed {seed}")).await;
    }
}

/// An act that is refused is on record as well, with who asked, on what and why not.
#[tokio::test]
async fn refused_acts_are_recorded_a21() {
    let world = World::new().await;
    world.sync().await;
    let served = world.generation().await.unwrap().feeds.into_values().next().unwrap().release.to_string();
    let engine = world.engine();
    engine.admit("no such release \u{1b}[2J", "by mistake").await.unwrap_err();
    engine.admit(&served, "again").await.unwrap_err();
    engine.reject(&served, "not good").await.unwrap_err();
    let acts: Vec<Entry> = world.history().await.into_iter().filter(|entry| entry.kind == EntryKind::Act).collect();
    assert_eq!(acts.len(), 3);
    for (entry, (act, why)) in acts.iter().zip([("admit", "by mistake"), ("admit", "again"), ("reject", "not good")]) {
        let data: serde_json::Value = serde_json::from_str(&entry.data).unwrap();
        assert_eq!((data["act"].as_str(), data["why"].as_str()), (Some(act), Some(why)), "{data}");
        assert!(data["refused"].is_string() && data["detail"].is_string(), "{data}");
    }
    assert_eq!(catalog::verify_chain(world.ports.catalog.as_ref()).await.unwrap().at, Some(acts[2].at));
}

/// Old history goes, what is told of what is left stays the same, and no clock that jumps takes anything.
#[tokio::test]
async fn old_history_goes_and_what_is_left_is_told_as_before() {
    let mut world = World::new().await;
    for keep in [&mut world.settings.keep_elastic, &mut world.settings.keep_defender] {
        keep.age = DAY * 3;
    }
    let keep = DAY * 30;
    let mut moments = Vec::new();
    for _ in 0..16 {
        world.publish();
        world.sync().await;
        look(&world, &mut moments).await;
        world.clock.advance(DAY * 4);
        world.engine().collect().await.unwrap();
    }
    assert_eq!(world.engine().prune_history(DAY * 60).await.unwrap(), None, "nothing is so old");
    let records = world.ports.catalog.releases(&ReleaseFilter::default()).await.unwrap().len();
    let report = world.engine().prune_history(keep).await.unwrap().unwrap();
    let proven = catalog::prove_chain(world.ports.catalog.as_ref(), &mut |_| ()).await.unwrap();
    assert_eq!(proven.anchor, Some(report.through));
    let begins = proven.since.unwrap();
    let age = model::Clock::now(world.clock.as_ref()).since(begins);
    assert!(age > DAY * 24 && age <= keep + DAY, "kept: {} days", age.as_secs() / 86_400);
    let left = world.ports.catalog.releases(&ReleaseFilter::default()).await.unwrap().len();
    assert_eq!((records - left, report.releases > 0), (report.releases, true));
    // What lies before cannot be told, and it is said why; the rest is told as before.
    let (gone, kept): (Vec<_>, Vec<_>) = moments.into_iter().partition(|(at, _)| *at < begins);
    let refused = world.engine().past(gone[0].0).await.unwrap_err();
    assert!(refused.to_string().contains("[history] keep"), "{refused}");
    assert!(kept.len() > 3);
    agree(&world, &kept, "after letting go").await;
    assert_eq!(world.engine().prune_history(keep).await.unwrap(), None, "a month lies together before the next");
    // Carried entries are as they were.
    let carried = EntryFilter { kinds: vec![EntryKind::Carried], ..EntryFilter::default() };
    let carried = world.ports.catalog.entries(&carried, EntryOrder::OldestFirst, 999).await.unwrap();
    assert_eq!(carried.len(), report.carried);
    for entry in carried {
        let data: serde_json::Value = serde_json::from_str(&entry.data).unwrap();
        let inner: Entry = serde_json::from_value(data["entry"].clone()).unwrap();
        assert_eq!(catalog::chain_digest(&inner), inner.digest);
    }
    // And again, later.
    for _ in 0..8 {
        world.sync().await;
        world.clock.advance(DAY * 5);
    }
    let again = world.engine().prune_history(keep).await.unwrap().unwrap();
    assert!(again.through.seq > report.through.seq);
    catalog::verify_chain(world.ports.catalog.as_ref()).await.unwrap();
    world.sync().await;
}

#[tokio::test]
async fn a_clock_that_jumps_lets_no_history_go_s28() {
    let world = World::new().await;
    world.sync().await;
    for jump in [DAY * 365, DAY * 365 * 80] {
        world.clock.advance(jump);
        for _ in 0..3 {
            world.sync().await;
            assert_eq!(world.engine().prune_history(DAY * 30).await.unwrap(), None);
        }
        world.clock.set_back(jump);
        world.sync().await;
        assert_eq!(world.engine().prune_history(DAY * 30).await.unwrap(), None);
    }
    let past = world.engine().past(model::Clock::now(world.clock.as_ref())).await.unwrap();
    assert!(past.out_of_order, "it is said that the clock moved");
    assert!(past.feeds.iter().all(|feed| feed.record.outcome != Outcome::Failed));
}
