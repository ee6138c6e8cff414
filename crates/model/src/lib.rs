//! The domain's words as types: feeds, digests, routes, releases, rings, generations, reasons, time.
//!
//! Everything here is pure: no files, no network, no environment, no clock of its own. A value of these
//! types is well-formed by construction, so the rest of the program never re-checks it.
//!
//! Start with [`FeedId`] (what is followed), [`Release`] (what was proven), [`Generation`] (what is served)
//! and [`Reason`] (why something did not happen).
//!
//! # Invariants
//! - A [`RoutePath`] is canonical: it can be compared byte for byte and never climbs out of anything.
//! - A [`ReleaseId`] is made from a release's content alone: two sites that hold the same content agree on it.
//! - A [`Generation`] that decodes has a right checksum and no route twice.

mod cidr;
mod digest;
mod feed;
mod freshness;
mod generation;
mod outcome;
mod provenance;
mod reason;
mod release;
mod ring;
mod route;
mod text;
mod time;
mod version;
mod window;

pub use cidr::{Cidr, CidrError, any_contains};
pub use digest::{Digest, DigestError, Hasher};
pub use feed::{FeedError, FeedId, Vendor};
pub use freshness::{
    Bound, Clocks, Finding, FreshnessLimits, FreshnessPolicy, Level, Measure, Preset, SourcedTime, TimeSource,
};
pub use generation::{Generation, GenerationError, Remembered, Route, ServedFeed};
pub use outcome::Outcome;
pub use provenance::{Exchange, Provenance, TlsAnchor};
pub use reason::{Fault, Reason, Retry};
pub use release::{
    Attestation, Checked, Held, ItemKind, Note, Release, ReleaseId, ReleaseItem, ReleaseState, Trust, Verdict,
};
pub use ring::{RingError, RingName};
pub use route::{RouteError, RoutePath};
pub use text::{error_chain, is_hidden, shown};
pub use time::{Clock, Timestamp, parse_http_date, parse_http_date_by};
pub use version::{VendorVersion, Version, VersionError};
pub use window::{Window, WindowError, Zone, ZoneError};
