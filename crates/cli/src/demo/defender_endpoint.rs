//! Microsoft Defender endpoints of the demo: the reference endpoint with a state of its own.

use std::path::Path;
use std::sync::Arc;

use endpoint::Unwatched;
use endpoint::defender::{Agent, Architecture, Assumptions, ClockRef, Endpoint, Managed, Outcome, Platform, Store};
use model::{Version, error_chain};
use serde_json::json;
use vendors::defender::DefenderSettings;

use super::fleet::{Mirror, Update};

/// The agent that is played.
const AGENT: &str = "101.26062.0007";

/// A reference endpoint and its managed settings.
pub(super) struct DefenderPlayer {
    endpoint: Endpoint,
    managed: Managed,
}

impl DefenderPlayer {
    /// An endpoint that is pointed at this track of the mirror, with its state in this folder.
    pub(super) fn new(mirror: &Mirror, (track, name): (&str, &str), state: &Path) -> Result<Self, String> {
        let architecture = name.parse::<Architecture>().map_err(|error| format!("{name}: {error}"))?;
        let version = AGENT.parse::<Version>().map_err(|error| format!("{AGENT}: {error}"))?;
        let agent = Agent { platform: Platform::Linux, architecture, version };
        let assumptions = Assumptions::default();
        let settings = json!({ "antivirusEngine": {
            "enforcementLevel": "real_time",
            "offlineDefinitionUpdate": "enabled",
            "offlineDefinitionUpdateUrl": format!("{}/linux/{track}/", mirror.base),
        }});
        let managed = Managed::read(settings.to_string().as_bytes(), &agent, &assumptions);
        let endpoint = Endpoint {
            agent,
            assumptions,
            store: Store::open(state, Arc::new(Unwatched)).map_err(|error| error_chain(&error))?,
            dial: Arc::new(mirror.network()),
            cloud: mirror.cloud.clone(),
            cloud_hosts: Vec::new(),
            vendor: DefenderSettings::default(),
            engine_keys: None,
            clock: ClockRef(Arc::clone(&mirror.clock)),
        };
        Ok(Self { endpoint, managed: managed.map_err(|error| error_chain(&error))? })
    }

    fn architecture(&self) -> &'static str {
        self.endpoint.agent.architecture.as_str()
    }

    pub(super) fn feed(&self) -> String {
        format!("defender/linux/production/{}", self.architecture())
    }

    /// One update, and what the endpoint has then.
    pub(super) async fn update(&self) -> Result<Update, String> {
        let who = format!("Defender endpoint linux/{}", self.architecture());
        let report = self.endpoint.update(&self.managed).await.map_err(|error| error_chain(&error))?;
        if report.fell_back() {
            return Err(format!("{who}: it asked the cloud"));
        }
        let last = report.attempts.into_iter().next_back().ok_or("nothing was asked")?;
        let outcome = last.result.map_err(|fail| format!("{who}: {fail}"))?;
        let installed = self.endpoint.store.current().map_err(|error| error_chain(&error))?;
        let installed = installed.ok_or_else(|| format!("{who}: nothing is installed"))?;
        let version = installed.version.as_ref().ok_or_else(|| format!("{who}: nothing says the versions"))?;
        let (is_new, bytes) = match outcome {
            Outcome::Updated { bytes, .. } => (true, bytes),
            Outcome::Current(_) => (false, 0),
        };
        let engine = version.engine.as_ref().map(ToString::to_string).unwrap_or_default();
        let words = format!(
            "{who}: definitions {}, engine {engine}; {} files, each checksum right, unpacked beside the old set and \
             switched to; the engine's signature is not checked, because its key is not published",
            version.version,
            installed.members.len(),
        );
        let content = [installed.archive].into();
        Ok(Update { feed: self.feed(), version: version.version.to_string(), content, bytes, is_new, words })
    }
}
