use bytes::Bytes;
use model::{
    Attestation, Checked, Exchange, Held, ItemKind, Note, Provenance, Reason, Release, ReleaseId, Timestamp, TlsAnchor,
    Trust, Verdict,
};

use super::*;
use crate::{Answer, Event, FetchedItem, Refusal, Source, Step};

const FEED: &str = "defender/linux/production/x86_64";
const COMPANION: &[u8] = b"{\n  \"EngineVersion\": \"1.1.26080.3\",\n  \"DefinitionVersion\": \"1.459.553.0\"\n}\n";

fn xml(engine: &str, definitions: &str) -> String {
    format!(
        "<versions><engine>{engine}</engine><signatures date='2026-10-04 03:12:45Z'>{definitions}</signatures></versions>"
    )
}

fn good() -> String {
    xml("1.1.26080.3", "1.459.553.0")
}

fn answered(body: impl Into<Bytes>) -> Event {
    Event::Answered(Answer { body: body.into(), exchange: None })
}

fn held() -> Held {
    Held::attest(Digest::of(b"updates"), 700)
}

fn fetched(url: &str) -> Event {
    let exchange = Exchange {
        urls: vec!["https://go.microsoft.com/fwlink/?linkid=2144709&packageVersion=0.0.0.0".to_owned(), url.to_owned()],
        status: 200,
        anchor: TlsAnchor::PublicRoot,
        proxy: None,
        headers: Vec::new(),
        at: Timestamp::from_micros(1),
    };
    Event::Fetched(vec![FetchedItem { held: held(), exchange: Some(exchange) }])
}

fn held_already(held: Held) -> Event {
    Event::Fetched(vec![FetchedItem { held, exchange: None }])
}

const URL: &str = "https://definitionupdates.microsoft.com/packages/content/updates.zip?packageType=Signatures&packageVersion=1.459.553.0&arch=amd64&engineVersion=1.1.26080.3";

fn run(source: SourceKind, memory: Memory) -> Box<dyn Session> {
    Defender.session(&FEED.parse().unwrap(), &Settings::default(), source, memory)
}

fn vendor() -> Box<dyn Session> {
    run(SourceKind::Vendor, Memory::default())
}

#[track_caller]
fn asked(step: Step) -> String {
    let Step::Ask(ask) = step else { panic!("{step:?}") };
    assert_eq!((ask.cap, ask.unless), (64 << 10, None));
    ask.target.0
}

#[track_caller]
fn wanted(step: Step) -> Source {
    let Step::Fetch(mut wants) = step else { panic!("{step:?}") };
    assert_eq!(wants.len(), 1);
    wants.remove(0).source
}

#[track_caller]
fn refused(step: Step, reason: Reason, again: bool) -> String {
    let Step::Refuse(Refusal { note, again: offered }) = step else { panic!("{step:?}") };
    assert_eq!((note.reason, offered), (reason, again), "{}", note.detail);
    note.detail
}

/// Drives a run until the archive has come.
#[track_caller]
fn until_archive(session: &mut dyn Session) {
    assert_eq!(asked(session.next(Event::Start)), "?linkid=2144709&action=info");
    let step = session.next(answered(good()));
    let Step::Fetch(wants) = &step else { panic!("{step:?}") };
    assert_eq!((wants[0].digest, wants[0].size, wants[0].cap), (None, None, 2 << 30));
    assert!(matches!(wanted(step), Source::Target(target) if target.0 == "?linkid=2144709"));
}

/// Drives a run from its inspection to its end.
#[track_caller]
fn proposed(session: &mut dyn Session, step: Step, notes: Vec<Note>) -> Release {
    let Step::Inspect(inspections) = step else { panic!("{step:?}") };
    assert_eq!(inspections.len(), 1);
    assert_eq!(inspections[0].0, held());
    let Source::Bytes(bytes) = wanted(session.next(Event::Inspected(notes))) else { panic!("a companion of ours") };
    assert_eq!(bytes, COMPANION);
    let step = session.next(held_already(Held::attest(Digest::of(&bytes), bytes.len() as u64)));
    let Step::Propose(proposal) = step else { panic!("{step:?}") };
    let context = trust::Context::default();
    match trust::decide(*proposal, Attestation::PublicTls, Provenance::default(), &context, Timestamp::from_micros(1)) {
        trust::Decision::Admitted(admitted) => admitted.into_release(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn from_the_vendor() {
    let mut session = vendor();
    assert_eq!(session.offered(), None);
    until_archive(&mut *session);
    let offered = session.offered().unwrap();
    assert_eq!(offered.vendor_version.to_string(), "1.459.553.0 (engine 1.1.26080.3)");
    assert_eq!(asked(session.next(fetched(URL))), "?linkid=2144709&action=info");
    let step = session.next(answered(good()));
    let note = Note { reason: Reason::UnexpectedMembers, detail: "odd".to_owned() };
    let release = proposed(&mut *session, step, vec![note.clone()]);
    assert_eq!(release.feed.as_str(), FEED);
    assert_eq!(release.vendor_version, offered.vendor_version);
    assert_eq!(release.vendor_time.unwrap().to_string(), "2026-10-04T03:12:45Z");
    assert_eq!(release.verdict.trust.checked, Checked::TransportOnly);
    assert_eq!(release.verdict.notes, [note]);
    let items: Vec<_> = release.items.iter().map(|item| (item.route.as_str(), item.kind)).collect();
    assert_eq!(
        items,
        [
            ("/linux/production/arch_x86_64/manifest.json", ItemKind::Companion),
            ("/linux/production/arch_x86_64/updates.zip", ItemKind::Artifact)
        ]
    );
    let bases: Vec<_> = release.bases.iter().map(RoutePath::as_str).collect();
    assert_eq!(bases, ["/linux/production", "/linux/production/arch_x86_64"]);
}

fn remembered(engine: &str, definitions: &str) -> Memory {
    let feed: FeedId = FEED.parse().unwrap();
    let release = Release {
        id: ReleaseId::of(&feed, &[]),
        feed,
        vendor_version: model::VendorVersion {
            version: definitions.parse().unwrap(),
            engine: Some(engine.parse().unwrap()),
        },
        vendor_time: None,
        items: Vec::new(),
        bases: Vec::new(),
        verdict: Verdict {
            reasons: Vec::new(),
            notes: Vec::new(),
            trust: Trust { checked: Checked::TransportOnly, attested_by: Attestation::PublicTls },
        },
        provenance: Provenance::default(),
        held_since: Timestamp::from_micros(1),
    };
    Memory { validator: None, release: Some(release) }
}

#[test]
fn what_is_held_is_not_fetched_again() {
    let mut session = run(SourceKind::Vendor, remembered("1.1.26080.3", "1.459.553.0"));
    session.next(Event::Start);
    assert!(matches!(session.next(answered(good())), Step::Unchanged));
    assert!(session.offered().is_some());
    for (engine, definitions) in
        [("1.1.26080.4", "1.459.553.0"), ("1.1.26080.3", "1.459.554.0"), ("1.1.26080.3", "1.459.552.0")]
    {
        until_archive(&mut *run(SourceKind::Vendor, remembered(engine, definitions)));
    }
}

#[test]
fn the_vendor_publishes_in_between_u55() {
    for after in [xml("1.1.26080.3", "1.459.554.0"), xml("1.1.26090.1", "1.459.553.0")] {
        let mut session = vendor();
        until_archive(&mut *session);
        session.next(fetched(URL));
        let detail = refused(session.next(answered(after)), Reason::VersionsDisagree, true);
        assert!(detail.contains("1.459.553.0 (engine 1.1.26080.3) before"), "{detail}");
    }
}

#[test]
fn final_urls_that_name_other_versions_u55() {
    for (find, replace) in [
        ("1.459.553.0", "1.459.554.0"),
        ("1.1.26080.3", "1.1.26080.4"),
        ("packageVersion=1.459.553.0", "PACKAGEVERSION=1.459.554.0"),
        ("&arch", "&packageVersion=1.1.1.1&arch"),
        ("1.459.553.0", "1%2e459%2e554%2e0"),
        ("1.459.553.0", "%ff"),
        ("1.459.553.0", "%1b[2J"),
    ] {
        let mut session = vendor();
        until_archive(&mut *session);
        let detail = refused(session.next(fetched(&URL.replace(find, replace))), Reason::VersionsDisagree, true);
        assert!(detail.chars().all(|c| !c.is_control()), "{detail:?}");
    }
}

#[test]
fn final_urls_that_agree_or_say_nothing_u55() {
    for url in [
        URL,
        "https://definitionupdates.microsoft.com/packages/content/updates.zip",
        "https://definitionupdates.microsoft.com/packages?ostype=linux&arch=x64",
        "https://definitionupdates.microsoft.com/p?packageVersion=1%2E459%2E553%2E0&engineVersion=",
        "https://definitionupdates.microsoft.com/p?packageVersion&x=%&ostype=unheard-of#packageVersion=9.9.9.9",
        "",
    ] {
        let mut session = vendor();
        until_archive(&mut *session);
        asked(session.next(fetched(url)));
    }
    let mut session = vendor();
    until_archive(&mut *session);
    asked(session.next(held_already(held())));
}

#[test]
fn another_systems_content_c39() {
    for other in ["mac", "windows", "MAC"] {
        let mut session = vendor();
        until_archive(&mut *session);
        let url = format!("https://definitionupdates.microsoft.com/packages?ostype={other}");
        refused(session.next(fetched(&url)), Reason::RedirectRefused, false);
    }
}

#[test]
fn infos_that_are_no_good_c35() {
    for body in
        ["", "<html>Sign in</html>", "<versions/>", &xml("", ""), &xml("1.1.26080.3", ""), "<!DOCTYPE v><versions/>"]
    {
        let mut first = vendor();
        first.next(Event::Start);
        refused(first.next(answered(body.to_owned())), Reason::BadInfo, false);
        assert_eq!(first.offered(), None);
        let mut second = vendor();
        until_archive(&mut *second);
        second.next(fetched(URL));
        refused(second.next(answered(body.to_owned())), Reason::BadInfo, false);
    }
}

#[test]
fn from_a_folder() {
    // What is held does not keep other bytes of the same version from being looked at.
    for memory in [Memory::default(), remembered("1.1.26080.3", "1.459.553.0")] {
        let mut session = run(SourceKind::Folder, memory);
        assert_eq!(asked(session.next(Event::Start)), "/linux/production/arch_x86_64/manifest.json");
        let source =
            wanted(session.next(answered("{\"DefinitionVersion\":\"1.459.553.0\",\"EngineVersion\":\"1.1.26080.3\"}")));
        assert!(matches!(source, Source::Target(target) if target.0 == "/linux/production/arch_x86_64/updates.zip"));
        let step = session.next(held_already(held()));
        let release = proposed(&mut *session, step, Vec::new());
        assert_eq!((release.items.len(), release.vendor_time), (2, None));
    }
}

#[test]
fn folders_that_the_script_left_broken_u55() {
    for body in ["", "{}", "{\"EngineVersion\":\"\",\"DefinitionVersion\":\"\"}", "<versions/>"] {
        let mut session = run(SourceKind::Folder, Memory::default());
        session.next(Event::Start);
        refused(session.next(answered(body)), Reason::BadCompanion, false);
    }
}

#[test]
fn a_conversation_out_of_order_is_our_own_fault() {
    let events =
        [Event::Start, Event::NotModified, answered(good()), Event::Fetched(Vec::new()), Event::Inspected(Vec::new())];
    let expected = [[0].as_slice(), &[2], &[], &[2], &[4], &[]];
    for (depth, fine) in expected.into_iter().enumerate() {
        for (index, event) in events.iter().enumerate().filter(|(index, _)| !fine.contains(index)) {
            let mut session = vendor();
            for earlier in
                [Event::Start, answered(good()), fetched(URL), answered(good()), Event::Inspected(Vec::new())]
                    .into_iter()
                    .take(depth)
            {
                session.next(earlier);
            }
            refused(session.next(event.clone()), Reason::Internal, false);
            refused(session.next(Event::Start), Reason::Internal, false);
            assert!(index < events.len());
        }
    }
    let mut other = Defender.session(
        &"elastic/9.0.0".parse().unwrap(),
        &Settings::default(),
        SourceKind::Vendor,
        Memory::default(),
    );
    refused(other.next(Event::Start), Reason::Internal, false);
}
