//! What must hold for whatever bytes arrive: one function per parser of bytes that others made.
//!
//! Each function takes any bytes and panics if a property does not hold: not only that nothing panics, hangs or
//! takes memory on the input's word, but that what is taken is canonical, reads back, and is what an independent
//! reader sees. `fuzz/` calls these functions under a fuzzer; the tests here replay its corpus without one.
//!
//! # Invariants
//! - The functions are pure: the same bytes, the same end, without files, sockets or a clock.
//! - Every target in [`TARGETS`] has a folder of its name in `fuzz/corpus` and a file in `fuzz/fuzz_targets`.

#![expect(clippy::panic, clippy::expect_used, reason = "a property that does not hold is told to a fuzzer by a panic")]

mod answers;
mod certificates;
mod configuration;
mod dates;
mod defender;
mod elastic;
mod endpoints;
mod json;
mod keys;
mod names;
mod records;
mod requests;
pub mod seeds;
mod versions;
mod wrap;
mod zip;

pub use answers::{answer_head, redirect_location, retry_after, url_template};
pub use certificates::{certificate, mirror_head};
pub use configuration::configuration;
pub use dates::http_date;
pub use defender::{defender_archive, defender_companion, defender_info};
pub use elastic::{elastic_artifact, elastic_session, held_artifacts, manifest_json};
pub use endpoints::{health_report, managed_settings, policy_response};
pub use json::strict_json;
pub use keys::pem_keys;
pub use names::url_key;
pub use records::{generation_file, history, ring_pointer, sightings};
pub use requests::{etag_list, forwarded, proxy_header, range_header, request_head};
pub use versions::version_order;
pub use wrap::zip_of_one;
pub use zip::zip_view;

/// A parser and what must hold for it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the function, the fuzz target and the folder of its corpus.
    pub name: &'static str,
    /// Panics if a property does not hold for these bytes.
    pub check: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), check: $name }),*];
    };
}

targets![
    answer_head,
    certificate,
    configuration,
    defender_archive,
    defender_companion,
    defender_info,
    elastic_artifact,
    elastic_session,
    etag_list,
    forwarded,
    generation_file,
    health_report,
    history,
    http_date,
    managed_settings,
    manifest_json,
    mirror_head,
    pem_keys,
    policy_response,
    proxy_header,
    range_header,
    redirect_location,
    request_head,
    retry_after,
    ring_pointer,
    sightings,
    strict_json,
    url_key,
    url_template,
    version_order,
    zip_view,
];

/// A message is short and fit for a terminal and a log, whatever the bytes that it speaks of.
#[track_caller]
fn fit_to_show(message: &str) {
    assert!(message.len() <= 16 << 10, "a message of {} bytes", message.len());
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!message.contains(odd), "a message with hidden characters: {message:?}");
}

/// What one value is written as reads back as that value.
#[track_caller]
fn reads_back<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(value).expect("records are written as JSON");
    let again: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text} does not read back: {error}"));
    assert_eq!(again, *value);
}
