//! Archives that read whole and are for another agent, and a set in use that is no longer what was unpacked.

use outbound::ScriptedAnswer;

use super::world::{BASE, World, archive, definitions, offline, versions};
use crate::defender::{Agent, Architecture, Outcome, Platform};

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
