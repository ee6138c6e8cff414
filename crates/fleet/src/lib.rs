//! What endpoints and their consoles say of them, compared with what rings offer.
//!
//! [`Kibana`] reads and changes Defend policies; [`Elasticsearch`] reads what endpoints report they applied
//! ([`elastic::PolicyResponse`]), and [`elastic::compare`] holds that against a mirror. [`health`] reads what
//! `mdatp health` prints and does the same for Defender.
//!
//! # Invariants
//! - What a ring serves is told to this crate ([`Offers`]); it opens no data folder.
//! - Nothing is written anywhere but by [`Kibana::apply`], and there only behind the policy's own lock.
//! - Every answer has a cap, every paging an end; no key is ever part of a message.
//! - What cannot be read of one endpoint is told of that endpoint, and takes no other away.

mod access;
pub mod elastic;
mod elasticsearch;
pub mod health;
mod kibana;
mod offers;

pub use access::{Access, AccessError, ApiKey, ApiKeyError, client};
pub use elasticsearch::{Elasticsearch, Fleet, FleetError, Question};
pub use kibana::{Applied, Kibana, KibanaError, Listed, Planned};
pub use offers::{Offer, Offers};
