//! Rings as plain folders, kept by whoever publishes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alarm::{Condition, Damping, Ledger, Life, Shelf, Sight, Source};
use model::{Clock as _, Level, Reason};
use vendor_sim::{Change, DefenderChange, DefenderFeed, DefenderTarget};

use crate::site::Site;

/// A site of both vendors whose ring stands as a folder beside it.
fn site() -> (Site, PathBuf) {
    let site = Site::builder().defender().build();
    fs::create_dir(site.path().join("shared")).unwrap();
    configure(&site, |text| format!("{text}[tree]\nfolder = \"shared\"\n"));
    let tree = site.path().join("shared/broad");
    (site, tree)
}

fn configure(site: &Site, change: impl Fn(&str) -> String) {
    let config = site.path().join("waystation.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(config, change(&text)).unwrap();
}

/// A site that reads all again within this time; with the archive in `_back` and its blob.
fn reading_again(within: &str) -> (Site, PathBuf, PathBuf) {
    let (site, tree) = site();
    let scrub = format!("[limits]\nscrub = \"{within}\"\n");
    configure(&site, |text| text.replace("[limits]\n", &scrub));
    for _ in 0..3 {
        publish(&site);
        site.run(&["sync"]).with(0);
    }
    let zip = tree.join("linux/production_back/arch_x86_64/updates.zip");
    let name = model::Digest::of(&fs::read(&zip).unwrap()).to_string();
    let blob = site.blobs().into_iter().find(|path| path.ends_with(&name)).unwrap();
    (site, zip, blob)
}

/// Changes a byte of a blob, as a disk does: nothing but reading shows it.
fn rot(blob: &Path) {
    let modified = fs::metadata(blob).unwrap().modified().unwrap();
    let mut bytes = fs::read(blob).unwrap();
    bytes[500] ^= 1;
    fs::write(blob, bytes).unwrap();
    fs::File::options().write(true).open(blob).unwrap().set_modified(modified).unwrap();
}

fn publish(site: &Site) {
    site.vendors.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    site.vendors.publish_elastic("9.0.0", Change::default()).unwrap();
}

#[test]
fn sync_keeps_the_folder_at_what_it_publishes() {
    let (site, tree) = site();
    let zip = tree.join("linux/production/arch_x86_64/updates.zip");
    site.run(&["tree", "status"]).with(1);
    for _ in 0..2 {
        publish(&site);
        site.run(&["sync"]).with(0);
        let release = site.vendors.defender_release(DefenderFeed::ALL[0]).unwrap();
        assert_eq!(model::Digest::of(&fs::read(&zip).unwrap()), release.archive.digest());
        let manifest = tree.join("downloads/endpoint/manifest/artifacts-9.0.0.zip");
        assert_eq!(fs::read(manifest).unwrap(), &site.vendors.elastic_release("9.0.0").unwrap().manifest[..]);
        let status = site.run(&["tree", "status", "--all"]).with(0);
        assert!(status.stdout.contains("ring broad: serves generation "), "{}", status.stdout);
    }
    assert!(tree.join("linux/production_back/arch_x86_64/manifest.json").exists());
    site.run(&["release", "verify", "--store"]).with(0);
}

#[test]
fn what_was_altered_is_told_and_rebuilt_and_what_is_not_ours_is_left_alone() {
    let (site, tree) = site();
    site.run(&["sync"]).with(0);
    let folder = tree.join("linux/production/arch_x86_64");
    fs::write(folder.join("updates.zip"), "altered").unwrap();
    fs::remove_file(folder.join("manifest.json")).unwrap();
    fs::write(folder.join("notes"), "mine").unwrap();
    let status = site.run(&["tree", "status"]).with(1);
    assert!(status.stdout.contains("missing 1, with other bytes 1, left over 0"), "{}", status.stdout);
    let named = "altered or removed: linux/production/arch_x86_64/updates.zip";
    assert!(status.stdout.contains(named), "{}", status.stdout);
    let rebuilt = site.run(&["tree", "rebuild", "--json"]).with(0).lines();
    assert_eq!(
        (&rebuilt[0]["report"]["put"], &rebuilt[0]["report"]["replaced"]),
        (&1.into(), &1.into()),
        "{rebuilt:?}"
    );
    let status = site.run(&["tree", "status", "--all"]).with(0);
    assert!(status.stdout.contains("left alone: linux/production/arch_x86_64/notes"), "{}", status.stdout);
    assert_eq!(fs::read(folder.join("notes")).unwrap(), b"mine");
}

#[test]
fn a_folder_that_cannot_be_kept_fails_loudly_and_publishes_all_the_same() {
    let (site, tree) = site();
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("photos"), "mine").unwrap();
    let synced = site.run(&["sync"]).with(3);
    assert!(synced.stderr.contains("holds 'photos'") && synced.stderr.contains("tree_refused"), "{}", synced.stderr);
    let status = site.run(&["status"]).with(4);
    assert!(status.stdout.contains("folder of ring broad: tree_refused"), "{}", status.stdout);
    let json = site.run(&["status", "--json"]).with(4).lines();
    assert_eq!(json[0]["faults"][0]["note"]["reason"], "tree_refused", "{json:?}");
    assert!(json[0]["ring"]["generation"].as_u64().unwrap() > 0, "HTTP does not wait for it");
    fs::remove_file(tree.join("photos")).unwrap();
    site.run(&["sync"]).with(0);
    site.run(&["status"]).with(0);
}

/// A rebuild leaves it, and so does every run: it is not Waystation's.
#[test]
fn what_stood_in_the_way_is_told_until_it_was_moved_away_and_no_longer() {
    let (site, tree) = site();
    for _ in 0..2 {
        publish(&site);
        site.run(&["sync"]).with(0);
    }
    let feed = "defender/linux/production/x86_64";
    let listed = site.run(&["release", "list", "--feed", feed, "--json"]).with(0).lines();
    let back = tree.join("linux/production_back/arch_x86_64");
    fs::write(back.join("updates.zip"), "mine").unwrap();
    site.run(&["release", "reject", &listed[1]["number"].to_string(), "--reason", "x"]).with(3);
    for _ in 0..2 {
        let told = site.run(&["tree", "status"]).with(1).stdout;
        assert!(told.contains("move it away") && !told.contains("repairs all"), "{told}");
        let told = site.run(&["tree", "rebuild"]).with(1).stdout;
        assert!(told.contains("move it away"), "{told}");
    }
    fs::remove_dir_all(&back).unwrap();
    let told = site.run(&["tree", "status"]).with(0).stdout;
    assert!(told.contains("shows it: ") && !told.contains("move it away"), "{told}");
    site.run(&["sync"]).with(0);
    site.run(&["tree", "status"]).with(0);
}

#[test]
fn a_volume_that_is_not_mounted_is_told_to_be_mounted_and_nothing_else() {
    let (site, tree) = site();
    site.run(&["sync"]).with(0);
    fs::rename(&tree, tree.with_file_name("away")).unwrap();
    for verb in [&["tree", "status"][..], &["sync"], &["tree", "status"]] {
        let told = site.run(verb);
        let told = format!("{}{}", told.stdout, told.stderr);
        assert!(told.matches("mount it").count() == 1 && !told.contains("empty this one"), "{told}");
        assert!(!told.contains("shows it since"), "{told}");
    }
    fs::rename(tree.with_file_name("away"), &tree).unwrap();
    publish(&site);
    site.run(&["sync"]).with(0);
}

#[test]
fn no_folder_in_the_data_folder_is_filled() {
    let (site, _) = site();
    site.run(&["sync"]).with(0);
    let config = site.path().join("waystation.toml");
    let text = fs::read_to_string(&config).unwrap();
    std::os::unix::fs::symlink(site.path().join("data"), site.path().join("way")).unwrap();
    fs::write(&config, text.replace("folder = \"shared\"", "folder = \"way\"")).unwrap();
    let told = site.run(&["sync"]).with(3);
    assert!(told.stderr.contains("lies in the data folder"), "{}", told.stderr);
    assert!(!site.path().join("data/broad").exists());
}

#[test]
fn without_a_folder_there_is_nothing_to_tell() {
    let site = Site::builder().build();
    let told = site.run(&["tree", "status"]).with(2);
    assert!(told.stderr.contains("[tree] folder = "), "{}", told.stderr);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "another process writes the folder: only looking again shows that it has")]
fn run_keeps_the_folder_whoever_publishes() {
    let (site, tree) = site();
    let mut daemon = site.spawn(&["run"]);
    let zip = tree.join("linux/production/arch_x86_64/updates.zip");
    let shows = |site: &Site| {
        let release = site.vendors.defender_release(DefenderFeed::ALL[0]).unwrap();
        fs::read(&zip).is_ok_and(|bytes| model::Digest::of(&bytes) == release.archive.digest())
    };
    let until = |site: &Site| {
        let begun = std::time::Instant::now();
        while !shows(site) {
            assert!(begun.elapsed().as_secs() < 60, "the folder does not follow");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(&site);
    publish(&site);
    site.run(&["sync", "--wait"]).with(0);
    until(&site);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn what_rotted_in_the_store_is_set_aside_and_fetched_again_by_who_needs_it_for_the_folder_s16() {
    let (site, tree) = site();
    site.run(&["sync"]).with(0);
    let zip = tree.join("linux/production/arch_x86_64/updates.zip");
    let whole = fs::read(&zip).unwrap();
    let name = model::Digest::of(&whole).to_string();
    let blob = site.blobs().into_iter().find(|path| path.ends_with(&name)).unwrap();
    for (number, command) in [&["tree", "rebuild"][..], &["sync"]].into_iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[500] ^= 1;
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, bytes).unwrap();
        fs::remove_file(&zip).unwrap();
        let mended = site.run(command).with(0);
        assert!(mended.stderr.contains("set aside and fetched again"), "{command:?}: {}", mended.stderr);
        assert_eq!(fs::read(&zip).unwrap(), whole, "{command:?}");
        assert_eq!(fs::read(&blob).unwrap(), whole, "{command:?}");
        let aside = fs::read_dir(site.path().join("data/damaged")).unwrap().count();
        assert_eq!(aside, number + 1, "{command:?}");
    }
    site.run(&["tree", "status", "--all"]).with(0);
    site.run(&["release", "verify", "--all", "--store"]).with(0);
}

/// No vendor offers the release before again, and the folder has it whole: whoever reads the blob brings it back from there.
#[test]
fn what_rotted_of_the_release_before_comes_back_out_of_the_folder_whoever_finds_it_s16() {
    let (site, zip, blob) = reading_again("30m");
    let whole = fs::read(&zip).unwrap();
    for found_by in [&["sync"][..], &["release", "verify", "--all"], &["release", "verify", "--all", "--store"]] {
        rot(&blob);
        let told = site.run(found_by).with(i32::from(found_by.len() > 1));
        let told = format!("{}{}", told.stdout, told.stderr);
        assert!(told.contains("1 file came back out of the ring's folder"), "{found_by:?}: {told}");
        assert_eq!(fs::read(&blob).unwrap(), whole, "{found_by:?}");
        site.run(&["sync"]).with(0);
        assert_eq!(fs::read(&zip).unwrap(), whole, "{found_by:?}");
        site.run(&["status"]).with(0);
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "another process reads the blobs: only looking again shows that it has")]
fn what_run_finds_rotted_of_the_release_before_comes_back_out_of_the_folder_s16() {
    let (site, zip, blob) = reading_again("10s");
    let whole = fs::read(&zip).unwrap();
    let mut daemon = site.spawn(&["run"]);
    rot(&blob);
    let begun = std::time::Instant::now();
    while !fs::read(&blob).is_ok_and(|bytes| bytes == whole) {
        assert!(begun.elapsed().as_secs() < 120, "it does not come back");
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    site.run(&["sync"]).with(0);
    assert_eq!(fs::read(&zip).unwrap(), whole);
}

/// An older copy of the data folder stands there: what endpoints are given is newer.
#[test]
fn no_folder_is_made_older_than_what_a_living_run_serves_s40() {
    let (site, tree) = site();
    site.run(&["sync"]).with(0);
    let zip = tree.join("linux/production/arch_x86_64/updates.zip");
    fs::write(&zip, "newer").unwrap();
    let now = platform::SystemClock::new().now();
    let is = Condition::new(Source::Content, "ring", Reason::RingWentBack, now).on("ring broad").at_level(Level::Fail);
    let mut ledger = Ledger::default();
    let damping = Damping { settle: Duration::from_secs(120), remind: Duration::MAX };
    ledger.observe(Sight { conditions: vec![is], ..Sight::clear(now) }, &damping);
    Life::prepare(&site.data()).unwrap();
    Shelf::new(&site.data()).keep(&ledger).unwrap();
    Life { pid: 1, since: now, at: now, ended: false, asked: None }.keep(&site.data()).unwrap();
    let lives = Life::hold(&site.data()).unwrap().unwrap();
    let told = site.run(&["tree", "rebuild"]).with(1);
    assert!(told.stderr.contains("ring_went_back") && told.stderr.contains("waystation sync"), "{}", told.stderr);
    assert_eq!(fs::read(&zip).unwrap(), b"newer");
    drop(lives);
    site.run(&["tree", "rebuild"]).with(0);
    assert_ne!(fs::read(&zip).unwrap(), b"newer");
}

/// What is lost in `_back` is no vendor's to offer: the repair says which release it was, and so do the lists.
#[test]
fn a_repair_that_steps_back_in_back_says_so_s16_i9() {
    let (site, tree) = site();
    for _ in 0..3 {
        publish(&site);
        site.run(&["sync"]).with(0);
    }
    let feed = "defender/linux/production/x86_64";
    let listed = site.run(&["release", "list", "--feed", feed, "--json"]).with(0).lines();
    let before = listed[1]["number"].to_string();
    let shown = site.run(&["release", "show", &before, "--json"]).with(0).lines();
    let items = shown[0]["items"].as_array().unwrap().clone();
    let archive = items.iter().max_by_key(|item| item["size"].as_u64()).unwrap()["digest"].as_str().unwrap().to_owned();
    let blob = site.blobs().into_iter().find(|path| path.ends_with(&archive)).unwrap();
    fs::write(&blob, "rot").unwrap();
    fs::remove_file(tree.join("linux/production_back/arch_x86_64/updates.zip")).unwrap();
    let rebuilt = site.run(&["tree", "rebuild"]).with(3);
    let words = format!("blob_missing: /linux/production/arch_x86_64/updates.zip: blob {archive}");
    assert!(rebuilt.stderr.contains(&words), "{}", rebuilt.stderr);
    assert!(rebuilt.stderr.contains(&format!("it belongs to release {before}, the one before")), "{}", rebuilt.stderr);
    site.run(&["tree", "status", "--all"]).with(0);
    let told = site.run(&["status"]);
    assert!(told.stdout.contains("blob_missing"), "{}", told.stdout);
    let listed = site.run(&["release", "list", "--feed", feed]).with(0);
    assert_eq!(listed.stdout.matches("admitted, lacks 1 file ").count(), 1, "{}", listed.stdout);
    let shown = site.run(&["release", "show", &before]).with(0);
    assert!(shown.stdout.contains("lacks           1 file: lost"), "{}", shown.stdout);
    site.run(&["sync"]).with(0);
}
