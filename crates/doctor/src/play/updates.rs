//! A reference endpoint updates from the mirror: what it makes of all of it together.

use std::sync::Arc;

use endpoint::defender::{self, Agent, Managed};
use endpoint::elastic::{self, Policy};
use endpoint::{Network, ProxyUse, Unwatched};
use model::{FeedId, Vendor, error_chain};
use serde_json::json;
use settings::elastic::System;
use url::Url;

use crate::Check;
use crate::finding::Finding;
use crate::play::{Scene, shown};

const ASKED: &str = "an update, and another right after";
/// The agent of Defender that is played.
const AGENT: &str = "101.26062.0007";
/// Whoever is played has a mirror and nothing behind it.
const NO_CLOUD: &str = "https://cloud.invalid/";

/// Has an endpoint of the feed's kind update twice, with a state of its own that is gone afterwards.
pub(super) async fn look(scene: &Scene<'_>, feed: &FeedId) -> Option<Finding> {
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return Some(Finding::fail(Check::Spool, feed.as_str(), "a temporary folder", error.to_string())),
    };
    let played = async {
        match feed.vendor() {
            Vendor::Elastic => elastic_twice(scene, feed, folder.path()).await,
            Vendor::Defender => defender_twice(scene, feed, folder.path()).await,
        }
    };
    let ended = tokio::time::timeout_at(scene.client.waits.end, played).await;
    // That the time is over is told of the examination as a whole.
    let told = ended.ok()?;
    Some(match told? {
        Ok(Twice::Settled(came)) => Finding::ok(Check::Update, feed.as_str(), ASKED, came),
        // What a stand-in makes of something is no proof of what the vendors' endpoints do.
        Ok(Twice::Again(came)) | Err(came) => Finding::warn(Check::Update, feed.as_str(), ASKED, came),
    })
}

/// How two updates ended that did not fail; in words.
enum Twice {
    /// The second found nothing new.
    Settled(String),
    /// The second took something once more.
    Again(String),
}

fn network(scene: &Scene<'_>) -> Network {
    Network {
        ca_pem: scene.examination.ca_pem.clone(),
        cloud: None,
        cloud_hosts: Vec::new(),
        proxy_use: ProxyUse::Cloud,
        clock: Arc::clone(&scene.examination.clock),
    }
}

/// What came of it, or why it did not; none of a feed whose address no policy can name by itself.
async fn elastic_twice(scene: &Scene<'_>, feed: &FeedId, state: &std::path::Path) -> Option<Result<Twice, String>> {
    let version = feed.segments().next().filter(|_| feed.date().is_none() && feed.segments().count() == 1)?;
    let settings = &scene.examination.settings.elastic;
    let os = System::Linux;
    let made = || -> Result<elastic::Endpoint, String> {
        Ok(elastic::Endpoint {
            os,
            version: version.to_owned(),
            built: None,
            host: "doctor".to_owned(),
            policy: Policy::plain(&base(scene), os).map_err(|error| error_chain(&error))?,
            keys: Some(settings.keys.as_ref().clone()),
            assumptions: elastic::Assumptions { signature: settings.signature, ..elastic::Assumptions::default() },
            quirks: elastic::Quirks::Mended,
            store: elastic::Store::open(state, Arc::new(Unwatched)).map_err(|error| error_chain(&error))?,
            dial: Arc::new(network(scene)),
            clock: defender::ClockRef(Arc::clone(&scene.examination.clock)),
        })
    };
    let endpoint = match made() {
        Ok(endpoint) => endpoint,
        Err(why) => return Some(Err(why)),
    };
    let poll = || async {
        let report = endpoint.poll().await.map_err(|error| error_chain(&error))?;
        report.result.map_err(|fail| fail.to_string())
    };
    let both = async {
        let first = poll().await?;
        let elastic::Outcome::Applied { to, fetched, .. } = first else {
            return Err("nothing was applied although nothing was there".to_owned());
        };
        match poll().await? {
            elastic::Outcome::Current { .. } => Ok(Twice::Settled(format!(
                "an endpoint {version} on {os} applied {to} with {fetched} artifacts, then found nothing new"
            ))),
            elastic::Outcome::Applied { to: again, .. } if again == to => {
                Ok(Twice::Again(format!("an endpoint {version} on {os} applied {to}, and the same {to} once more")))
            }
            elastic::Outcome::Applied { to: newer, .. } => Ok(Twice::Settled(format!(
                "an endpoint {version} on {os} applied {to} with {fetched} artifacts, then {newer}, which came meanwhile"
            ))),
        }
    };
    Some(both.await)
}

async fn defender_twice(scene: &Scene<'_>, feed: &FeedId, state: &std::path::Path) -> Option<Result<Twice, String>> {
    let parts: Vec<&str> = feed.segments().collect();
    let [platform, track, architecture] = parts.as_slice() else { return None };
    let agent = Agent {
        platform: platform.parse().ok()?,
        architecture: architecture.parse().ok()?,
        version: AGENT.parse().ok()?,
    };
    let cloud = Url::parse(NO_CLOUD).ok()?;
    let assumptions = defender::Assumptions::default();
    let managed = json!({ "antivirusEngine": {
        "enforcementLevel": "real_time",
        "offlineDefinitionUpdate": "enabled",
        "offlineDefinitionUpdateUrl": format!("{}/{platform}/{track}/", base(scene)),
        "offlineDefinitionUpdateFallbackToCloud": false,
    }});
    let managed = match Managed::read(managed.to_string().as_bytes(), &agent, &assumptions) {
        Ok(managed) => managed,
        Err(error) => return Some(Err(error_chain(&error))),
    };
    let store = match defender::Store::open(state, Arc::new(Unwatched)) {
        Ok(store) => store,
        Err(error) => return Some(Err(error_chain(&error))),
    };
    let endpoint = defender::Endpoint {
        agent,
        assumptions,
        store,
        dial: Arc::new(network(scene)),
        cloud,
        cloud_hosts: Vec::new(),
        vendor: scene.examination.settings.defender.clone(),
        engine_keys: None,
        clock: defender::ClockRef(Arc::clone(&scene.examination.clock)),
    };
    let update = || async {
        let report = endpoint.update(&managed).await.map_err(|error| error_chain(&error))?;
        let last = report.attempts.into_iter().next_back().ok_or_else(|| "nothing was asked".to_owned())?;
        last.result.map_err(|fail| fail.to_string())
    };
    let who = format!("an endpoint on {platform} {architecture}");
    let both = async {
        let defender::Outcome::Updated { to, .. } = update().await? else {
            return Err("nothing was installed although nothing was there".to_owned());
        };
        let to = to.map_or_else(|| "an archive without versions".to_owned(), |to| to.to_string());
        match update().await? {
            defender::Outcome::Current(_) => {
                Ok(Twice::Settled(format!("{who} installed {to}, then found nothing new")))
            }
            defender::Outcome::Updated { to: Some(newer), .. } if newer.to_string() != to => {
                Ok(Twice::Settled(format!("{who} installed {to}, then {newer}, which came meanwhile")))
            }
            defender::Outcome::Updated { .. } => {
                Ok(Twice::Again(format!("{who} installed {to}, and other bytes of the same name once more")))
            }
        }
    };
    Some(both.await)
}

/// The base URL as endpoints are given it; what an endpoint says of it has no secrets in it.
fn base(scene: &Scene<'_>) -> String {
    shown(&scene.examination.url).trim_end_matches('/').to_owned()
}
