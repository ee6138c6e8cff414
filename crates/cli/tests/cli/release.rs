//! `release …`.

use std::os::unix::fs::PermissionsExt as _;

use vendor_sim::Change;

use crate::site::Site;

#[test]
fn releases_are_listed_shown_and_compared() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    site.vendors.publish_elastic("9.0.0", Change::of(2)).unwrap();
    site.run(&["sync"]).with(0);
    let listed = site.run(&["release", "list", "--json", "--feed", "elastic/9.0.0"]).with(0).lines();
    assert_eq!((listed.len(), listed[0]["number"].as_u64()), (2, Some(2)));
    let id = listed[0]["id"].as_str().unwrap();
    for name in ["2", &id[..8], id] {
        let shown = site.run(&["release", "show", name, "--files"]).with(0);
        assert!(shown.stdout.contains("trust           vendor-signed"), "{}", shown.stdout);
        assert!(shown.stdout.contains("asked           http://127.0.0.1"), "{}", shown.stdout);
        assert!(shown.stdout.contains("/downloads/endpoint/manifest/artifacts-9.0.0.zip"), "{}", shown.stdout);
    }
    let shown = site.run(&["release", "show", "2", "--json"]).with(0).lines();
    assert_eq!(shown[0]["items"].as_array().unwrap().len(), 6);
    let diff = site.run(&["release", "diff", "1", "2"]).with(0);
    assert!(diff.stdout.contains("~ /downloads/endpoint/manifest/artifacts-9.0.0.zip"), "{}", diff.stdout);
    let diff = site.run(&["release", "diff", "1", "2", "--json"]).with(0).lines();
    assert_eq!(diff[0]["same"], 3);
    let missing = site.run(&["release", "show", "99"]).with(1);
    assert!(missing.stderr.contains("no release '99'"), "{}", missing.stderr);
    assert!(site.run(&["release", "list", "--state", "rejected"]).with(0).stdout.contains("no release"));
    site.run(&["release", "list", "--state", "odd"]).with(2);
}

#[test]
fn a_damaged_blob_is_told_set_aside_and_fetched_again_s16() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    assert!(site.run(&["release", "verify", "--all"]).with(0).stdout.contains("all good"));
    let blob = site.blobs().into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[7] ^= 1;
    std::fs::set_permissions(&blob, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&blob, bytes).unwrap();
    let name = blob.file_name().unwrap().to_str().unwrap();
    let told = site.run(&["release", "verify", "1"]).with(1);
    assert!(told.stdout.contains(&format!("damaged: blob {name}")), "{}", told.stdout);
    assert!(told.stdout.contains("the next sync fetches"), "{}", told.stdout);
    let gone = site.run(&["release", "verify", "--all", "--json"]).with(1).lines();
    assert!(gone[0]["faults"][0]["actual"].is_null(), "set aside the first time");
    let healed = site.run(&["sync", "--json"]).with(0).lines();
    assert!(healed[0]["bytes_fetched"].as_u64().unwrap() > 0);
    site.run(&["release", "verify", "--all"]).with(0);
}

#[test]
fn the_operator_ends_a_quarantine_either_way() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    site.vendors.publish_elastic("9.0.0", Change::regress()).unwrap();
    site.run(&["sync"]).with(3);
    site.run(&["sync"]).with(3);
    let rejected = site.run(&["release", "reject", "2", "--reason", "asked the vendor"]).with(0);
    assert!(rejected.stdout.contains("rejected release"), "{}", rejected.stdout);
    site.run(&["sync"]).with(0);
    let admitted = site.run(&["release", "admit", "2", "--reason", "they meant it", "--json"]).with(0).lines();
    assert_eq!(admitted[0]["outcome"], "published");
    let feed = site.run(&["feed", "show", "elastic/9.0.0"]).with(0);
    assert!(feed.stdout.contains("served     1.0.1048"), "{}", feed.stdout);
    site.run(&["release", "reject", "2", "--reason", "too late"]).with(1);
    site.run(&["release", "admit", "2", "--reason", " "]).with(2);
    let history = site.run(&["history", "list"]).with(0);
    assert!(history.stdout.contains("admit, release 2, because: they meant it"), "{}", history.stdout);
}

#[test]
fn the_whole_data_folder_is_checked_and_nothing_changed_s16_s18_s22() {
    let site = Site::builder().build();
    assert!(site.run(&["release", "verify", "--store"]).with(1).stderr.contains("there is no data folder"));
    site.run(&["sync"]).with(0);
    for args in [&["release", "verify", "--store"][..], &["release", "verify", "--all", "--store"]] {
        assert!(site.run(args).with(0).stdout.contains("all good"));
    }
    let blob = site.blobs().into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    std::fs::write(site.data().join("rings/broad/current"), "1 nonsense\n").unwrap();
    let seen = site.run(&["release", "verify", "--store"]).with(1);
    assert!(seen.stdout.contains("pointer_damaged: rings/broad/current"), "{}", seen.stdout);
    assert!(!seen.stdout.contains("blob_damaged"), "a look does not read: {}", seen.stdout);
    assert_eq!(std::fs::read(&blob).unwrap(), bytes);
    let read = site.run(&["release", "verify", "--all", "--store", "--json"]).with(1).lines();
    assert_eq!(read.len(), 1);
    let reasons: Vec<&str> =
        read[0]["faults"].as_array().unwrap().iter().map(|f| f["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["pointer_damaged", "blob_damaged"]);
    assert!(read[0]["faults"][1]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
    assert_eq!(read[0]["set_aside"]["faults"].as_array().unwrap().len(), 1);
    assert!(!blob.exists(), "set aside");
    site.run(&["sync"]).with(0);
    let healed = site.run(&["release", "verify", "--all", "--store"]).with(0);
    assert!(healed.stdout.contains("left over: 1 damaged"), "{}", healed.stdout);
    assert_eq!(site.run(&["release", "verify", "--store", "1"]).code, 2);
}
