//! Which endpoint is played.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use endpoint::defender::{
    Agent, Architecture, Assumptions, ClockRef, Endpoint, Managed, MirrorProxy, Platform, Store, system_of,
};
use endpoint::{Network, ProxyUse, Unwatched};
use url::Url;

use crate::commands::endpoint::{keys, read, state};
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Where the vendor's agent reads its managed settings.
const SETTINGS: &str = "/etc/opt/microsoft/mdatp/managed/mdatp_managed.json";

/// Which endpoint is played.
#[derive(Clone, Debug, Args)]
pub(super) struct Player {
    /// The folder that keeps the endpoint's state; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// The managed settings: mdatp_managed.json, or a macOS property list or profile
    #[arg(long, value_name = "FILE", default_value = SETTINGS)]
    settings: PathBuf,
    /// The system that is played: linux or mac; else that of the settings' form, as JSON is for Linux
    #[arg(long, value_name = "SYSTEM")]
    platform: Option<Platform>,
    /// The processor that is played: x86_64 or arm64
    #[arg(long, value_name = "ARCH", default_value = "x86_64")]
    arch: Architecture,
    /// The version of the agent that is played; from 101.26062.0005 on Linux checks the engine's signature always
    #[arg(long, value_name = "VERSION", default_value = "101.26062.0007")]
    agent: String,
    /// A public key (PEM) that the engine's signature is checked with; without any it is not checked
    #[arg(long, value_name = "FILE")]
    engine_key: Vec<PathBuf>,
    /// The vendor's forwarding link, for updates from the cloud
    #[arg(long, value_name = "URL", default_value = "https://go.microsoft.com/fwlink/")]
    cloud: Url,
    /// A host that the cloud may redirect to; may be repeated
    #[arg(long, value_name = "HOST")]
    #[arg(default_values = ["definitionupdates.microsoft.com", "*.endpoint.security.microsoft.com"])]
    cloud_host: Vec<String>,
    /// Roots beside the public ones and the system's, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// What to assume where the vendor says nothing, such as scheme=http; docs/reference-endpoint.md lists them
    #[arg(long, value_name = "WHAT")]
    assume: Vec<String>,
}

impl Player {
    /// The endpoint, and its settings as they are now.
    pub(super) fn play(&self, context: &Context) -> Result<(Endpoint, Managed), Failure> {
        let assumptions = self.assumptions()?;
        let agent = self.agent()?;
        let managed = self.managed(&agent, &assumptions)?;
        let store =
            Store::open(&self.state, Arc::new(Unwatched)).map_err(|error| state("endpoint defender", &error))?;
        let proxy_use = match assumptions.mirror_proxy {
            MirrorProxy::Never => ProxyUse::Cloud,
            MirrorProxy::Always => ProxyUse::Everything,
        };
        let network = Network {
            ca_pem: self.ca_file.as_ref().map(|path| read(path)).transpose()?,
            cloud: Some(self.cloud.clone()),
            cloud_hosts: self.cloud_host.clone(),
            proxy_use,
            clock: Arc::clone(&context.clock),
        };
        let endpoint = Endpoint {
            agent,
            assumptions,
            store,
            dial: Arc::new(network),
            cloud: self.cloud.clone(),
            cloud_hosts: self.cloud_host.clone(),
            vendor: vendors::defender::DefenderSettings::default(),
            engine_keys: keys(&self.engine_key)?,
            clock: ClockRef(Arc::clone(&context.clock)),
        };
        Ok((endpoint, managed))
    }

    /// The settings as they are now.
    pub(super) fn managed(&self, agent: &Agent, assumptions: &Assumptions) -> Result<Managed, Failure> {
        if self.is_unmanaged() {
            let mut managed = Managed::defaults(agent, assumptions);
            managed.warnings.push(format!("there is no {SETTINGS}: nothing is managed; --settings names another"));
            return Ok(managed);
        }
        let bytes = read(&self.settings)?;
        Managed::read(&bytes, agent, assumptions).map_err(|error| {
            Failure::new(&self.settings.display().to_string(), &error)
                .with_exit(Exit::USAGE)
                .with_next("`waystation configure defender --check FILE` says what else an endpoint would make of it")
        })
    }

    /// What was named, else what the settings are for, else Linux: then nothing is managed, or it cannot be read.
    fn platform(&self) -> Result<Platform, Failure> {
        match self.platform {
            Some(platform) => Ok(platform),
            None if self.is_unmanaged() => Ok(Platform::Linux),
            None => Ok(system_of(&read(&self.settings)?).unwrap_or(Platform::Linux)),
        }
    }

    /// The agent's own place may be empty.
    fn is_unmanaged(&self) -> bool {
        self.settings.as_os_str() == SETTINGS && matches!(self.settings.try_exists(), Ok(false))
    }

    fn agent(&self) -> Result<Agent, Failure> {
        let version = self.agent.parse();
        let version = version.map_err(|error| Failure::usage(format!("--agent '{}' is {error}", self.agent)))?;
        Ok(Agent { platform: self.platform()?, architecture: self.arch, version })
    }

    fn assumptions(&self) -> Result<Assumptions, Failure> {
        let mut assumptions = Assumptions::default();
        for text in &self.assume {
            assumptions.assume(text).map_err(|error| Failure::usage(format!("--assume: {error}")))?;
        }
        Ok(assumptions)
    }
}
