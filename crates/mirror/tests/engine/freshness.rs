//! How old everything is while time passes, vendors stop, and clocks jump.

use std::time::Duration;

use mirror::Status;
use model::Outcome::{Current, Held, Quarantined};
use model::{Finding, Level, Measure, Reason, TimeSource};
use vendor_sim::{Change, DefenderChange, DefenderTarget, FaultRule, Pattern};

use crate::upstream::fault;
use crate::world::{DAY, DEFENDER, ELASTIC, OTHER, World, ended};

/// Vendors that published an hour ago.
async fn synced() -> World {
    let world = World::new().await;
    assert_eq!(world.sync().await.exit_code(), 0);
    world
}

async fn status(world: &World) -> Status {
    world.engine().status().await.unwrap()
}

/// What was found about a feed.
async fn found(world: &World, feed: &str, measure: Measure) -> Finding {
    let all = status(world).await.freshness;
    all.into_iter().find(|finding| finding.feed.as_str() == feed && finding.measure == measure).unwrap()
}

/// Everything that is not fine: feed, measure, level and reason.
async fn late(world: &World) -> Vec<(String, Measure, Level, Option<Reason>)> {
    let late = status(world).await.freshness.into_iter().filter(|finding| finding.level > Level::Fine);
    late.map(|finding| (finding.feed.to_string(), finding.measure, finding.level, finding.reason)).collect()
}

fn of_all(measure: Measure, level: Level, reason: Reason) -> Vec<(String, Measure, Level, Option<Reason>)> {
    [OTHER, ELASTIC, DEFENDER].map(|feed| (feed.to_owned(), measure, level, Some(reason))).to_vec()
}

/// Every check finds things in order, and what is held gets old all the same.
#[tokio::test]
async fn u41_a_frozen_vendor_is_told_from_a_mirror_that_does_not_look() {
    let world = synced().await;
    let mut seen = Vec::new();
    for day in 1..=8 {
        world.clock.advance(DAY);
        ended(&world.sync().await, ELASTIC, Current, None);
        seen.push((day, status(&world).await.level()));
        if day == 6 {
            assert_eq!(late(&world).await, of_all(Measure::Age, Level::Warn, Reason::VendorSilent));
        }
    }
    let expected: Vec<(i32, Level)> = (1..=8)
        .map(|day| {
            (
                day,
                if day < 5 {
                    Level::Fine
                } else if day < 7 {
                    Level::Warn
                } else {
                    Level::Fail
                },
            )
        })
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(late(&world).await, of_all(Measure::Age, Level::Fail, Reason::VendorSilent), "it did look");
    // Anything new ends it.
    world.publish();
    assert_eq!(world.sync().await.exit_code(), 0);
    let left: Vec<_> = late(&world).await.into_iter().map(|(feed, ..)| feed).collect();
    assert_eq!(left, [DEFENDER], "whose new release is dated four hours after the first, a week ago");
}

#[tokio::test]
async fn a_mirror_that_did_not_look_says_nothing_of_the_vendor() {
    let world = synced().await;
    world.clock.advance(DAY * 6);
    for (feed, measure, level, reason) in late(&world).await {
        let expected = if measure == Measure::Check { Level::Fail } else { Level::Warn };
        assert_eq!((level, reason), (expected, Some(Reason::NotChecked)), "{feed} {measure}");
    }
    assert_eq!(late(&world).await.len(), 6);
    world.sync().await;
    assert!(late(&world).await.iter().all(|late| late.3 == Some(Reason::VendorSilent)), "asked, it is the vendor");
}

#[tokio::test]
async fn u11_a_vendor_that_fails_for_ever_is_not_checked() {
    let world = synced().await;
    world.inject(FaultRule::always(Pattern::Any, fault("status-503")));
    for _ in 0..6 {
        world.clock.advance(DAY);
        assert_ne!(world.sync().await.exit_code(), 0);
    }
    let finding = found(&world, ELASTIC, Measure::Check).await;
    assert_eq!((finding.level, finding.reason), (Level::Fail, Some(Reason::NotChecked)));
    assert_eq!((finding.since.source, finding.age_seconds / 86_400), (TimeSource::LastSuccess, 6));
}

#[tokio::test]
async fn what_waits_for_a_person_is_old_content() {
    let world = synced().await;
    for _ in 0..6 {
        world.clock.advance(DAY);
        world.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
        world.sim.publish_elastic("9.0.0", Change::leap()).unwrap();
        ended(&world.sync().await, ELASTIC, Quarantined, Some(Reason::VersionLeap));
    }
    for measure in [Measure::Check, Measure::Age] {
        let finding = found(&world, ELASTIC, measure).await;
        assert_eq!(finding.reason, Some(Reason::ContentOld), "{measure}");
    }
    let release = status(&world).await.quarantined.first().unwrap().number.to_string();
    world.seen.lock().unwrap().taken = true;
    world.engine().admit(&release, "it is right").await.unwrap();
    world.sync().await;
    assert_eq!(found(&world, ELASTIC, Measure::Check).await.level, Level::Fine);
}

#[tokio::test]
async fn a_release_that_waits_for_a_path_leaves_its_ring_behind() {
    let world = synced().await;
    assert_eq!(found(&world, ELASTIC, Measure::Lag).await.level, Level::Fine);
    let mut world = crate::decisions::fixed().await;
    world.settings.freshness.elastic.age.warn = DAY * 90;
    world.sim.publish_elastic("9.0.0", Change::of(1)).unwrap();
    for _ in 0..4 {
        ended(&world.sync().await, ELASTIC, Held, Some(Reason::PathConflict));
        world.clock.advance(DAY);
    }
    let finding = found(&world, ELASTIC, Measure::Lag).await;
    assert_eq!(
        (finding.level, finding.reason, finding.age_seconds / 86_400),
        (Level::Fail, Some(Reason::RingBehind), 4)
    );
    assert_eq!(finding.ring.as_ref(), Some(&world.settings.ring));
}

/// Going back is the operator's act, not a lag, however far back it goes.
#[tokio::test]
async fn a_ring_that_was_rolled_back_is_not_behind() {
    let world = synced().await;
    world.publish();
    world.sync().await;
    world.publish();
    world.sync().await;
    world.may_go_back();
    world.engine().admit("1", "the newer ones break things").await.unwrap();
    world.clock.advance(DAY * 4);
    let all = status(&world).await.freshness;
    assert!(
        all.iter().filter(|finding| finding.measure == Measure::Lag).all(|lag| lag.level == Level::Fine),
        "{all:?}"
    );
}

/// I14: what was old before the clock was set back does not get fresh by it, also when checks go on under the new time.
#[tokio::test]
async fn s28_a_clock_set_back_makes_nothing_fresh() {
    let failing = synced().await;
    failing.inject(FaultRule::always(Pattern::Any, fault("status-503")));
    failing.clock.advance(DAY * 6);
    failing.sync().await;
    for jump in [DAY * 3, DAY * 365] {
        failing.clock.set_back(jump);
        failing.sync().await;
        let finding = found(&failing, ELASTIC, Measure::Check).await;
        assert_eq!((finding.age_seconds / 86_400, finding.reason), (6, Some(Reason::NotChecked)), "{jump:?}");
    }
    let silent = synced().await;
    for _ in 0..6 {
        silent.clock.advance(DAY);
        silent.sync().await;
    }
    silent.clock.set_back(DAY * 5);
    let doubted = of_all(Measure::Age, Level::Warn, Reason::ClockJumped);
    for _ in 0..4 {
        silent.sync().await;
        assert_eq!(late(&silent).await, doubted, "it was asked in order; how old the offer is cannot be told");
        silent.clock.advance(DAY);
    }
    silent.clock.advance(DAY);
    silent.sync().await;
    assert_eq!(
        late(&silent).await,
        of_all(Measure::Age, Level::Warn, Reason::VendorSilent),
        "the clock is there again"
    );
    silent.clock.set_back(DAY * 5);
    silent.sync().await;
    silent.publish();
    silent.sync().await;
    assert_eq!(status(&silent).await.level(), Level::Fine, "a new offer is as old as its first check");
}

/// I14: whichever way the clock jumps, nothing stale looks fresh, and a check in order ends the doubt.
#[tokio::test]
async fn s28_jumps_of_the_clock_are_told_and_heal() {
    for jump in [Duration::from_secs(3600), DAY * 365, DAY * 365 * 50] {
        let world = synced().await;
        world.clock.set_back(jump);
        let told = late(&world).await;
        let of_check: Vec<_> = told.iter().filter(|late| late.1 == Measure::Check).collect();
        assert_eq!(of_check.len(), 3, "{jump:?}: {told:?}");
        assert!(of_check.iter().all(|late| late.3 == Some(Reason::ClockJumped)), "{jump:?}: {told:?}");
        world.sync().await;
        let finding = found(&world, ELASTIC, Measure::Check).await;
        assert_eq!(finding.level, Level::Fine, "{jump:?}: asked anew, it is known");
    }
    let world = synced().await;
    world.clock.advance(DAY * 365);
    assert_eq!(status(&world).await.level(), Level::Fail, "a year ahead, all is old");
    world.sync().await;
    world.clock.set_back(DAY * 365);
    assert_eq!(found(&world, ELASTIC, Measure::Check).await.reason, Some(Reason::ClockJumped));
    world.sync().await;
    assert_eq!(late(&world).await, of_all(Measure::Age, Level::Warn, Reason::ClockJumped));
    world.publish();
    world.sync().await;
    assert_eq!(status(&world).await.level(), Level::Fine);
}

#[tokio::test]
async fn a_feed_that_was_never_tried_ages_from_when_the_configuration_was_recorded_u41() {
    let world = World::new().await;
    world.clock.advance(DAY * 400);
    let unused = late(&world).await;
    for feed in [OTHER, ELASTIC, DEFENDER] {
        let never = (feed.to_owned(), Measure::Check, Level::Warn, Some(Reason::NotChecked));
        assert!(unused.contains(&never), "nothing was ever checked, and nothing is on record: {unused:#?}");
    }
    let kept = mirror::KeptConfig { digest: model::Digest::of(b"x"), settings: None };
    world.engine().record_config(&kept, &[], "start of run").await.unwrap();
    assert!(late(&world).await.is_empty(), "a fresh installation is given its time");
    world.clock.advance(DAY * 60);
    let found = late(&world).await;
    for feed in [OTHER, ELASTIC, DEFENDER] {
        let expected = (feed.to_owned(), Measure::Check, Level::Fail, Some(Reason::NotChecked));
        assert!(found.contains(&expected), "{found:#?}");
    }
    assert_eq!(status(&world).await.level(), Level::Fail);
}
