//! What may be put under load.

use std::net::{IpAddr, SocketAddr};

use rustls::ClientConfig;
use rustls::client::Resumption;
use std::sync::Arc;
use url::Url;

/// Hosts of vendors: never put under load, whatever is confirmed.
const VENDORS: [&str; 6] =
    ["elastic.co", "microsoft.com", "windows.com", "windowsupdate.com", "azure.com", "azureedge.net"];

/// A mirror that may be put under load.
#[derive(Clone)]
pub struct Target {
    /// Its addresses, tried in order.
    pub(super) addresses: Vec<SocketAddr>,
    /// The path that stands before every route, without a slash at its end.
    pub(super) prefix: String,
    /// What `Host` says.
    pub(super) authority: String,
    /// The name that its certificate must have.
    pub(super) name: String,
    /// TLS, where it is spoken.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Whether every address is this machine's own.
    pub(super) is_loopback: bool,
    /// As it was given.
    pub(super) shown: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// Why a mirror is not put under load.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no URL to append to.
    #[error("'{0}' is no mirror's URL: http or https, a host, no query")]
    Url(String),
    /// It is a vendor's.
    #[error("{0} is a vendor's host: a rehearsal is never pointed at it")]
    Vendor(String),
    /// It is not this machine, and was not confirmed.
    #[error(
        "{host} is not this machine ({address}): a rehearsal puts it under load, so name it twice: --load-host {host}"
    )]
    Unconfirmed {
        /// The host.
        host: String,
        /// One of its addresses.
        address: IpAddr,
    },
    /// Another host was confirmed.
    #[error("the URL's host is {host}, and {confirmed} was confirmed")]
    Another {
        /// The host of the URL.
        host: String,
        /// What was confirmed.
        confirmed: String,
    },
    /// It has no address.
    #[error("{host} has no address")]
    Unknown {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Target {
    /// Looks a mirror up; `confirmed` is its host once more, if that was said. `tls` is what https is spoken with.
    ///
    /// # Errors
    /// It must not be put under load, or cannot be found.
    pub async fn find(
        url: &Url,
        confirmed: Option<&str>,
        tls: impl FnOnce() -> Arc<ClientConfig>,
    ) -> Result<Self, TargetError> {
        let refused = || TargetError::Url(shown(url));
        let host = url.host_str().ok_or_else(refused)?.to_ascii_lowercase();
        let port = url.port_or_known_default().ok_or_else(refused)?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(refused());
        }
        let plain = host.trim_end_matches('.');
        if VENDORS.iter().any(|vendor| plain == *vendor || plain.ends_with(&format!(".{vendor}"))) {
            return Err(TargetError::Vendor(host));
        }
        if let Some(other) = confirmed.filter(|other| !other.eq_ignore_ascii_case(&host)) {
            let confirmed = other.chars().take(80).collect();
            return Err(TargetError::Another { host, confirmed });
        }
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let unknown = |source| TargetError::Unknown { host: host.clone(), source };
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((name.as_str(), port)).await.map_err(unknown)?.collect();
        let nowhere = || unknown(std::io::ErrorKind::NotFound.into());
        let first = addresses.first().ok_or_else(nowhere)?.ip();
        let outside = addresses.iter().map(SocketAddr::ip).find(|address| !address.is_loopback());
        if let Some(address) = outside.filter(|_| confirmed.is_none()) {
            return Err(TargetError::Unconfirmed { host, address });
        }
        let authority = if url.port().is_some() { format!("{host}:{port}") } else { host.clone() };
        Ok(Self {
            is_loopback: outside.is_none() && first.is_ipv4(),
            addresses,
            prefix: url.path().trim_end_matches('/').to_owned(),
            authority,
            name,
            tls: (url.scheme() == "https").then(|| unremembered(&tls())),
            shown: shown(url),
        })
    }
}

/// What remembers no session: endpoints have no memory in common, and each handshake is to cost what theirs costs.
fn unremembered(tls: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = tls.clone();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // What stands before the host may be a secret; a URL that takes none has none.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.as_str().chars().take(200).collect()
}
