//! Opens the way to vendors.

use std::sync::Arc;

use blob_store::BlobStore;
use config::Config;
use mirror::Origins;
use model::{Clock, Vendor};
use origin::{HostGate, Nowhere, Origin, RetryPolicy, VendorOrigin, VendorSettings};
use outbound::{ClientSettings, HttpClient, Limits, Outbound, ProxySettings, Secret};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use url::Url;

use crate::build::{BuildError, read};

/// Opens the way to the vendors of a configuration.
pub(crate) struct VendorOrigins {
    outbound: Arc<dyn Outbound>,
    blobs: Arc<dyn BlobStore>,
    connections_per_host: usize,
    reserve: u64,
    retry: RetryPolicy,
    elastic: Option<Url>,
    defender: Option<Url>,
    redirect_hosts: Vec<String>,
}

impl VendorOrigins {
    pub(crate) fn new(config: &Config, blobs: Arc<dyn BlobStore>, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let limits = &config.limits;
        Ok(Self {
            outbound: client(config, clock)?,
            blobs,
            connections_per_host: config.origin.connections_per_host,
            reserve: limits.disk_reserve,
            retry: RetryPolicy {
                attempts: limits.retries.saturating_add(1),
                base: limits.retry_base,
                ..RetryPolicy::default()
            },
            elastic: config.elastic.as_ref().map(|elastic| elastic.origin.clone()),
            defender: config.defender.as_ref().map(|defender| defender.origin.clone()),
            redirect_hosts: config.defender.iter().flat_map(|defender| defender.redirect_hosts.clone()).collect(),
        })
    }

    /// Where a vendor is; none without a section of it, though feeds of it may have been learned before.
    fn settings(&self, vendor: Vendor) -> Option<VendorSettings> {
        let (base, redirect_hosts) = match vendor {
            Vendor::Elastic => (self.elastic.clone()?, Vec::new()),
            Vendor::Defender => (self.defender.clone()?, self.redirect_hosts.clone()),
        };
        Some(VendorSettings { base, redirect_hosts, retry: self.retry, reserve: self.reserve })
    }
}

impl Origins for VendorOrigins {
    fn connections_per_host(&self) -> usize {
        self.connections_per_host
    }

    fn reserve(&self) -> u64 {
        self.reserve
    }

    fn vendor(&self, vendor: Vendor, gate: Arc<HostGate>) -> Arc<dyn Origin> {
        let Some(settings) = self.settings(vendor) else { return Arc::new(Nowhere(vendor)) };
        // Without the system's randomness the jitter is the same each time, which is still jitter.
        let rng = StdRng::try_from_rng(&mut rand::rngs::SysRng).unwrap_or_else(|_| StdRng::seed_from_u64(0));
        let (outbound, blobs) = (Arc::clone(&self.outbound), Arc::clone(&self.blobs));
        Arc::new(VendorOrigin::new(settings, outbound, blobs, gate, rng))
    }

    fn base(&self, vendor: Vendor) -> String {
        let settings = self.settings(vendor);
        settings.map(|settings| settings.base.to_string().trim_end_matches('/').to_owned()).unwrap_or_default()
    }
}

/// The HTTP client of a configuration.
///
/// # Errors
/// [`BuildError`] when the proxy, a certificate file or a limit cannot be used.
pub fn client(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<dyn Outbound>, BuildError> {
    Ok(Arc::new(HttpClient::new(client_settings(config, clock)?)?))
}

/// How vendors are reached.
pub(crate) fn client_settings(config: &Config, clock: Arc<dyn Clock>) -> Result<ClientSettings, BuildError> {
    let (origin, limits) = (&config.origin, &config.limits);
    let ca_pem = origin.ca_file.as_ref().map(|path| read("origin.ca_file", path)).transpose()?;
    Ok(ClientSettings {
        proxy: origin.proxy.as_ref().map(|proxy| ProxySettings {
            url: proxy.url.clone(),
            user: proxy.user.clone(),
            password: proxy.password.as_ref().map(|password| Secret::new(password.expose())),
        }),
        no_proxy: origin.no_proxy.clone(),
        ca_pem,
        allow_plain_http: origin.allow_plain_http,
        named_hosts: named_hosts(config),
        limits: Limits {
            connect: limits.connect_timeout,
            head: limits.head_timeout,
            pause: limits.pause_timeout,
            minimum_rate: limits.minimum_rate,
            total: limits.attempt_deadline,
            hops: limits.redirects,
        },
        rate_limit: origin.rate_limit,
        ..ClientSettings::new(clock)
    })
}

/// The hosts that the configuration names: whatever their address, the operator meant it.
fn named_hosts(config: &Config) -> Vec<String> {
    let origins = config.elastic.iter().map(|elastic| &elastic.origin);
    let origins = origins.chain(config.defender.iter().map(|defender| &defender.origin));
    let redirects = config.defender.iter().flat_map(|defender| &defender.redirect_hosts);
    origins
        .filter_map(|url| url.host_str().map(str::to_owned))
        .chain(redirects.filter(|host| !host.starts_with("*.")).cloned())
        .collect()
}
