//! The endpoints: one for each version of Elastic Defend, one for each architecture of Defender.

use model::Digest;

use super::client::Client;
use super::defender_endpoint::{self, DefenderUpdate};
use super::elastic_endpoint::{self, ElasticUpdate};
use super::setup::{ARCHITECTURES, VERSIONS};
use super::world::World;
use crate::show::{bytes, count};

/// What one endpoint got.
#[derive(Clone)]
pub(super) enum Update {
    /// An Elastic Defend endpoint.
    Elastic(ElasticUpdate),
    /// A Microsoft Defender endpoint.
    Defender(DefenderUpdate),
}

impl Update {
    /// Its feed.
    pub(super) fn feed(&self) -> String {
        match self {
            Self::Elastic(update) => format!("elastic/{}", update.endpoint),
            Self::Defender(update) => format!("defender/linux/production/{}", update.architecture),
        }
    }

    /// The vendor's own version.
    pub(super) fn version(&self) -> &str {
        match self {
            Self::Elastic(update) => &update.version,
            Self::Defender(update) => &update.definitions,
        }
    }

    /// The digest of the file that stands for the whole: the manifest, which names all else, or the archive.
    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Elastic(update) => update.digest,
            Self::Defender(update) => update.digest,
        }
    }

    /// Bytes that the endpoint took.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Elastic(update) => update.bytes,
            Self::Defender(update) => update.bytes,
        }
    }

    /// What was checked, in words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Elastic(update) => format!(
                "Elastic endpoint {}: manifest {}, signature good; {}, every SHA-256 right",
                update.endpoint,
                update.version,
                count(update.artifacts.len(), "artifact"),
            ),
            Self::Defender(update) => format!(
                "Defender endpoint linux/{}: definitions {}, engine {}; {} whole",
                update.architecture,
                update.definitions,
                update.engine,
                count(update.members, "file"),
            ),
        }
    }

    /// Asks again, conditionally.
    pub(super) async fn poll(&self, client: &Client) -> Result<(), String> {
        match self {
            Self::Elastic(update) => update.poll(client).await,
            Self::Defender(update) => update.poll(client).await,
        }
    }
}

/// Every endpoint updates, one after the other; an error where one could not.
pub(super) async fn update_all(world: &World) -> Vec<Result<Update, String>> {
    let mut updates = Vec::new();
    for version in VERSIONS {
        let update = elastic_endpoint::update(&world.client, &world.keys, version).await;
        updates.push(update.map(Update::Elastic));
    }
    for architecture in ARCHITECTURES {
        let update = defender_endpoint::update(&world.client, "production", architecture).await;
        updates.push(update.map(Update::Defender));
    }
    updates
}

/// Every endpoint updates and gets exactly what it has already: the last good release, whole.
pub(super) async fn still_served(world: &World, running: &[Update]) -> Result<String, String> {
    let mut total = 0;
    for (now, before) in update_all(world).await.into_iter().zip(running) {
        let now = now?;
        if now.digest() != before.digest() {
            return Err(format!("{} moved from {} to {}", now.feed(), before.version(), now.version()));
        }
        total += now.bytes();
    }
    let endpoints = running.len();
    Ok(format!("all {endpoints} endpoints still get their last good release, whole and unchanged ({})", bytes(total)))
}
