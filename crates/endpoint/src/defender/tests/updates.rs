use outbound::ScriptedAnswer;

use super::world::{BASE, World, archive, definitions, folder, lay_out, offline, versions};
use crate::defender::Outcome;

#[tokio::test]
async fn a_mirror_is_pulled_then_asked_conditionally() {
    let world = World::new();
    world.mirror_has(&definitions("a"), &versions("1.459.1.0"));
    let report = world.update(&offline("")).await;
    let Ok(Outcome::Updated { from: None, to: Some(to), .. }) = &report.attempts[0].result else {
        panic!("{report:?}")
    };
    assert_eq!(to.to_string(), "1.459.1.0 (engine 1.1.26080.3)");
    assert_eq!(report.attempts[0].source, BASE);
    assert_eq!(world.version().as_deref(), Some("1.459.1.0"));
    assert_eq!(world.endpoint.store.check().unwrap(), Vec::<String>::new());

    let again = world.update(&offline("")).await;
    assert!(matches!(again.attempts[0].result, Ok(Outcome::Current(Some(_)))), "{again:?}");
    let asked = world.mirror.requests();
    let last = asked.last().unwrap();
    assert!(last.url.path().ends_with("/arch_x86_64/updates.zip") && last.if_none_match.is_some(), "{last:?}");
}

#[tokio::test]
async fn what_is_no_archive_keeps_the_old_set_and_is_told() {
    let world = World::new();
    let good = definitions("a");
    let mut torn = definitions("b");
    torn.truncate(torn.len() / 2);
    let foreign = archive(&[("readme.txt", b"hello")]);
    let url = format!("{BASE}arch_x86_64/updates.zip");
    world.mirror_has(&good, &versions("1.459.1.0"));
    assert!(world.update(&offline("")).await.is_good());
    for (bad, code) in [
        (b"<html>Sign in</html>".to_vec(), "bad_zip"),
        (torn, "bad_zip"),
        (foreign, "unexpected_members"),
        (archive(&[("../../etc/cron.d/x", b"x"), ("libmpengine.so", b"x")]), "bad_zip"),
        (Vec::new(), "bad_zip"),
    ] {
        let world_again = World::new();
        world_again.mirror_has(&good, &versions("1.459.1.0"));
        assert!(world_again.update(&offline("")).await.is_good());
        world_again.mirror.answer(&url, ScriptedAnswer::ok(bad).header("etag", "\"bad\""));
        // The first 304 of the script is taken.
        assert!(world_again.update(&offline("")).await.is_good());
        let report = world_again.update(&offline("")).await;
        let Err(fail) = &report.attempts[0].result else { panic!("{report:?}") };
        assert_eq!(fail.code, code, "{fail}");
        assert_eq!(world_again.version().as_deref(), Some("1.459.1.0"));
        assert_eq!(world_again.endpoint.store.check().unwrap(), Vec::<String>::new());
        let told = world_again.health(&offline(""));
        let line = told.iter().find(|line| line.starts_with("definitions_update_fail_reason")).unwrap();
        assert!(line.contains(code), "{line}");
    }
}

#[tokio::test]
async fn an_answer_that_fails_or_breaks_off_changes_nothing() {
    let url = format!("{BASE}arch_x86_64/updates.zip");
    for (answer, code) in [
        (ScriptedAnswer::status(404), "not_found"),
        (ScriptedAnswer::status(503), "server_error"),
        (ScriptedAnswer::failure(model::Reason::ConnectFailed, "refused"), "connect_failed"),
        (
            ScriptedAnswer::status(200)
                .chunk(b"half".to_vec())
                .then_fails(model::Reason::ShortBody, "the connection was closed in the body"),
            "short_body",
        ),
    ] {
        let world = World::new();
        world.mirror.answer(&url, answer);
        let report = world.update(&offline("")).await;
        let Err(fail) = &report.attempts[0].result else { panic!("{report:?}") };
        assert_eq!(fail.code, code, "{fail}");
        assert!(!report.fell_back() && world.version().is_none());
    }
}

#[tokio::test]
async fn versions_that_do_not_belong_to_the_archive_are_not_believed() {
    let world = World::new();
    let url = format!("{BASE}arch_x86_64/updates.zip");
    // Between the archive and its companion a newer one is published: the head that follows shows it.
    world.mirror.answer(&url, ScriptedAnswer::ok(definitions("a")).header("etag", "\"a\""));
    world.mirror.answer(&url, ScriptedAnswer::status(200).header("etag", "\"b\"").header("content-length", "9"));
    world.mirror.answer(&url, ScriptedAnswer::ok(definitions("b")).header("etag", "\"b\""));
    world.mirror.answer(&url, ScriptedAnswer::status(304).header("etag", "\"b\""));
    let companion = format!("{BASE}arch_x86_64/manifest.json");
    world.mirror.answer(&companion, ScriptedAnswer::ok(versions("1.459.2.0")));
    assert!(world.update(&offline("")).await.is_good());
    assert_eq!(world.version().as_deref(), Some("1.459.2.0"));
    let installed = world.endpoint.store.current().unwrap().unwrap();
    assert_eq!(installed.archive, model::Digest::of(&definitions("b")));
}

#[tokio::test]
async fn a_mirror_without_a_companion_is_enough() {
    let world = World::new();
    let url = format!("{BASE}arch_x86_64/updates.zip");
    world
        .mirror
        .answer(&url, ScriptedAnswer::ok(definitions("a")).header("last-modified", "Sun, 04 Oct 2026 03:12:45 GMT"));
    world.mirror.answer(&format!("{BASE}arch_x86_64/manifest.json"), ScriptedAnswer::status(404));
    let report = world.update(&offline("")).await;
    assert!(report.is_good() && report.notes.iter().any(|note| note.contains("not known")), "{report:?}");
    assert!(world.endpoint.store.current().unwrap().unwrap().version.is_none());
}

#[tokio::test]
async fn a_folder_is_as_good_as_a_mirror_and_older_definitions_are_taken_and_told() {
    let world = World::new();
    let root = world.folder.path().join("wdav-update/linux/production");
    let missing = world.update(&folder(&root)).await;
    assert_eq!(missing.attempts[0].result.as_ref().unwrap_err().code, "not_in_folder");
    lay_out(&root, &definitions("b"), &versions("1.459.2.0"));
    assert!(world.update(&folder(&root)).await.is_good());
    assert!(matches!(world.update(&folder(&root)).await.attempts[0].result, Ok(Outcome::Current(_))));
    lay_out(&root, &definitions("a"), &versions("1.459.1.0"));
    let back = world.update(&folder(&root)).await;
    assert!(back.notes.iter().any(|note| note.contains("went back from 1.459.2.0")), "{back:?}");
    assert_eq!(world.version().as_deref(), Some("1.459.1.0"));
}

#[tokio::test]
async fn one_update_at_a_time() {
    let world = World::new();
    let _held = world.endpoint.store.lock(world.clock.as_ref()).unwrap();
    let busy = world.endpoint.update(&world.managed(&offline(""))).await.unwrap_err();
    assert_eq!(busy.reason(), model::Reason::Locked, "{busy}");
    assert!(world.endpoint.store.is_updating());
}
