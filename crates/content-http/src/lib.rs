//! What endpoints reach: generation files and blobs over HTTP/1.1, read-only and fast.
//!
//! Start with [`ContentServer::start`]. A watcher thread looks at every ring's `current`, tries that each blob
//! opens, builds an index of routes and swaps it whole. Each worker thread runs one small HTTP/1.1 loop over its
//! own listening socket. A poll (If-None-Match, 304) is parsed, looked up and answered without a lock, a stat, an
//! open or an allocation.
//!
//! # Deliberately absent
//! SQL, the engine, the vendors (what is fetched while a client waits is [`Beyond`]'s business), an HTTP framework, content coding, redirects, listings, ranges in several parts.
//!
//! # Invariants
//! - Only a path that stands in a generation answers with bytes, and only with the bytes of that generation. A
//!   download that has begun ends with the bytes it began with.
//! - While a generation is served whole, a newer one replaces it whole, after every blob was opened and checked,
//!   or not at all. Where nothing whole is served (at the start, or when blobs of the old one broke), a generation
//!   whose file decodes is always taken over, and the routes whose bytes cannot be opened answer 503 with
//!   Retry-After: one missing blob takes one route away, never a feed, a ring or the site.
//! - A route that broke heals by itself: the watcher tries a bounded number of broken blobs twice a second, and
//!   all that a new generation names. Until then a request for it touches no disk and is answered 503, whatever
//!   its conditions. Each damage is counted and told once ([`ContentServer::take_damaged`]), not once a request.
//! - Bodies up to 1 MiB are proven against their digest when their file is first opened, and again whenever it is
//!   another file or was changed; larger ones are opened and checked anew for each download, and one whose file is
//!   written to meanwhile is cut off before its end.
//! - An answer is whole or its connection is reset: no short 200.
//! - Nothing of a request is ever reflected. Every ambiguity in its framing is a 400 and the end of the connection.
//!
//! # Documented choices where the standards leave one
//! - Several ranges are answered with 200 and the whole file. `If-Range` takes an entity tag; a date is never
//!   proof enough here and gets the whole file, so that two releases are never spliced.
//! - A request with a body and one Content-Length gets 405 or 501 and the connection ends, its body unread; a GET
//!   or HEAD with a body is a 400.
//! - A query is ignored. One doubled slash directly after the prefix (or the ring's base) is taken as one.
//! - A percent-encoded path is not a route: 404.
//! - Bytes outside printable ASCII in a request's head are a 400.

mod announced;
mod beyond;
mod blob;
mod build;
mod client;
mod conditional;
mod connection;
mod credentials;
mod crowd;
mod damage;
mod download;
mod expiry;
mod fair;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod index;
mod kept;
mod log;
mod net;
mod proxy_header;
mod range;
mod request;
mod respond;
mod rules;
mod server;
mod settings;
mod slots;
mod source;
mod stats;
mod tls;
mod watch;
mod wire;
mod worker;

pub use beyond::{After, Beyond, Face, Instead};
pub use credentials::CredentialsError;
pub use model::{Cidr, CidrError};
pub use rules::ReloadError;
pub use server::{ContentServer, Drained, StartError};
pub use settings::{AccessLog, Bind, Listener, LogForm, LogTarget, Policy, ServeLimits, Settings, TlsSettings};
pub use source::{DataFolder, Loaded, Source, SourceError};
pub use stats::{CertificateFacts, RingStats, Stats, Trouble, Watched};
pub use tls::TlsError;
