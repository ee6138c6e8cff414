//! Faults below HTTP, and lines that are not good.

use std::time::Duration;

use model::Outcome::{Failed, Published};
use model::Reason;
use origin::RetryPolicy;
use outbound::Limits;
use vendor_sim::tls::{CertificateFault, Identity, TlsFault, TlsFront};
use vendor_sim::{FaultRule, Kind, Manner, Pattern, Relay};

use crate::upstream::{fault, on};
use crate::world::{DEFENDER, ELASTIC, Front, OTHER, World, ended, line};

/// Lies that one attempt is enough to see.
const LIES: [&str; 31] = [
    "huge-header",
    "many-headers",
    "endless-header",
    "garbage-head",
    "chunk-bad-hex",
    "chunk-negative",
    "chunk-too-big",
    "chunk-missing-crlf",
    "chunk-huge-extension",
    "chunk-trailer-flood",
    "chunk-no-end",
    "chunk-long-size",
    "chunk-size-with-sign",
    "chunk-size-in-0x",
    "length-and-chunked",
    "two-lengths",
    "length-plus",
    "length-list",
    "length-hex",
    "length-2-63",
    "length-2-64",
    "length-folded",
    "chunked-twice",
    "chunked-then-identity",
    "answered-twice",
    "version-0.9",
    "version-3.0",
    "nul-in-head",
    "http2-unasked",
    "http2-upgrade",
    "half-closed",
];

/// One attempt, and limits that a test can wait for where a lie never ends; answers what was before.
fn hurry(world: &mut World) -> (Limits, RetryPolicy) {
    let patient = (world.limits, world.retry);
    world.limits.pause = Duration::from_secs(1);
    world.retry.attempts = 1;
    patient
}

#[tokio::test]
async fn framing_that_lies_brings_nothing_u02_u27_u28_u29_u30_u50() {
    let mut world = World::new().await;
    world.sync().await;
    let patient = hurry(&mut world);
    for name in LIES {
        world.publish();
        let before = (world.serves(ELASTIC).await, world.serves(DEFENDER).await);
        world.inject(FaultRule::always(on("manifest"), fault(name)));
        world.inject(FaultRule::always(Kind::Archive, fault(name)));
        let report = world.sync().await;
        for feed in [ELASTIC, DEFENDER] {
            let found = line(&report, feed);
            let fits = matches!(
                found.reason,
                Some(
                    Reason::BadResponse
                        | Reason::ShortBody
                        | Reason::EncodedBody
                        | Reason::ConnectFailed
                        | Reason::UnexpectedStatus
                        | Reason::NotFound
                        | Reason::Stalled
                        | Reason::TooLarge
                )
            );
            assert!(found.outcome == Failed && fits, "{name}: {found:#?}");
        }
        ended(&report, OTHER, Published, None);
        assert_eq!((world.serves(ELASTIC).await, world.serves(DEFENDER).await), before, "I5: {name}");
        world.sim.clear_faults();
    }
    (world.limits, world.retry) = patient;
    world.converges().await;
}

#[tokio::test]
async fn framing_that_lies_about_an_artifact_publishes_nothing_of_its_release_u13_u27_u28_u29_u30() {
    let mut world = World::new().await;
    world.sync().await;
    let patient = hurry(&mut world);
    for name in LIES {
        world.publish();
        let before = world.serves(ELASTIC).await;
        world.inject(FaultRule::always(Kind::Artifact(0), fault(name)));
        let report = world.sync().await;
        assert_eq!(line(&report, ELASTIC).outcome, Failed, "{name}: {report:#?}");
        assert_eq!(world.serves(ELASTIC).await, before, "I5: {name}");
        ended(&report, DEFENDER, Published, None);
        world.sim.clear_faults();
    }
    (world.limits, world.retry) = patient;
    world.converges().await;
}

#[tokio::test]
async fn headers_of_ill_will_and_clocks_that_are_off_change_nothing_u33_u54() {
    let world = World::new().await;
    for name in ["hostile-headers", "date-year-ahead", "date-year-behind"] {
        world.publish();
        world.inject(FaultRule::always(Pattern::Any, fault(name)));
        let began = world.generation().await.map(|generation| generation.at);
        let report = world.sync().await;
        for feed in [ELASTIC, OTHER, DEFENDER] {
            ended(&report, feed, Published, None);
        }
        assert_eq!(world.tree().await, world.unfaulted().await, "{name}");
        // Our own clock says when.
        let at = world.generation().await.unwrap().at;
        assert!(began.is_none_or(|began| at.since(began) < Duration::from_secs(3600)), "{name}");
        world.sim.clear_faults();
    }
    assert_eq!(world.sync().await.exit_code(), 0);
}

/// A world whose vendors lie behind a line, and all that it fetches without faults.
async fn behind(manner: Manner) -> (World, Relay, u64) {
    let mut world = World::new().await;
    let line = Relay::start(world.sim.address(), Manner::default()).unwrap();
    world.front = Some(Front { address: line.address(), ca_pem: None });
    world.sync().await;
    world.publish();
    world.sim.reset_counters();
    world.unfaulted().await;
    let content = line.carried();
    line.set_manner(manner);
    (world, line, content)
}

#[tokio::test]
async fn a_line_that_comes_and_goes_brings_it_all_in_the_end_u58() {
    let millis = Duration::from_millis;
    let (mut world, line, content) = behind(Manner { flap: Some((millis(60), millis(30))), ..Manner::default() }).await;
    world.retry.attempts = 6;
    let before = line.carried();
    let mut runs = 0;
    while world.sync().await.exit_code() != 0 {
        runs += 1;
        assert!(runs < 200, "the line is up for two thirds of the time");
    }
    line.set_manner(Manner::default());
    assert_eq!(world.tree().await, world.unfaulted().await);
    // Whole files of this size are begun anew; what was held is not fetched again.
    let carried = line.carried() - before;
    assert!(carried <= 3 * content, "{carried} bytes for {content}");
}

#[tokio::test]
async fn a_line_that_loses_a_fifth_u58() {
    for manner in [
        Manner { lost_percent: 20, again: Duration::from_millis(10), ..Manner::default() },
        Manner { refused_percent: 20, ..Manner::default() },
    ] {
        let (mut world, line, content) = behind(manner).await;
        world.retry.attempts = 6;
        let before = line.carried();
        let report = world.sync().await;
        assert_eq!(report.exit_code(), 0, "{manner:?}: {report:#?}");
        let carried = line.carried() - before;
        assert!(carried <= 2 * content, "{manner:?}: {carried} bytes for {content}");
        line.set_manner(Manner::default());
        assert_eq!(world.tree().await, world.unfaulted().await, "{manner:?}");
    }
}

#[tokio::test]
async fn a_line_of_64_kbit_ends_or_fails_by_its_deadline_u58() {
    let slow = Manner { bytes_per_second: Some(8 << 10), ..Manner::default() };
    let (mut world, line, _) = behind(slow).await;
    world.settings.feeds.truncate(1);
    // New artifacts of 2 KiB on connections of their own: a second's worth at most.
    ended(&world.sync().await, ELASTIC, Published, None);
    world.publish();
    world.limits.total = Duration::from_millis(50);
    world.retry.attempts = 1;
    let before = world.tree().await;
    ended(&world.sync().await, ELASTIC, Failed, Some(Reason::Deadline));
    assert_eq!(world.tree().await, before);
    line.set_manner(Manner::default());
}

#[tokio::test]
async fn a_line_that_says_nothing_and_one_that_always_breaks_fail_loudly_u25_u58() {
    let (mut world, line, _) = behind(Manner { silent: true, ..Manner::default() }).await;
    world.limits.head = Duration::from_millis(200);
    world.retry.attempts = 1;
    let before = world.tree().await;
    let report = world.sync().await;
    assert!(report.feeds.iter().all(|feed| feed.reason == Some(Reason::Timeout)), "{report:#?}");
    line.set_manner(Manner { reset_after: Some(700), ..Manner::default() });
    let report = world.sync().await;
    assert!(report.feeds.iter().all(|feed| feed.outcome == Failed), "{report:#?}");
    assert_eq!(world.tree().await, before);
    line.set_manner(Manner::default());
    world.front = None;
    world.converges().await;
}

#[tokio::test]
async fn a_certificate_that_goes_bad_stops_the_feed_and_takes_nothing_away_u46() {
    let mut world = World::new().await;
    world.settings.feeds.truncate(2);
    let good = Identity::new(CertificateFault::Good).unwrap();
    let front = TlsFront::start(world.sim.address(), &good, TlsFault::None).unwrap();
    world.front = Some(Front { address: front.address(), ca_pem: Some(good.trusted_pem().to_owned()) });
    ended(&world.sync().await, ELASTIC, Published, None);
    let before = world.tree().await;
    for fault in CertificateFault::BAD {
        // It is asked for by its address, which this one is for.
        if fault == CertificateFault::AddressAlone {
            continue;
        }
        world.publish();
        let bad = Identity::new(fault).unwrap();
        let front = TlsFront::start(world.sim.address(), &bad, TlsFault::None).unwrap();
        world.front = Some(Front { address: front.address(), ca_pem: Some(bad.trusted_pem().to_owned()) });
        let report = world.sync().await;
        for feed in [ELASTIC, OTHER] {
            ended(&report, feed, Failed, Some(Reason::TlsFailed));
        }
        assert_eq!(world.tree().await, before, "{fault:?}");
    }
    world.front = Some(Front { address: front.address(), ca_pem: Some(good.trusted_pem().to_owned()) });
    let report = world.sync().await;
    ended(&report, ELASTIC, Published, None);
    assert_ne!(world.tree().await, before);
}
