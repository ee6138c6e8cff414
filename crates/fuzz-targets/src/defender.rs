//! Defender's documents and archives, through a whole session.

use std::io::Cursor;

use blob_store::MemoryStore;
use bytes::Bytes;
use model::{Checked, Exchange, FeedId, Note, Reason, Timestamp, TlsAnchor, VendorVersion};
use trust::Proposal;
use vendors::defender::{DefenderSettings, MemberPolicy};
use vendors::zip::{Archive, Caps};
use vendors::{Answer, Event, FetchedItem, Inspection, Memory, Refusal, Session, Settings, Source, SourceKind, Step};

use crate::fit_to_show;

const FEED: &str = "defender/linux/production/x86_64";
const ARCHIVE_CAP: u64 = 1 << 20;

/// A document that was understood, carried to the end.
struct Taken {
    version: VendorVersion,
    companion: Bytes,
    proposal: Proposal,
}

/// The bytes before the first NUL as the vendor's version information, those behind it as the URL that the
/// archive came from. What is taken is two versions of four numbers, which our companion says again; a URL that
/// names nothing stops nothing.
pub fn defender_info(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (info, url) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match converse(SourceKind::Vendor, info, "https://definitionupdates.microsoft.com/packages/content/updates.zip") {
        Ok(taken) => {
            in_companion(&taken);
            other_info(info, &taken.version);
            from_url(info, &String::from_utf8_lossy(url));
        }
        Err(refusal) => refused(&refusal, Reason::BadInfo),
    }
}

/// The bytes as the `manifest.json` that one of Microsoft's scripts left. What is taken, our companion says again.
pub fn defender_companion(bytes: &[u8]) {
    match converse(SourceKind::Folder, bytes, "") {
        Ok(taken) => in_companion(&taken),
        Err(refusal) => refused(&refusal, Reason::BadCompanion),
    }
}

/// The bytes as `updates.zip`: what passes is an archive with files that the strict reader takes whole, and the policies
/// differ in members alone.
pub fn defender_archive(bytes: &[u8]) {
    let [off, warn, require] = [MemberPolicy::Off, MemberPolicy::Warn, MemberPolicy::Require].map(|policy| {
        let inspection = inspection(policy);
        let end = inspection.inspect(&mut Cursor::new(bytes));
        assert_eq!(end, inspection.inspect(&mut Cursor::new(bytes)), "the same bytes, another end");
        end
    });
    let files = files_of_whole(bytes);
    assert_eq!(off.is_ok(), files.is_some_and(|files| files > 0), "{off:?}");
    match (off, warn, require) {
        // None of the expected members is there: it is no such archive, whatever is said of single ones.
        (Ok(nothing), Err(warn), Err(require)) => {
            assert!(nothing.is_empty());
            fit_to_show(&warn.detail);
            assert_eq!((warn.reason, require.reason), (Reason::UnexpectedMembers, Reason::UnexpectedMembers));
        }
        (Ok(nothing), Ok(notes), strict) => {
            assert!(nothing.is_empty());
            for note in &notes {
                fit_to_show(&note.detail);
                assert_eq!(note.reason, Reason::UnexpectedMembers);
            }
            let details: Vec<&str> = notes.iter().map(|note| note.detail.as_str()).collect();
            let refusal = Note { reason: Reason::UnexpectedMembers, detail: details.join("; ") };
            assert_eq!(strict, if notes.is_empty() { Ok(Vec::new()) } else { Err(refusal) });
        }
        (Err(off), Err(warn), Err(require)) => {
            fit_to_show(&off.detail);
            let empty = off.reason == Reason::UnexpectedMembers && files == Some(0);
            assert!(empty || matches!(off.reason, Reason::BadZip | Reason::MemberDamaged), "{off:?}");
            assert_eq!((&off, &off), (&warn, &require));
        }
        ends => panic!("policies decide more than they should: {ends:?}"),
    }
}

/// How many members with bytes in them an archive has that the strict reader takes whole.
fn files_of_whole(bytes: &[u8]) -> Option<usize> {
    let caps = Caps {
        entries: 10_000,
        name_bytes: 512,
        member_bytes: ARCHIVE_CAP * 2,
        total_bytes: ARCHIVE_CAP * 4,
        ratio: 200,
        folders: true,
    };
    let mut cursor = Cursor::new(bytes);
    let mut archive = Archive::open(&mut cursor, &caps).ok()?;
    archive.check_all().ok()?;
    Some(archive.members().iter().filter(|member| !member.is_folder && member.size > 0).count())
}

fn settings(expected_members: MemberPolicy) -> Settings {
    let defender = DefenderSettings { archive_cap: ARCHIVE_CAP, expected_members, ..DefenderSettings::default() };
    Settings { defender, ..Settings::default() }
}

fn begin(source: SourceKind, policy: MemberPolicy) -> Box<dyn Session> {
    let feed: FeedId = FEED.parse().expect("a feed's name");
    let mut session = vendors::registry(feed.vendor()).session(&feed, &settings(policy), source, Memory::default());
    let step = session.next(Event::Start);
    assert!(matches!(&step, Step::Ask(ask) if ask.unless.is_none() && ask.cap <= 64 << 10), "{step:?}");
    session
}

fn answered(body: &[u8]) -> Event {
    Event::Answered(Answer { body: Bytes::copy_from_slice(body), exchange: None })
}

fn archive_from(url: &str) -> Event {
    let exchange = Exchange {
        urls: vec!["https://go.microsoft.com/fwlink/?linkid=1".to_owned(), url.to_owned()],
        status: 200,
        anchor: TlsAnchor::PublicRoot,
        proxy: None,
        headers: Vec::new(),
        at: Timestamp::from_micros(0),
    };
    let held = MemoryStore::new().put(&b"an archive"[..]);
    Event::Fetched(vec![FetchedItem { held, exchange: (!url.is_empty()).then_some(exchange) }])
}

/// Plays a session to its end with an archive that passes.
fn converse(source: SourceKind, document: &[u8], url: &str) -> Result<Box<Taken>, Refusal> {
    let mut session = begin(source, MemberPolicy::Off);
    let step = session.next(answered(document));
    let Step::Fetch(wants) = step else { return Err(refusal(step)) };
    assert!(matches!(wants.as_slice(), [want] if want.cap == ARCHIVE_CAP && matches!(want.source, Source::Target(_))));
    let version = session.offered().expect("wanted before its version was known").vendor_version;
    let mut step = session.next(archive_from(url));
    if source == SourceKind::Vendor {
        let Step::Ask(_) = step else { return Err(refusal(step)) };
        step = session.next(answered(document));
    }
    assert!(matches!(&step, Step::Inspect(looks) if looks.len() == 1), "{step:?}");
    let Step::Fetch(wants) = session.next(Event::Inspected(Vec::new())) else { panic!("the companion is to be held") };
    let Some(Source::Bytes(companion)) = wants.first().map(|want| want.source.clone()) else {
        panic!("the companion is written here")
    };
    let held = MemoryStore::new().put(companion.clone());
    let Step::Propose(proposal) = session.next(Event::Fetched(vec![FetchedItem { held, exchange: None }])) else {
        panic!("all is held")
    };
    Ok(Box::new(Taken { version, companion, proposal: *proposal }))
}

fn inspection(policy: MemberPolicy) -> Box<dyn Inspection> {
    let mut session = begin(SourceKind::Folder, policy);
    let companion = br#"{"EngineVersion":"1.2.3.4","DefinitionVersion":"1.2.3.5"}"#;
    let Step::Fetch(_) = session.next(answered(companion)) else { panic!("a good companion is taken") };
    let Step::Inspect(looks) = session.next(archive_from("")) else { panic!("an archive is looked into") };
    looks.into_iter().next().expect("one archive").1
}

fn refusal(step: Step) -> Refusal {
    match step {
        Step::Refuse(refusal) => refusal,
        other => panic!("a document leads to {other:?}"),
    }
}

#[track_caller]
fn refused(refusal: &Refusal, reason: Reason) {
    fit_to_show(&refusal.note.detail);
    assert_eq!((refusal.note.reason, refusal.again), (reason, false), "{}", refusal.note.detail);
}

/// The companion says what was read, in the one form that the script writes.
fn in_companion(taken: &Taken) {
    let engine = taken.version.engine.as_ref().expect("an engine travels with definitions");
    assert!(engine.is_dotted(4) && taken.version.version.is_dotted(4), "{}", taken.version);
    assert_eq!((taken.proposal.vendor_version(), taken.proposal.checked()), (&taken.version, &Checked::TransportOnly));
    let again = converse(SourceKind::Folder, &taken.companion, "").expect("our companion is read");
    assert_eq!((&again.version, &again.companion), (&taken.version, &taken.companion));
}

/// An answer after the download that names anything else begins the run anew.
fn other_info(info: &[u8], version: &VendorVersion) {
    let other = "<versions><engine>0.0.0.1</engine><signatures>0.0.0.1</signatures></versions>";
    let mut session = begin(SourceKind::Vendor, MemberPolicy::Off);
    session.next(answered(info));
    session.next(archive_from(""));
    match session.next(answered(other.as_bytes())) {
        Step::Refuse(refusal) => assert_eq!((refusal.note.reason, refusal.again), (Reason::VersionsDisagree, true)),
        Step::Inspect(_) => assert_eq!(version.to_string(), other_version(other)),
        step => panic!("a second answer leads to {step:?}"),
    }
}

fn other_version(info: &str) -> String {
    converse(SourceKind::Vendor, info.as_bytes(), "").expect("an honest answer is taken").version.to_string()
}

fn from_url(info: &[u8], url: &str) {
    let Err(refusal) = converse(SourceKind::Vendor, info, url) else { return };
    fit_to_show(&refusal.note.detail);
    let disagrees = refusal.note.reason == Reason::VersionsDisagree && refusal.again;
    let elsewhere = refusal.note.reason == Reason::RedirectRefused && !refusal.again;
    assert!(disagrees || elsewhere, "{refusal:?}");
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map(|(_, query)| query.to_ascii_lowercase());
    let query = query.expect("a URL without a query names no version");
    assert!(["packageversion=", "engineversion=", "ostype="].iter().any(|key| query.contains(key)), "{url:?}");
}
