//! Reference endpoints: stand-ins that behave towards a mirror as the vendors' own do, and swarms of them.
//!
//! [`defender`] plays `mdatp`: it reads managed settings, pulls `updates.zip` from a mirror, a folder or the cloud,
//! proves it, unpacks it beside the set in use and switches. [`elastic`] plays Elastic Endpoint: it reads a policy,
//! polls a manifest, takes the artifacts of its system, applies them all or none and writes the policy response.
//! [`swarm`] plays thousands of either at once.
//!
//! What the vendors publish about their endpoints is followed; what they do not say is chosen here, once, as data
//! ([`defender::Assumptions`], [`elastic::Assumptions`]), and told in `docs/reference-endpoint.md`.
//!
//! # Invariants
//! - Nothing here knows the engine or the store: whatever a mirror proves to an endpoint, it proves over the wire.
//! - A set in use is whole, whatever ends the process when: it is made beside the old one, and one rename switches.
//! - Vendors' formats are read by `vendors`, signatures by `trust`; there is no second reader.
//! - All state lies in the one folder that was named.

#[cfg(test)]
mod case;
mod dial;
mod disk;
mod fetch;

pub mod defender;
pub mod elastic;
pub mod swarm;

pub use dial::{Network, ProxyUse};
pub use disk::{Disk, StateError, Steps, Stopped, Unwatched};
pub use fetch::{Clients, Dial, Fail};
