//! A file of heads that is unreadable, no file, somebody else's, or of the site's former name.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::site::Site;

const HEADS: &str = "[history]\nhead_file = \"heads\"\nhead_entries = 1\n";

fn plant_pipe(site: &Site) {
    mknodat(CWD, site.path().join("heads"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// Gives the site another name.
fn rename(site: &Site, name: &str) {
    let file = site.path().join("waystation.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("name = \"dmz-1\"", &format!("name = \"{name}\""));
    std::fs::write(&file, text).unwrap();
}

#[test]
fn nothing_begins_anew_where_it_cannot_be_known_whether_there_was_a_history_s42() {
    let site = Site::named(HEADS);
    let heads = site.path().join("heads");
    let folder = || std::fs::create_dir(&heads).unwrap();
    let garbage = || std::fs::write(&heads, "not a head\n").unwrap();
    let plants: [(&dyn Fn(), &str); 3] = [
        (&folder, "it is a folder"),
        (&|| plant_pipe(&site), "it is a pipe"),
        (&garbage, "it holds something, and not one head"),
    ];
    for (plant, why) in plants {
        plant();
        for act in [&["sync"][..], &["gc"], &["run"], &["status"]] {
            let refused = site.run(act).with(1).stderr;
            assert!(
                refused.contains("whether there was cannot be known") && refused.contains(why),
                "{act:?}: {refused}"
            );
            assert!(refused.contains("make that file readable"), "it says what to do: {refused}");
            assert!(!site.data().exists(), "{act:?}");
        }
        if heads.is_dir() { std::fs::remove_dir(&heads).unwrap() } else { std::fs::remove_file(&heads).unwrap() }
    }
    // A head that a crash cut was begun by somebody.
    std::fs::write(&heads, "2026-01-01T00:00:00Z 3 ab").unwrap();
    assert!(site.run(&["sync"]).with(1).stderr.contains("holds the beginning of a head"));
    // One that was made to be append-only before anything was told.
    std::fs::write(&heads, "").unwrap();
    site.run(&["sync"]).with(0);
    assert_eq!(std::fs::read_to_string(&heads).unwrap().lines().count(), 1);
}

#[test]
fn a_new_site_begins_beside_the_heads_of_others_and_is_told_of_them_s42() {
    let site = Site::named(HEADS);
    site.run(&["sync"]).with(0);
    std::fs::rename(site.data(), site.path().join("away")).unwrap();
    rename(&site, "branch-7");
    let status = site.run(&["status"]).with(4).stdout;
    assert!(status.contains("holds heads of dmz-1, and none of branch-7"), "{status}");
    let begun = site.run(&["sync"]).with(0).stderr;
    assert!(begun.contains("where this site had one of these names before, its history is not here"), "{begun}");
    assert_eq!(site.run(&["sync"]).with(0).stderr, "");
    site.run(&["history", "verify"]).with(0);
}

#[test]
fn a_site_that_was_renamed_is_told_beside_its_history_a21() {
    let site = Site::named(HEADS);
    site.run(&["sync"]).with(0);
    rename(&site, "hq");
    let status = site.run(&["status"]).with(0).stdout;
    assert!(status.contains("head_failed") && status.contains("under the name dmz-1"), "{status}");
    let listed = site.run(&["history", "list"]).with(0).stderr;
    assert!(listed.contains("reason=head_failed") && listed.contains("under the name dmz-1"), "{listed}");
    let past = site.run(&["status", "--at", "0s ago", "--json"]).with(0).lines();
    assert_eq!((&past[0]["history"]["whole"], &past[0]["history"]["reason"]), (&json!(true), &json!("head_failed")));
    let synced = site.run(&["sync"]).with(0).stderr;
    assert!(synced.contains("go on under another name"), "{synced}");
    assert!(!site.run(&["status"]).with(0).stdout.contains("head_failed"));
    // Another name hides nothing that was cut off.
    rename_back_and_cut(&site);
    let broken = site.run(&["status"]).with(4).stdout;
    assert!(broken.contains("history_broken") && broken.contains("under the name hq"), "{broken}");
    let synced = site.run(&["sync"]).with(3).stderr;
    assert!(synced.contains("history_broken") && synced.contains("under the name hq"), "{synced}");
}

/// The catalog goes back to an earlier state, and the site gets a third name.
fn rename_back_and_cut(site: &Site) {
    let (catalog, kept) = (site.data().join("catalog"), site.path().join("kept"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::create_dir_all(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    copy(&catalog, &kept);
    site.vendors.publish_elastic("9.0.0", vendor_sim::Change::of(1)).unwrap();
    site.run(&["sync"]).with(0);
    std::fs::remove_dir_all(&catalog).unwrap();
    std::fs::rename(&kept, &catalog).unwrap();
    let file = site.path().join("waystation.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("name = \"hq\"", "name = \"hq-2\"");
    std::fs::write(&file, text).unwrap();
}

#[test]
fn whoever_answers_from_the_history_says_that_its_heads_cannot_be_read_a21() {
    let site = Site::named(HEADS);
    site.run(&["sync"]).with(0);
    std::fs::rename(site.path().join("heads"), site.path().join("kept")).unwrap();
    let plants: [(&dyn Fn(), &str); 2] = [
        (&|| plant_pipe(&site), "it is a pipe"),
        (&|| std::fs::write(site.path().join("heads"), "lunch\n").unwrap(), "not one head"),
    ];
    for (plant, why) in plants {
        plant();
        let listed = site.run(&["history", "list"]).with(1);
        assert!(
            listed.stdout.starts_with("head_failed: history.head_file: ") && listed.stdout.contains(why),
            "{listed:?}"
        );
        assert!(listed.stdout.contains("start of sync") && listed.stderr.contains(why), "it is listed: {listed:?}");
        site.run(&["history", "list", "--json"]).with(1);
        site.run(&["history", "export"]).with(1);
        assert!(site.run(&["history", "verify"]).with(1).stderr.contains(why));
        let past = site.run(&["status", "--at", "0s ago", "--json"]).with(1).lines();
        assert_eq!(
            (&past[0]["history"]["whole"], &past[0]["history"]["reason"]),
            (&json!(null), &json!("head_failed"))
        );
        assert!(site.run(&["status"]).with(4).stdout.contains("history.head_file: head_failed: "));
        let synced = site.run(&["sync"]).with(3);
        assert!(synced.stdout.contains("current") && synced.stderr.contains(why), "it does its work: {synced:?}");
        assert!(synced.stderr.contains("no head is told before it can be read"), "{synced:?}");
        std::fs::remove_file(site.path().join("heads")).unwrap();
    }
    std::fs::rename(site.path().join("kept"), site.path().join("heads")).unwrap();
    site.run(&["sync"]).with(0);
    site.run(&["history", "list"]).with(0);
}
