//! A wanted list that was brought from elsewhere, and what a plan foresees.

use std::path::PathBuf;
use std::time::Duration;

use e2e::whole::manifest_path;
use e2e::{Site, closed_address, get, until};
use serde_json::{Value, json};
use vendor_sim::{Fault, FaultRule, Pattern};

use crate::vendor::elastic_of as vendor;

const PATIENCE: Duration = Duration::from_secs(60);

fn site(origin: &str, lines: &str) -> Site {
    Site::new(&[format!("[elastic]\norigin = \"{origin}\"\n{lines}")])
}

/// A list in which these paths were asked for so often, with a guess that somebody made up.
pub(crate) fn list(site: &Site, entries: &[(String, u64)]) -> PathBuf {
    let entry = |(path, count): &(String, u64)| {
        json!({"feed": "elastic/1.2.3", "path": path, "ring": "broad", "count": count, "first": 1, "last": 2,
            "guess": "x".repeat(200_000)})
    };
    let wanted: Vec<Value> = entries.iter().map(entry).collect();
    let text = json!({"kind": "waystation-wanted", "form": 1, "site": "closed", "at": 3, "wanted": wanted});
    let path = site.folder().join("wanted.json");
    std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
    path
}

fn followed(site: &Site) -> Vec<String> {
    let lines = site.act(&["feed", "list", "--json"]).expect(0).lines();
    let known = lines.iter().filter(|line| line["followed_for"].is_string());
    known.map(|line| line["feed"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn names_that_are_made_up_keep_nothing_of_a_list_from_being_fetched_v32() {
    let vendor = vendor(&["9.0.0", "9.1.2", "9.2.0", "9.3.0"]);
    let site = site(&vendor.elastic_url(), "versions = [\"9.0.0\"]\nlearned_feeds = 2\n");
    let mut entries: Vec<(String, u64)> = (0..12).map(|patch| (manifest_path(&format!("6.0.{patch}")), 1)).collect();
    entries.extend([(manifest_path("9.1.2"), 9), (manifest_path("9.2.0"), 8), (manifest_path("9.3.0"), 2)]);
    entries.push(("/downloads/endpoint/foo".to_owned(), 50));
    let list = list(&site, &entries);
    let list = list.to_str().unwrap();
    let told = site.act(&["sync", "--wanted", list]).expect(3).text();
    for words in ["elastic/9.1.2 is followed from now on", "6.0.3: in the list, and not followed: not_found"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(told.contains("elastic/9.3.0: in the list, and not followed: learned_full"), "{told}");
    assert!(told.contains("/downloads/endpoint/foo"), "{told}");
    assert_eq!(followed(&site), ["elastic/9.0.0", "elastic/9.1.2", "elastic/9.2.0"]);
    let book = std::fs::metadata(site.data().join("wanted/learned.json")).unwrap();
    assert!(book.len() < 4096, "nothing else of the list is kept: {} bytes", book.len());
    let history = site.act(&["history", "list", "--json"]).text();
    assert!(history.contains("elastic/9.1.2") && history.contains("learn"), "{history}");

    // What was learned stays, whatever the vendor says once; and is the only thing that a later run asks for.
    vendor.inject(FaultRule::always(Pattern::Target(manifest_path("9.1.2")), Fault::Status(404)));
    site.sync(&["--wanted", list]).expect(3);
    assert_eq!(followed(&site), ["elastic/9.0.0", "elastic/9.1.2", "elastic/9.2.0"]);
    vendor.clear_faults();
    assert_eq!(site.sync(&[]).expect(0).lines().len(), 3);
    let serve = site.start("serve");
    assert_eq!(get(serve.content, &manifest_path("9.1.2")).unwrap().status, 200);
    serve.finish();
}

#[test]
fn while_the_vendor_cannot_be_asked_nothing_of_a_list_is_followed() {
    let site = site(&format!("http://{}", closed_address()), "");
    let entries: Vec<(String, u64)> = (0..8).map(|patch| (manifest_path(&format!("9.0.{patch}")), 1)).collect();
    let list = list(&site, &entries);
    let told = site.act(&["sync", "--wanted", list.to_str().unwrap()]).expect(1).text();
    assert!(told.contains("elastic/9.0.0: in the list, and not followed: connect_failed"), "{told}");
    assert!(
        told.contains("elastic/9.0.7: in the list, and not followed: connect_failed: not asked for any more"),
        "{told}"
    );
    assert_eq!(followed(&site), Vec::<String>::new());
    let foo = self::list(&site, &[("/downloads/endpoint/foo".to_owned(), 1)]);
    let told = site.act(&["sync", "--wanted", foo.to_str().unwrap()]).expect(1).text();
    assert!(told.contains("1 path in the list") && told.contains("/downloads/endpoint/foo"), "{told}");
}

#[test]
fn a_plan_foresees_what_patterns_stand_for_and_changes_nothing() {
    let vendor = vendor(&["9.0.0", "8.19.0", "8.19.1"]);
    let site = site(&vendor.elastic_url(), "versions = [\"9.0.0\", \"8.19.*\"]\n");
    let told = site.act(&["sync", "--plan"]).expect(0).text();
    assert!(told.contains("elastic/8.19.1 would be followed: a pattern stands for it"), "{told}");
    assert!(told.contains("8.19.*: the vendor was asked up to elastic/8.19.5"), "{told}");
    assert!(!site.data().join("wanted").exists(), "nothing is written");
    let plans = site.sync(&["--plan"]).expect(0).lines();
    let planned: Vec<&str> = plans.iter().map(|plan| plan["feed"].as_str().unwrap()).collect();
    let synced = site.sync(&[]).expect(0).lines();
    let fetched: Vec<&str> = synced.iter().map(|line| line["feed"].as_str().unwrap()).collect();
    assert_eq!(
        (planned.len(), planned.iter().all(|feed| fetched.contains(feed))),
        (3, true),
        "{planned:?} {fetched:?}"
    );
}

#[test]
fn a_pattern_of_which_nothing_is_found_is_told_for_what_it_is() {
    let down = site(&format!("http://{}", closed_address()), "versions = [\"8.19.*\"]\n");
    for verb in [&["sync"][..], &["sync", "--plan"]] {
        let told = down.act(verb).expect(1).text();
        assert!(told.contains("elastic/8.19.0: it is not known whether the vendor has it: connect_failed"), "{told}");
    }
    let vendor = vendor(&["9.0.0"]);
    let none = site(&vendor.elastic_url(), "versions = [\"8.19.*\"]\n");
    let told = none.act(&["sync"]).expect(1).text();
    assert!(told.contains("8.19.*: the vendor was asked up to elastic/8.19.3"), "{told}");
    assert!(told.contains("the vendor has nothing of what patterns in elastic.versions stand for"), "{told}");
}

#[test]
fn what_no_manifest_names_is_not_learned() {
    let vendor = vendor(&["9.0.0"]);
    let site = site(&vendor.elastic_url(), "mode = \"proxy\"\n");
    let told = site.act(&["feed", "learn", "elastic/forwarded"]).expect(2).text();
    assert!(told.contains("no feed of the vendor's"), "{told}");
    assert_eq!(followed(&site), Vec::<String>::new());
}

#[test]
fn what_endpoints_asked_for_and_a_folder_holds_is_followed() {
    let vendor = vendor(&["8.19.0", "9.0.0", "9.1.2", "9.2.0"]);
    let connected = Site::new(&[]);
    let share = connected.folder().join("share");
    std::fs::create_dir(&share).unwrap();
    let elastic = e2e::elastic(&vendor.elastic_url(), &["8.19.0", "9.0.0", "9.1.2", "9.2.0"]);
    connected.configure(&[elastic, format!("[tree]\nfolder = {:?}\n", share.to_str().unwrap())]);
    connected.sync(&[]).expect(0);

    let nowhere = format!("http://{}", closed_address());
    let closed = site(&nowhere, "versions = [\"9.0.0\", \"8.19.*\"]\nauto_learn = true\n");
    let run = closed.start("run");
    assert_ne!(get(run.content, &manifest_path("9.1.2")).unwrap().status, 200);
    until("what was asked for is left for a sync", PATIENCE, || {
        (closed.act(&["feed", "wanted", "--json"]).expect(0).lines().len() == 1).then_some(())
    });
    run.finish();
    let told = closed.act(&["sync", "--from", share.join("broad").to_str().unwrap()]).expect(0).text();
    assert!(told.contains("elastic/9.1.2 is followed from now on: endpoints asked for it"), "{told}");
    assert!(told.contains("in the folder, and not followed: elastic/9.2.0"), "{told}");
    assert_eq!(followed(&closed), ["elastic/8.19.0", "elastic/9.0.0", "elastic/9.1.2"]);
}
