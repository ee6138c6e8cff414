//! Commands beside each other and beside a daemon.

use std::time::{Duration, Instant};

use e2e::whole::{manifest_path, serves_what_the_vendor_shows};
use e2e::{Site, get, until};
use vendor_sim::{Change, DefenderChange, DefenderTarget, Network};

use crate::vendor::{FEEDS, VERSIONS, sections, vendor};

/// How soon what a `sync` published is served: the promise.
const SERVED: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_sync_beside_a_running_run_is_served_within_a_second_of_its_end() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&sections(&vendor));
    let run = site.start("run");
    let shows_all = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS);
    until("its own first run is served", PATIENCE, || shows_all().then_some(()));

    for _ in 0..3 {
        vendor.publish_elastic("all", Change::of(3)).unwrap();
        vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
        let synced = site.sync(&["--wait"]).expect(0);
        let ended = Instant::now();
        assert_eq!(synced.outcomes(), ["published"; 4], "{}", synced.text());
        let newest = vendor.elastic_release(VERSIONS[1]).unwrap();
        until("the new manifest is served", PATIENCE, || {
            (get(run.content, &manifest_path(VERSIONS[1])).unwrap().body == newest.manifest[..]).then_some(())
        });
        assert!(ended.elapsed() <= SERVED, "served only {:?} after the end", ended.elapsed());
        assert!(shows_all());
    }
    run.finish();
}

#[test]
fn a_second_sync_is_told_that_the_first_holds_the_lock_or_waits_s_i16() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&sections(&vendor));
    vendor.set_network(Network::with_latency(Duration::from_secs(1)));
    let mut first = site.begin_sync();
    until("the first is asking", PATIENCE, || (vendor.requests().connections > 0).then_some(()));

    let second = site.sync(&[]).expect(1);
    assert!(second.text().contains("locked"), "{}", second.text());
    let third = site.command(["sync", "--json", "--wait"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    vendor.set_network(Network::default());
    assert!(first.wait().unwrap().success());
    let third = third.wait_with_output().unwrap();
    assert!(third.status.success(), "{third:?}");
    assert_eq!(String::from_utf8_lossy(&third.stdout).matches("\"current\"").count(), 4, "nothing was left to do");
    assert_eq!(
        vendor.requests().by_target.iter().filter(|(path, n)| path.contains("/artifacts/") && **n > 1).count(),
        0
    );
}
