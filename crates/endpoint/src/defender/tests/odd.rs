//! Archives that read whole and are for another agent, and a set in use that is no longer what was unpacked.

use model::Clock as _;
use outbound::ScriptedAnswer;

use super::world::{BASE, World, archive, definitions, folder, lay_out, offline, versions};
use crate::defender::{Agent, Architecture, Facts, Health, Outcome, Platform, connectivity};

/// The head of a library for Linux on this machine (ELF, e_machine at byte 18).
fn library(machine: u8) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(64, 0);
    (head[16], head[18], head[20]) = (3, machine, 1);
    head
}

fn with_engine(engine: &[u8]) -> Vec<u8> {
    archive(&[("libmpengine.so", engine), ("mpavbase.vdm", b"base"), ("mpavdlta.vdm", b"delta")])
}

#[tokio::test]
async fn another_processors_engine_and_no_engine_at_all_leave_the_good_set_in_use() {
    let arm = with_engine(&library(0xb7));
    let mac = with_engine(b"\xcf\xfa\xed\xfe\x07\x00\x00\x01\x03\x00\x00\x00\x06\x00\x00\x00");
    let none = archive(&[("mpavbase.vdm", b"base"), ("mpavdlta.vdm", b"delta")]);
    let bare = archive(&[("libmpengine.so", &library(0x3e))]);
    for odd in [arm.clone(), mac, none, bare] {
        let mut world = World::new();
        world.mirror_has(&with_engine(&library(0x3e)), &versions("1.459.1.0"));
        assert!(world.update(&offline("")).await.is_good());
        let url = format!("{BASE}arch_x86_64/updates.zip");
        let answer = || ScriptedAnswer::ok(odd.clone()).header("etag", "\"odd\"");
        let same = || ScriptedAnswer::status(304).header("etag", "\"odd\"");
        // The 304 of the good one, the odd one refused, the odd one where that is assumed.
        for answer in [answer(), same(), answer(), same()] {
            world.mirror.answer(&url, answer);
        }
        world.update(&offline("")).await;
        let refused = world.update(&offline("")).await;
        let Err(fail) = &refused.attempts[0].result else { panic!("{refused:?}") };
        assert_eq!(fail.code, "unexpected_members", "{fail}");
        assert_eq!(world.version().as_deref(), Some("1.459.1.0"));
        world.endpoint.assumptions.assume("odd-archive=take").unwrap();
        let taken = world.update(&offline("")).await;
        assert!(taken.is_good() && taken.notes.iter().any(|note| note.contains("unexpected_members")), "{taken:?}");
    }
}

#[tokio::test]
async fn what_was_proven_for_another_agent_is_no_answer_for_this_one() {
    let mut world = World::new();
    world.mirror_has(&with_engine(&library(0x3e)), &versions("1.459.1.0"));
    assert!(world.update(&offline("")).await.is_good());
    world.endpoint.agent = Agent { platform: Platform::Mac, ..world.endpoint.agent.clone() };
    // Its address is Linux's, and it is to ask there all the same.
    world.endpoint.assumptions.assume("odd-archive=take").unwrap();
    let url = format!("{BASE}arch_x86_64/updates.zip");
    let _ = world.update(&offline("")).await;
    let asked = world.mirror.requests();
    let last = asked.last().unwrap();
    assert!(last.url.as_str() == url && !last.head_only && last.if_none_match.is_none(), "{asked:?}");
    assert_eq!(world.endpoint.agent.architecture, Architecture::X86_64);
}

#[tokio::test]
async fn a_set_that_was_damaged_is_fetched_again_and_told() {
    let world = World::new();
    let good = definitions("a");
    let url = format!("{BASE}arch_x86_64/updates.zip");
    let tag = || ScriptedAnswer::ok(good.clone()).header("etag", "\"a\"");
    let same = || ScriptedAnswer::status(304).header("etag", "\"a\"");
    for answer in [tag(), same(), tag(), same()] {
        world.mirror.answer(&url, answer);
    }
    let companion = format!("{BASE}arch_x86_64/manifest.json");
    for _ in 0..2 {
        world.mirror.answer(&companion, ScriptedAnswer::ok(versions("1.459.1.0")));
    }
    assert!(world.update(&offline("")).await.is_good());
    let sets = world.folder.path().join("state/definitions.noindex");
    let set = std::fs::read_dir(&sets).unwrap().next().unwrap().unwrap().path();
    std::fs::write(set.join("mpavbase.vdm"), "garbled").unwrap();
    world.clock.go(std::time::Duration::from_secs(1));
    let report = world.update(&offline("")).await;
    assert!(matches!(report.attempts[0].result, Ok(Outcome::Updated { .. })), "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("damaged") && note.contains("mpavbase.vdm")), "{report:?}");
    assert_eq!(world.endpoint.store.check().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_place_that_an_update_would_refuse_is_not_called_reachable() {
    let world = World::new();
    let root = world.folder.path().join("production");
    let archive = root.join("arch_x86_64/updates.zip");
    lay_out(&root, &definitions("a"), &versions("1.459.1.0"));
    let tried = async |world: &World| -> Result<(), String> {
        let probes = connectivity(&world.endpoint, &world.managed(&folder(&root))).await;
        probes[0].result.clone().map_err(|fail| fail.code)
    };
    assert_eq!(tried(&world).await, Ok(()));
    let gone = || std::fs::remove_file(&archive).or_else(|_| std::fs::remove_dir(&archive)).unwrap();
    let made: [&dyn Fn(); 4] = [
        &|| std::fs::create_dir(&archive).unwrap(),
        &|| std::fs::write(&archive, b"").unwrap(),
        &|| std::os::unix::fs::symlink(root.join("arch_x86_64/manifest.json"), &archive).unwrap(),
        // A pipe that nobody writes to holds whoever opens it for reading.
        &|| assert!(std::process::Command::new("mkfifo").arg(&archive).status().unwrap().success()),
    ];
    for make in made {
        gone();
        make();
        assert_eq!(tried(&world).await, Err("not_in_folder".to_owned()));
        assert!(!world.update(&folder(&root)).await.is_good());
    }
}

#[tokio::test]
async fn a_set_without_its_engine_is_not_called_healthy() {
    let world = World::new();
    world.mirror_has(&definitions("a"), &versions("1.459.1.0"));
    assert!(world.update(&offline("")).await.is_good());
    assert_eq!(world.endpoint.store.lacking().unwrap(), [] as [&str; 0]);
    let sets = world.folder.path().join("state/definitions.noindex");
    let set = std::fs::read_dir(&sets).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(set.join("libmpengine.so")).unwrap();
    let damaged = world.endpoint.store.lacking().unwrap();
    assert_eq!(damaged, ["libmpengine.so"]);
    let managed = world.managed(&offline(""));
    let (installed, record) = (world.endpoint.store.current().unwrap(), world.endpoint.store.record().unwrap());
    let facts = Facts {
        agent: &world.endpoint.agent,
        managed: &managed,
        installed: installed.as_ref(),
        damaged: &damaged,
        record: &record,
        is_updating: false,
        now: world.clock.now(),
    };
    let all = Health::all(&facts).json();
    assert_eq!((&all["healthy"], &all["engineLoadStatus"]), (&false.into(), &"Engine not loaded".into()));
    assert_eq!(all["definitionsStatus"]["$type"], "unavailable");
    assert!(all["healthIssues"][0].as_str().unwrap().contains("libmpengine.so"), "{all}");
    // A link in its place is no engine either, and ends no update.
    std::os::unix::fs::symlink("/bin/true", set.join("libmpengine.so")).unwrap();
    assert_eq!(world.endpoint.store.lacking().unwrap(), ["libmpengine.so"]);
    assert_eq!(world.endpoint.store.check().unwrap().len(), 1);
}
