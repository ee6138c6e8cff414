//! A bad release of Defender is left behind: by a rollback at the mirror, which no endpoint has to know of, and by
//! endpoints that are pointed at the release before.

use e2e::{Daemon, Site, until};
use vendor_sim::{DefenderChange, Simulator};

use super::Endpoint;
use super::defender::{PATIENCE, endpoint, field, sample, site_with};
use crate::vendor::{FEEDS, vendor};

/// A mirror that serves a bad release, and had a good one before.
struct Bad {
    vendor: Simulator,
    site: Site,
    serve: Daemon,
    good: String,
    bad: String,
}

impl Bad {
    fn new() -> Self {
        let vendor = vendor(64 * 1024);
        let site = site_with(&vendor);
        site.sync(&[]).expect(0);
        let good = offered(&vendor);
        vendor.publish_defender(FEEDS[0], DefenderChange::default()).unwrap();
        site.sync(&[]).expect(0);
        let bad = offered(&vendor);
        assert_ne!(good, bad);
        let serve = site.start("serve");
        Self { vendor, site, serve, good, bad }
    }

    /// Where endpoints are pointed at, below the platform.
    fn base(&self, track: &str) -> String {
        format!("http://{}/linux/{track}", self.serve.content)
    }

    /// The operator's word on the good release: it is to be served again.
    fn roll_back(&self) {
        let listed = self.site.act(&["release", "list", "--json", "--feed", "defender/linux/production/x86_64"]);
        let lines = listed.expect(0).lines();
        let good = lines.iter().find(|line| line.to_string().contains(&self.good)).unwrap();
        let number = good["number"].to_string();
        self.site.act(&["release", "admit", &number, "--reason", "the newer one breaks hosts"]).expect(0);
    }
}

fn offered(vendor: &Simulator) -> String {
    vendor.defender_release(FEEDS[0]).unwrap().definitions.clone()
}

/// Updates until these definitions are in use: what is published is served within a second. What the last one said.
fn follows(endpoint: &Endpoint<'_>, definitions: &str) -> String {
    until(definitions, PATIENCE, || {
        let said = endpoint.act(&["update"]).expect(0).text();
        (field(endpoint, "definitions_version") == format!("\"{definitions}\"")).then_some(said)
    })
}

#[test]
fn a_rollback_at_the_mirror_takes_endpoints_back_without_touching_them_and_a_newer_release_takes_them_on() {
    let mirror = Bad::new();
    let ours = endpoint(&mirror.site, &sample(&mirror.base("production/")));
    let settings = mirror.site.folder().join("mdatp_managed.json");
    let before = std::fs::read(&settings).unwrap();
    follows(&ours, &mirror.bad);
    mirror.roll_back();
    let went = follows(&ours, &mirror.good);
    assert!(went.contains(&format!("went back from {}", mirror.bad)), "{went}");
    // The vendor still offers it; no sync brings it back, and endpoints stay.
    mirror.site.sync(&[]);
    ours.act(&["update"]).expect(0);
    assert_eq!(field(&ours, "definitions_version"), format!("\"{}\"", mirror.good));
    // Nobody who was pointed at the release before gets the bad one: nothing older is held, and they keep theirs.
    let back = endpoint(&mirror.site, &sample(&mirror.base("production_back")));
    back.act(&["update"]).expect(1);
    assert_eq!(field(&back, "definitions_version"), format!("\"{}\"", mirror.good));
    std::fs::write(&settings, &before).unwrap();

    mirror.vendor.publish_defender(FEEDS[0], DefenderChange::default()).unwrap();
    mirror.site.sync(&[]).expect(0);
    follows(&ours, &offered(&mirror.vendor));
    assert_eq!(std::fs::read(&settings).unwrap(), before, "the endpoint's settings are as they were");
    mirror.serve.finish();
}

#[test]
fn a_bad_release_is_left_behind_through_production_back() {
    let mirror = Bad::new();
    let ours = endpoint(&mirror.site, &sample(&mirror.base("production/")));
    follows(&ours, &mirror.bad);
    let back = endpoint(&mirror.site, &sample(&mirror.base("production_back")));
    let went = follows(&back, &mirror.good);
    assert!(went.contains(&format!("went back from {}", mirror.bad)), "{went}");
    // With the next release the bad one is the one before: whoever still points there gets it again.
    mirror.vendor.publish_defender(FEEDS[0], DefenderChange::default()).unwrap();
    mirror.site.sync(&[]).expect(0);
    follows(&back, &mirror.bad);
    let forward = endpoint(&mirror.site, &sample(&mirror.base("production/")));
    follows(&forward, &offered(&mirror.vendor));
    mirror.serve.finish();
}
