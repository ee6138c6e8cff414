//! Whether the hosts that updates come from can be reached.

use std::sync::Arc;

use model::Reason;
use outbound::{Outbound, Request};

use super::managed::Managed;
use super::plan::{Plan, Site};
use super::source::open_archive;
use super::update::Endpoint;
use crate::Fail;

/// One place that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Which: a URL or a path.
    pub place: String,
    /// Whether it answered; if not, why.
    pub result: Result<(), Fail>,
}

/// Tries what the settings name, then the cloud where it stands behind it: the head of the very archive that an update
/// would fetch. Which of its URLs the vendor's own test asks for on a mirror is not published.
pub async fn connectivity(endpoint: &Endpoint, managed: &Managed) -> Vec<Probe> {
    let plan = Plan::of(managed, &endpoint.agent, &endpoint.assumptions, &endpoint.cloud);
    let mut probes = Vec::new();
    match &plan.first {
        Ok(site) => probes.push(endpoint.probe(site, managed).await),
        Err(fail) => {
            let place = managed
                .url
                .value
                .as_deref()
                .map(settings::shown_url)
                .unwrap_or_else(|| "offlineDefinitionUpdateUrl".to_owned());
            probes.push(Probe { place, result: Err(fail.clone()) });
        }
    }
    if let Some(cloud) = &plan.fallback {
        probes.push(endpoint.probe(cloud, managed).await);
    }
    probes
}

impl Endpoint {
    async fn probe(&self, site: &Site, managed: &Managed) -> Probe {
        let proxy = managed.proxy.value.as_deref();
        match site {
            Site::Mirror { base, written } => match base.join(&format!("{}/updates.zip", self.agent.folder())) {
                Ok(url) => {
                    let request = Request { head_only: true, ..Request::get(url.clone()) };
                    Probe { place: url.into(), result: head(self.dial.mirror(base, proxy), request).await }
                }
                Err(error) => Probe { place: written.clone(), result: Err(Fail::settings(error.to_string())) },
            },
            Site::Folder { path, .. } => {
                let place = path.join(self.agent.folder()).join("updates.zip").display().to_string();
                let opened = self.open_folder(path).and_then(|(folder, wanted)| open_archive(&folder, &wanted));
                Probe { place, result: opened.map(|_| ()) }
            }
            Site::Cloud { base } => match self.upstream(base) {
                Ok((url, _)) => {
                    let redirect_hosts = self.cloud_hosts.clone();
                    let request = Request { head_only: true, redirect_hosts, ..Request::get(url.clone()) };
                    Probe { place: url.into(), result: head(self.dial.cloud(proxy), request).await }
                }
                Err(fail) => Probe { place: base.to_string(), result: Err(fail) },
            },
        }
    }
}

/// Whether there is an archive to fetch; what an update would call none is none here.
async fn head(http: Result<Arc<dyn Outbound>, Fail>, request: Request) -> Result<(), Fail> {
    let url = request.url.clone();
    match http?.get(request).await?.length {
        Some(0) => Err(Fail::new(Reason::BadResponse, format!("{url}: the archive is empty"))),
        _ => Ok(()),
    }
}
