//! A ring's plain folder, followed by an endpoint while releases are published into it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::{Site, definitions_in_use as in_use};
use vendor_sim::{DefenderChange, Simulator};

use super::{Endpoint, write};
use crate::vendor::{FEEDS, vendor};

const PUBLICATIONS: usize = 8;

fn pair(vendor: &Simulator) -> (String, String) {
    let release = vendor.defender_release(FEEDS[0]).unwrap();
    (release.definitions.clone(), release.archive.digest().to_string())
}

#[test]
fn an_endpoint_on_the_folder_never_has_one_release_under_another_ones_versions() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&[
        e2e::defender(&vendor.defender_url(), &["linux"], &["production"]),
        "[tree]\nfolder = \"tree\"\n".to_owned(),
    ]);
    fs::create_dir(site.folder().join("tree")).unwrap();
    site.sync(&[]).expect(0);
    let root = site.folder().join("tree/broad/linux/production");
    let settings = write(
        &site,
        "mdatp_managed.json",
        &format!(
            r#"{{"antivirusEngine":{{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":"{}"}}}}"#,
            root.display()
        ),
    );
    let endpoint = Endpoint::new(&site, "defender", &["--settings".to_owned(), settings]);
    let state = site.folder().join("endpoint-defender");
    let mut known = BTreeSet::from([pair(&vendor)]);
    endpoint.act(&["update"]).expect(0);
    assert!(known.contains(&in_use(&state)));
    for _ in 0..PUBLICATIONS {
        vendor.publish_defender(vendor_sim::DefenderTarget::All, DefenderChange::default()).unwrap();
        known.insert(pair(&vendor));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                site.sync(&[]).expect(0);
                over.store(true, Ordering::SeqCst);
            });
            while !over.load(Ordering::SeqCst) {
                endpoint.act(&["update"]).expect(0);
                assert!(known.contains(&in_use(&state)), "a torn pair: {:?}", in_use(&state));
            }
        });
        endpoint.act(&["update"]).expect(0);
        assert_eq!(in_use(&state), pair(&vendor), "what was published is there when the run has ended");
    }
}
