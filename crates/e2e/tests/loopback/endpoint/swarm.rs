//! A fleet of hundreds in one process, against a mirror that publishes meanwhile.

use std::time::Duration;

use e2e::{Site, until};
use vendor_sim::{Change, DefenderChange};

use super::write;
use crate::vendor::{VERSIONS, sections, vendor};

#[test]
fn hundreds_of_endpoints_of_both_vendors_meet_a_publication_and_nothing_is_torn_v36() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let key = write(&site, "vendor.pem", &vendor.public_key_pem().unwrap());
    let url = format!("http://{}", serve.content);
    let log = std::fs::File::create(site.folder().join("swarm.json")).unwrap();
    // Eight hours in as many seconds: endpoints poll on while the mirror publishes.
    let swarm = site
        .command(["endpoint", "swarm", &url, "--elastic", "150", "--defender", "150", "--json", "--quiet"])
        .args(["--version", VERSIONS[0], "--version", VERSIONS[1], "--public-key", &key])
        .args(["--warm", "50", "--restart", "5", "--speed", "3600", "--for", "8h"])
        .stdout(log)
        .spawn();
    let mut swarm = swarm.unwrap();
    vendor.publish_elastic("all", Change::of(4)).unwrap();
    vendor.publish_defender(vendor_sim::DefenderTarget::All, DefenderChange::default()).unwrap();
    site.sync(&[]).expect(0);
    let ended = until("the swarm ends", Duration::from_secs(300), || swarm.try_wait().unwrap());
    let text = std::fs::read_to_string(site.folder().join("swarm.json")).unwrap();
    assert!(ended.success(), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["errors"], serde_json::json!({}), "{report:#}");
    for feed in report["feeds"].as_array().unwrap() {
        let number = |name: &str| feed[name].as_u64().unwrap();
        assert_eq!(feed["empty"], 0, "{report:#}");
        assert_eq!(number("newest") + number("behind"), number("endpoints"), "{report:#}");
    }
    serve.finish();
}
