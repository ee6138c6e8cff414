//! What the client is told at its start.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{fmt, io};

use async_trait::async_trait;
use model::{Clock, Fault, Retry};
use url::Url;

use crate::Limits;

/// A password; only the client reads it, and it never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The proxy that carries requests.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// Where it is: `http` or `https`, no path. A user in it counts if `user` is none.
    pub url: Url,
    /// The user it asks for.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings")
            .field("url", &crate::text::safe_url(&self.url))
            .field("user", &self.user)
            .field("password", &self.password)
            .finish()
    }
}

/// Looks names up.
#[async_trait]
pub trait Names: Send + Sync {
    /// Every address of a name; ports count for nothing.
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// Everything the client needs to know.
#[derive(Clone)]
pub struct ClientSettings {
    /// The proxy, if there is one; it then resolves the names.
    pub proxy: Option<ProxySettings>,
    /// Hosts reached without the proxy: names, `.suffix` or `*.suffix`, addresses, networks (`10.0.0.0/8`), `*`;
    /// each but a network may end in `:port`.
    pub no_proxy: Vec<String>,
    /// Roots beside the public ones and the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether `http` URLs may be asked at all.
    pub allow_plain_http: bool,
    /// Hosts that the configuration names: they may have any address.
    pub named_hosts: Vec<String>,
    /// The limits of each attempt.
    pub limits: Limits,
    /// The most bytes a second over all transfers together.
    pub rate_limit: Option<u64>,
    /// What the client calls itself.
    pub user_agent: String,
    /// The time, for records and for certificates.
    pub clock: Arc<dyn Clock>,
    /// Who looks names up.
    pub names: Arc<dyn Names>,
}

impl ClientSettings {
    /// Direct, https alone, public addresses alone, default limits.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            proxy: None,
            no_proxy: Vec::new(),
            ca_pem: None,
            allow_plain_http: false,
            named_hosts: Vec::new(),
            limits: Limits::default(),
            rate_limit: None,
            user_agent: concat!("waystation/", env!("CARGO_PKG_VERSION")).to_owned(),
            clock,
            names: Arc::new(SystemNames),
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The proxy's URL cannot be one.
    #[error("origin.proxy: {url} is no proxy: it must be http:// or https:// with a host and no path")]
    Proxy {
        /// The URL, without credentials.
        url: String,
    },
    /// An entry of the list of hosts without proxy means nothing.
    #[error("origin.no_proxy: '{entry}' is neither a host, a suffix, an address, a network nor '*'")]
    NoProxy {
        /// The entry.
        entry: String,
    },
    /// The file of extra roots holds none, or something that is no certificate.
    #[error("origin.ca_file: {detail}")]
    CaFile {
        /// What is wrong.
        detail: String,
    },
    /// A setting has a value that cannot work.
    #[error("{setting}: {detail}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The client library refused to start.
    #[error("the HTTP client could not be built")]
    Build {
        /// The library's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ClientError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Build { .. } => Fault::Ours,
            _ => Fault::Operator,
        }
    }

    /// Whether trying again helps.
    pub fn retry(&self) -> Retry {
        Retry::Never
    }
}
