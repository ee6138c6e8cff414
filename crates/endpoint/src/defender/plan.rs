//! Where an update comes from, as the settings have it.

use std::path::PathBuf;

use settings::defender::Address;
use settings::shown_url;
use url::Url;

use super::agent::{Agent, Assumptions, OddArchive, Schemeless};
use super::managed::Managed;
use crate::Fail;

/// One place to update from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// A mirror: the base, to which `arch_…/updates.zip` is appended.
    Mirror {
        /// As the settings write it.
        written: String,
        /// The base, with a slash at its end.
        base: Url,
    },
    /// A folder of this machine, maybe mounted, in which `arch_…/updates.zip` lies.
    Folder {
        /// As the settings write it.
        written: String,
        /// The folder.
        path: PathBuf,
    },
    /// The vendor's cloud.
    Cloud {
        /// The forwarding link without its arguments.
        base: Url,
    },
}

/// Where an update comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Asked first; or why nothing can be asked.
    pub first: Result<Site, Fail>,
    /// Asked when that failed.
    pub fallback: Option<Site>,
}

impl Plan {
    /// What the settings say; `cloud` is the forwarding link without its arguments.
    pub fn of(managed: &Managed, agent: &Agent, assumptions: &Assumptions, cloud: &Url) -> Self {
        let cloud = Site::Cloud { base: cloud.clone() };
        if !managed.offline.value {
            return Self { first: Ok(cloud), fallback: None };
        }
        let first = match &managed.url.value {
            Some(url) => site(url, agent, assumptions),
            None => {
                Err(Fail::settings("offlineDefinitionUpdate is enabled, and offlineDefinitionUpdateUrl is not set"))
            }
        };
        Self { first, fallback: managed.fallback.value.then_some(cloud) }
    }
}

fn site(written: &str, agent: &Agent, assumptions: &Assumptions) -> Result<Site, Fail> {
    let refused = |why: &str| Fail::settings(format!("offlineDefinitionUpdateUrl '{}' {why}", shown_url(written)));
    if written.contains(['<', '>']) {
        return Err(refused("is a sample's placeholder"));
    }
    let address = Address::read(written);
    if address.is_too_far() {
        return Err(refused("goes on into arch_…: the endpoint appends that itself"));
    }
    if let Some(other) = other_system(&address, agent)
        && assumptions.odd_archive == OddArchive::Refuse
    {
        return Err(refused(&format!("leads to {other}: that system's engine does not load on {}", agent.platform)));
    }
    if written.starts_with('/') {
        return Ok(Site::Folder { written: written.to_owned(), path: PathBuf::from(written) });
    }
    let has_scheme = written.contains("://");
    if !has_scheme && assumptions.schemeless == Schemeless::Refuse {
        return Err(refused("has no scheme: it must begin with http://, https:// or /"));
    }
    let full = if has_scheme { written.to_owned() } else { format!("http://{written}") };
    let mut base = Url::parse(&full).map_err(|error| refused(&format!("is no URL: {error}")))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(refused("is neither http, https nor a folder"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(refused("has a user or a password, which an agent is not known to send"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(refused("has a query or a fragment, and nothing can be appended to those"));
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(Site::Mirror { written: written.to_owned(), base })
}

/// Platform and track of an address that is the other system's.
pub(super) fn other_system(address: &Address, agent: &Agent) -> Option<String> {
    let (platform, track) = address.layout()?;
    (platform != agent.platform.as_str()).then(|| format!("{platform}/{track}"))
}
