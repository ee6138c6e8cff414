//! Ended before and after every step on the disk, an endpoint has one whole set: the old one or the new one.

use std::sync::Arc;

use super::world::{World, definitions, endpoint, folder, lay_out, scripted, versions};
use crate::case::StopAt;
use crate::defender::Managed;
use crate::{Clients, Unwatched};

#[tokio::test]
async fn ended_at_any_step_it_has_the_old_set_or_the_new_one_whole() {
    let world = World::new();
    let source = world.folder.path().join("production");
    let settings = folder(&source);
    lay_out(&source, &definitions("old"), &versions("1.459.1.0"));
    let at = |number| Arc::new(StopAt::at(number));
    let mut seen = (0, 0);
    for number in 0.. {
        let state = world.folder.path().join(format!("state-{number}"));
        let clients = || Clients { mirror: scripted(&world.clock), cloud: scripted(&world.clock) };
        lay_out(&source, &definitions("old"), &versions("1.459.1.0"));
        let first = endpoint(&state, &world.clock, clients(), Arc::new(Unwatched));
        let managed = Managed::read(settings.as_bytes(), &first.agent, &first.assumptions).unwrap();
        assert!(first.update(&managed).await.unwrap().is_good());
        drop(first);

        lay_out(&source, &definitions("new"), &versions("1.459.2.0"));
        let stop = at(number);
        let stopped = endpoint(&state, &world.clock, clients(), stop.clone()).update(&managed).await;
        let after = endpoint(&state, &world.clock, clients(), Arc::new(Unwatched));
        let version = after.store.current().unwrap().expect("a set is in use").version.unwrap().version;
        assert_eq!(after.store.check().unwrap(), Vec::<String>::new(), "step {number}: {version} is not whole");
        match version.as_str() {
            "1.459.1.0" => seen.0 += 1,
            "1.459.2.0" => seen.1 += 1,
            other => panic!("step {number}: {other}"),
        }
        // What was left behind keeps nothing from going on.
        assert!(after.update(&managed).await.unwrap().is_good(), "step {number}");
        assert_eq!(after.store.current().unwrap().unwrap().version.unwrap().version.as_str(), "1.459.2.0");
        assert_eq!(after.store.check().unwrap(), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(state.join("definitions.noindex")).unwrap().count(), 1, "one set is left");
        if stopped.is_ok() {
            assert!(number > 40, "every step is watched: {number}");
            break;
        }
    }
    assert!(seen.0 > 20 && seen.1 > 5, "both sides of the switch were met: {seen:?}");
}

#[tokio::test]
async fn a_first_update_that_is_ended_leaves_none_or_a_whole_set() {
    let world = World::new();
    let source = world.folder.path().join("production");
    lay_out(&source, &definitions("first"), &versions("1.459.1.0"));
    for number in 0.. {
        let state = world.folder.path().join(format!("state-{number}"));
        let clients = Clients { mirror: scripted(&world.clock), cloud: scripted(&world.clock) };
        let stop = Arc::new(StopAt::at(number));
        let one = endpoint(&state, &world.clock, clients, stop);
        let managed = Managed::read(folder(&source).as_bytes(), &one.agent, &one.assumptions).unwrap();
        let ended = one.update(&managed).await;
        let set = one.store.current().unwrap();
        assert_eq!(one.store.check().unwrap(), Vec::<String>::new(), "step {number}");
        if ended.is_ok() {
            assert!(set.is_some());
            break;
        }
    }
}
