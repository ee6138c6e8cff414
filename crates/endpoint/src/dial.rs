//! The network, as settings have it.

use std::fmt;
use std::sync::Arc;

use model::Clock;
use outbound::{ClientError, ClientSettings, HttpClient, Outbound, ProxySettings};
use url::Url;

use crate::fetch::{Dial, Fail};

/// Whether a proxy that the settings name stands before mirrors, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyUse {
    /// Before the vendor's cloud alone.
    Cloud,
    /// Before everything.
    Everything,
}

/// The network.
#[derive(Clone)]
pub struct Network {
    /// Roots beside the public ones and the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The vendor's cloud.
    pub cloud: Option<Url>,
    /// Hosts that it may redirect to: names, or `*.` and a suffix.
    pub cloud_hosts: Vec<String>,
    /// What a proxy is for.
    pub proxy_use: ProxyUse,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("cloud", &self.cloud)
            .field("proxy_use", &self.proxy_use)
            .finish_non_exhaustive()
    }
}

impl Dial for Network {
    fn mirror(&self, base: &Url, proxy: Option<&str>) -> Result<Arc<dyn Outbound>, Fail> {
        let proxy = match self.proxy_use {
            ProxyUse::Everything => proxy.map(proxy_settings).transpose()?,
            ProxyUse::Cloud => None,
        };
        self.client(base.host_str().map(str::to_owned).into_iter().collect(), proxy, Plain::Taken)
    }

    fn cloud(&self, proxy: Option<&str>) -> Result<Arc<dyn Outbound>, Fail> {
        let proxy = proxy.map(proxy_settings).transpose()?;
        // What is named by hand may have any address, the vendor's own hosts only public ones.
        let plain = self.cloud.as_ref().is_some_and(|cloud| cloud.scheme() == "http");
        let named = self.cloud.as_ref().and_then(Url::host_str).map(str::to_owned);
        let redirects = self.cloud_hosts.iter().filter(|host| !host.starts_with("*.")).cloned();
        self.client(
            named.into_iter().chain(redirects).collect(),
            proxy,
            if plain { Plain::Taken } else { Plain::Refused },
        )
    }
}

/// Whether plain HTTP is spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Taken,
    Refused,
}

impl Network {
    fn client(
        &self,
        named_hosts: Vec<String>,
        proxy: Option<ProxySettings>,
        plain: Plain,
    ) -> Result<Arc<dyn Outbound>, Fail> {
        let settings = ClientSettings {
            proxy,
            ca_pem: self.ca_pem.clone(),
            allow_plain_http: plain == Plain::Taken,
            named_hosts,
            user_agent: concat!("waystation-endpoint/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..ClientSettings::new(Arc::clone(&self.clock))
        };
        match HttpClient::new(settings) {
            Ok(client) => Ok(Arc::new(client)),
            Err(ClientError::Proxy { url }) => Err(Fail::settings(format!("the proxy {url} is none: a host, no path"))),
            Err(ClientError::CaFile { detail }) => Err(Fail::settings(format!("the CA certificates: {detail}"))),
            Err(error) => Err(Fail::settings(model::error_chain(&error))),
        }
    }
}

fn proxy_settings(text: &str) -> Result<ProxySettings, Fail> {
    let shown: String = text.chars().take(120).flat_map(char::escape_default).collect();
    let url = Url::parse(text).map_err(|error| Fail::settings(format!("the proxy '{shown}' is no URL: {error}")))?;
    Ok(ProxySettings { url, user: None, password: None })
}
