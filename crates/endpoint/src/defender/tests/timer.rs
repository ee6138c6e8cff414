use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use model::Clock as _;

use super::world::{World, agent, definitions, offline, versions};
use crate::defender::{Agent, Assumptions, Due, Enforcement, Idle, Managed, Platform, Tick, Waiting, due, run};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_interval_after_the_last_attempt_good_or_bad() {
    let world = World::new();
    let managed = world.managed(&offline(""));
    let record = |world: &World| world.endpoint.store.record().unwrap();
    assert_eq!(due(&managed, &record(&world), world.clock.now()), Due::Now);
    // Nothing listens: the attempt fails, and counts.
    assert!(!world.update(&offline("")).await.is_good());
    assert_eq!(due(&managed, &record(&world), world.clock.now()), Due::In(8 * HOUR));
    world.clock.go(8 * HOUR);
    assert_eq!(due(&managed, &record(&world), world.clock.now()), Due::Now);
    world.clock.back(100 * HOUR);
    assert_eq!(due(&managed, &record(&world), world.clock.now()), Due::Now, "a clock put back stops nothing");
}

#[test]
fn a_default_agent_on_linux_does_nothing_by_itself() {
    let world = World::new();
    let record = world.endpoint.store.record().unwrap();
    let now = world.clock.now();
    let passive = world.managed("{}");
    assert_eq!(due(&passive, &record, now), Due::Never(Idle::Enforcement(Enforcement::Passive)));
    let mac = Agent { platform: Platform::Mac, ..agent("101.26062.0007") };
    let there = r#"{"antivirusEngine":{"enforcementLevel":"passive"}}"#;
    let there = Managed::read(there.as_bytes(), &mac, &Assumptions::default()).unwrap();
    assert_eq!(due(&there, &record, now), Due::Now, "the macOS page has no such condition");
    let off = r#"{"antivirusEngine":{"enforcementLevel":"real_time"},
        "cloudService":{"automaticDefinitionUpdateEnabled":false}}"#;
    assert_eq!(due(&world.managed(off), &record, now), Due::Never(Idle::Automatic));
}

/// Settings one after the other; time goes as it is waited for.
struct Script {
    settings: VecDeque<Result<Managed, String>>,
    told: Vec<Tick>,
    clock: std::sync::Arc<crate::case::FakeClock>,
    waited: Duration,
    end: Duration,
}

#[async_trait]
impl Waiting for Script {
    fn settings(&mut self) -> Result<Managed, String> {
        if self.settings.len() > 1 { self.settings.pop_front().unwrap() } else { self.settings[0].clone() }
    }

    fn told(&mut self, tick: &Tick) {
        self.told.push(tick.clone());
    }

    async fn wait(&mut self, span: Duration) -> bool {
        self.clock.go(span);
        self.waited += span;
        self.waited < self.end
    }
}

#[tokio::test]
async fn the_timer_follows_the_settings_as_they_change() {
    let world = World::new();
    world.mirror_has(&definitions("a"), &versions("1.459.1.0"));
    let mut script = Script {
        settings: [Ok(world.managed("{}")), Err("no JSON".to_owned()), Ok(world.managed(&offline("")))].into(),
        told: Vec::new(),
        clock: world.clock.clone(),
        waited: Duration::ZERO,
        end: 17 * HOUR,
    };
    run(&world.endpoint, &mut script).await.unwrap();
    let updates = script.told.iter().filter(|tick| matches!(tick, Tick::Updated(report) if report.is_good())).count();
    assert_eq!(updates, 3, "at once, after eight hours, after sixteen: {:?}", script.told);
    assert!(matches!(script.told[0], Tick::Idle(_)), "{:?}", script.told);
    assert!(script.told.iter().any(|tick| matches!(tick, Tick::BadSettings(why) if why == "no JSON")));
    // Begun again with a set that is fresh: it says at once for how long it waits.
    let managed = world.managed(&offline(""));
    let mut again =
        Script { settings: [Ok(managed)].into(), told: Vec::new(), waited: Duration::ZERO, end: HOUR, ..script };
    run(&world.endpoint, &mut again).await.unwrap();
    assert!(matches!(again.told.as_slice(), [Tick::Waiting(_)]), "{:?}", again.told);
}

/// Another process holds the state for a while.
struct Held {
    script: Script,
    lock: Option<platform::lock::FileLock>,
    until: Duration,
}

#[async_trait]
impl Waiting for Held {
    fn settings(&mut self) -> Result<Managed, String> {
        self.script.settings()
    }

    fn told(&mut self, tick: &Tick) {
        self.script.told(tick);
    }

    async fn wait(&mut self, span: Duration) -> bool {
        if self.script.waited >= self.until {
            self.lock = None;
        }
        self.script.wait(span).await
    }
}

#[tokio::test]
async fn an_update_by_hand_at_that_moment_ends_no_timer_s23() {
    let world = World::new();
    world.mirror_has(&definitions("a"), &versions("1.459.1.0"));
    let script = Script {
        settings: [Ok(world.managed(&offline("")))].into(),
        told: Vec::new(),
        clock: world.clock.clone(),
        waited: Duration::ZERO,
        end: HOUR,
    };
    let lock = world.endpoint.store.lock(world.clock.as_ref()).unwrap();
    let mut held = Held { script, lock: Some(lock), until: Duration::from_secs(60) };
    run(&world.endpoint, &mut held).await.unwrap();
    let told = &held.script.told;
    assert!(matches!(&told[0], Tick::Busy(why) if why.contains("is in use")), "{told:?}");
    assert!(matches!(&told[1], Tick::Updated(report) if report.is_good()), "told once, tried again: {told:?}");
    assert!(matches!(&told[2..], [Tick::Waiting(_)]), "{told:?}");
}
