//! Signals, and a `serve` that may write nothing.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use e2e::whole::{Published, defender_folder, manifest_path, serves_what_the_vendor_shows};
use e2e::{Daemon, Download, Site, get, until};
use model::Hasher;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;

use crate::vendor::{FEEDS, VERSIONS, sections, vendor};

const PATIENCE: Duration = Duration::from_secs(30);
/// More than the kernel takes off our hands while nobody reads.
const LARGE: u64 = 48 << 20;

#[test]
fn sigterm_lets_downloads_end_and_takes_no_more_s_drain() {
    let vendor = vendor(LARGE);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let mut serve = site.start("serve");
    let path = format!("{}/updates.zip", defender_folder(FEEDS[0], ""));
    let mut download = Download::begin(serve.content, &path, &[]).unwrap();
    let mut hasher = Hasher::new();
    hasher.update(&download.read(64 * 1024).unwrap());

    serve.signal(Signal::TERM);
    until("nobody is let in any more", PATIENCE, || get(serve.content, "/").is_err().then_some(()));
    for _ in 1..download.length / (64 * 1024) {
        hasher.update(&download.read(64 * 1024).unwrap());
    }
    hasher.update(&download.read(download.length % (64 * 1024)).unwrap());
    download.end().unwrap();
    assert_eq!(hasher.finish(), vendor.defender_release(FEEDS[0]).unwrap().archive.digest());
    assert!(serve.wait(PATIENCE).success(), "{}", serve.log());
}

#[test]
fn an_access_log_that_nobody_reads_keeps_no_process_alive_s39() {
    let site = Site::new(&["[access_log]\npath = \"-\"\n".to_owned()]);
    fs::create_dir(site.data()).unwrap();
    let (unread, mut full) = std::io::pipe().unwrap();
    fcntl_setfl(&full, OFlags::NONBLOCK).unwrap();
    while full.write(&[b'x'; 4096]).is_ok() {}
    while full.write(b"x").is_ok() {}
    fcntl_setfl(&full, OFlags::empty()).unwrap();
    let mut serve = Daemon::start_writing_to(site.command(["serve"]), full.into());
    for _ in 0..3 {
        assert_eq!(get(serve.content, "/nothing").unwrap().status, 503, "serving waits for no log");
    }
    serve.signal(Signal::TERM);
    assert!(serve.wait(PATIENCE).success(), "{}", serve.log());
    drop(unread);
}

#[test]
fn sighup_takes_a_new_configuration_over_and_keeps_the_old_one_when_it_is_broken() {
    let vendor = vendor(64 * 1024);
    let [elastic, defender] = <[String; 2]>::try_from(sections(&vendor)).unwrap();
    let site = Site::new(std::slice::from_ref(&elastic));
    let run = site.start("run");
    let shows = |feeds: &[_]| serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, feeds);
    until("Elastic is served", PATIENCE, || shows(&[]).then_some(()));

    site.configure(&["[elastic]\nversion = [\"9.0.0\"]\n".to_owned()]);
    run.signal(Signal::HUP);
    run.wait_said("not taken over");
    assert!(shows(&[]), "what was good is served on");
    assert_eq!(get(run.content, &format!("{}/updates.zip", defender_folder(FEEDS[0], ""))).unwrap().status, 404);

    site.configure(&[elastic, defender]);
    run.signal(Signal::HUP);
    until("Defender is served too", PATIENCE, || shows(&FEEDS).then_some(()));
    run.finish();
}

#[test]
fn serve_works_on_a_folder_that_may_not_be_written_and_writes_nothing() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let before = everything(&site.data());
    for (path, _) in &before {
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let serve = site.start("serve");
    assert!(serves_what_the_vendor_shows(serve.content, &vendor, &VERSIONS, &FEEDS));
    assert_eq!(get(serve.admin, "/readyz").unwrap().status, 200);
    serve.finish();
    assert_eq!(everything(&site.data()), before);
    for (path, _) in before.iter().filter(|(path, _)| path.is_dir()) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn serve_without_its_folder_is_not_ready_until_it_is_back_s42() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let ready = || get(serve.admin, "/readyz").unwrap();
    assert_eq!(ready().status, 200);
    let away = site.folder().join("away");
    fs::rename(site.data(), &away).unwrap();
    // What stands there now is a mount point whose volume is gone.
    fs::create_dir(site.data()).unwrap();
    let unready = || (ready().status == 503 && ready().body.starts_with(b"routes_broken: ")).then_some(());
    until("it is not ready, though nobody asked for anything", PATIENCE, unready);
    let told = String::from_utf8_lossy(&ready().body).into_owned();
    assert!(!told.contains(&site.folder().display().to_string()), "whoever asks is shown no path: {told}");
    fs::remove_dir(site.data()).unwrap();
    fs::rename(&away, site.data()).unwrap();
    until("it is ready again", PATIENCE, || (ready().status == 200).then_some(()));
    serve.finish();
}

#[test]
fn serve_starts_before_anything_was_published_and_learns_of_it() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&sections(&vendor));
    fs::create_dir(site.data()).unwrap();
    let serve = site.start("serve");
    assert_eq!(
        get(serve.content, &manifest_path(VERSIONS[0])).unwrap().status,
        503,
        "a mirror that is not ready says so"
    );
    site.sync(&[]).expect(0);
    let mut published = Published::default();
    published.note(&vendor);
    until("what was published is served", PATIENCE, || published.walk_elastic(serve.content, VERSIONS[0]));
    serve.finish();
}

/// Every path below a folder, with the time of its last change.
fn everything(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let mut found = vec![(folder.to_owned(), fs::metadata(folder).unwrap().modified().unwrap())];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(everything(&entry.path()));
        } else {
            found.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
        }
    }
    found.sort();
    found
}
