//! A small Elastic: artifacts, a manifest, its zip, and an engine that plays a session through.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use bytes::Bytes;
use model::{Attestation, Digest, FeedId, Held, ItemKind, Provenance, Reason, Release, Timestamp};
use serde_json::{Value, json};
use trust::{Context, Decision, Proposal, decide};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::elastic::{Elastic, ElasticSettings};
use crate::{
    Answer, Event, FetchedItem, Memory, Session, Settings, Source, SourceKind, Step, Target, VendorModule as _, Want,
};

pub(super) const MANIFEST: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";

/// How a run ended.
#[derive(Debug)]
pub(super) enum End {
    Proposed(Box<Proposal>),
    Unchanged,
    Refused(Reason, String),
}

fn is_empty_set(release: &Release) -> bool {
    let reasons: Vec<Reason> = release.verdict.reasons.iter().map(|note| note.reason).collect();
    reasons == [Reason::SetShrank] && release.items.iter().all(|item| item.kind == ItemKind::Manifest)
}

impl End {
    /// The release, admitted on its own; a set without artifacts, which these tests often make do with, waits
    /// for a person for that reason alone.
    #[track_caller]
    pub(super) fn release(self) -> Release {
        let End::Proposed(proposal) = self else { panic!("not proposed: {self:?}") };
        let now = Timestamp::from_micros(1);
        match decide(*proposal, Attestation::PublicTls, Provenance::default(), &Context::default(), now) {
            Decision::Admitted(admitted) => admitted.into_release(),
            Decision::Quarantined(release) if is_empty_set(&release) => release,
            other => panic!("not admitted: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn notes(self) -> Vec<Reason> {
        self.release().verdict.notes.iter().map(|note| note.reason).collect()
    }

    #[track_caller]
    pub(super) fn refused(self, reason: Reason) -> String {
        match self {
            End::Refused(actual, detail) if actual == reason => detail,
            other => panic!("expected {reason}: {other:?}"),
        }
    }
}

/// What Elastic's host holds.
pub(super) struct World {
    pub(super) zip: Vec<u8>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) settings: ElasticSettings,
    pub(super) memory: Memory,
    pub(super) source: SourceKind,
    pub(super) feed: FeedId,
    /// What was asked for, in order.
    pub(super) asked: Vec<String>,
}

pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An entry as Elastic writes it.
pub(super) fn entry(url: &str, encoded: &[u8], decoded: &[u8]) -> Value {
    json!({
        "relative_url": url,
        "compression_algorithm": if encoded == decoded { "none" } else { "zlib" },
        "encryption_algorithm": "none",
        "decoded_size": decoded.len(), "decoded_sha256": Digest::of(decoded).to_string(),
        "encoded_size": encoded.len(), "encoded_sha256": Digest::of(encoded).to_string(),
    })
}

pub(super) fn manifest(artifacts: Value) -> Value {
    json!({ "manifest_version": "1.0.1049", "schema_version": "v1", "artifacts": artifacts })
}

/// A zip whose members are deflated.
pub(super) fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(members, CompressionMethod::Deflated)
}

fn zip_with(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

impl World {
    /// A host with this zip and nothing else.
    pub(super) fn of_zip(zip: Vec<u8>) -> Self {
        Self {
            zip,
            files: BTreeMap::new(),
            settings: ElasticSettings { signature: crate::elastic::SignatureMode::Off, ..ElasticSettings::default() },
            memory: Memory::default(),
            source: SourceKind::Vendor,
            feed: "elastic/9.0.0".parse().unwrap(),
            asked: Vec::new(),
        }
    }

    /// A host with this text as an unsigned manifest.
    pub(super) fn of_text(text: &[u8]) -> Self {
        Self::of_zip(zip_with(&[("manifest.json", text)], CompressionMethod::Stored))
    }

    /// A host with this as an unsigned manifest.
    pub(super) fn of(manifest: &Value) -> Self {
        Self::of_text(manifest.to_string().as_bytes())
    }

    /// A host with two artifacts, one of them compressed.
    pub(super) fn plain() -> Self {
        let rules = b"rule: always".repeat(100);
        let packed = zlib(&rules);
        let artifacts = json!({
            "production-rules-linux-v1": entry("/downloads/other/rules-linux", &packed, &rules),
            "endpointpe-v4-model": entry("/downloads/endpoint/model", b"model", b"model"),
        });
        Self::of(&manifest(artifacts))
            .file("/downloads/other/rules-linux", &packed)
            .file("/downloads/endpoint/model", b"model")
    }

    pub(super) fn file(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.insert(path.to_owned(), bytes.to_vec());
        self
    }

    pub(super) fn settings(mut self, change: impl FnOnce(&mut ElasticSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(super) fn session(&self) -> Box<dyn Session> {
        let settings = Settings { elastic: self.settings.clone(), ..Settings::default() };
        Elastic.session(&self.feed, &settings, self.source, self.memory.clone())
    }

    /// Plays a run as the engine does.
    pub(super) fn run(&mut self) -> End {
        let mut session = self.session();
        let mut event = Event::Start;
        loop {
            event = match session.next(event) {
                Step::Ask(ask) => {
                    self.asked.push(ask.target.0);
                    Event::Answered(Answer { body: Bytes::from(self.zip.clone()), exchange: None })
                }
                Step::Fetch(wants) => match wants.iter().map(|want| self.hold(want)).collect() {
                    Ok(items) => Event::Fetched(items),
                    Err((reason, detail)) => return End::Refused(reason, detail),
                },
                Step::Inspect(inspections) => {
                    let look = |(held, inspection): &(Held, Box<dyn crate::Inspection>)| {
                        inspection.inspect(&mut Cursor::new(self.bytes(held.digest())))
                    };
                    match inspections.iter().map(look).collect::<Result<Vec<_>, _>>() {
                        Ok(notes) => Event::Inspected(notes.concat()),
                        Err(note) => return End::Refused(note.reason, note.detail),
                    }
                }
                Step::Propose(proposal) => return End::Proposed(proposal),
                Step::Unchanged => return End::Unchanged,
                Step::Refuse(refusal) => return End::Refused(refusal.note.reason, refusal.note.detail),
            }
        }
    }

    fn hold(&mut self, want: &Want) -> Result<FetchedItem, (Reason, String)> {
        let bytes = match &want.source {
            Source::Bytes(bytes) => bytes.to_vec(),
            Source::Target(Target(path)) => {
                self.asked.push(path.clone());
                self.files.get(path).cloned().ok_or((Reason::NotFound, path.clone()))?
            }
        };
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        if size > want.cap {
            return Err((Reason::TooLarge, format!("{size}")));
        }
        if want.size.is_some_and(|wanted| wanted != size) {
            return Err((Reason::SizeMismatch, format!("{size}")));
        }
        if want.digest.is_some_and(|wanted| wanted != digest) {
            return Err((Reason::HashMismatch, digest.to_string()));
        }
        Ok(FetchedItem { held: Held::attest(digest, size), exchange: None })
    }

    fn bytes(&self, digest: Digest) -> Vec<u8> {
        self.files.values().find(|bytes| Digest::of(bytes) == digest).unwrap_or(&self.zip).clone()
    }
}

/// The plain world with one artifact, one of whose members was changed.
pub(super) fn with_entry(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> World {
    let bytes = b"model";
    let mut entry = entry("/downloads/endpoint/model", bytes, bytes);
    change(entry.as_object_mut().unwrap());
    World::of(&manifest(json!({ "endpointpe-v4-model": entry }))).file("/downloads/endpoint/model", bytes)
}
