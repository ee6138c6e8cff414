//! The configuration as the rest of the program takes it.

mod alarm;
mod elastic;
mod history;
mod serving;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::{Digest, FeedId, FreshnessPolicy, RingName, Vendor};
use url::Url;

use crate::Secret;

pub use alarm::{Alarm, AlarmBy, AlarmWay, Email, Heartbeat, HostPort, MailTls, SyslogAddress};
pub use elastic::{Demand, Elastic, ElasticMode, UnknownPaths, VersionPattern};
pub use history::History;
pub use serving::{AccessLog, LogForm, Serve, TlsFiles};
pub use tree::{Tree, TreeFiles};

/// Everything that is configured, validated as a whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    pub(crate) spool_dir: Option<PathBuf>,
    /// The group whose members may write the data folder, by name or number.
    pub data_group: Option<String>,
    /// This installation.
    pub site: Site,
    /// The listeners that endpoints reach; at least one.
    pub serve: Vec<Serve>,
    /// Where their answers are logged, if anywhere.
    pub access_log: Option<AccessLog>,
    /// The listener that operators reach.
    pub admin: Admin,
    /// How vendors are reached.
    pub origin: Origin,
    /// What is followed of Elastic.
    pub elastic: Option<Elastic>,
    /// What is followed of Microsoft Defender.
    pub defender: Option<Defender>,
    pub(crate) rings: Vec<Ring>,
    /// From when on silence is a warning or a failure.
    pub freshness: FreshnessPolicy,
    /// What is kept, where a vendor has no word of its own; see [`Config::retention_of`].
    pub retention: Retention,
    /// Rings as plain folders.
    pub tree: Tree,
    /// Who is told what is wrong, and how.
    pub alarm: Alarm,
    /// What is recorded, and for how long.
    pub history: History,
    /// Caps and deadlines.
    pub limits: Limits,
    /// Every effective setting in one spelling, without secrets.
    pub(crate) settings: BTreeMap<String, String>,
}

impl Config {
    /// The feeds followed, in the order of the file, Elastic's first.
    pub fn feeds(&self) -> Vec<FeedId> {
        let elastic = self.elastic.iter().flat_map(|elastic| elastic.feeds.iter());
        let defender = self.defender.iter().flat_map(|defender| defender.feeds.iter());
        elastic.chain(defender).cloned().collect()
    }

    /// The folder where the content side leaves word of what was asked for and is not held.
    pub fn spool_dir(&self) -> PathBuf {
        self.spool_dir.clone().unwrap_or_else(|| self.data_dir.join("spool"))
    }

    /// The rings, first to last; at least one.
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }

    /// The end of the chain of rings: the one that stands at the root.
    pub fn default_ring(&self) -> RingName {
        self.rings.last().map_or_else(RingName::broad, |ring| ring.name.clone())
    }

    /// What is kept of a vendor's releases.
    pub fn retention_of(&self, vendor: Vendor) -> Retention {
        let own = match vendor {
            Vendor::Elastic => self.elastic.as_ref().map(|elastic| elastic.retention),
            Vendor::Defender => self.defender.as_ref().map(|defender| defender.retention),
        };
        own.unwrap_or(self.retention)
    }

    /// How often a vendor is asked; none when nothing of it is followed. A proxy asks as often as it revalidates.
    pub fn schedule_of(&self, vendor: Vendor) -> Option<Duration> {
        match vendor {
            Vendor::Elastic => self.elastic.as_ref().map(|elastic| match elastic.demand.mode {
                ElasticMode::Mirror => elastic.schedule,
                ElasticMode::Proxy => elastic.schedule.min(elastic.demand.revalidate),
            }),
            Vendor::Defender => self.defender.as_ref().map(|defender| defender.schedule),
        }
    }

    /// Every effective setting, defaults included, one `key = value` a line in a fixed order and spelling,
    /// without secrets.
    pub fn canonical(&self) -> String {
        self.settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }

    /// The digest of [`Config::canonical`]: equal for two files that mean the same.
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical().as_bytes())
    }

    /// What `newer` changes, one setting each, without secrets; empty when nothing.
    pub fn diff(&self, newer: &Self) -> Vec<String> {
        let mut lines = history::changes(&self.settings, &newer.settings);
        let (old, new) = (self.secrets(), newer.secrets());
        for (key, secret) in &old {
            if new.iter().any(|(same, other)| same == key && other != secret) {
                lines.push(format!("{key}: changed"));
            }
        }
        lines.sort();
        lines
    }

    /// Every secret, each with the key that names it.
    fn secrets(&self) -> Vec<(String, &str)> {
        let proxy = self.origin.proxy.as_ref().and_then(|proxy| proxy.password.as_ref());
        let proxy = proxy.map(|password| ("origin.proxy_password".to_owned(), Secret::expose(password)));
        proxy.into_iter().chain(self.alarm.secrets()).collect()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.settings).finish()
    }
}

/// This installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What people call it.
    pub name: Option<String>,
}

/// The listener that operators reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
}

/// How vendors are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// Hosts reached without the proxy: a name means itself and all below it, an address or range itself.
    pub no_proxy: Vec<String>,
    /// A PEM file of authorities beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Requests in flight to one host.
    pub connections_per_host: usize,
    /// Bytes a second, over all fetches together.
    pub rate_limit: Option<u64>,
    /// Whether origins and redirects may be plain HTTP.
    pub allow_plain_http: bool,
}

/// The proxy that requests go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its URL, with neither user nor password in it.
    pub url: Url,
    /// Whom it knows us as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
}

/// How strictly a check is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// Not checked.
    Off,
    /// Checked; a failure is noted.
    Warn,
    /// Checked; a failure refuses the release.
    Require,
}

/// What is followed of Microsoft Defender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defender {
    /// The URL that its addresses are made from.
    pub origin: Url,
    /// Hosts that it may redirect to: names, or `*.` and a suffix.
    pub redirect_hosts: Vec<String>,
    /// Its feeds: every platform with every track and architecture.
    pub feeds: Vec<FeedId>,
    /// How missing members of an archive are taken.
    pub expected_members: Strictness,
    /// How often it is asked.
    pub schedule: Duration,
    /// What is kept.
    pub retention: Retention,
}

/// A named view that a group of endpoints is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Its name.
    pub name: RingName,
    /// The ring before it in the chain.
    pub after: Option<RingName>,
    /// How long a release stays in the ring before it until it comes here.
    pub soak: Duration,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Releases older than this go.
    pub age: Duration,
    /// The oldest releases go until what is kept is no larger than this.
    pub bytes: u64,
    /// How long artifacts of a superseded release stay served.
    pub grace: Duration,
}

/// Caps and deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For name, connection and TLS.
    pub connect_timeout: Duration,
    /// From a request to the end of its answer's head.
    pub head_timeout: Duration,
    /// Between two chunks of a body.
    pub pause_timeout: Duration,
    /// The least rate of a transfer, in bytes a second.
    pub minimum_rate: u64,
    /// For one whole attempt at a file.
    pub attempt_deadline: Duration,
    /// Redirects followed for one request.
    pub redirects: usize,
    /// The largest manifest or version information.
    pub manifest_bytes: u64,
    /// The largest artifact.
    pub artifact_bytes: u64,
    /// The largest archive.
    pub archive_bytes: u64,
    /// The most artifacts of one manifest.
    pub artifacts: usize,
    /// Left free on the disk.
    pub disk_reserve: u64,
    /// Attempts after the first.
    pub retries: u32,
    /// The pause before the first retry; it doubles from one to the next.
    pub retry_base: Duration,
    /// For one feed in one run.
    pub feed_deadline: Duration,
    /// The fewest artifacts of a new release, in percent of the one before.
    pub shrink_to_percent: u64,
    /// The most bytes of a new release, in percent of the one before.
    pub grow_to_percent: u64,
    /// How far one number of a version may run ahead in one step.
    pub version_leap: u64,
    /// Connections of endpoints at once, over all listeners.
    pub serve_connections: usize,
    /// Connections at once from one client's address.
    pub serve_connections_per_client: usize,
    /// The longest head of an endpoint's request, in bytes.
    pub serve_head_bytes: usize,
    /// For the head of an endpoint's request.
    pub serve_head_timeout: Duration,
    /// How long a connection may lie idle between requests.
    pub serve_idle_timeout: Duration,
    /// How long an endpoint may take no bytes of an answer.
    pub serve_stall_timeout: Duration,
    /// The fewest bytes a second that an endpoint may take in the long run; 0 for no such rule.
    pub serve_minimum_rate: u64,
    /// How long answers under way may go on after the program was asked to stop.
    pub drain_timeout: Duration,
    /// Within how long every blob held is read again; zero for never.
    pub scrub: Duration,
    /// The most bytes a second that reading again takes.
    pub scrub_rate: u64,
}
