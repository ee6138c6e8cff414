//! Counters, without locks: each worker has its own, and a snapshot adds them up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{Level, Note, RingName, Timestamp};

/// The status codes that are ever sent.
pub(crate) const STATUSES: [u16; 17] =
    [200, 206, 304, 400, 401, 403, 404, 405, 412, 414, 416, 417, 431, 500, 501, 503, 505];

/// Something that went wrong on the content side; the label of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The system gave no connection (no descriptors left).
    Accept,
    /// A connection beyond the cap was closed at once.
    Refused,
    /// An idle connection was closed to make room.
    Evicted,
    /// A connection beyond its client's cap was closed at once.
    Crowded,
    /// The client's address is outside the listener's allow list.
    Denied,
    /// A trusted proxy's connection did not begin with a PROXY header, or with one that is none.
    ProxyHeader,
    /// A request was not well-formed.
    BadRequest,
    /// A request's head or a TLS handshake took too long.
    HeadTimeout,
    /// A client took no bytes for too long, or too few.
    Stalled,
    /// A TLS handshake failed.
    Handshake,
    /// The client left before its answer was sent whole.
    Aborted,
    /// A blob could not be opened, turned short or could not be read; counted once until it is whole again.
    Damaged,
    /// Access-log lines that could not be written.
    LogLost,
    /// A generation was not taken over because it or one of its blobs is not whole.
    GenerationRefused,
    /// A changed certificate, key or file of credentials was not taken over.
    TlsRefused,
    /// The system had no descriptor or memory left to open a file for an answer; that request alone got 503.
    Shortage,
}

impl Trouble {
    /// Every kind, in the order they are reported.
    pub const ALL: [Self; 16] = [
        Self::Accept,
        Self::Refused,
        Self::Evicted,
        Self::Crowded,
        Self::Denied,
        Self::ProxyHeader,
        Self::BadRequest,
        Self::HeadTimeout,
        Self::Stalled,
        Self::Handshake,
        Self::Aborted,
        Self::Damaged,
        Self::LogLost,
        Self::GenerationRefused,
        Self::TlsRefused,
        Self::Shortage,
    ];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refused => "refused",
            Self::Evicted => "evicted",
            Self::Crowded => "crowded",
            Self::Denied => "denied",
            Self::ProxyHeader => "proxy_header",
            Self::BadRequest => "bad_request",
            Self::HeadTimeout => "head_timeout",
            Self::Stalled => "stalled",
            Self::Handshake => "handshake",
            Self::Aborted => "aborted",
            Self::Damaged => "damaged",
            Self::LogLost => "log_lost",
            Self::GenerationRefused => "generation_refused",
            Self::TlsRefused => "tls_refused",
            Self::Shortage => "shortage",
        }
    }
}

/// One worker's counters: what is counted at each answer, that worker alone writes; what went wrong, others may.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    statuses: [AtomicU64; STATUSES.len()],
    troubles: [AtomicU64; Trouble::ALL.len()],
    bytes: AtomicU64,
    asked: AtomicU64,
    accepted: AtomicU64,
}

impl Counters {
    pub(crate) fn status(&self, status: u16) {
        if let Some(slot) = STATUSES.iter().position(|known| *known == status).and_then(|at| self.statuses.get(at)) {
            add(slot, 1);
        }
    }

    pub(crate) fn trouble(&self, kind: Trouble) {
        self.troubles_by(kind, 1);
    }

    pub(crate) fn troubles_by(&self, kind: Trouble, count: u64) {
        if let Some(slot) = self.troubles.get(kind as usize) {
            slot.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How often this went wrong, as far as it is counted here.
    pub(crate) fn so_far(&self, kind: Trouble) -> u64 {
        self.troubles.get(kind as usize).map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    pub(crate) fn sent(&self, bytes: u64) {
        add(&self.bytes, bytes);
    }

    pub(crate) fn asked(&self) {
        add(&self.asked, 1);
    }

    /// How many requests named something that is served.
    pub(crate) fn asked_so_far(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn accepted(&self) {
        add(&self.accepted, 1);
    }

    /// Adds these counters to a snapshot.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        for (slot, (_, total)) in self.statuses.iter().zip(&mut stats.requests) {
            *total = total.saturating_add(slot.load(Ordering::Relaxed));
        }
        for (slot, (_, total)) in self.troubles.iter().zip(&mut stats.troubles) {
            *total = total.saturating_add(slot.load(Ordering::Relaxed));
        }
        stats.bytes_sent = stats.bytes_sent.saturating_add(self.bytes.load(Ordering::Relaxed));
        stats.connections_total = stats.connections_total.saturating_add(self.accepted.load(Ordering::Relaxed));
    }
}

/// Adds to what nobody else writes: no need to lock the bus for it.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// What the content side did since it started.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Answers by status code: a fixed, small set of codes.
    pub requests: Vec<(u16, u64)>,
    /// What went wrong, by kind: a fixed, small set.
    pub troubles: Vec<(Trouble, u64)>,
    /// Bytes handed to the system for sending, heads included, TLS framing not.
    pub bytes_sent: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// How many may be open at once: what is configured, or what descriptors leave room for.
    pub connections_most: u64,
    /// Connections accepted.
    pub connections_total: u64,
    /// What each ring serves.
    pub rings: Vec<RingStats>,
    /// The files of listeners that end, or whose newer state may be refused.
    pub certificates: Vec<CertificateFacts>,
    /// When the server started.
    pub since: Timestamp,
}

impl Stats {
    pub(crate) fn new(since: Timestamp) -> Self {
        Self {
            requests: STATUSES.iter().map(|status| (*status, 0)).collect(),
            troubles: Trouble::ALL.iter().map(|kind| (*kind, 0)).collect(),
            bytes_sent: 0,
            connections_open: 0,
            connections_most: 0,
            connections_total: 0,
            rings: Vec::new(),
            certificates: Vec::new(),
            since,
        }
    }

    /// How many answers had this status.
    pub fn answered(&self, status: u16) -> u64 {
        self.requests.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count)
    }

    /// How often this went wrong.
    pub fn trouble(&self, kind: Trouble) -> u64 {
        self.troubles.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count)
    }
}

/// How the content side itself fares: what somebody who watches over it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// How many requests named something that is served, bases aside.
    pub asked: u64,
    /// How often rings were looked at; it stands still when that no longer happens.
    pub looks: u64,
}

/// What kind of file a listener uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// The certificate that endpoints are shown, and its chain.
    Certificate,
    /// The authorities of clients' certificates.
    ClientCa,
    /// Their revocation lists.
    ClientCrl,
    /// Who may ask; it has no end.
    Credentials,
}

impl FileKind {
    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::ClientCa => "client_ca",
            Self::ClientCrl => "client_crl",
            Self::Credentials => "credentials",
        }
    }

    /// What it is, for a sentence.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Certificate => "the certificate that endpoints are shown",
            Self::ClientCa => "an authority of clients' certificates",
            Self::ClientCrl => "a revocation list, without which no client is let in,",
            Self::Credentials => "the file that says who may ask",
        }
    }

    /// What its end means where that is not what one would think, to follow such a sentence.
    pub const fn after_its_end(self) -> &'static str {
        match self {
            Self::ClientCa => ", which keeps nobody out: its clients are let in as long as it stands in the file",
            Self::Certificate | Self::ClientCrl | Self::Credentials => "",
        }
    }
}

/// What is known of a file in use that ends, or whose newer state may be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// What it is.
    pub kind: FileKind,
    /// The listener that uses it.
    pub listener: SocketAddr,
    /// Its file.
    pub path: PathBuf,
    /// When that one of those in it begins which is shown, where that can be read.
    pub not_before: Option<Timestamp>,
    /// When the last of those in it begins, where endpoints refuse them before.
    pub begins: Option<Timestamp>,
    /// The end of one of those in it, where that can be read: of the one that shuts somebody out by having ended, or else of
    /// the first that is to end.
    pub not_after: Option<Timestamp>,
    /// Whose that one is, where it is not the certificate that endpoints are shown itself; from a file, fit to show.
    pub whose: Option<String>,
    /// Why what stands in its files now is not taken over.
    pub refused: Option<String>,
    /// Why no client, or none of an authority's, is let in, whoever it is, where what is in use says so.
    pub nobody: Option<String>,
}

impl CertificateFacts {
    /// How long before its end it is a warning, and a failure, where nothing else is configured.
    pub const LIMITS: (Duration, Duration) = (Duration::from_secs(21 * 86_400), Duration::from_secs(7 * 86_400));

    /// When it begins, where that lies ahead and endpoints refuse it until then.
    pub fn begins_later(&self, now: Timestamp) -> Option<Timestamp> {
        self.begins.filter(|begins| now < *begins)
    }

    /// What it is, and whose, for a sentence.
    pub fn in_words(&self) -> String {
        match (&self.whose, self.kind) {
            (None, kind) => kind.in_words().to_owned(),
            (Some(whose), FileKind::Certificate) => {
                format!("the certificate of `{whose}` behind the one that endpoints are shown")
            }
            (Some(whose), kind) => format!("{} (`{whose}`)", kind.in_words().trim_end_matches(',')),
        }
    }

    /// How close its end is, by how long before it is to be a warning and a failure. What lives shorter is so for a
    /// quarter and a tenth of its life at the most: a list that is renewed each day is always close to its end. What has
    /// not begun is a failure.
    pub fn level(&self, now: Timestamp, (warn, fail): (Duration, Duration)) -> Level {
        if self.begins_later(now).is_some() {
            return Level::Fail;
        }
        let Some(end) = self.not_after else { return Level::Fine };
        let life = self.not_before.map_or(Duration::MAX, |from| end.since(from));
        match end.since(now) {
            left if left <= fail.min(life / 10) => Level::Fail,
            left if left <= warn.min(life / 4) => Level::Warn,
            _ => Level::Fine,
        }
    }
}

/// What one ring serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingStats {
    /// The ring.
    pub ring: RingName,
    /// The generation served; none before the first publication.
    pub generation: Option<u64>,
    /// When that generation was made.
    pub published: Option<Timestamp>,
    /// How many paths stand in that generation.
    pub routes: usize,
    /// How many of them answer 503 now because their bytes cannot be opened or read.
    pub broken: usize,
    /// Set while the newest generation is not served: [`model::Reason::RingWentBack`] where it is older than what is, else
    /// [`model::Reason::GenerationRefused`], for something about it is not whole.
    pub refused: Option<Note>,
}
