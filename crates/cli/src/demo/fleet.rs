//! The endpoints: one for each version of Elastic Defend, each on another system, and one for each architecture of
//! Defender. They are the reference endpoints that `waystation endpoint` plays, with a state of their own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use endpoint::{Network, ProxyUse};
use model::{Clock, Digest};
use settings::elastic::System;
use trust::KeyRing;
use url::Url;

use super::client::Client;
use super::defender_endpoint::DefenderPlayer;
use super::elastic_endpoint::{ElasticPlayer, manifest_path};
use super::setup::{ARCHITECTURES, VERSIONS};
use crate::show::bytes;

/// The systems that Elastic Defend runs on, one for each of [`VERSIONS`].
const SYSTEMS: [System; 3] = [System::Linux, System::Windows, System::Mac];

/// What endpoints are told of the mirror.
pub(super) struct Mirror {
    /// Its base URL, without a slash at its end.
    pub(super) base: String,
    /// The keys that Elastic's manifests are checked with.
    pub(super) keys: KeyRing,
    /// In the place of Microsoft's cloud, which nobody asks.
    pub(super) cloud: Url,
    pub(super) clock: Arc<dyn Clock>,
}

impl Mirror {
    pub(super) fn network(&self) -> Network {
        Network {
            ca_pem: None,
            cloud: Some(self.cloud.clone()),
            cloud_hosts: Vec::new(),
            proxy_use: ProxyUse::Cloud,
            clock: Arc::clone(&self.clock),
        }
    }
}

/// What one endpoint has after an update.
#[derive(Clone)]
pub(super) struct Update {
    /// Its feed.
    pub(super) feed: String,
    /// The vendor's own version.
    pub(super) version: String,
    /// The digests of what it has of it: artifacts, or the archive.
    pub(super) content: BTreeSet<Digest>,
    /// Bytes that it took for this.
    pub(super) bytes: u64,
    /// Whether it had something else before.
    pub(super) is_new: bool,
    /// What was checked, in words.
    pub(super) words: String,
}

impl Update {
    /// Whether both are the same content of the same release.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.feed, &self.version, &self.content) == (&other.feed, &other.version, &other.content)
    }
}

enum Player {
    Elastic(ElasticPlayer),
    Defender(DefenderPlayer),
}

impl Player {
    async fn update(&self) -> Result<Update, String> {
        match self {
            Self::Elastic(player) => player.update().await,
            Self::Defender(player) => player.update().await,
        }
    }
}

/// The endpoints.
pub(super) struct Fleet {
    mirror: Mirror,
    folder: PathBuf,
    players: Vec<Player>,
}

impl Fleet {
    /// Endpoints whose states lie below this folder.
    pub(super) fn new(mirror: Mirror, folder: &Path) -> Result<Self, String> {
        let players = players(&mirror, &folder.join("fleet"))?;
        Ok(Self { mirror, folder: folder.to_owned(), players })
    }

    /// Every endpoint updates, one after the other; an error where one could not.
    pub(super) async fn update_all(&self) -> Vec<Result<Update, String>> {
        update_all(&self.players).await
    }

    /// Every endpoint asks again: it has what there is, and is told so with a 304.
    pub(super) async fn poll_all(&self, client: &Client) -> Result<String, String> {
        for update in self.update_all().await {
            let update = update?;
            if update.is_new {
                return Err(format!("{} went to {}", update.feed, update.version));
            }
        }
        for path in addresses() {
            client.nothing_new(&path).await?;
        }
        Ok(format!("all {} ask again with their ETag: 304, and not a byte of content", self.players.len()))
    }

    /// Every endpoint keeps what it has, and one that is new of each kind gets exactly that: the last good release, whole.
    pub(super) async fn still_served(&self, running: &[Update]) -> Result<String, String> {
        for (now, before) in self.update_all().await.into_iter().zip(running) {
            let now = now?;
            if now.is_new || !now.is_same(before) {
                return Err(format!("{} moved from {} to {}", now.feed, before.version, now.version));
            }
        }
        let folder = self.folder.join("new");
        let new = update_all(&players(&self.mirror, &folder)?).await;
        let mut total = 0;
        for (now, before) in new.into_iter().zip(running) {
            let now = now?;
            if !now.is_same(before) {
                return Err(format!(
                    "a new endpoint of {} gets {}, the others have {}",
                    now.feed, now.version, before.version
                ));
            }
            total += now.bytes;
        }
        std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(format!(
            "all {} endpoints still get their last good release, and so does a new one of each kind, whole ({})",
            running.len(),
            bytes(total)
        ))
    }

    /// What an endpoint of this architecture gets that is pointed at the release before.
    pub(super) async fn back(&self, architecture: &str) -> Result<Update, String> {
        let state = self.folder.join(format!("back-{architecture}"));
        DefenderPlayer::new(&self.mirror, ("production_back", architecture), &state)?.update().await
    }
}

fn players(mirror: &Mirror, folder: &Path) -> Result<Vec<Player>, String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut players = Vec::new();
    for (version, os) in VERSIONS.into_iter().zip(SYSTEMS) {
        let state = folder.join(format!("elastic-{version}-{os}"));
        players.push(Player::Elastic(ElasticPlayer::new(mirror, (version, os), &state)?));
    }
    for architecture in ARCHITECTURES {
        let state = folder.join(format!("defender-{architecture}"));
        players.push(Player::Defender(DefenderPlayer::new(mirror, ("production", architecture), &state)?));
    }
    Ok(players)
}

async fn update_all(players: &[Player]) -> Vec<Result<Update, String>> {
    let mut updates = Vec::new();
    for player in players {
        updates.push(player.update().await);
    }
    updates
}

/// What endpoints poll.
fn addresses() -> impl Iterator<Item = String> {
    let archives = ARCHITECTURES.map(|name| format!("/linux/production/arch_{name}/updates.zip"));
    VERSIONS.map(manifest_path).into_iter().chain(archives)
}
