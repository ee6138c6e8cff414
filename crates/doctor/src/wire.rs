//! HTTP/1 as it lies on the wire: what a server really answers, before any library's kindness.
//!
//! The product fetches through `outbound`, which follows, checks and refuses. A mirror is examined as bytes: every
//! status, every header as it was sent, how a body ends, what a connection does next.
//!
//! # Invariants
//! - Nothing is followed, decoded or retried here.
//! - Every wait has a limit, and heads, lines and what is kept of bodies have caps.

mod body;
mod client;
mod connection;
mod error;
mod head;
mod place;

pub(crate) use client::{Client, Got, Keep, TurnedAway};
pub(crate) use connection::{Connection, Way};
pub(crate) use error::WireError;
pub(crate) use head::{Ask, Head, Http};
pub(crate) use place::{Place, Waits};
