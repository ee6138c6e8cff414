//! Consoles and clusters that answer as the documented APIs do, over loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "stack/elasticsearch.rs"]
mod elasticsearch;
#[path = "stack/kibana.rs"]
mod kibana;

use std::sync::Arc;
use std::time::Duration;

use fleet::{Access, ApiKey};
use model::{Clock, Timestamp};
use settings::OverPlainHttp;
use vendor_sim::Stack;

/// What a console shows as a key's `encoded` form.
pub(crate) const KEY: &str = "aWQ6aHVudGVyMg==";

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_768_478_400_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// The way to a stand-in, with this key.
pub(crate) fn access(stack: &Stack, key: &str) -> Access {
    let url = Access::url(&stack.url(), OverPlainHttp::Accepted).unwrap();
    let caller = fleet::client(&url, None, Arc::new(FixedClock)).unwrap();
    Access::new(caller, &url, Some(ApiKey::read(key).unwrap()))
}

#[test]
fn an_address_without_tls_or_with_a_password_is_refused_i13() {
    for (text, part) in [
        ("http://kibana.example:5601", "--allow-plain-http"),
        ("kibana.example:5601", "has no scheme"),
        ("https://elastic:hunter2@kibana.example", "user or a password"),
    ] {
        let told = Access::url(text, OverPlainHttp::Refused).unwrap_err().to_string();
        assert!(told.contains(part) && !told.contains("hunter2"), "{told}");
    }
    assert_eq!(
        Access::url("https://kibana.example:5601/s/soc/", OverPlainHttp::Refused).unwrap().as_str(),
        "https://kibana.example:5601/s/soc"
    );
}
