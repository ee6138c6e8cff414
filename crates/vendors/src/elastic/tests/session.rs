//! The conversation, branch by branch.

use bytes::Bytes;
use model::{Checked, Digest, Held, ItemKind, Reason};
use serde_json::json;

use super::world::{End, MANIFEST, World, entry, manifest, zlib};
use crate::{Answer, Event, FetchedItem, SourceKind, Step, Validator};

#[test]
fn a_whole_set_is_proposed_where_the_vendor_has_it() {
    let mut world = World::plain();
    let zip = Digest::of(&world.zip);
    let release = world.run().release();
    assert_eq!(release.vendor_version.to_string(), "1.0.1049");
    assert_eq!(release.verdict.trust.checked, Checked::VendorHashed);
    assert_eq!((release.verdict.notes.len(), release.bases.len()), (0, 0));
    let items: Vec<_> = release.items.iter().map(|item| (item.route.as_str(), item.kind)).collect();
    assert_eq!(
        items,
        [
            ("/downloads/endpoint/manifest/artifacts-9.0.0.zip", ItemKind::Manifest),
            ("/downloads/endpoint/model", ItemKind::Artifact),
            ("/downloads/other/rules-linux", ItemKind::Artifact),
        ]
    );
    assert_eq!(release.items[0].digest, zip);
    assert_eq!(world.asked, [MANIFEST, "/downloads/other/rules-linux", "/downloads/endpoint/model"]);
}

#[test]
fn a_folder_has_the_same_paths_and_no_validators() {
    let mut world = World::plain();
    world.source = SourceKind::Folder;
    world.memory.validator = Some(Validator { etag: Some("\"a\"".into()), last_modified: None });
    let Step::Ask(ask) = world.session().next(Event::Start) else { panic!() };
    assert_eq!((ask.target.0.as_str(), ask.unless), (MANIFEST, None));
    assert_eq!(world.run().release().items.len(), 3);
}

#[test]
fn unchanged_costs_one_conditional_question() {
    let mut world = World::plain();
    let release = world.run().release();
    world.memory.validator = Some(Validator { etag: Some("\"a\"".into()), last_modified: None });
    world.memory.release = Some(release);
    let mut session = world.session();
    let Step::Ask(ask) = session.next(Event::Start) else { panic!() };
    assert_eq!((ask.unless, ask.cap), (world.memory.validator.clone(), 16 << 20));
    assert!(matches!(session.next(Event::NotModified), Step::Unchanged));
    assert_eq!(session.offered().unwrap().vendor_version.to_string(), "1.0.1049");
}

#[test]
fn a_condition_holds_for_its_own_place_alone() {
    let mut world = World::plain();
    world.feed = "elastic/9.0.0@2026-01-15".parse().unwrap();
    let lies_at = |template: &str| vec![format!("/downloads/endpoint/manifest/{template}")];
    world.settings.dated_templates = lies_at("artifacts-{version}-{date}.zip");
    let validator = Some(Validator { etag: Some("\"a\"".into()), last_modified: None });
    world.memory.release = Some(world.run().release());
    world.memory.validator.clone_from(&validator);
    let asked_unless = |world: &World| match world.session().next(Event::Start) {
        Step::Ask(ask) => ask.unless,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked_unless(&world), validator);
    world.settings.dated_templates = lies_at("{date}/artifacts-{version}.zip");
    assert_eq!(asked_unless(&world), None, "304 would say that it lies where it lay");
    assert!(matches!(world.run(), End::Proposed(_)), "the same bytes at another place are a change");
}

#[test]
fn the_same_bytes_again_are_unchanged_u44() {
    let mut world = World::plain();
    world.memory.release = Some(world.run().release());
    world.asked.clear();
    assert!(matches!(world.run(), End::Unchanged));
    assert_eq!(world.asked, [MANIFEST]);
}

#[test]
fn the_same_bytes_without_a_standing_verdict_are_proven_again() {
    let mut world = World::plain();
    world.run().release();
    assert!(matches!(world.run(), End::Proposed(_)));
}

#[test]
fn not_modified_unasked_is_refused_u42() {
    let mut session = World::plain().session();
    session.next(Event::Start);
    let Step::Refuse(refusal) = session.next(Event::NotModified) else { panic!() };
    assert_eq!((refusal.note.reason, refusal.again), (Reason::UnexpectedNotModified, false));
}

#[test]
fn events_out_of_turn_are_refused_and_end_it() {
    let answer = || Event::Answered(Answer { body: Bytes::new(), exchange: None });
    for first in [Event::NotModified, answer(), Event::Fetched(Vec::new()), Event::Inspected(Vec::new())] {
        let mut session = World::plain().session();
        for event in [first, Event::Start] {
            let Step::Refuse(refusal) = session.next(event) else { panic!() };
            assert_eq!(refusal.note.reason, Reason::Internal);
        }
    }
}

#[test]
fn files_that_did_not_come_or_differ_in_size_are_refused_u06() {
    let world = World::plain();
    let begun = || {
        let mut session = world.session();
        session.next(Event::Start);
        let body = Bytes::from(world.zip.clone());
        let Step::Fetch(wants) = session.next(Event::Answered(Answer { body, exchange: None })) else { panic!() };
        let held = |size: u64| {
            move |want: &crate::Want| FetchedItem {
                held: Held::attest(want.digest.unwrap(), want.size.unwrap() + size),
                exchange: None,
            }
        };
        (session, wants.iter().map(held(0)).collect::<Vec<_>>(), wants.iter().map(held(1)).collect::<Vec<_>>())
    };
    let (mut session, mut items, _) = begun();
    items.pop();
    let Step::Refuse(refusal) = session.next(Event::Fetched(items)) else { panic!() };
    assert_eq!(refusal.note.reason, Reason::Internal);
    let (mut session, _, items) = begun();
    let Step::Refuse(refusal) = session.next(Event::Fetched(items)) else { panic!() };
    assert_eq!(refusal.note.reason, Reason::SizeMismatch);
}

#[test]
fn artifacts_that_are_not_what_the_manifest_says_u05_u08_u13() {
    let world = |bytes: &[u8]| World::plain().file("/downloads/endpoint/model", bytes).run();
    world(b"MODEL").refused(Reason::HashMismatch);
    world(b"mode").refused(Reason::SizeMismatch);
    world(b"<html>sign in</html>").refused(Reason::TooLarge);
    let mut lacking = World::plain();
    lacking.files.remove("/downloads/endpoint/model");
    lacking.run().refused(Reason::NotFound);
}

#[test]
fn one_fetch_per_digest_however_many_names_it_has() {
    let packed = zlib(b"shared");
    let artifacts = json!({
        "a-v1": entry("/downloads/a", &packed, b"shared"),
        "b-v1": entry("/downloads/b", &packed, b"shared"),
        "c-v1": entry("/downloads/b", &packed, b"shared"),
    });
    let mut world = World::of(&manifest(artifacts)).file("/downloads/a", &packed);
    assert_eq!(world.run().release().items.len(), 3);
    assert_eq!(world.asked, [MANIFEST, "/downloads/a"]);
}

#[test]
fn inspections_of_one_artifact_are_one() {
    let packed = zlib(b"shared");
    let artifacts = json!({
        "a-v1": entry("/downloads/a", &packed, b"shared"),
        "b-v1": entry("/downloads/b", &packed, b"shared"),
    });
    let world = World::of(&manifest(artifacts));
    let mut session = world.session();
    session.next(Event::Start);
    let answer = Answer { body: Bytes::from(world.zip.clone()), exchange: None };
    let Step::Fetch(wants) = session.next(Event::Answered(answer)) else { panic!() };
    assert_eq!(session.offered().unwrap().vendor_version.to_string(), "1.0.1049");
    let held = |want: &crate::Want| FetchedItem {
        held: Held::attest(want.digest.unwrap(), want.size.unwrap()),
        exchange: None,
    };
    let Step::Inspect(inspections) = session.next(Event::Fetched(wants.iter().map(held).collect())) else { panic!() };
    assert_eq!(inspections.len(), 1);
    assert_eq!(inspections[0].1.key(), format!("zlib:6:{}", Digest::of(b"shared")));
}

#[test]
fn an_empty_set_is_proposed_for_admission_to_weigh_u52() {
    let end = World::of(&manifest(json!({}))).run();
    assert!(matches!(end, End::Proposed(_)));
}

#[test]
fn dated_and_candidate_feeds_need_a_template() {
    let mut world = World::plain();
    world.feed = "elastic/9.0.0@2026-01-15".parse().unwrap();
    assert!(world.run().refused(Reason::DatedPathUnknown).contains("dated path unknown"));
    assert_eq!(world.asked, Vec::<String>::new());
    world.settings.dated_templates = vec!["/downloads/endpoint/manifest/{date}/artifacts-{version}.zip".to_owned()];
    let release = world.run().release();
    assert_eq!(release.items[0].route.as_str(), "/downloads/endpoint/manifest/2026-01-15/artifacts-9.0.0.zip");
}
