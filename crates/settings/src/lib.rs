//! What endpoints are set to: made for a ring, merged into what is there, checked for what is known to break.
//!
//! [`MirrorUrl`] is the address that endpoints are given; [`defender`] makes `mdatp_managed.json` and the macOS
//! profile and lints them; [`elastic`] makes the advanced settings of a Defend policy and puts them into one that
//! Kibana gave out. [`Check`] is the table of everything that is looked for.
//!
//! # Invariants
//! - Nothing here reads a file, a socket or a clock: texts in, texts and findings out.
//! - A merge loses nothing and reorders nothing; what cannot be merged without loss is refused.
//! - What a vendor does not publish is called unknown in a finding, never stated.

mod check;
pub mod defender;
mod document;
pub mod elastic;
mod json;
mod mirror_url;
mod plist;
mod text;

pub use check::{Check, Finding, Level};
pub use document::{Change, Document, DocumentError, Format};
pub use mirror_url::{MirrorUrl, MirrorUrlError, OverPlainHttp};
pub use text::shown_url;
