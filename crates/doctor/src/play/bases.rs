//! The folders at which self-tests knock.

use std::collections::BTreeSet;

use model::{FeedId, Vendor};

use crate::Check;
use crate::finding::Finding;
use crate::play::Scene;
use crate::play::fetch::{CLOSED, NO_CERTIFICATE, NO_CREDENTIALS, PLAIN, asks_for_certificate};
use crate::wire::{Ask, Keep};

/// Enough of a page to know a listing by.
const START: usize = 4096;

/// Knocks at the root and at every folder of the feeds, with and without the slash, by GET and by HEAD.
pub(crate) async fn look(scene: &Scene<'_>, feeds: &[FeedId]) -> Vec<Finding> {
    let mut bases = BTreeSet::from(["/".to_owned()]);
    for feed in feeds.iter().filter(|feed| feed.vendor() == Vendor::Defender) {
        let parts: Vec<&str> = feed.segments().collect();
        if let [platform, track, arch] = parts.as_slice() {
            for folder in [format!("/{platform}/{track}"), format!("/{platform}/{track}/arch_{arch}")] {
                bases.insert(format!("{folder}/"));
                bases.insert(folder);
            }
        }
    }
    let mut findings = Vec::new();
    for base in &bases {
        findings.extend(knock(scene, base).await);
    }
    findings
}

async fn knock(scene: &Scene<'_>, base: &str) -> Vec<Finding> {
    let asked = Ask::get(base);
    let got = match scene.client.ask(&asked, Keep::Start(START)).await {
        Ok(got) => got,
        Err(error) if asks_for_certificate(&error) => return vec![closed(base, NO_CERTIFICATE)],
        Err(error) => return vec![Finding::warn(Check::Base, base, asked.shown(), model::error_chain(&error))],
    };
    if got.head.status == 401 {
        return vec![closed(base, NO_CREDENTIALS)];
    }
    let page = String::from_utf8_lossy(&got.body).to_lowercase();
    if got.head.status == 200 && is_listing(&page) {
        return vec![Finding::warn(Check::Listing, base, asked.shown(), "a list of what lies there")];
    }
    let mut came = got.head.status.to_string();
    if got.head.is_redirect() {
        let location = got.head.field("location").unwrap_or("nowhere");
        // The same for every folder, and so told once.
        let itself = location.ends_with(&format!("{}/", scene.client.place.path(base)));
        came.push_str(&if itself { " to itself with a slash".to_owned() } else { format!(" to {location}") });
    }
    if got.head.status != 200 {
        return vec![Finding::warn(Check::Base, base, asked.shown(), came)];
    }
    let head = Ask::head(base);
    match scene.client.ask(&head, Keep::Nothing).await {
        Ok(got) if got.head.status == 200 => vec![Finding::ok(Check::Base, base, "GET and HEAD", "200")],
        Ok(got) => vec![Finding::warn(Check::Base, base, head.shown(), got.head.status.to_string())],
        Err(error) => vec![Finding::warn(Check::Base, base, head.shown(), model::error_chain(&error))],
    }
}

/// Who asks who comes is no worse for a folder than for what lies in it.
fn closed(base: &str, came: &str) -> Finding {
    Finding::fail(Check::Status, base, PLAIN, came).with_remedy(CLOSED)
}

/// What nginx, Apache, Caddy, lighttpd and Python's server title their listings.
fn is_listing(page: &str) -> bool {
    ["<title>index of", "<h1>index of", "directory listing for", "parent directory</a>"]
        .iter()
        .any(|mark| page.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_known_by_their_titles() {
        assert!(is_listing("<html><head><title>index of /linux/</title>"));
        assert!(is_listing("<h1>directory listing for /</h1>"));
        assert!(!is_listing("waystation serves content here\n"));
    }
}
