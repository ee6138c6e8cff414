//! The one HTTP client: proxy, CA, redirects, address guard, caps and deadlines.
//!
//! One port, [`Outbound`]: [`HttpClient`] speaks to the network, [`ScriptedClient`] plays a script for tests.
//! One call is one attempt, redirects included; retrying is the caller's business.
//!
//! # Invariants
//! - Nothing but this crate knows the HTTP client library.
//! - A host that the configuration names may have any address; every other host only public ones, checked for
//!   literals before and for names at the moment of connecting. Behind a proxy only names and literals can be
//!   checked: [`Outbound::checks_addresses`] says so.
//! - Content codings are refused, never undone. Credentials never cross hosts and never reach a log.
//! - Every wait has a limit: connecting, the answer's head, each pause in the body, the least rate.

mod call;
mod client;
mod port;
mod push;
mod scripted;
mod settings;

mod address;
mod attempt;
mod body;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod head;
mod host;
mod meter;
mod no_proxy;
mod redirect;
mod text;
mod tls;

pub use call::{Call, Caller, Reply, Verb};
pub use client::HttpClient;
pub use port::{Body, ContentRange, Limits, Outbound, OutboundError, RangeAsk, Request, Response, RetryAfter};
pub use push::{Push, Pusher};
pub use scripted::{ScriptedAnswer, ScriptedClient};
pub use settings::{ClientError, ClientSettings, Names, ProxySettings, Secret, SystemNames};
pub use tls::stream_tls;
