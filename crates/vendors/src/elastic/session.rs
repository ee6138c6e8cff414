//! One run of one Elastic feed.

use bytes::Bytes;
use model::{Checked, Digest, FeedId, Held, ItemKind, Note, Reason, Release, ReleaseItem, RoutePath, Timestamp};
use std::collections::BTreeMap;
use trust::{Proposal, SignatureCheck};

use super::archive::{self, Members};
use super::decoded::Zlib;
use super::manifest::{self, Artifact, Manifest, Rules};
use super::{ElasticSettings, SignatureMode, layout};
use crate::{
    Ask, Event, FetchedItem, Inspection, Memory, Offered, Refusal, Session, Source, SourceKind, Step, Target, Want,
};

/// One run of one Elastic feed.
pub(super) struct ElasticSession {
    feed: FeedId,
    settings: ElasticSettings,
    memory: Memory,
    /// Where the manifest lies; if nowhere, why.
    route: Result<RoutePath, String>,
    offered: Option<Offered>,
    state: State,
}

enum State {
    Begun,
    Asked(RoutePath),
    Fetching(Box<Plan>),
    Inspecting(Box<Plan>, BTreeMap<Digest, Held>),
    Ended,
}

/// What is to be looked into, and how.
type Inspections = Vec<(Held, Box<dyn Inspection>)>;

/// What was read and is to be held.
struct Plan {
    route: RoutePath,
    /// The zip, byte for byte.
    zip: Bytes,
    zip_digest: Digest,
    manifest: Manifest,
    checked: Checked,
    notes: Vec<Note>,
    /// A date inside, which is not the vendor's word on when it published this.
    inside: Option<Timestamp>,
}

impl ElasticSession {
    pub(super) fn new(feed: &FeedId, settings: &ElasticSettings, source: SourceKind, mut memory: Memory) -> Self {
        let route = layout::manifest_route(feed, settings);
        // A condition holds for the place that it came from, and for no other.
        let lies_here = |release: &Release| route.as_ref().is_ok_and(|route| manifest_at(release, route).is_some());
        if source == SourceKind::Folder || !memory.release.as_ref().is_some_and(lies_here) {
            memory.validator = None;
        }
        Self { feed: feed.clone(), settings: settings.clone(), memory, route, offered: None, state: State::Begun }
    }

    fn step(&mut self, event: Event) -> Result<Step, Note> {
        match (std::mem::replace(&mut self.state, State::Ended), event) {
            (State::Begun, Event::Start) => self.ask(),
            (State::Asked(_), Event::NotModified) => self.not_modified(),
            (State::Asked(route), Event::Answered(answer)) => self.answered(route, answer.body),
            (State::Fetching(plan), Event::Fetched(items)) => self.fetched(plan, &items),
            (State::Inspecting(plan, held), Event::Inspected(notes)) => self.propose(*plan, &held, notes),
            (_, event) => Err(internal(format!("{event:?} was not asked for").chars().take(80).collect())),
        }
    }

    fn ask(&mut self) -> Result<Step, Note> {
        let reason = if self.feed.date().is_some() { Reason::DatedPathUnknown } else { Reason::PathUnknown };
        let route = self.route.clone().map_err(|detail| Note { reason, detail })?;
        let target = Target(route.as_str().to_owned());
        self.state = State::Asked(route);
        Ok(Step::Ask(Ask { target, cap: self.settings.manifest_cap, unless: self.memory.validator.clone() }))
    }

    fn not_modified(&mut self) -> Result<Step, Note> {
        if self.memory.validator.is_none() {
            let detail = "the manifest's request was not conditional".to_owned();
            return Err(Note { reason: Reason::UnexpectedNotModified, detail });
        }
        Ok(self.unchanged())
    }

    fn unchanged(&mut self) -> Step {
        let offered = |release: &Release| Offered { vendor_version: release.vendor_version.clone(), vendor_time: None };
        self.offered = self.memory.release.as_ref().map(offered);
        Step::Unchanged
    }

    fn answered(&mut self, route: RoutePath, zip: Bytes) -> Result<Step, Note> {
        let zip_digest = Digest::of(&zip);
        // A host without validators answers 200 every time.
        if self.is_held(&route, zip_digest) {
            return Ok(self.unchanged());
        }
        let members = archive::open(&zip, self.settings.manifest_cap)?;
        let rules = Rules { settings: &self.settings, route: &route };
        let manifest = manifest::read(&members.manifest, &rules)?;
        self.offered = Some(Offered { vendor_version: manifest.version.clone(), vendor_time: None });
        let (checked, note) = check_signature(&members, &self.settings)?;
        let notes = note.into_iter().chain(manifest.notes.iter().cloned()).collect();
        let inside = members.modified;
        let plan = Plan { route, zip, zip_digest, manifest, checked, notes, inside };
        let wants = plan.wants();
        self.state = State::Fetching(Box::new(plan));
        Ok(Step::Fetch(wants))
    }

    fn is_held(&self, route: &RoutePath, digest: Digest) -> bool {
        let known = self.memory.release.as_ref().and_then(|release| manifest_at(release, route));
        known.is_some_and(|known| known.digest == digest)
    }

    fn fetched(&mut self, plan: Box<Plan>, items: &[FetchedItem]) -> Result<Step, Note> {
        let held: BTreeMap<Digest, Held> = items.iter().map(|item| (item.held.digest(), item.held)).collect();
        let inspections = plan.inspections(&held)?;
        if inspections.is_empty() {
            return self.propose(*plan, &held, Vec::new());
        }
        self.state = State::Inspecting(plan, held);
        Ok(Step::Inspect(inspections))
    }

    fn propose(&mut self, plan: Plan, held: &BTreeMap<Digest, Held>, notes: Vec<Note>) -> Result<Step, Note> {
        let Plan { route, zip_digest, manifest, checked, notes: known, inside, .. } = plan;
        let mut proposal = Proposal::new(self.feed.clone(), manifest.version, checked)
            .vendor_time(inside)
            .item(route, find(held, &zip_digest)?, ItemKind::Manifest)
            .notes(known)
            .notes(notes);
        for artifact in manifest.artifacts {
            let held = find(held, &artifact.encoded.digest)?;
            proposal = proposal.item(artifact.route, held, ItemKind::Artifact);
        }
        Ok(Step::Propose(Box::new(proposal)))
    }
}

impl Plan {
    /// The zip itself, then each artifact once per digest.
    fn wants(&self) -> Vec<Want> {
        let size = self.zip.len() as u64;
        let zip = Want {
            source: Source::Bytes(self.zip.clone()),
            digest: Some(self.zip_digest),
            size: Some(size),
            cap: size,
        };
        let mut seen = std::collections::BTreeSet::from([self.zip_digest]);
        let new = |artifact: &&Artifact| seen.insert(artifact.encoded.digest);
        std::iter::once(zip).chain(self.manifest.artifacts.iter().filter(new).map(want)).collect()
    }

    /// What zlib is said to unpack, each pair on its own; and the proof that all is held in its declared size.
    fn inspections(&self, held: &BTreeMap<Digest, Held>) -> Result<Inspections, Note> {
        let mut inspections: Inspections = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for artifact in &self.manifest.artifacts {
            let held = find(held, &artifact.encoded.digest)?;
            if held.size() != artifact.encoded.size {
                let detail = format!(
                    "'{}' has {} bytes, its manifest says {}",
                    artifact.route,
                    held.size(),
                    artifact.encoded.size
                );
                return Err(Note { reason: Reason::SizeMismatch, detail });
            }
            if let Some(inflated) = artifact.inflated
                && seen.insert((held, inflated))
            {
                inspections.push((held, Box::new(Zlib(inflated))));
            }
        }
        Ok(inspections)
    }
}

fn want(artifact: &Artifact) -> Want {
    Want {
        source: Source::Target(Target(artifact.route.as_str().to_owned())),
        digest: Some(artifact.encoded.digest),
        size: Some(artifact.encoded.size),
        cap: artifact.encoded.size,
    }
}

/// What a release has as its manifest there.
fn manifest_at<'a>(release: &'a Release, route: &RoutePath) -> Option<&'a ReleaseItem> {
    release.items.iter().find(|item| item.kind == ItemKind::Manifest && item.route == *route)
}

/// What the signature proves, or what is to be said of it.
pub(super) fn check_signature(members: &Members, settings: &ElasticSettings) -> Result<(Checked, Option<Note>), Note> {
    if settings.signature == SignatureMode::Off {
        return Ok((Checked::VendorHashed, None));
    }
    let note = match members.signature.as_deref() {
        None => Note { reason: Reason::SignatureMissing, detail: "the zip holds no manifest.sig".to_owned() },
        Some(signature) => match settings.keys.verify(&members.manifest, signature) {
            SignatureCheck::Good { key_id } => return Ok((Checked::VendorSigned(key_id), None)),
            SignatureCheck::Unverified => {
                let ids: Vec<&str> = settings.keys.ids().collect();
                let tried =
                    if ids.is_empty() { "no key is known".to_owned() } else { format!("tried {}", ids.join(", ")) };
                let detail = format!("manifest.sig of {} bytes, {tried}", signature.len());
                Note { reason: Reason::SignatureUnverified, detail }
            }
        },
    };
    if settings.signature == SignatureMode::Require { Err(note) } else { Ok((Checked::VendorHashed, Some(note))) }
}

fn find(held: &BTreeMap<Digest, Held>, digest: &Digest) -> Result<Held, Note> {
    held.get(digest).copied().ok_or_else(|| internal(format!("{digest} was wanted and did not come")))
}

fn internal(detail: String) -> Note {
    Note { reason: Reason::Internal, detail }
}

impl Session for ElasticSession {
    fn next(&mut self, event: Event) -> Step {
        self.step(event).unwrap_or_else(|note| Step::Refuse(Refusal { note, again: false }))
    }

    fn offered(&self) -> Option<Offered> {
        self.offered.clone()
    }

    fn named(&self) -> Vec<(RoutePath, Digest)> {
        let (State::Fetching(plan) | State::Inspecting(plan, _)) = &self.state else { return Vec::new() };
        let artifacts = plan.manifest.artifacts.iter().map(|one| (one.route.clone(), one.encoded.digest));
        std::iter::once((plan.route.clone(), plan.zip_digest)).chain(artifacts).collect()
    }
}
