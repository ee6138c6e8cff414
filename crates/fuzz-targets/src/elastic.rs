//! Elastic's documents, through a whole session.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use blob_store::MemoryStore;
use bytes::Bytes;
use model::{Attestation, Checked, Digest, FeedId, ItemKind, Note, Provenance, Reason, Release, Timestamp};
use serde_json::json;
use trust::{Context, Decision, decide};
use vendors::elastic::{ElasticSettings, SignatureMode};
use vendors::{Answer, Ask, Event, FetchedItem, Inspection, Memory, Session, Settings, Source, SourceKind, Step, Want};

use crate::wrap::zip_of_one;
use crate::{fit_to_show, reads_back};

const MANIFEST: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";
/// Large enough that no manifest can want more by accident, small enough that one can by intent.
const ARTIFACT_CAP: u64 = 1 << 30;

/// Each kind of artifact once: nothing, as it is, and two zlib streams (of `x` and of nothing).
const HELD: [&[u8]; 4] =
    [b"", b"x", b"\x78\x01\x01\x01\x00\xfe\xff\x78\x00\x79\x00\x79", b"\x78\x9c\x03\x00\x00\x00\x00\x01"];

/// The artifacts that the host of these sessions has: a manifest that names others is not carried through.
pub const fn held_artifacts() -> &'static [&'static [u8]] {
    &HELD
}

#[derive(Debug, PartialEq)]
enum End {
    Refused(Note),
    /// It wants what the host does not have.
    Wanting(Digest),
    Proposed(Box<Release>),
}

/// The bytes as the zip that Elastic's host answers with: a refusal that says why, or a set that is closed under
/// its manifest, keeps the zip as it came, and is called no more than it is.
pub fn elastic_session(bytes: &[u8]) {
    let end = run(bytes, SignatureMode::Warn);
    assert_eq!(end, run(bytes, SignatureMode::Warn), "the same bytes, another end");
    match &end {
        End::Refused(note) => refused(note),
        End::Wanting(_) => {}
        End::Proposed(release) => proposed(release, bytes),
    }
    // Nobody here holds the vendor's key.
    assert!(matches!(run(bytes, SignatureMode::Require), End::Refused(_)), "taken without a signature");
    match (run(bytes, SignatureMode::Off), end) {
        (End::Refused(off), End::Refused(warn)) => assert_eq!(off, warn),
        (End::Proposed(off), End::Proposed(warn)) => assert_eq!(off.items, warn.items),
        (off, warn) => assert_eq!(off, warn, "signatures decide more than they should"),
    }
}

/// The bytes as a manifest in an honest zip.
pub fn manifest_json(bytes: &[u8]) {
    elastic_session(&zip_of_one("manifest.json", bytes));
}

/// The bytes as an artifact that is declared compressed: it passes exactly if another reader unpacks the whole of
/// it, with nothing left over, to what the manifest says.
pub fn elastic_artifact(bytes: &[u8]) {
    let oracle = unpacked(bytes);
    let truth = oracle.clone().unwrap_or_else(|| b"never this".to_vec());
    assert_eq!(passes(bytes, &truth), oracle.is_some(), "another reader unpacks {oracle:?}");
    let mut other = truth;
    other.push(0);
    assert!(!passes(bytes, &other), "taken for what it is not");
}

/// What another reader unpacks it to, if that is all there is.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = flate2::bufread::ZlibDecoder::new(bytes);
    let mut whole = Vec::new();
    decoder.by_ref().take(4 << 20).read_to_end(&mut whole).ok()?;
    let ended = decoder.total_in() == bytes.len() as u64 && whole.len() < 4 << 20;
    (ended && !bytes.is_empty()).then_some(whole)
}

fn passes(encoded: &[u8], decoded: &[u8]) -> bool {
    let manifest = json!({ "manifest_version": "1.0.1", "schema_version": "v1", "artifacts": { "a": {
        "relative_url": "/downloads/a", "compression_algorithm": "zlib", "encryption_algorithm": "none",
        "encoded_size": encoded.len(), "encoded_sha256": Digest::of(encoded).to_string(),
        "decoded_size": decoded.len(), "decoded_sha256": Digest::of(decoded).to_string(),
    } } });
    let zip = zip_of_one("manifest.json", manifest.to_string().as_bytes());
    match run_with(&zip, SignatureMode::Off, &[encoded]) {
        End::Proposed(_) => true,
        End::Refused(note) => {
            fit_to_show(&note.detail);
            assert_eq!(note.reason, Reason::DecodedMismatch, "{note:?}");
            false
        }
        End::Wanting(_) => panic!("the host has it"),
    }
}

fn run(zip: &[u8], signature: SignatureMode) -> End {
    run_with(zip, signature, &HELD)
}

fn run_with(zip: &[u8], signature: SignatureMode, host: &[&[u8]]) -> End {
    let elastic = ElasticSettings { signature, artifact_cap: ARTIFACT_CAP, ..ElasticSettings::default() };
    let settings = Settings { elastic, ..Settings::default() };
    let feed: FeedId = "elastic/9.0.0".parse().expect("a feed's name");
    let module = vendors::registry(feed.vendor());
    let mut session = module.session(&feed, &settings, SourceKind::Vendor, Memory::default());
    asked(&session.next(Event::Start));
    let body = Bytes::copy_from_slice(zip);
    let step = session.next(Event::Answered(Answer { body: body.clone(), exchange: None }));
    after_manifest(session.as_mut(), step, &Host { zip: body, files: host })
}

struct Host<'a> {
    zip: Bytes,
    files: &'a [&'a [u8]],
}

fn asked(step: &Step) {
    let Step::Ask(Ask { target, unless: None, .. }) = step else { panic!("the manifest is asked for first: {step:?}") };
    assert_eq!(target.0, MANIFEST);
}

fn after_manifest(session: &mut dyn Session, step: Step, host: &Host<'_>) -> End {
    let wants = match step {
        Step::Fetch(wants) => wants,
        Step::Refuse(refusal) => return End::Refused(refusal.note),
        other => panic!("a manifest leads to {other:?}"),
    };
    assert!(session.offered().is_some(), "wanted before its version was known");
    wanted(&wants, host);
    let mut items = Vec::new();
    let store = MemoryStore::new();
    for want in &wants {
        match bytes_of(want, host) {
            Ok(bytes) => items.push(FetchedItem { held: store.put(bytes), exchange: None }),
            Err(digest) => return End::Wanting(digest),
        }
    }
    match session.next(Event::Fetched(items)) {
        Step::Inspect(inspections) => {
            for (held, inspection) in inspections {
                if let Err(note) = inspect(inspection.as_ref(), held.digest(), host) {
                    return End::Refused(note);
                }
            }
            ended(session.next(Event::Inspected(Vec::new())))
        }
        step => ended(step),
    }
}

/// The zip itself first, then each file once, nowhere but at a proper path, never beyond its cap.
fn wanted(wants: &[Want], host: &Host<'_>) {
    let mut digests = BTreeSet::new();
    for (index, want) in wants.iter().enumerate() {
        let digest = want.digest.expect("a manifest's files have digests");
        assert!(digests.insert(digest), "{digest} is wanted twice");
        assert_eq!(want.size, Some(want.cap));
        match &want.source {
            Source::Bytes(bytes) => {
                assert_eq!((index, bytes, digest), (0, &host.zip, Digest::of(&host.zip)), "not the zip as it came");
            }
            Source::Target(target) => {
                assert!(index > 0 && want.cap <= ARTIFACT_CAP);
                not_ours(&target.0);
            }
        }
    }
}

#[track_caller]
fn not_ours(path: &str) {
    let route: model::RoutePath = path.parse().expect("a wanted path is a route");
    let lower: model::RoutePath = route.as_str().to_lowercase().parse().expect("so it is in lower case");
    for taken in ["/rings", "/waystation", "/linux", "/mac", "/downloads/endpoint/manifest"] {
        assert!(!lower.is_under(taken), "{route} lies under {taken}");
    }
}

fn bytes_of(want: &Want, host: &Host<'_>) -> Result<Bytes, Digest> {
    if let Source::Bytes(bytes) = &want.source {
        return Ok(bytes.clone());
    }
    let digest = want.digest.expect("a manifest's files have digests");
    let found = host.files.iter().find(|file| Digest::of(file) == digest && Some(file.len() as u64) == want.size);
    found.map(|file| Bytes::copy_from_slice(file)).ok_or(digest)
}

fn inspect(inspection: &dyn Inspection, digest: Digest, host: &Host<'_>) -> Result<(), Note> {
    let file = host.files.iter().find(|file| Digest::of(file) == digest).expect("only what is held is looked into");
    inspection.inspect(&mut Cursor::new(*file)).map(|_| ())
}

fn ended(step: Step) -> End {
    match step {
        Step::Propose(proposal) => {
            let now = Timestamp::from_micros(0);
            let provenance = Provenance::default();
            match decide(*proposal, Attestation::PublicTls, provenance, &Context::default(), now) {
                Decision::Admitted(admitted) => End::Proposed(Box::new(admitted.into_release())),
                Decision::Quarantined(release) => End::Proposed(Box::new(release)),
                Decision::RejectedBefore(release) => panic!("nobody rejected {release:?}"),
            }
        }
        Step::Refuse(refusal) => End::Refused(refusal.note),
        other => panic!("what is held leads to {other:?}"),
    }
}

fn refused(note: &Note) {
    fit_to_show(&note.detail);
    assert_ne!(note.reason, Reason::Internal, "{}", note.detail);
    assert_ne!(note.reason, Reason::StoreFailed, "{}", note.detail);
}

fn proposed(release: &Release, zip: &[u8]) {
    reads_back(release);
    assert_eq!(release.verdict.trust.checked, Checked::VendorHashed, "called more than it is");
    assert!(release.items.is_sorted_by(|a, b| a.route < b.route), "a route is there twice: {:?}", release.items);
    for note in release.verdict.notes.iter().chain(&release.verdict.reasons) {
        fit_to_show(&note.detail);
    }
    let mut lower = BTreeSet::new();
    for item in &release.items {
        assert!(lower.insert(item.route.as_str().to_ascii_lowercase()), "{} differs in case alone", item.route);
        match item.kind {
            ItemKind::Manifest => {
                assert_eq!((item.route.as_str(), item.digest), (MANIFEST, Digest::of(zip)));
                assert_eq!(item.size, zip.len() as u64);
            }
            ItemKind::Artifact => {
                not_ours(item.route.as_str());
                let held = HELD.iter().any(|file| (Digest::of(file), file.len() as u64) == (item.digest, item.size));
                assert!(held, "{item:?} is held by nobody");
            }
            ItemKind::Companion => panic!("Elastic has no companions"),
        }
    }
    assert_eq!(release.items.iter().filter(|item| item.kind == ItemKind::Manifest).count(), 1);
}
