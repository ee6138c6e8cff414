//! What lies beyond the index: a path that nothing is served at may be fetched while its client waits, and routes may
//! carry what another server says of them. Who does that is given by the composition root; nothing here knows how.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use model::{Digest, FeedId, RingName, RoutePath, Timestamp, parse_http_date};

/// Knows of what lies beyond the index.
pub trait Beyond: Send + Sync + 'static {
    /// A GET or HEAD came for a path that no generation serves in this ring. Must not block; it is called for every
    /// such request, floods included.
    fn absent(&self, ring: &RingName, path: &RoutePath, at: Timestamp) -> Instead;
    /// What is told of a route beside its bytes. Asked once for each route, when it is first served.
    fn face(&self, feed: &FeedId, path: &RoutePath, digest: &Digest) -> Option<Face>;
}

/// What becomes of a request for a path that nothing is served at.
pub enum Instead {
    /// Nothing: it is answered as if nobody had been asked.
    AsEver,
    /// It is not found: 404, also where the ring has nothing published yet.
    NotFound,
    /// It cannot be had now: 503 with Retry-After.
    Later,
    /// The client waits until this ends.
    Wait(Pin<Box<dyn Future<Output = After> + Send>>),
}

impl fmt::Debug for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsEver => "AsEver",
            Self::NotFound => "NotFound",
            Self::Later => "Later",
            Self::Wait(_) => "Wait",
        })
    }
}

/// What the waiting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It was published: the index has it now, or will in a moment.
    Look,
    /// It is not found.
    NotFound,
    /// It cannot be had now: 503 with Retry-After.
    Later,
}

/// What is told of a route beside its bytes.
#[derive(Clone, Debug, Default)]
pub struct Face {
    /// Instead of the type that the path suggests.
    pub content_type: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Cache-Control`, instead of `no-cache`.
    pub cache_control: Option<String>,
    /// How far the bytes were proven, where that is less than an endpoint may take for granted. Shown as
    /// `Waystation-Trust`.
    pub trust: Option<&'static str>,
    /// `Last-Modified`, instead of the moment since when the bytes stand there.
    pub last_modified: Option<String>,
    /// When the vendor last confirmed what is served, in microseconds since 1970, while it fails to; 0 while it does
    /// not fail. Shown as `Age`.
    pub confirmed: Option<Arc<AtomicI64>>,
    /// Set with each answer: that somebody asks for it.
    pub asked: Option<Arc<AtomicBool>>,
}

impl Face {
    /// The time that `last_modified` names; none if it names none.
    pub(crate) fn modified(&self) -> Option<Timestamp> {
        self.last_modified.as_deref().and_then(parse_http_date)
    }

    /// Notes that somebody asks for it. Every core comes by here with each answer, and writes only what is news.
    pub(crate) fn ask(&self) {
        if let Some(asked) = &self.asked
            && !asked.load(Ordering::Relaxed)
        {
            asked.store(true, Ordering::Relaxed);
        }
    }

    /// For how many seconds the vendor has failed to confirm what is served.
    pub(crate) fn age(&self, now: Timestamp) -> Option<u64> {
        let since = self.confirmed.as_ref()?.load(Ordering::Relaxed);
        (since != 0).then(|| now.since(Timestamp::from_micros(since)).as_secs())
    }
}
