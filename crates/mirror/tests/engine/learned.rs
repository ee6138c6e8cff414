//! What is followed because it was asked for.

use std::sync::{Arc, Mutex};

use mirror::{Engine, Learned, Silent, SyncRequest};
use model::{Checked, FeedId, ItemKind, Note, Outcome, Reason};
use vendor_sim::{Fault, FaultRule, Pattern, Point};
use vendors::elastic::{Forwarded, ForwardedPath};

use crate::world::{ELASTIC, OTHER, World, ended, id, line};

#[derive(Default)]
struct Known {
    feeds: Option<Vec<FeedId>>,
    dated: Vec<String>,
    forwarded: Vec<String>,
    serial: u64,
    proven: Vec<String>,
    /// There is no room for these.
    shut_out: Vec<FeedId>,
}

/// What was learned, as a test says it.
#[derive(Default)]
struct Notes(Mutex<Known>);

impl Notes {
    fn of(feeds: &[&str]) -> Arc<Self> {
        let notes = Self::default();
        notes.0.lock().unwrap().feeds = Some(feeds.iter().map(|feed| id(feed)).collect());
        Arc::new(notes)
    }

    fn set(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Learned for Notes {
    fn feeds(&self) -> Option<Vec<FeedId>> {
        self.0.lock().unwrap().feeds.clone()
    }

    fn furnish(&self, settings: &mut vendors::Settings) {
        let known = self.0.lock().unwrap();
        settings.elastic.dated_templates = [known.proven.clone(), known.dated.clone()].concat();
        let path = |path: &String| ForwardedPath {
            route: path.parse().unwrap(),
            held: None,
            brought: None,
            kind: ItemKind::Artifact,
        };
        let paths = known.forwarded.iter().map(path).collect();
        settings.elastic.forwarded = Forwarded { serial: known.serial, paths, cap: 1 << 20 };
    }

    fn offered(&self, feed: &FeedId) -> Result<(), Note> {
        let shut_out = self.0.lock().unwrap().shut_out.contains(feed);
        if shut_out { Err(Note { reason: Reason::LearnedFull, detail: "no room".to_owned() }) } else { Ok(()) }
    }

    fn is_proven(&self, place: &str) -> bool {
        self.0.lock().unwrap().proven.iter().any(|known| known == place)
    }

    fn proved(&self, place: &str) {
        self.0.lock().unwrap().proven.push(place.to_owned());
    }
}

fn engine(world: &World, notes: &Arc<Notes>) -> Engine {
    world.engine().with_learned(Arc::clone(notes) as Arc<dyn Learned>)
}

async fn sync(world: &World, notes: &Arc<Notes>, feeds: &[&str]) -> mirror::SyncReport {
    let feeds = feeds.iter().map(|feed| id(feed)).collect();
    let request = SyncRequest { feeds, tentative: true, ..SyncRequest::default() };
    engine(world, notes).sync(&request, Arc::new(Silent)).await.unwrap()
}

/// A world that follows one version by its configuration.
async fn following_one() -> World {
    let mut world = World::new().await;
    world.settings.feeds = vec![id(ELASTIC)];
    world.sync().await;
    world
}

#[tokio::test]
async fn what_was_learned_is_followed_and_leaves_when_it_is_forgotten() {
    let world = following_one().await;
    let notes = Notes::of(&[OTHER]);
    ended(&sync(&world, &notes, &[]).await, OTHER, Outcome::Published, None);
    world.walk().await;
    let plan = || async { engine(&world, &notes).plan_collection().await.unwrap().retired };
    assert!(plan().await.is_empty());
    notes.set(|known| known.feeds = None);
    assert!(plan().await.is_empty(), "what cannot be told lets nothing go");
    notes.set(|known| known.feeds = Some(Vec::new()));
    assert_eq!(plan().await, [id(OTHER)]);
}

#[tokio::test]
async fn what_somebody_merely_asked_for_leaves_no_record_i6() {
    let world = following_one().await;
    let notes = Notes::of(&["elastic/7.7.7"]);
    let before = world.history().await.len();
    ended(&sync(&world, &notes, &["elastic/7.7.7"]).await, "elastic/7.7.7", Outcome::Failed, Some(Reason::NotFound));
    assert_eq!(world.history().await.len(), before);
    assert_eq!(world.ports.catalog.feed(&id("elastic/7.7.7")).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_that_was_asked_for_while_the_vendor_was_down_leaves_no_record_i6() {
    let world = following_one().await;
    let notes = Notes::of(&["elastic/7.7.7"]);
    for fault in [Fault::Status(503), Fault::Reset(Point::BeforeHead), Fault::Html] {
        world.sim.inject(FaultRule::always(Pattern::Target("7.7.7".to_owned()), fault.clone()));
        let report = sync(&world, &notes, &["elastic/7.7.7"]).await;
        assert_eq!(line(&report, "elastic/7.7.7").outcome, Outcome::Failed, "{fault:?}");
        assert_eq!(world.ports.catalog.feed(&id("elastic/7.7.7")).await.unwrap(), None, "{fault:?}");
        world.sim.clear_faults();
    }
    // What the vendor has is followed from then on, and what goes wrong with it is on record.
    let own = world.sim.elastic_release("8.18.3").unwrap().artifacts.last().unwrap().relative_url.clone();
    world.sim.inject(FaultRule::always(Pattern::Target(own), Fault::Status(404)));
    let notes = Notes::of(&[OTHER]);
    assert_eq!(line(&sync(&world, &notes, &[OTHER]).await, OTHER).outcome, Outcome::Failed);
    assert!(world.ports.catalog.feed(&id(OTHER)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_followed_for_a_while_and_never_had_is_not_told_any_more_i6() {
    let world = following_one().await;
    let notes = Notes::of(&["elastic/7.7.7", OTHER]);
    let request = SyncRequest::default();
    engine(&world, &notes).sync(&request, Arc::new(Silent)).await.unwrap();
    let told = || async {
        let status = engine(&world, &notes).status().await.unwrap();
        status.feeds.iter().map(|feed| feed.feed.to_string()).collect::<Vec<_>>()
    };
    assert!(told().await.contains(&"elastic/7.7.7".to_owned()));
    notes.set(|known| known.feeds = Some(Vec::new()));
    assert_eq!(told().await.len(), 2, "what is followed, and what is served still");
}

#[tokio::test]
async fn what_finds_no_room_is_not_fetched_published_or_recorded_i6() {
    let world = following_one().await;
    let notes = Notes::of(&[OTHER]);
    notes.set(|known| known.shut_out = vec![id(OTHER)]);
    world.sim.reset_counters();
    ended(&sync(&world, &notes, &[OTHER]).await, OTHER, Outcome::Failed, Some(Reason::LearnedFull));
    assert_eq!(world.sim.requests().requests, 1, "its manifest alone was read");
    assert_eq!(world.serves(OTHER).await, None);
    assert_eq!(world.ports.catalog.feed(&id(OTHER)).await.unwrap(), None);
}

#[tokio::test]
async fn a_place_that_is_not_published_is_looked_for_and_remembered() {
    const AT: &str = "/downloads/endpoint/manifest";
    let dated = "elastic/8.18.3@2026-01-15";
    let mut world = World::with_dated(("8.18.3", "2026-01-15")).await;
    world.settings.feeds = vec![id(dated)];
    let notes = Notes::of(&[]);
    let run = || async { world.engine().with_learned(Arc::clone(&notes) as Arc<dyn Learned>) };
    let report = run().await.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
    ended(&report, dated, Outcome::Failed, Some(Reason::DatedPathUnknown));
    let right = format!("{AT}/artifacts-{{version}}-{{date}}.zip");
    notes.set(|known| known.dated = vec![format!("{AT}/{{date}}/artifacts-{{version}}.zip"), right.clone()]);
    let report = run().await.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
    ended(&report, dated, Outcome::Published, None);
    assert_eq!(notes.0.lock().unwrap().proven.join(" "), right);
    // From then on it is asked for there, and nowhere else.
    world.sim.reset_counters();
    run().await.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
    assert_eq!(world.sim.requests().requests, 1);
    assert!(run().await.probe(&id("elastic/8.18.3@2026-01-16")).await.unwrap_err().reason == Reason::NotFound);
}

#[tokio::test]
async fn what_no_manifest_names_is_kept_with_the_transports_word_and_makes_room() {
    let world = following_one().await;
    let other = world.sim.elastic_release("8.18.3").unwrap();
    let path = other.artifacts.last().unwrap().relative_url.clone();
    let notes = Notes::of(&["elastic/forwarded"]);
    notes.set(|known| {
        known.forwarded = vec![path.clone()];
        known.serial = 1;
    });
    let report = sync(&world, &notes, &["elastic/forwarded"]).await;
    ended(&report, "elastic/forwarded", Outcome::Published, None);
    let release = line(&report, "elastic/forwarded").release.unwrap();
    let record = world.ports.catalog.release(&release).await.unwrap().unwrap();
    assert_eq!(record.release.verdict.trust.checked, Checked::TransportOnly);
    // A manifest that names the path is not held up by it.
    notes.set(|known| known.feeds = Some(vec![id("elastic/forwarded"), id(OTHER)]));
    ended(&sync(&world, &notes, &[OTHER]).await, OTHER, Outcome::Published, None);
    let generation = world.generation().await.unwrap();
    assert_eq!(generation.routes[&path.parse().unwrap()].feed, id(OTHER));
    // What the vendor no longer has is no reason to lose what is there.
    notes.set(|known| {
        known.forwarded.push("/downloads/absent".to_owned());
        known.serial = 2;
    });
    let report = sync(&world, &notes, &["elastic/forwarded"]).await;
    ended(&report, "elastic/forwarded", Outcome::Failed, Some(Reason::NotFound));
    assert_eq!(world.serves("elastic/forwarded").await, Some("1.0.1".to_owned()));
}

#[tokio::test]
async fn what_is_forwarded_no_longer_is_served_no_longer_and_leaves_the_disk_i6() {
    let world = following_one().await;
    let own = world.sim.elastic_release("8.18.3").unwrap();
    let paths: Vec<String> = own.artifacts.iter().rev().take(2).map(|one| one.relative_url.clone()).collect();
    let notes = Notes::of(&["elastic/forwarded"]);
    let forward = |paths: &[String]| {
        notes.set(|known| {
            known.forwarded = paths.to_vec();
            known.serial += 1;
        });
    };
    let routed = |path: &str| {
        let path: model::RoutePath = path.parse().unwrap();
        async { world.generation().await.unwrap().routes.contains_key(&{ path }) }
    };
    forward(&paths[..1]);
    let first = line(&sync(&world, &notes, &["elastic/forwarded"]).await, "elastic/forwarded").release.unwrap();
    assert!(routed(&paths[0]).await);
    forward(&paths[1..]);
    ended(&sync(&world, &notes, &["elastic/forwarded"]).await, "elastic/forwarded", Outcome::Published, None);
    assert!(!routed(&paths[0]).await && routed(&paths[1]).await, "it has no grace");
    let plan = engine(&world, &notes).plan_collection().await.unwrap();
    assert_eq!(plan.releases.iter().map(|gone| gone.id).collect::<Vec<_>>(), [first]);
    forward(&[]);
    ended(&sync(&world, &notes, &["elastic/forwarded"]).await, "elastic/forwarded", Outcome::Published, None);
    assert!(!routed(&paths[1]).await, "nothing is left");
}

#[tokio::test]
async fn a_feed_is_claimed_once() {
    let world = following_one().await;
    let engine = world.engine();
    let claim = engine.claim(&id(ELASTIC)).unwrap();
    assert!(engine.clone().claim(&id(ELASTIC)).is_none() && engine.claim(&id(OTHER)).is_some());
    assert_eq!(engine.running().len(), 1);
    drop(claim);
    assert!(engine.claim(&id(ELASTIC)).is_some());
}
