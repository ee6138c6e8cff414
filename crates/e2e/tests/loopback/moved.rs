//! What happens to the data folder, and to the process, while `run` or `sync` works on it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::whole::{manifest_path, serves_what_the_vendor_shows};
use e2e::{Answer, Daemon, Site, get, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
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

/// The folder of the blobs may be a volume of its own.
#[test]
fn blobs_that_are_away_with_their_folder_for_a_moment_take_nothing_with_them_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    for _ in 0..2 {
        site.sync(&[]).expect(0);
        vendor.publish_elastic("all", Change::of(2)).unwrap();
    }
    let run = site.start("run");
    let shows = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("everything is served", PATIENCE, shows);
    let pointer = || fs::read(site.data().join("rings/broad/current")).unwrap();
    let (before, blobs, away) = (pointer(), site.data().join("blobs"), site.data().join("blobs.away"));
    fs::rename(&blobs, &away).unwrap();
    run.wait_said("folder_gone");
    fs::create_dir(&blobs).unwrap();
    let (code, refused) = asking(&site, run.admin, &["sync"]);
    assert!(code == Some(1) && refused.contains("the folder of the blobs is gone"), "{refused}");
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 0, "nothing is written into a bare mount point");
    // Put back file by file, it is another folder that lacks most of them for a while.
    fs::remove_dir(&blobs).unwrap();
    let copied = Command::new("cp").arg("-a").args([&away, &blobs]).status().unwrap();
    assert!(copied.success());
    run.wait_said("another data folder stands here now, and was opened");
    until("it works on", PATIENCE, || (asking(&site, run.admin, &["sync"]).0 == Some(0)).then_some(()));
    run.finish();
    assert_eq!(pointer(), before, "what is served, its `_back` and its grace are what they were");
    site.act(&["release", "verify", "--all"]).expect(0);
}

/// A command of a site whose `run` can be asked at this address.
fn asking(site: &Site, admin: SocketAddr, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = site.command(arguments);
    let ended = command.env("WAYSTATION__ADMIN__ADDRESS", admin.to_string()).output().unwrap();
    let text = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (ended.status.code(), text)
}

fn manifest(of: &Daemon) -> Answer {
    get(of.content, &manifest_path(VERSIONS[0])).unwrap()
}

#[test]
fn a_data_folder_that_is_begun_anew_under_a_running_process_is_left_alone_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let run = site.start("run");
    let shows = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("everything is served", PATIENCE, shows);
    let before = manifest(&run);
    let (data, away) = taken_away(&site, &run);
    let ready = || get(run.admin, "/readyz").unwrap();
    let unready = |code: &'static str| {
        let body = |answer: Answer| String::from_utf8_lossy(&answer.body).into_owned();
        move || (ready().status == 503 && body(ready()).starts_with(code)).then_some(())
    };
    until("it is not ready", PATIENCE, unready("folder_gone: "));
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    let (code, refused) = asking(&site, run.admin, &["sync"]);
    assert!(code == Some(1) && refused.contains("(admin.address) lives, and says folder_gone"), "{refused}");
    assert!(!data.exists(), "nothing begins anew beside a process that holds the history");
    let other = Site::new(&sections(&vendor));
    assert_eq!(asking(&other, run.admin, &["sync"]).0, Some(0), "another site's says nothing of this one");
    let (code, refused) = asking(&site, run.admin, &["status"]);
    assert!(code == Some(1) && refused.contains("lives, and says folder_gone"), "{refused}");

    // Somebody who cannot ask it begins all the same.
    fs::create_dir(&data).unwrap();
    site.sync(&[]).expect(0);
    run.wait_said("with a history that never was this one's");
    assert_ne!(get(run.admin, "/api/v1/status").unwrap().status, 200, "nothing is well");
    until("it says what stands there", PATIENCE, unready("another_history: "));
    let served = manifest(&run);
    assert_eq!((served.status, &served.body), (200, &before.body), "what it had is served on, and nothing else");
    let (code, told) = asking(&site, run.admin, &["status"]);
    assert!(code == Some(4) && told.contains("the data folder: another_history: "), "{told}");
    assert!(told.contains("\nalarms: unknown; `waystation run` at "), "{told}");
    let (code, told) = asking(&site, run.admin, &["alarm", "list"]);
    assert!(code == Some(1) && told.contains("was left without its data folder: another history "), "{told}");
    assert!(!told.contains("never ran here"), "{told}");
    for page in [&["release", "list"][..], &["ring", "list"], &["ring", "show", "broad"], &["history", "verify"]] {
        let (code, told) = asking(&site, run.admin, page);
        assert!(code == Some(1) && told.starts_with("another_history: the data folder: "), "{page:?}: {told}");
    }
    let (code, told) = asking(&site, run.admin, &["history", "verify", "--json"]);
    let told: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!((code, &told["whole"], &told["reason"]), (Some(1), &Value::Null, &"another_history".into()), "{told}");
    until("its own alarm is told", PATIENCE, || run.log().contains("another_history").then_some(()));
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    run.wait_said("the data folder is back");
    until("what was published meanwhile is served", PATIENCE, shows);
    until("it is ready", PATIENCE, || (ready().status == 200).then_some(()));
    // The content side looks again every few seconds.
    until("nothing is wrong", PATIENCE, || (asking(&site, run.admin, &["status"]).0 == Some(0)).then_some(()));
    run.finish();
    site.act(&["history", "verify"]).expect(0);
}

#[test]
fn what_was_left_behind_is_not_served_again_by_a_folder_begun_anew_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&[e2e::elastic(&vendor.elastic_url(), &VERSIONS)]);
    site.sync(&[]).expect(0);
    let status = site.act(&["status", "--json"]).expect(0).lines();
    let feed = format!("elastic/{}", VERSIONS[0]);
    let feeds = status[0]["feeds"].as_array().unwrap();
    let first = feeds.iter().find(|known| known["feed"] == feed.as_str()).unwrap()["served"]["number"].to_string();
    let serve = site.start("serve");
    let old = until("it is served", PATIENCE, || Some(manifest(&serve)).filter(|found| found.status == 200)).body;
    serve.finish();
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    site.sync(&[]).expect(0);
    site.act(&["release", "admit", &first, "--reason", "the newer one breaks hosts"]).expect(0);
    let run = site.start("run");
    until("the one before is served", PATIENCE, || (manifest(&run).body == old).then_some(()));
    let (data, _) = taken_away(&site, &run);
    fs::create_dir(&data).unwrap();
    site.sync(&[]).expect(0);
    run.wait_said("with a history that never was this one's");
    let after = manifest(&run);
    assert!(after.status == 200 && after.body == old, "what was rejected is not served again: {}", after.status);
    // Who is told to work on it does.
    run.finish();
    let run = site.start("run");
    until("it works on what stands there", PATIENCE, || {
        let found = manifest(&run);
        (found.status == 200 && found.body != old).then_some(())
    });
    run.finish();
}

#[test]
fn a_reload_without_a_folder_begins_none_and_beside_a_rival_takes_nothing_of_its_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let run = site.start("run");
    let read_again = |times: usize| {
        run.signal(Signal::HUP);
        until("it was read again", PATIENCE, || {
            (run.log().matches("configuration read again").count() >= times).then_some(())
        });
    };
    until("it is served", PATIENCE, || (manifest(&run).status == 200).then_some(()));
    let before = manifest(&run);
    let (data, away) = taken_away(&site, &run);
    read_again(1);
    assert!(!data.exists(), "nothing is begun where nothing stands");

    // Another begins there: to the one that lost its folder it is a rival, whatever is read again.
    let rival = site.start("run");
    until("the rival serves", PATIENCE, || (manifest(&rival).status == 200).then_some(()));
    run.wait_said("another `waystation run` works on it");
    read_again(2);
    let ready = get(run.admin, "/readyz").unwrap();
    assert!(ready.status == 503 && ready.body.starts_with(b"folder_gone: "), "{ready:?}");
    assert_eq!(manifest(&run).body, before.body);
    rival.finish();
    let entries = site.act(&["history", "list", "--json"]).expect(0);
    let is_its = |entry: &Value| entry["actor"]["pid"].as_u64() == Some(u64::from(run.id()));
    assert!(!entries.lines().iter().any(is_its), "it writes nothing into the rival's history: {}", entries.text());
    assert!(entries.lines().iter().all(|entry| entry["actor"]["pid"].is_u64()), "{}", entries.text());
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    run.wait_said("the data folder is back");
    run.finish();
    site.act(&["history", "verify"]).expect(0);
}

/// The content of a folder, which nobody may write into.
fn holds(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_reload_while_the_data_folder_is_away_takes_nothing_that_stands_there_s42() {
    let vendor = vendor(16 * 1024);
    let [elastic, defender] = <[String; 2]>::try_from(sections(&vendor)).unwrap();
    let site = Site::new(std::slice::from_ref(&elastic));
    let run = site.start("run");
    let shows = |feeds: &[_]| serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, feeds).then_some(());
    until("Elastic is served", PATIENCE, || shows(&[]));
    let before = manifest(&run);
    let (data, away) = taken_away(&site, &run);
    // A bare mount point, and a configuration that asks for more.
    fs::create_dir(&data).unwrap();
    site.configure(&[elastic, defender]);
    run.signal(Signal::HUP);
    run.wait_said("once the folder is back");
    assert_eq!(holds(&data), Vec::<PathBuf>::new());
    assert!(!run.log().contains("the data folder is back"), "it is not");
    let ready = get(run.admin, "/readyz").unwrap();
    assert!(ready.status == 503 && ready.body.starts_with(b"folder_gone: "), "{ready:?}");

    // What another began there is not taken either.
    site.sync(&[]).expect(0);
    run.wait_said("with a history that never was this one's");
    let entries = || site.act(&["history", "list", "--json"]).text();
    let began = entries();
    run.signal(Signal::HUP);
    until("it was read again", PATIENCE, || run.log().contains("configuration read again").then_some(()));
    assert_eq!(manifest(&run).body, before.body);
    assert_eq!(entries(), began, "nothing is written into it");

    // The right one is back, and worked on by what was read meanwhile.
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    run.wait_said("is worked by");
    until("Defender is served too", PATIENCE, || shows(&FEEDS));
    run.finish();
    assert!(site.act(&["history", "list", "--json"]).expect(0).text().contains("config-change"));
    site.act(&["history", "verify"]).expect(0);
}

#[test]
fn an_older_copy_that_lacks_an_operators_word_is_left_alone_until_a_restart_s40() {
    let vendor = vendor(16 * 1024);
    let told = tempfile::NamedTempFile::new().unwrap();
    let tell = format!("[[alarm.command]]\nargv = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n", told.path().display());
    let told = || fs::read_to_string(told.path()).unwrap();
    let more = format!("[history]\nhead_file = \"heads\"\n{tell}");
    let site = Site::new(&[e2e::elastic(&vendor.elastic_url(), &VERSIONS), more]);
    site.sync(&[]).expect(0);
    let (data, backup) = (site.data(), site.folder().join("backup"));
    let feed = format!("elastic/{}", VERSIONS[0]);
    let feeds = site.act(&["status", "--json"]).expect(0).lines()[0]["feeds"].clone();
    let known = feeds.as_array().unwrap().iter().find(|known| known["feed"] == feed.as_str());
    let first = known.unwrap()["served"]["number"].to_string();
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    site.sync(&[]).expect(0);
    assert!(Command::new("cp").arg("-a").args([&data, &backup]).status().unwrap().success());
    let run = site.start("run");
    let newer = until("it is served", PATIENCE, || Some(manifest(&run)).filter(|found| found.status == 200)).body;
    site.act(&["release", "admit", &first, "--reason", "the newer one breaks hosts"]).expect(0);
    let good = until("the one before is served", PATIENCE, || Some(manifest(&run).body).filter(|body| *body != newer));
    fs::rename(&data, site.folder().join("away")).unwrap();
    fs::rename(&backup, &data).unwrap();
    run.wait_said("an older copy of the data folder stands here now");
    let ready = get(run.admin, "/readyz").unwrap();
    assert!(ready.body.starts_with(b"another_history: an older copy of its own history"), "{ready:?}");
    assert_eq!(manifest(&run).body, good, "what was rejected is not served again");
    run.signal(Signal::HUP);
    until("it was read again", PATIENCE, || run.log().contains("configuration read again").then_some(()));
    assert_eq!(manifest(&run).body, good, "nor by a reload");
    // Who is told to go on from the copy does. That nobody looks any more is no recovery.
    until("it is told", PATIENCE, || told().contains("another_history").then_some(()));
    run.finish();
    assert!(!told().contains("recovered another_history"), "{}", told());
    let run = site.start("run");
    until("it works on the copy", PATIENCE, || (manifest(&run).body == newer).then_some(()));
    site.act(&["history", "verify"]).expect(1);
    assert_eq!(site.act(&["status"]).code(), 4);
    run.finish();
}

#[test]
fn an_older_copy_without_a_word_lost_is_worked_on_and_everybody_says_that_it_is_older_s40() {
    let vendor = vendor(16 * 1024);
    let [elastic, defender] = <[String; 2]>::try_from(sections(&vendor)).unwrap();
    let site = Site::new(&[elastic, defender, "[tree]\nfolder = \"shown\"\n".to_owned()]);
    fs::create_dir(site.folder().join("shown")).unwrap();
    site.sync(&[]).expect(0);
    let (data, backup) = (site.data(), site.folder().join("backup"));
    assert!(Command::new("cp").arg("-a").args([&data, &backup]).status().unwrap().success());
    let away = site.folder().join("away");
    let run = site.start("run");
    let shows = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("everything is served", PATIENCE, shows);
    let path = manifest_path(VERSIONS[0]);
    let shown = || fs::read(site.folder().join("shown/broad").join(path.trim_start_matches('/'))).unwrap();
    let newer = manifest(&run).body;
    until("the ring's folder shows it", PATIENCE, || (shown() == newer).then_some(()));
    vendor.shutdown();
    fs::rename(&data, &away).unwrap();
    fs::rename(&backup, &data).unwrap();
    run.wait_said("another data folder stands here now, and was opened");
    let (_, told) = asking(&site, run.admin, &["alarm", "list"]);
    assert!(!told.contains("is not running"), "{told}");
    until("status says what the alarm says", PATIENCE, || {
        let (code, told) = asking(&site, run.admin, &["status"]);
        (code == Some(4) && told.contains("history_broken")).then_some(())
    });
    let status = get(run.admin, "/api/v1/status").unwrap();
    let status = String::from_utf8_lossy(&status.body);
    assert!(status.contains("history_broken"), "{status}");
    assert!(manifest(&run).body == newer && shown() == newer, "neither goes back, whoever looks after the folder");

    // What the copy lacked is put back, though the copy has entries of its own by now.
    fs::rename(&data, site.folder().join("copy")).unwrap();
    fs::rename(&away, &data).unwrap();
    run.wait_said("is back, with what the copy lacked");
    until("the history is whole again", PATIENCE, || {
        let (_, told) = asking(&site, run.admin, &["status"]);
        (!told.contains("history_broken") && !told.contains("another_history")).then_some(())
    });
    // Each looks at the folder at its own pace.
    until("nothing is wrong any more", PATIENCE, || {
        get(run.admin, "/readyz").ok().filter(|ready| ready.status == 200 && ready.body == b"ready\n")
    });
    run.finish();
    site.act(&["history", "verify"]).expect(0);
}

#[test]
fn a_backup_that_is_written_over_the_living_data_folder_takes_nothing_back_s40() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&[e2e::elastic(&vendor.elastic_url(), &VERSIONS)]);
    site.sync(&[]).expect(0);
    let (data, backup) = (site.data(), site.folder().join("backup"));
    let feed = format!("elastic/{}", VERSIONS[0]);
    let feeds = || match &site.act(&["status", "--json"]).lines()[0]["feeds"] {
        Value::Array(feeds) => feeds.clone(),
        other => panic!("{other}"),
    };
    let first = feeds().iter().find(|known| known["feed"] == feed.as_str()).unwrap()["served"]["number"].to_string();
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    site.sync(&[]).expect(0);
    let then = feeds()[0]["checked_at"].clone();
    assert!(Command::new("cp").arg("-a").args([&data, &backup]).status().unwrap().success());
    site.act(&["release", "admit", &first, "--reason", "the newer one breaks hosts"]).expect(0);
    let run = site.start("run");
    let good = until("it is served", PATIENCE, || Some(manifest(&run)).filter(|found| found.status == 200)).body;
    // A catalog that is written over while it is written into may be torn; that is told, too, in other words.
    let is_checked = |now: &Value| now["checked_at"].as_i64() > then.as_i64();
    until("each feed was checked", PATIENCE, || feeds().iter().all(is_checked).then_some(()));
    run.signal(Signal::STOP);
    let copied = Command::new("cp").arg("-a").args([backup.join("."), data.clone()]).status().unwrap();
    assert!(copied.success());
    run.signal(Signal::CONT);
    // Nobody waits for what looks every few seconds.
    let (code, told) = asking(&site, run.admin, &["sync"]);
    assert!(code == Some(1) && (told.contains("another_history") || told.contains("folder_gone")), "{code:?} {told}");
    run.wait_said("lacks the newest entries stands here now");
    let ready = get(run.admin, "/readyz").unwrap();
    let body = String::from_utf8_lossy(&ready.body).into_owned();
    assert!(body.starts_with("ready, but another_history: a history that lacks the newest entries"), "{body}");
    for act in [&["sync"][..], &["release", "reject", &first, "--reason", "x"], &["gc"], &["feed", "forget", "8.0.0"]] {
        let (code, told) = asking(&site, run.admin, act);
        assert!(code == Some(1) && told.contains("another_history") && told.contains("restart"), "{act:?}: {told}");
    }
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    run.signal(Signal::HUP);
    until("it was read again", PATIENCE, || run.log().contains("configuration read again").then_some(()));
    assert_eq!(manifest(&run).body, good, "what was rejected is not served again");
    run.finish();
}

#[test]
fn what_was_asked_for_before_is_served_from_memory_and_the_rest_waits_for_the_folder_s42() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let run = site.start("run");
    until("it is served", PATIENCE, || (manifest(&run).status == 200).then_some(()));
    let (data, away) = taken_away(&site, &run);
    assert_eq!(manifest(&run).status, 200, "what was asked for before is in memory");
    let other = || get(run.content, &manifest_path(VERSIONS[1])).unwrap();
    let refused = other();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")), "what nobody asked for is not");
    fs::rename(&away, &data).unwrap();
    until("it is served once the folder is back", PATIENCE, || (other().status == 200).then_some(()));
    run.finish();
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
    let told = |path: &str| String::from_utf8_lossy(&get(serve.admin, path).unwrap().body).into_owned();
    assert!(told("/readyz").starts_with("ready, but ring_went_back: ring broad: "), "{}", told("/readyz"));
    assert!(told("/metrics").contains("waystation_ring_went_back{ring=\"broad\"} 1"), "{}", told("/metrics"));
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
