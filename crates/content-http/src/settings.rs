//! What a content server is told: where it listens, whom it lets in, and its limits.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use model::RingName;

use crate::Cidr;

/// Everything a [`crate::ContentServer`] is started with.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens; several may stand side by side, plain and TLS.
    pub listeners: Vec<Listener>,
    /// The ring that also stands at the root.
    pub default_ring: RingName,
    /// The rings that are served under `/rings/<ring>/`; empty: every ring that the data folder holds. A ring
    /// named here answers 503 until its first publication, one that is not named answers 404.
    pub rings: Vec<RingName>,
    /// Threads, each with its own listening socket; none: one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Caps and deadlines.
    pub limits: ServeLimits,
    /// Where a line for each request goes, if anywhere.
    pub access_log: Option<AccessLog>,
}

impl Settings {
    /// One plain listener on `address` without restrictions, serving `default_ring` at the root.
    pub fn plain(address: SocketAddr, default_ring: RingName) -> Self {
        Self {
            listeners: vec![Listener { bind: Bind::Address(address), policy: Policy::default() }],
            default_ring,
            rings: Vec::new(),
            workers: None,
            limits: ServeLimits::default(),
            access_log: None,
        }
    }
}

/// One place where endpoints connect, and the rules there.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub bind: Bind,
    /// The rules, which may change while it serves.
    pub policy: Policy,
}

/// How a listener comes by its socket.
#[derive(Debug)]
pub enum Bind {
    /// Bound by us, one socket for each worker where the system can share a port.
    Address(SocketAddr),
    /// Handed over by whoever started us (socket activation); all workers accept from it.
    Inherited(TcpListener),
}

/// The rules of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Stands before every route; `/` for none.
    pub path_prefix: String,
    /// Certificate and key; none for plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Clients that may ask; empty for all.
    pub allow: Vec<Cidr>,
    /// Peers whose word on a client's address is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Whether connections of those peers begin with a PROXY header.
    pub proxy_protocol: bool,
    /// The file that says who may ask; none for everyone.
    pub credentials: Option<PathBuf>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            path_prefix: "/".to_owned(),
            tls: None,
            allow: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            credentials: None,
        }
    }
}

/// The files behind a TLS listener. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM: our certificate and its chain.
    pub certificate: PathBuf,
    /// PEM: its key.
    pub key: PathBuf,
    /// PEM: when given, only clients with a certificate from one of these are served.
    pub client_ca: Option<PathBuf>,
    /// PEM: the revocation lists of those authorities. With it, a client is let in only where a list that holds now
    /// says nothing against it and its authorities.
    pub client_crl: Option<PathBuf>,
}

/// Caps and deadlines of the content side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// The longest request line and headers together.
    pub head_bytes: usize,
    /// How long a request's head, or a TLS handshake, may take.
    pub head_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long a client may acknowledge nothing of an answer, where the system tells (Linux): one that answers nothing
    /// else is closed then, one that does makes room for others from then on. Besides, a connection that took nothing for
    /// twenty times this long is closed. So a slow line may take hours as long as bytes move.
    pub stall_timeout: Duration,
    /// The fewest bytes a second that a client may take in the long run; 0 for no such rule. What it took earlier
    /// counts for twenty times the stall timeout at the most, so pauses are no fault.
    pub minimum_rate: u64,
    /// Connections at once over all workers and listeners. At the cap one that is silent or idle makes room; when
    /// there is none the newcomer is closed.
    pub connections: usize,
    /// Connections at once of one client: an IPv4 address or an IPv6 /64. At the cap one of its own that is idle
    /// makes room; when none is, the newcomer is closed. A trusted proxy that names no client is not counted.
    pub connections_per_client: usize,
    /// The most bytes of one download that are sent before other connections get their turn.
    pub bulk_turn: usize,
    /// Memory that may hold small files ready to send.
    pub small_file_memory: usize,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            head_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(60),
            minimum_rate: 100,
            connections: 10_000,
            connections_per_client: 5_000,
            bulk_turn: 1024 * 1024,
            small_file_memory: 16 * 1024 * 1024,
        }
    }
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where its lines go.
    pub target: LogTarget,
    /// What they look like.
    pub form: LogForm,
}

/// Where access-log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, opened for appending, and opened again when it was renamed or removed; or a pipe or a device, which is
    /// written to and never moved.
    File {
        /// Its place.
        path: PathBuf,
        /// From how many bytes on it is moved away and a new one begun; 0 for never.
        rotate_bytes: u64,
        /// How many of those that were moved away are kept, as `.1`, `.2` and so on.
        keep: usize,
    },
}

/// What a line of the access log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// Our own: see the operator's page on serving.
    Text,
    /// An object a line.
    Json,
    /// The Common Log Format.
    Common,
}
