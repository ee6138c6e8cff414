//! What endpoints reach, and where it is logged.

use std::net::SocketAddr;
use std::path::PathBuf;

use model::Cidr;

/// A listener that endpoints reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Where it listens.
    pub address: SocketAddr,
    /// What stands before every route: empty, or `/a/b` without a slash at its end.
    pub path_prefix: String,
    /// Its certificate; without one it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The clients let in; everyone when empty.
    pub allow: Vec<Cidr>,
    /// The proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<Cidr>,
    /// Whether connections from those proxies begin with a PROXY header.
    pub proxy_protocol: bool,
    /// The file that says who may ask; anyone may without it.
    pub credentials: Option<PathBuf>,
}

/// The PEM files of a TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The authority that clients' certificates must come from; without it none is asked for.
    pub client_ca: Option<PathBuf>,
    /// That authority's revocation lists.
    pub client_crl: Option<PathBuf>,
}

/// Where answers are logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// The file; none for standard output.
    pub path: Option<PathBuf>,
    /// What a line looks like.
    pub form: LogForm,
    /// From how many bytes on a new file is begun; 0 for never.
    pub rotate_bytes: u64,
    /// How many earlier files are kept.
    pub keep: usize,
}

/// What a line of the access log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// Waystation's own.
    Text,
    /// A JSON object a line.
    Json,
    /// The Common Log Format.
    Common,
}
