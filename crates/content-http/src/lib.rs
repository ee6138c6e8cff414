//! What endpoints reach: generation files and blobs over HTTP/1.1, read-only and fast.
//!
//! Start with [`ContentServer::start`]. A watcher thread looks at every ring's `current`, tries that each blob
//! opens, builds an index of routes and swaps it whole. Each worker thread runs one small HTTP/1.1 loop over its
//! own listening socket. A poll (If-None-Match, 304) is parsed, looked up and answered without a lock, a stat, an
//! open or an allocation.
//!
//! # Deliberately absent
//! SQL, the engine, the vendors (what is fetched while a client waits is [`Beyond`]'s business), an HTTP framework,
//! content coding, redirects, listings, ranges in several parts.
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
//!   another file or was changed. The smallest are sent from memory, and the watcher looks every few seconds whether their
//!   files were left alone: a path whose file holds other bytes answers 503, though its bytes are still in memory. One whose
//!   file cannot be opened is served on. Larger ones are proven on a thread of their own (`proof`): in the background when they
//!   are first seen, served meanwhile; and before they are served again whenever it is another file or was changed. One
//!   whose file is written to, or found to hold other bytes, while it is sent is cut off before its end, as far as the
//!   system has not taken its last bytes already.
//! - An answer is whole or its connection is reset: no short 200.
//! - Nothing of a request is ever reflected. Every ambiguity in its framing is a 400 and the end of the connection.
//!
//! # What is answered, clause by clause
//! - RFC 9110, 9.1 and 15.5.6: GET and HEAD; the other methods of HTTP get 405 with `Allow`, unknown ones 501.
//! - RFC 9110, 13.1 and 13.2: `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since` in this order, and
//!   only where the answer would be a success. 15.4.5: a 304 repeats tag, date and cache rule.
//! - RFC 9110, 8.8.2.1: no `Last-Modified` lies after the answer's `Date`; one that would is replaced by it. 13.1.3: a date
//!   counts as "not modified since" where it is the very date of the bytes, or later and not ahead of this machine's
//!   clock. Other bytes behind a path have a later date by a second at least (`mirror` plans it so).
//! - RFC 9110, 14.2: a single range of bytes, for GET alone. Several get 200 and the whole file: a client has to expect
//!   that, and none can make us send a file many times over (17.15). 15.5.17: 416 says how long the file is.
//! - RFC 9110, 13.1.5: `If-Range` takes an entity tag; a date is never proof enough here and gets the whole file, so
//!   that two releases are never spliced.
//! - RFC 9110, 10.1.1: `100-continue` is let pass, for there is never a body to wait for; any other expectation is 417.
//! - RFC 9110, 11.6.1: a 401 names both schemes that are taken; 15.6.4: a 503 says when to come again.
//! - RFC 9112, 2.2: one empty line before a request is skipped; a bare CR or LF is a 400. 3.2: a 1.1 request has one
//!   `Host`, which means nothing here. 3.2.2: the absolute form is taken, its authority ignored. 5.1: no blank before a
//!   colon. 5.2: no folded line.
//! - RFC 9112, 6.1 and 6.3: `Transfer-Encoding`, several lengths, lengths that are no plain number: 400. A GET or HEAD
//!   with a body is a 400; any other method with one length gets its 405 or 501 and the connection ends, its body unread.
//! - RFC 9112, 9.3: requests are answered in their order, however many arrive at once (9.3.2); 1.0 stays only where the
//!   client asked (C.2.2). 9.6: `close` is said and waited for before the connection ends.
//!
//! Where the standards leave the choice: a query is ignored, one doubled slash directly after the prefix (or the ring's
//! base) is taken as one, a percent-encoded path is not a route (404), and bytes outside printable ASCII in a request's
//! head are a 400.
//!
//! # Who is believed
//! An address in `X-Forwarded-For`, `Forwarded` or a PROXY header counts from [`Policy::trusted_proxies`] alone, and is
//! derived once, in `client` and `announced`; lists of addresses, caps, fair turns and the log all go by it.

mod announced;
mod away;
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
mod proof;
mod proxy_header;
mod queues;
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
pub use rules::{ReloadError, RulesError};
pub use server::{ContentServer, Drained, StartError};
pub use settings::{AccessLog, Bind, Listener, LogForm, LogTarget, Policy, ServeLimits, Settings, TlsSettings};
pub use source::{DataFolder, Loaded, Source, SourceError};
pub use stats::{CertificateFacts, FileKind, RingStats, Stats, Trouble, Watched};
pub use tls::TlsError;
