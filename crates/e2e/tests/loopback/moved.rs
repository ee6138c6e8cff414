//! What happens to the data folder, and to the process, while `run` or `sync` works on it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::whole::{manifest_path, serves_what_the_vendor_shows};
use e2e::{Daemon, Site, get, until};
use rustix::process::{Pid, Signal, kill_process};
use vendor_sim::{Change, Network};

use crate::vendor::{FEEDS, VERSIONS, sections, vendor};

const PATIENCE: Duration = Duration::from_secs(60);

/// Moves the data folder away and waits until that was noticed; where it was, and where it is.
fn taken_away(site: &Site, run: &Daemon) -> (PathBuf, PathBuf) {
    let (data, away) = (site.data(), site.folder().join("away"));
    fs::rename(&data, &away).unwrap();
    run.wait_said("folder_gone");
    (data, away)
}

#[test]
fn a_data_folder_that_goes_away_is_told_and_nothing_is_written_until_it_is_back_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    let run = site.start("run");
    let shows = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("everything is served", PATIENCE, shows);
    let (data, away) = taken_away(&site, &run);
    let manifest = get(run.content, &manifest_path(VERSIONS[0])).unwrap();
    assert_eq!(manifest.status, 200, "what is in memory is served on");
    // What stands there now is a mount point whose volume is gone.
    fs::create_dir(&data).unwrap();
    assert_eq!(site.act(&["status", "--json"]).code(), 4, "a folder that nothing is known of is not well");
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    let status = get(run.admin, "/api/v1/status").unwrap();
    assert_ne!(status.status, 200, "{}", String::from_utf8_lossy(&status.body));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "nothing is written into a bare mount point");

    fs::remove_dir(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    run.wait_said("the data folder is back");
    until("what was published meanwhile is served", PATIENCE, shows);

    // Another folder with the same content, as a restored backup or a volume mounted again is.
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    fs::rename(&data, &away).unwrap();
    let copied = Command::new("cp").arg("-a").args([&away, &data]).status().unwrap();
    assert!(copied.success());
    run.wait_said("another data folder stands here now");
    until("what was published meanwhile is served from it", PATIENCE, shows);
    run.finish();
    site.act(&["release", "verify", "--all", "--store"]).expect(0);
}

#[test]
fn a_data_folder_that_is_begun_anew_under_a_running_process_is_left_alone_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    let run = site.start("run");
    let shows = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("everything is served", PATIENCE, shows);
    let (data, away) = taken_away(&site, &run);
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    fs::create_dir(&data).unwrap();
    site.sync(&[]).expect(0);
    run.wait_said("with a history that never was this one's");
    assert_ne!(get(run.admin, "/api/v1/status").unwrap().status, 200, "nothing is well");
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    run.wait_said("the data folder is back");
    until("what was published meanwhile is served", PATIENCE, shows);
    run.finish();
    site.act(&["history", "verify"]).expect(0);
}

#[test]
fn a_catalog_that_is_moved_away_or_replaced_is_told_and_not_written_into_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    let run = site.start("run");
    let shows = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("everything is served", PATIENCE, shows);
    let (catalog, away) = (site.data().join("catalog"), site.folder().join("away"));
    fs::rename(&catalog, &away).unwrap();
    run.wait_said("folder_gone");
    let bytes = || fs::read(away.join("catalog.sqlite3-wal")).unwrap_or_default();
    let before = bytes();
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    assert_ne!(get(run.admin, "/api/v1/status").unwrap().status, 200);
    assert!(!catalog.exists(), "none is begun in its place");
    let manifest = get(run.content, &manifest_path(VERSIONS[0])).unwrap();
    assert_eq!(manifest.status, 200, "what is served is served on");
    assert_eq!(bytes(), before, "nothing is written into what was moved away");
    fs::rename(&away, &catalog).unwrap();
    run.wait_said("the data folder is back");
    until("what was published meanwhile is served", PATIENCE, shows);

    // A backup of it, put in its place while the program runs.
    let copied = Command::new("cp").arg("-a").args([&catalog, &away]).status().unwrap();
    assert!(copied.success());
    fs::rename(&catalog, site.folder().join("old")).unwrap();
    fs::rename(&away, &catalog).unwrap();
    run.wait_said("another data folder stands here now");
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    site.sync(&[]).expect(0);
    until("what was published meanwhile is served with it", PATIENCE, shows);
    run.finish();
    site.act(&["history", "verify"]).expect(0);
    site.act(&["release", "verify", "--all", "--store"]).expect(0);
}

#[test]
fn a_week_old_backup_is_noticed_and_caught_up_with_s40() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let backup = site.folder().join("backup");
    assert!(Command::new("cp").arg("-a").args([&site.data(), &backup]).status().unwrap().success());
    for _ in 0..3 {
        vendor.publish_elastic("all", Change::of(2)).unwrap();
        site.sync(&[]).expect(0);
    }
    let serve = site.start("serve");
    let shows = || serves_what_the_vendor_shows(serve.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("the newest is served", PATIENCE, shows);
    fs::remove_dir_all(site.data()).unwrap();
    fs::rename(&backup, site.data()).unwrap();
    serve.wait_said("went back to generation");
    site.act(&["release", "verify", "--all", "--store"]).expect(0);
    let synced = site.sync(&[]).expect(0);
    assert!(synced.outcomes().contains(&"published".to_owned()), "{}", synced.text());
    until("it converges, also in a process that saw newer generations", PATIENCE, shows);
    serve.finish();
}

#[test]
fn a_sync_that_is_asked_to_stop_says_so_and_a_second_time_ends_it_s39() {
    for (signal, times) in [(Signal::TERM, 1), (Signal::INT, 1), (Signal::TERM, 2)] {
        let vendor = vendor(16 * 1024);
        let site = Site::new(&sections(&vendor));
        site.sync(&[]).expect(0);
        vendor.publish_elastic("all", Change::of(2)).unwrap();
        vendor.set_network(Network::with_latency(Duration::from_secs(120)));
        vendor.reset_counters();
        let sync = site.command(["sync", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        until("it is asking", PATIENCE, || (vendor.requests().connections > 0).then_some(()));
        for _ in 0..times {
            // The process may have ended of the first.
            let _ = kill_process(Pid::from_child(&sync), signal);
        }
        let ended = sync.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{signal:?} {times}: {text}");
        assert!(text.contains("\"interrupted\""), "{text}");
        vendor.set_network(Network::default());
        site.sync(&[]).expect(0);
        site.act(&["release", "verify", "--all", "--store"]).expect(0);
    }
}
