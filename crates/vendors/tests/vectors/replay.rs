//! A vector through a whole session of its vendor's module, without an engine.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use model::{Attestation, Digest, FeedId, Held, Provenance, Reason, Timestamp};
use trust::{Context, Decision, Proposal, decide};
use vendors::defender::MemberPolicy;
use vendors::elastic::{ElasticSettings, SignatureMode};
use vendors::{Answer, Event, FetchedItem, Memory, Session, Settings, Source, SourceKind, Step, Want};

use crate::documents::{self, ARTIFACT};

/// How the vector in a folder ends: a reason code, or `admitted`.
pub(crate) fn end_of(folder: &Path) -> String {
    let file = |name: &str| fs::read(folder.join(name)).ok();
    let require = folder.parent().is_some_and(|attack| attack.ends_with("bad-signature"));
    if let Some(zip) = file("manifest.zip").or_else(|| file("manifest.json").map(|json| documents::zip(&json))) {
        if require {
            return signed(&zip);
        }
        return elastic(&zip, file("artifact").as_deref(), file("held.json").as_deref());
    }
    let info = file("info.xml").unwrap_or_else(|| documents::info().into_bytes());
    let archive = file("updates.zip").unwrap_or_else(|| documents::archive().bytes());
    defender(&info, &archive)
}

/// Elastic's host answers with this zip, and with `artifact` to everything else; `held` is the manifest before.
pub(crate) fn elastic(zip: &[u8], artifact: Option<&[u8]>, held: Option<&[u8]>) -> String {
    let settings = settings(SignatureMode::Off);
    let artifact = artifact.unwrap_or(ARTIFACT);
    let context = held.map_or_else(Context::default, |held| {
        let proposal = drive(session("elastic/9.0.0", &settings), &documents::zip(held), ARTIFACT);
        let Ok(Decision::Admitted(admitted)) = proposal.map(|it| decided(it, &Context::default())) else {
            panic!("what was held before was no good")
        };
        let release = admitted.into_release();
        let same_version = vec![release.id];
        let (mark, last) = (Some(release.vendor_version), Some(release.items));
        Context { mark, last, same_version, ..Context::default() }
    });
    ended(drive(session("elastic/9.0.0", &settings), zip, artifact), context)
}

/// The same where a signature is required.
fn signed(zip: &[u8]) -> String {
    let settings = settings(SignatureMode::Require);
    ended(drive(session("elastic/9.0.0", &settings), zip, ARTIFACT), Context::default())
}

/// Microsoft's host answers with this document and this archive.
pub(crate) fn defender(info: &[u8], archive: &[u8]) -> String {
    let settings = settings(SignatureMode::Off);
    ended(drive(session("defender/linux/production/x86_64", &settings), info, archive), Context::default())
}

fn settings(signature: SignatureMode) -> Settings {
    let elastic = ElasticSettings { signature, manifest_cap: 1 << 20, ..ElasticSettings::default() };
    let mut settings = Settings { elastic, ..Settings::default() };
    settings.defender.archive_cap = 1 << 20;
    settings.defender.expected_members = MemberPolicy::Require;
    settings
}

fn session(feed: &str, settings: &Settings) -> Box<dyn Session> {
    let feed: FeedId = feed.parse().unwrap();
    vendors::registry(feed.vendor()).session(&feed, settings, SourceKind::Vendor, Memory::default())
}

/// Leads a session to its end; the error is a reason code.
fn drive(mut session: Box<dyn Session>, document: &[u8], file: &[u8]) -> Result<Proposal, String> {
    let mut step = session.next(Event::Start);
    loop {
        step = match step {
            Step::Ask(_) => {
                session.next(Event::Answered(Answer { body: Bytes::copy_from_slice(document), exchange: None }))
            }
            Step::Fetch(wants) => {
                let items = wants.iter().map(|want| fetched(want, file)).collect::<Result<_, _>>()?;
                session.next(Event::Fetched(items))
            }
            Step::Inspect(inspections) => {
                let mut notes = Vec::new();
                for (_, inspection) in inspections {
                    let looked = inspection.inspect(&mut Cursor::new(file));
                    notes.extend(looked.map_err(|note| note.reason.code().to_owned())?);
                }
                session.next(Event::Inspected(notes))
            }
            Step::Propose(proposal) => return Ok(*proposal),
            Step::Unchanged => panic!("nothing was held before"),
            Step::Refuse(refusal) => return Err(refusal.note.reason.code().to_owned()),
        };
    }
}

/// As the store does it: nothing is held under a digest or size that it does not have.
fn fetched(want: &Want, file: &[u8]) -> Result<FetchedItem, String> {
    let bytes = match &want.source {
        Source::Bytes(bytes) => bytes.clone(),
        Source::Target(_) => Bytes::copy_from_slice(file),
    };
    let held = Held::attest(Digest::of(&bytes), bytes.len() as u64);
    if want.size.is_some_and(|size| size != held.size()) {
        return Err(Reason::SizeMismatch.code().to_owned());
    }
    if want.digest.is_some_and(|digest| digest != held.digest()) {
        return Err(Reason::HashMismatch.code().to_owned());
    }
    Ok(FetchedItem { held, exchange: None })
}

fn decided(proposal: Proposal, context: &Context) -> Decision {
    let mut context = context.clone();
    // The engine looks up those of the proposal's own version.
    if context.mark.as_ref() != Some(proposal.vendor_version()) {
        context.same_version.clear();
    }
    let context = &context;
    decide(proposal, Attestation::PublicTls, Provenance::default(), context, Timestamp::from_micros(1))
}

fn ended(proposal: Result<Proposal, String>, context: Context) -> String {
    let verdict = match proposal.map(|proposal| decided(proposal, &context)) {
        Err(code) => return code,
        Ok(Decision::Admitted(_)) => return "admitted".to_owned(),
        Ok(Decision::Quarantined(release) | Decision::RejectedBefore(release)) => release.verdict,
    };
    verdict.reasons.first().map_or("quarantined", |note| note.reason.code()).to_owned()
}
