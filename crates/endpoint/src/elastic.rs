//! A stand-in for Elastic Endpoint towards a mirror.
//!
//! ```text
//! policy ─→ base_url + manifest path ─→ GET, If-None-Match: the tag of the manifest applied
//!             304, or the same tag: current
//!             200: signature, every artifact of its system (encoded, decoded), then applied.json: all or none
//!           ─→ policy-response.json
//! ```
//!
//! The state:
//!
//! ```text
//! <state>/lock
//! <state>/applied.json              what is applied; replaced atomically once all of it is there and proven
//! <state>/state.json                who this endpoint is, and what was tried last
//! <state>/artifacts/<64 digits>     one artifact as it came, named by its digest
//! <state>/policy-response.json      the document that the real one sends to Elasticsearch
//! ```

mod assumptions;
mod policy;
mod poll;
mod response;
mod share;
mod store;
#[cfg(test)]
mod tests;

pub use assumptions::{Asking, AssumptionError, Assumptions, CloudFeatures};
pub use policy::{Policy, PolicyError, Snapshot};
pub use poll::{Endpoint, Outcome, Quirks, Report};
pub use response::Document;
pub use share::takes;
pub use store::{Applied, Identifier, Record, Store};
