//! A poll as Elastic Endpoint does it.

use std::collections::HashSet;

use model::{Digest, Hasher, RoutePath};
use vendors::elastic::NamedArtifact;

use super::client::{Client, Sink};
use super::proof::{Copied, look};
use super::stats::Kind;
use super::wire::WireError;
use crate::elastic::takes;
use crate::fetch::Validator;
use settings::elastic::System;

/// More than any manifest zip has.
const MANIFEST: usize = 16 << 20;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Elastic {
    pub(super) os: System,
    pub(super) version: String,
    /// Of the manifest applied.
    pub(super) validator: Validator,
    /// Digests of the artifacts held.
    pub(super) held: HashSet<Digest>,
}

/// How a poll ended.
pub(super) enum Polled {
    /// What it holds is what the mirror has.
    Good,
    /// It failed, and is tried again at the next one.
    Bad,
    /// The mirror asked to come back after so many seconds.
    Later(u64),
    /// The machine was restarted in the middle of it.
    Restarted,
}

impl Elastic {
    pub(super) async fn poll(&mut self, client: &mut Client) -> Polled {
        let path = format!("/downloads/endpoint/manifest/artifacts-{}.zip", self.version);
        let mut zip = Zip(Vec::new());
        let head = match client.get(&path, &self.validator, Kind::Manifest, &mut zip).await {
            Ok(head) => head,
            Err(error) => return ended(error),
        };
        match head.status {
            304 => return Polled::Good,
            200 => {}
            status => return refused(client, status, &path, head.retry_after),
        }
        if head.etag.is_none() {
            client.shared.stats.error("no_etag");
            return Polled::Bad;
        }
        let Ok(route) = path.parse::<RoutePath>() else { return Polled::Bad };
        let settings = client.shared.rehearsal.settings();
        let manifest = match client.shared.proofs.manifest(&zip.0, &route, &settings) {
            Ok(manifest) => manifest,
            Err(reason) => {
                client.shared.stats.error(format!("manifest: {reason}"));
                return Polled::Bad;
            }
        };
        if !manifest.is_signed {
            client.shared.stats.error("manifest that no key signed (taken)");
        }
        let os = self.os;
        for artifact in manifest.artifacts.iter().filter(|artifact| takes(os, &artifact.name)) {
            if self.held.contains(&artifact.digest) {
                continue;
            }
            match self.artifact(client, artifact).await {
                Polled::Good => {}
                other => return other,
            }
        }
        let wanted: HashSet<Digest> = manifest.artifacts.iter().map(|artifact| artifact.digest).collect();
        self.held.retain(|digest| wanted.contains(digest));
        self.validator = Validator { etag: head.etag, last_modified: None };
        let (feed, now) = (format!("elastic/{}", self.version), client.shared.now());
        client.shared.stats.holds(&feed, client.number, manifest.digest, now);
        Polled::Good
    }

    async fn artifact(&mut self, client: &mut Client, artifact: &NamedArtifact) -> Polled {
        let shared = std::sync::Arc::clone(&client.shared);
        let inspection = artifact.inspection();
        let copy = match &inspection {
            Some(_) if shared.proofs.is_first(artifact.digest) => Copied::begin(artifact.size).ok(),
            _ => None,
        };
        let mut sink = Copying { hasher: Hasher::new(), copy };
        let answer = client.get(artifact.route.as_str(), &Validator::default(), Kind::Artifact, &mut sink).await;
        let Copying { hasher, mut copy } = sink;
        let right = (hasher.bytes(), hasher.finish()) == (artifact.size, artifact.digest);
        if copy.is_some() && !(right && matches!(&answer, Ok(head) if head.status == 200)) {
            shared.proofs.give_back(artifact.digest);
            copy = None;
        }
        match answer {
            Err(error) => return ended(error),
            Ok(head) if head.status != 200 => {
                return refused(client, head.status, artifact.route.as_str(), head.retry_after);
            }
            Ok(_) => {}
        }
        if !right {
            shared.stats.error("artifact: other bytes than the manifest names");
            return Polled::Bad;
        }
        if let (Some(copy), Some(inspection)) = (copy, inspection)
            && let Err(reason) = look(inspection, copy).await
        {
            shared.stats.error(format!("artifact: {reason}"));
            return Polled::Bad;
        }
        self.held.insert(artifact.digest);
        Polled::Good
    }
}

/// A manifest's zip.
struct Zip(Vec<u8>);

impl Sink for Zip {
    fn take(&mut self, piece: &[u8]) {
        if self.0.len() + piece.len() <= MANIFEST {
            self.0.extend_from_slice(piece);
        }
    }
}

/// Hashes, and keeps a copy where there is one.
struct Copying {
    hasher: Hasher,
    copy: Option<Copied>,
}

impl Sink for Copying {
    fn take(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        if self.copy.as_mut().is_some_and(|copy| copy.take(piece).is_err()) {
            self.copy = None;
        }
    }
}

pub(super) fn ended(error: WireError) -> Polled {
    if error == WireError::Restarted { Polled::Restarted } else { Polled::Bad }
}

pub(super) fn refused(client: &Client, status: u16, path: &str, retry_after: Option<u64>) -> Polled {
    client.shared.stats.error_at(format!("status {status}"), path);
    match retry_after {
        Some(seconds) if matches!(status, 429 | 503) => Polled::Later(seconds),
        _ => Polled::Bad,
    }
}
