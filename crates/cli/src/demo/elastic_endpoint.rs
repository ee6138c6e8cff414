//! Elastic Defend endpoints of the demo: the reference endpoint with a state of its own, and one that has read its
//! manifest and not gone on yet.

use std::path::Path;
use std::sync::Arc;

use endpoint::Unwatched;
use endpoint::defender::ClockRef;
use endpoint::elastic::{Assumptions, Endpoint, Outcome, Policy, Quirks, Store};
use model::{Digest, RoutePath, error_chain};
use settings::elastic::System;
use trust::KeyRing;
use vendors::elastic::{ElasticSettings, NamedArtifact, SignatureMode};

use super::client::Client;
use super::fleet::{Mirror, Update};

/// A reference endpoint.
pub(super) struct ElasticPlayer {
    endpoint: Endpoint,
}

impl ElasticPlayer {
    /// An endpoint of this version and system, with its state in this folder.
    pub(super) fn new(mirror: &Mirror, (version, os): (&str, System), state: &Path) -> Result<Self, String> {
        let endpoint = Endpoint {
            os,
            version: version.to_owned(),
            built: None,
            host: format!("demo-{os}"),
            policy: Policy::plain(&mirror.base, os).map_err(|error| error_chain(&error))?,
            keys: Some(mirror.keys.clone()),
            // An unsigned manifest is refused.
            assumptions: Assumptions::default(),
            quirks: Quirks::Dash,
            store: Store::open(state, Arc::new(Unwatched)).map_err(|error| error_chain(&error))?,
            dial: Arc::new(mirror.network()),
            clock: ClockRef(Arc::clone(&mirror.clock)),
        };
        Ok(Self { endpoint })
    }

    pub(super) fn feed(&self) -> String {
        format!("elastic/{}", self.endpoint.version)
    }

    /// One poll, and what the endpoint has then; all of it is read once more.
    pub(super) async fn update(&self) -> Result<Update, String> {
        let Endpoint { version, os, store, .. } = &self.endpoint;
        let failed = |error| error_chain(&error);
        let report = self.endpoint.poll().await.map_err(failed)?;
        let outcome = report.result.map_err(|fail| format!("Elastic endpoint {version}: {fail}"))?;
        let applied = store.applied().map_err(failed)?.ok_or("nothing is applied")?;
        if let Some(name) = store.check().map_err(failed)?.first() {
            return Err(format!("Elastic endpoint {version}: {name} is not as it was applied"));
        }
        if applied.key.is_none() {
            return Err(format!("Elastic endpoint {version}: the manifest's signature is not the vendor's"));
        }
        let said = report.document.0.pointer("/Endpoint/policy/applied/status").and_then(|said| said.as_str());
        if said != Some("success") {
            return Err(format!("Elastic endpoint {version}: its policy response says {said:?}"));
        }
        let (is_new, bytes) = match outcome {
            Outcome::Applied { bytes, .. } => (true, bytes),
            Outcome::Current { .. } => (false, 0),
        };
        let words = format!(
            "Elastic endpoint {version} on {os}: manifest {}, signature good; the {} artifacts of its system right in \
             size and SHA-256, packed and unpacked, and applied together; its policy response says success",
            applied.version,
            applied.identifiers.len(),
        );
        let content = applied.identifiers.iter().map(|one| one.encoded).collect();
        Ok(Update { feed: self.feed(), version: applied.version, content, bytes, is_new, words })
    }
}

/// An endpoint that has read its manifest, and is about to fetch what it names.
pub(super) struct Reader {
    artifacts: Vec<NamedArtifact>,
}

impl Reader {
    /// Reads the manifest of a version.
    pub(super) async fn begin(client: &Client, keys: &KeyRing, version: &str) -> Result<Self, String> {
        let path = manifest_path(version);
        let got = client.file(&path).await?;
        let route = path.parse::<RoutePath>().map_err(|error| format!("{path}: {error}"))?;
        let settings = ElasticSettings {
            signature: SignatureMode::Require,
            keys: Arc::new(keys.clone()),
            ..ElasticSettings::default()
        };
        let opened = vendors::elastic::open(&got.body, &route, &settings);
        let opened = opened.map_err(|note| format!("{path}: {}: {}", note.reason, note.detail))?;
        Ok(Self { artifacts: opened.artifacts })
    }

    /// Fetches all that it names.
    pub(super) async fn finish(&self, client: &Client) -> Result<(), String> {
        for artifact in &self.artifacts {
            let got = client.file(artifact.route.as_str()).await?;
            if got.body.len() as u64 != artifact.size || Digest::of(&got.body) != artifact.digest {
                return Err(format!("{}: not the bytes that the manifest names", artifact.route));
            }
        }
        Ok(())
    }
}

/// Where the manifest of a version lies.
pub(super) fn manifest_path(version: &str) -> String {
    ElasticSettings::default().manifest_template.replace("{version}", version)
}
