//! `status`, `feed`, `history`, `gc`.

use catalog::{Batch, Catalog as _, FeedRecord, SqlCatalog};
use model::{Outcome, Timestamp};

use crate::site::Site;

#[test]
fn a_data_folder_never_used_is_empty_and_stays_unmade() {
    let site = Site::builder().defender().build();
    // It may as well be gone: nothing tells, and that is not well.
    let ended = site.run(&["status"]).with(4);
    assert!(ended.stdout.contains("nothing was published yet"), "{}", ended.stdout);
    assert!(ended.stdout.contains("not checked yet"), "{}", ended.stdout);
    assert!(ended.stdout.contains("the data folder: folder_gone: there is no data folder "), "{}", ended.stdout);
    assert!(ended.stdout.contains("nothing was ever fetched here, or what was is gone"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\nalarms: unknown; there is no data folder "), "{}", ended.stdout);
    let json = site.run(&["status", "--json"]).with(4).lines();
    assert_eq!(json[0]["ring"]["generation"], 0);
    assert_eq!(json[0]["feeds"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&json[0]["faults"][0]["key"], &json[0]["faults"][0]["note"]["reason"]),
        (&"data_folder".into(), &"folder_gone".into())
    );
    for verb in [&["release", "list"][..], &["history", "list"], &["gc", "--plan"], &["feed", "list"]] {
        site.run(verb).with(0);
    }
    // Nothing is no proof.
    for verb in [&["history", "verify"][..], &["release", "verify", "--all"]] {
        let ended = site.run(verb).with(1);
        assert!(ended.stderr.contains("there is no catalog in"), "{}", ended.stderr);
    }
    site.run(&["release", "show", "1"]).with(1);
    assert!(!site.data().exists());
}

#[test]
fn status_tells_trust_in_words() {
    let site = Site::builder().defender().build();
    site.run(&["sync"]).with(0);
    let ended = site.run(&["status"]).with(0);
    assert!(ended.stdout.contains("ring broad: generation"), "{}", ended.stdout);
    assert!(ended.stdout.contains("elastic/9.0.0: vendor-signed (key "), "{}", ended.stdout);
    assert!(ended.stdout.contains("transport-only, attested by nobody (plain HTTP)"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("not well"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("when it was first offered here (the vendor gives no usable date)"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains(": the vendor's own date"), "{}", ended.stdout);
    assert!(ended.stdout.contains("a date inside 2026-10-04T03:12:44Z"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("freshness\n"), "what is fine is not told: {}", ended.stdout);
    let shown = site.run(&["feed", "show", "elastic/9.0.0"]).with(0);
    assert!(shown.stdout.contains("served     1.0.1049, release"), "{}", shown.stdout);
    assert_eq!(site.run(&["feed", "list", "--json"]).with(0).lines().len(), 2);
}

#[test]
fn a_quarantine_shows_the_commands_that_end_it() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    site.vendors.publish_elastic("9.0.0", vendor_sim::Change::regress()).unwrap();
    let ended = site.run(&["sync"]).with(3);
    assert!(ended.stdout.contains("quarantined: version_regression"), "{}", ended.stdout);
    assert!(ended.stdout.contains("waystation release admit "), "{}", ended.stdout);
    let status = site.run(&["status"]).with(0);
    assert!(status.stdout.contains("waystation release reject 2 --reason TEXT"), "{}", status.stdout);
    assert!(status.stdout.contains("not well"), "{}", status.stdout);
}

#[test]
fn silence_beyond_policy_is_exit_4() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let catalog = SqlCatalog::open(&site.data().join("catalog/catalog.sqlite3")).await.unwrap();
        let feed: model::FeedId = "elastic/9.0.0".parse().unwrap();
        let known = catalog.feed(&feed).await.unwrap().unwrap();
        let old = Timestamp::parse("2020-01-01T00:00:00Z").unwrap();
        let record = FeedRecord { succeeded_at: Some(old), outcome: Outcome::Current, ..known };
        catalog.apply(Batch { feeds: vec![record], ..Batch::default() }).await.unwrap();
    });
    let ended = site.run(&["status"]).with(4);
    assert!(ended.stdout.contains("beyond policy"), "{}", ended.stdout);
    let json = site.run(&["status", "--json"]).with(4).lines();
    let check = &json[0]["freshness"][0];
    assert_eq!(
        (&check["measure"], &check["level"], &check["reason"]),
        (&"check".into(), &"fail".into(), &"not_checked".into())
    );
    assert_eq!(check["since"]["source"], "last-success");
    assert!(ended.stdout.contains("whether `waystation run` is running"), "{}", ended.stdout);
}

#[test]
fn a_feed_that_never_succeeded_ages_from_its_first_check() {
    let site = Site::builder().build();
    site.vendors.retire_elastic("9.0.0");
    site.run(&["sync"]).with(1);
    // A failure of today is no silence yet.
    site.run(&["status"]).with(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let catalog = SqlCatalog::open(&site.data().join("catalog/catalog.sqlite3")).await.unwrap();
        let known = catalog.feed(&"elastic/9.0.0".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(known.succeeded_at, None);
        let record = FeedRecord { first_checked_at: Timestamp::parse("2020-01-01T00:00:00Z").unwrap(), ..known };
        catalog.apply(Batch { feeds: vec![record], ..Batch::default() }).await.unwrap();
    });
    let ended = site.run(&["status"]).with(4);
    assert!(
        ended.stdout.contains("when the feed was first known here (no check was ever in order)"),
        "{}",
        ended.stdout
    );
    let json = site.run(&["status", "--json"]).with(4).lines();
    assert_eq!(json[0]["freshness"][0]["since"]["source"], "first-check");
}

#[test]
fn behind_a_proxy_the_gap_in_the_address_guard_is_told() {
    let site = Site::builder().build();
    let output = crate::site::command(site.path(), &["status"])
        .env("WAYSTATION__ORIGIN__PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("not by the addresses that names lead to"));
    let json = crate::site::command(site.path(), &["status", "--json"])
        .env("WAYSTATION__ORIGIN__PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["notices"].as_array().unwrap().len(), 1);
}

#[test]
fn the_history_is_listed_and_proven() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let listed = site.run(&["history", "list"]).with(0);
    assert!(listed.stdout.contains("publication-done") && listed.stdout.contains("sync by uid "), "{}", listed.stdout);
    let lines = site.run(&["history", "list", "--json", "--limit", "2"]).with(0).lines();
    assert_eq!(lines.len(), 2);
    let whole = site.run(&["history", "verify", "--json"]).with(0).lines();
    assert_eq!(whole[0]["digest"], lines[1]["digest"]);
    assert!(lines[1]["data"].is_object());
}

#[test]
fn what_is_wrong_for_one_reason_is_explained_once() {
    let site = Site::builder().versions(&["9.0.0", "8.18.3"]).build();
    site.run(&["sync"]).with(0);
    let fine = site.run(&["status"]).with(0);
    assert!(fine.stdout.contains("freshness: all is within the limits of preset stig-7d"), "{}", fine.stdout);
    site.vendors.retire_elastic("9.0.0");
    site.vendors.retire_elastic("8.18.3");
    site.run(&["sync"]).with(1);
    let ended = site.run(&["status"]).with(0);
    let json = site.run(&["status", "--json"]).with(0).lines();
    let code = json[0]["feeds"][0]["reason"].as_str().unwrap();
    let reason = model::Reason::from_code(code).unwrap();
    assert_eq!(ended.stdout.matches(reason.remedy()).count(), 1, "{}", ended.stdout);
    assert_eq!(ended.stdout.matches(", 1 run in a row").count(), 2, "{}", ended.stdout);
}

#[test]
fn a_moment_that_the_history_does_not_reach_is_wrong_usage() {
    let site = Site::builder().build();
    let empty = site.run(&["status", "--at", "1h ago"]).with(2);
    assert!(empty.stderr.contains("the history is empty"), "{}", empty.stderr);
    site.run(&["sync"]).with(0);
    for at in ["2001-01-01", "2200-01-01"] {
        for verb in [&["status", "--at", at][..], &["ring", "list", "--at", at], &["ring", "show", "broad", "--at", at]]
        {
            let ended = site.run(verb).with(2);
            assert!(ended.stderr.contains("ask for a moment from 2"), "{}", ended.stderr);
            assert!(!ended.stderr.contains("report it"), "{}", ended.stderr);
        }
    }
    let slip = site.run(&["status", "--at", "99999999d ago"]).with(2);
    assert!(slip.stderr.contains("more than 200 years ago"), "{}", slip.stderr);
}

#[test]
fn a_span_of_the_history_that_holds_nothing_is_wrong_usage() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    for verb in ["list", "export"] {
        let turned = site.run(&["history", verb, "--since", "2026-01-02", "--until", "2026-01-01"]).with(2);
        assert!(turned.stderr.contains("is later than --until"), "{}", turned.stderr);
        let ahead = site.run(&["history", verb, "--since", "2200-01-01"]).with(2);
        assert!(ahead.stderr.contains("lies ahead of this machine's clock"), "{}", ahead.stderr);
    }
    let listed = site.run(&["history", "list", "--json", "--until", "2200-01-01"]).with(0).lines();
    let exported = site.run(&["history", "export"]).with(0).lines();
    assert!(listed[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{}", listed[0]);
    assert_eq!(listed, exported);
}

#[test]
fn gc_lets_nothing_go_that_is_served() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let before = site.blobs().len();
    let plan = site.run(&["gc", "--plan", "--json"]).with(0).lines();
    assert_eq!(plan[0]["blobs"], 0);
    let done = site.run(&["gc"]).with(0);
    assert!(done.stdout.contains("let go: 0 of 0 blobs"), "{}", done.stdout);
    assert_eq!(site.blobs().len(), before);
}
