//! Trees made by hand elsewhere, and no network.

use e2e::whole::{companion, serves_what_the_vendor_shows};
use e2e::{Site, closed_address};
use vendor_sim::DefenderFeed;

use crate::vendor::{VERSIONS, vendor};

#[test]
fn trees_of_both_vendors_are_taken_in_without_a_network() {
    let vendor = vendor(64 * 1024);
    let (elastic_tree, defender_tree) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for version in VERSIONS {
        vendor.write_elastic_tree(elastic_tree.path(), version).unwrap();
    }
    vendor.write_defender_tree(defender_tree.path()).unwrap();
    vendor.reset_counters();

    let nowhere = closed_address();
    let site = Site::new(&[
        e2e::elastic(&format!("http://{nowhere}"), &VERSIONS),
        e2e::defender(&format!("http://{nowhere}/fwlink/"), &["linux", "mac"], &["production", "preview"]),
    ]);
    for (tree, feeds) in [(&elastic_tree, VERSIONS.len()), (&defender_tree, DefenderFeed::ALL.len())] {
        let from = tree.path().to_str().unwrap();
        let taken = site.sync(&["--from", from]).expect(0);
        assert_eq!(taken.outcomes(), vec!["published"; feeds], "{}", taken.text());
        let again = site.sync(&["--from", from]).expect(0);
        assert_eq!(again.outcomes(), vec!["current"; feeds], "{}", again.text());
    }
    let serve = site.start("serve");
    assert!(serves_what_the_vendor_shows(serve.content, &vendor, &VERSIONS, &DefenderFeed::ALL));
    assert_eq!(vendor.requests().requests, 0);
    serve.finish();
}

#[test]
fn a_tree_with_a_file_cut_short_takes_nothing_good_away_u02() {
    let vendor = vendor(64 * 1024);
    let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    vendor.write_defender_tree(good.path()).unwrap();
    let nowhere = format!("http://{}/fwlink/", closed_address());
    let site = Site::new(&[e2e::defender(&nowhere, &["linux"], &["production"])]);
    site.sync(&["--from", good.path().to_str().unwrap()]).expect(0);
    let feeds = crate::vendor::FEEDS;
    let before: Vec<String> = feeds.map(|feed| companion(&vendor.defender_release(feed).unwrap())).to_vec();

    vendor.publish_defender(vendor_sim::DefenderTarget::All, vendor_sim::DefenderChange::default()).unwrap();
    vendor.write_defender_tree(bad.path()).unwrap();
    let cut = bad.path().join("linux/production/arch_x86_64/updates.zip");
    let whole = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let taken = site.sync(&["--from", bad.path().to_str().unwrap()]).expect(3);
    assert_eq!(taken.feed("defender/linux/production/x86_64")["outcome"], "failed", "{}", taken.text());
    assert!(taken.feed("defender/linux/production/x86_64")["reason"].is_string(), "{}", taken.text());
    assert_eq!(taken.feed("defender/linux/production/arm64")["outcome"], "published", "{}", taken.text());

    let serve = site.start("serve");
    let path = format!("{}/manifest.json", e2e::whole::defender_folder(feeds[0], ""));
    assert_eq!(e2e::get(serve.content, &path).unwrap().body, before[0].as_bytes());
    serve.finish();
}

/// There is no temporary folder at all, so nothing can be renamed out of one on another device.
#[test]
fn no_temporary_folder_is_needed_s33() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&crate::vendor::sections(&vendor));
    let nowhere = site.folder().join("nothing/here");
    for act in [&["sync"][..], &["sync"], &["release", "verify", "--all", "--store"], &["gc"], &["history", "verify"]] {
        vendor.publish_defender(vendor_sim::DefenderTarget::All, vendor_sim::DefenderChange::default()).unwrap();
        let ended = site
            .command(act)
            .envs(["TMPDIR", "TMP", "TEMP", "SQLITE_TMPDIR"].map(|name| (name, &nowhere)))
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{act:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}
