//! One manifest's life: what it names now, and how a publication changes that.

use std::collections::HashMap;
use std::sync::Arc;

use model::Timestamp;

use super::{Change, ElasticArtifact, ElasticRelease, ElasticTarget, manifest, names};
use crate::content::{Encoded, encode, number_of};
use crate::keys::{KeyError, SigningKey};
use crate::settings::{ArtifactUrls, Settings};

/// The encoded content that was made so far, shared by all lines.
#[derive(Debug, Default)]
pub(crate) struct Shelf(HashMap<(u64, u64), Arc<Encoded>>);

impl Shelf {
    fn take(&mut self, seed: u64, size: u64) -> Arc<Encoded> {
        self.0.entry((seed, size)).or_insert_with(|| Arc::new(encode(seed, size))).clone()
    }
}

/// What a name stands for in one manifest.
#[derive(Clone, Debug)]
struct Slot {
    number: usize,
    shared: bool,
    generation: u64,
}

/// One manifest.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    target: ElasticTarget,
    path: String,
    number: u64,
    slots: Vec<Slot>,
    next_slot: usize,
}

impl Line {
    /// The lines that the settings ask for.
    pub(crate) fn all(settings: &Settings) -> Vec<Self> {
        let elastic = &settings.elastic;
        let versions = elastic.versions.iter().cloned().map(ElasticTarget::Version);
        let candidates = elastic.candidates.iter().cloned().map(ElasticTarget::Candidate);
        let dated = elastic.dated.iter().cloned().map(|(version, date)| ElasticTarget::Dated(version, date));
        versions.chain(candidates).chain(dated).map(|target| Self::new(target, settings)).collect()
    }

    fn new(target: ElasticTarget, settings: &Settings) -> Self {
        let elastic = &settings.elastic;
        let path = match &target {
            ElasticTarget::Candidate(version) => elastic.candidate_path.replace("{version}", version),
            ElasticTarget::Dated(version, date) => {
                elastic.dated_path.replace("{version}", version).replace("{date}", date)
            }
            ElasticTarget::All | ElasticTarget::Version(_) => {
                format!("/downloads/endpoint/manifest/artifacts-{}.zip", target.version())
            }
        };
        // A candidate is a little ahead of its version, a dated manifest behind it.
        let (number, generation) = match &target {
            ElasticTarget::Candidate(_) => (elastic.first_number + 1, 1),
            ElasticTarget::Dated(..) => (elastic.first_number.saturating_sub(200), 1_000_000),
            ElasticTarget::All | ElasticTarget::Version(_) => (elastic.first_number, 0),
        };
        let shared = (elastic.artifacts * elastic.shared_percent).div_ceil(100);
        let slot = |number| Slot {
            number,
            shared: number < shared,
            generation: if number.is_multiple_of(10) { generation } else { 0 },
        };
        Self { target, path, number, slots: (0..elastic.artifacts).map(slot).collect(), next_slot: elastic.artifacts }
    }

    pub(crate) fn target(&self) -> &ElasticTarget {
        &self.target
    }

    /// Moves on by `change`.
    pub(crate) fn apply(&mut self, change: &Change) {
        self.number = change.step.from(self.number);
        self.slots.truncate(self.slots.len().saturating_sub(change.removed));
        let own = self.slots.len().saturating_sub(change.changed_own);
        for (at, slot) in self.slots.iter_mut().enumerate() {
            slot.generation += u64::from(at < change.changed || at >= own);
        }
        for number in self.next_slot..self.next_slot + change.added {
            self.slots.push(Slot { number, shared: true, generation: 0 });
        }
        self.next_slot += change.added;
    }

    /// The release that this line shows now.
    pub(crate) fn release(
        &self,
        settings: &Settings,
        shelf: &mut Shelf,
        key: &SigningKey,
        published: Timestamp,
    ) -> Result<ElasticRelease, KeyError> {
        let artifacts: Vec<_> = self.slots.iter().map(|slot| self.artifact(slot, settings, shelf)).collect();
        let manifest_version = format!("1.0.{}", self.number);
        let manifest = manifest::manifest(&manifest_version, &artifacts, key)?;
        let (target, path) = (self.target.clone(), self.path.clone());
        Ok(ElasticRelease { target, manifest_version, path, manifest, artifacts, published })
    }

    fn artifact(&self, slot: &Slot, settings: &Settings, shelf: &mut Shelf) -> ElasticArtifact {
        let owner = if slot.shared { "shared".to_owned() } else { self.target.to_string().replace(['/', '@'], "-") };
        let name = names::name(slot.number);
        let seed = number_of(&format!("{}/{owner}/{name}/{}", settings.seed, slot.generation));
        let encoded = shelf.take(seed, settings.elastic.artifact_size);
        let digest = encoded.body.digest();
        let folder = names::folder(slot.number);
        let relative_url = match settings.elastic.urls {
            ArtifactUrls::PerContent => format!("{folder}/{name}-{digest}"),
            ArtifactUrls::Fixed => format!("{folder}/{owner}/{name}"),
        };
        ElasticArtifact {
            name,
            relative_url,
            encoded_size: encoded.body.len(),
            encoded_sha256: digest,
            decoded_size: encoded.decoded_size,
            decoded_sha256: encoded.decoded_sha256,
            body: encoded.body.clone(),
        }
    }
}
