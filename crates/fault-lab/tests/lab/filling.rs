//! Disks without room: at every point of a run, at its beginning, while serving, and without room for names.

use std::fs;
use std::path::Path;
use std::time::Instant;

use e2e::{Daemon, get};
use fault_lab::{Mounted, sh};
use vendor_sim::Simulator;

use crate::bench::{Bench, Ended, is_full, saw};
use crate::scenario::{publish, sections, vendor, without_reserve};
use crate::tree::Tree;

const DISK: u64 = 50 << 20;
const ARTIFACT: u64 = 512 << 10;
const ARCHIVE: u64 = 4 << 20;

/// A site whose data folder is a file system of its own, with an old release held and a newer one offered.
struct Filling {
    vendor: Simulator,
    bench: Bench,
    // Taken down before the bench that it stands on.
    disk: Option<Mounted>,
    before: Tree,
    after: Tree,
    /// How many bytes an update needs while it runs.
    needed: u64,
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.disk = None;
    }
}

impl Filling {
    fn new(mount: impl FnOnce(&Bench) -> Mounted) -> Self {
        let vendor = vendor(ARTIFACT, ARCHIVE);
        let bench = Bench::new(&without_reserve(&vendor));
        bench.act(&["sync"]).expect(0);
        let before = Tree::walk(&bench.data()).unwrap();
        bench.put("begin", Some(&bench.data()));
        publish(&vendor);
        let held = bytes(&bench.data());
        bench.act(&["sync"]).expect(0);
        let after = Tree::walk(&bench.data()).unwrap();
        let needed = bytes(&bench.data()) - held;
        bench.put("data", None);
        let disk = mount(&bench);
        Self { vendor, bench, disk: Some(disk), before, after, needed }
    }

    /// Begins anew on the disk, with so many bytes left free.
    fn leave_free(&self, free: u64) {
        let data = self.bench.data();
        for entry in fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.file_name() != "lost+found") {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        let begin = format!("{}/.", self.bench.folder().join("begin").display());
        sh("cp", &["-a", &begin, data.to_str().unwrap()]).unwrap();
        let filler = data.join("filler");
        let mut room = available(&data).saturating_sub(free).max(1);
        // The map of a large file takes room too.
        while sh("fallocate", &["-l", &room.to_string(), filler.to_str().unwrap()]).is_err() {
            room = room.checked_sub(64 << 10).unwrap();
        }
    }

    fn free(&self) {
        fs::remove_file(self.bench.data().join("filler")).unwrap();
    }

    /// A run on a disk with so much room: whole, loud, and where it should be once there is room.
    fn try_with(&self, free: u64) -> Result<bool, String> {
        self.leave_free(free);
        let ended = self.bench.act(&["sync", "--json"]);
        let served = Tree::walk(&self.bench.data()).map_err(|error| format!("not whole: {error}"))?;
        served.is_among(&[&self.before, &self.after])?;
        let went_well = ended.code == Some(0);
        if went_well && served != self.after {
            return Err(format!("it says that all went well, and the old release is served: {}", ended.text()));
        }
        if !went_well {
            is_told(&ended)?;
        }
        self.free();
        let synced = self.bench.act(&["sync", "--json"]);
        if synced.code != Some(0) {
            return Err(format!("with room again the next sync fails: {}", synced.text()));
        }
        let now = Tree::walk(&self.bench.data()).map_err(|error| format!("after the next sync: {error}"))?;
        if now != self.after {
            return Err("with room again the next sync leads elsewhere".to_owned());
        }
        let verified = self.bench.act(&["release", "verify", "--all", "--store"]);
        if verified.code == Some(0) { Ok(went_well) } else { Err(format!("verify: {}", verified.text())) }
    }

    fn sweep(&self, name: &str, points: u64) {
        let begun = Instant::now();
        let most = self.needed + self.needed / 4;
        let outcomes: Vec<(u64, Result<bool, String>)> =
            (0..=points).map(|point| most * point / points).map(|free| (free, self.try_with(free))).collect();
        let well = outcomes.iter().filter(|(_, outcome)| *outcome == Ok(true)).count();
        let breaches: Vec<String> = outcomes
            .iter()
            .filter_map(|(free, outcome)| Some(format!("{free} bytes free: {}", outcome.as_ref().err()?)))
            .collect();
        saw(&format!(
            "a disk of 50 MB ({name}), 0 to {} kB free at {} points of a sync that needs {} kB: {well} had room enough, \
             {} violations; {} s",
            most >> 10,
            outcomes.len(),
            self.needed >> 10,
            breaches.len(),
            begun.elapsed().as_secs()
        ));
        assert!(breaches.is_empty(), "{}", breaches.join("\n\n"));
        assert!(well > 0 && well < outcomes.len(), "it never filled, or always");
    }
}

fn is_told(ended: &Ended) -> Result<(), String> {
    if ended.err.contains("panicked") {
        return Err(format!("it panicked: {}", ended.text()));
    }
    let told = ended.reasons().iter().any(|reason| reason == "disk_full") || ended.err.contains("disk_full");
    if told { Ok(()) } else { Err(format!("nothing says that the disk is full: {}", ended.text())) }
}

fn bytes(folder: &Path) -> u64 {
    let text = sh("du", &["-sk", folder.to_str().unwrap()]).unwrap();
    text.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap() << 10
}

fn available(folder: &Path) -> u64 {
    let state = rustix::fs::statvfs(folder).unwrap();
    state.f_bavail * state.f_frsize
}

#[test]
fn s01_a_disk_of_50_mb_fills_at_every_point_of_a_sync() {
    let points = if is_full() { 120 } else { 10 };
    Filling::new(|bench| Mounted::tmpfs(&bench.data(), DISK, 0).unwrap()).sweep("tmpfs", points);
    let on_ext4 = Filling::new(|bench| {
        let image = bench.folder().join("disk.img");
        fs::File::create(&image).unwrap().set_len(DISK).unwrap();
        sh("mkfs.ext4", &["-q", "-F", "-m", "0", image.to_str().unwrap()]).unwrap();
        Mounted::new("ext4", image.to_str().unwrap(), &bench.data(), "loop").unwrap()
    });
    on_ext4.sweep("ext4", points);
}

#[test]
fn s30_a_disk_that_is_nearly_full_is_told_before_anything_is_downloaded() {
    let filling = Filling::new(|bench| Mounted::tmpfs(&bench.data(), DISK, 0).unwrap());
    let config = fs::read_to_string(filling.bench.config()).unwrap();
    fs::write(filling.bench.config(), config.replace("\"0B\"", "\"20MiB\"")).unwrap();
    // 99 of a hundred parts are taken.
    filling.leave_free(DISK / 100);
    let before = bytes(&filling.bench.data());
    filling.vendor.reset_counters();
    let ended = filling.bench.act(&["sync", "--json"]);
    assert_ne!(ended.code, Some(0), "{}", ended.text());
    assert!(ended.reasons().iter().all(|reason| reason == "disk_full"), "{}", ended.text());
    assert_eq!(filling.vendor.requests().artifacts(), 0, "artifacts were asked for");
    // An archive's size is known only when its answer begins; none of its bytes is kept.
    let kept = bytes(&filling.bench.data()).saturating_sub(before);
    assert!(kept < 128 << 10, "{kept} bytes were kept on a disk without room");
    assert_eq!(Tree::walk(&filling.bench.data()).unwrap(), filling.before);
    filling.free();
    filling.bench.act(&["sync"]).expect(0);
    assert_eq!(Tree::walk(&filling.bench.data()).unwrap(), filling.after);
    saw(&format!("a disk of which 99 % are taken: disk_full, no artifact asked for, {} kB more on it", kept >> 10));
}

#[test]
fn s31_a_full_disk_is_served_from() {
    let filling = Filling::new(|bench| Mounted::tmpfs(&bench.data(), DISK, 0).unwrap());
    let logs = filling.bench.put("logs", None);
    let small = Mounted::tmpfs(&logs, 64 << 10, 0).unwrap();
    let config = fs::read_to_string(filling.bench.config()).unwrap();
    let logged = config.replace("[admin]", "[access_log]\npath = \"logs/access.log\"\n[admin]");
    fs::write(filling.bench.config(), logged).unwrap();
    filling.leave_free(0);
    let run = Daemon::start(filling.bench.command(&[], &["run"]));
    let asked = 2_000;
    for _ in 0..asked {
        let manifest = get(run.content, "/downloads/endpoint/manifest/artifacts-9.0.0.zip").unwrap();
        assert_eq!(manifest.status, 200, "{}", run.log());
    }
    assert_eq!(get(run.admin, "/readyz").unwrap().status, 200);
    let status = get(run.admin, "/api/v1/status");
    assert!(status.is_ok(), "{}", run.log());
    let metrics = String::from_utf8(get(run.admin, "/metrics").unwrap().body).unwrap();
    let lost = metrics.lines().find(|line| !line.starts_with('#') && line.contains("\"log_lost\""));
    let lost = lost.and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    assert!(lost.parse::<u64>().is_ok_and(|lost| lost > 0), "no line was lost on a full disk:\n{metrics}");
    filling.free();
    drop(small);
    run.finish();
    saw(&format!(
        "data folder and log on full disks: {asked} manifests served, ready, {lost} log lines lost and counted"
    ));
}

#[test]
fn s03_without_room_for_names_what_was_served_stays() {
    let vendor = vendor(8 << 10, 32 << 10);
    let bench = Bench::new(&sections(&vendor, ""));
    let data = bench.put("data", None);
    let room =
        |names: u64| sh("mount", &["-o", &format!("remount,nr_inodes={names}"), data.to_str().unwrap()]).unwrap();
    let _disk = Mounted::tmpfs(&data, DISK, 10_000).unwrap();
    bench.act(&["sync"]).expect(0);
    let step = if is_full() { 1 } else { 4 };
    let (mut points, mut enough) = (0, 0);
    for left in (0..40).step_by(step) {
        let before = Tree::walk(&data).unwrap();
        publish(&vendor);
        let state = rustix::fs::statvfs(&data).unwrap();
        room(state.f_files - state.f_ffree + left);
        let ended = bench.act(&["sync", "--json"]);
        let served = Tree::walk(&data).unwrap_or_else(|error| panic!("{left} names left: {error}"));
        room(10_000);
        bench.act(&["sync"]).expect(0);
        let after = Tree::walk(&data).unwrap();
        assert!(after.feeds() != before.feeds(), "{left} names left: nothing newer is served");
        if ended.code == Some(0) {
            assert!(served.feeds() == after.feeds(), "{left} names left: {}", ended.text());
            enough += 1;
        } else {
            is_told(&ended).unwrap_or_else(|error| panic!("{left} names left: {error}"));
            served.is_among(&[&before, &after]).unwrap_or_else(|error| panic!("{left} names left: {error}"));
        }
        bench.act(&["release", "verify", "--all", "--store"]).expect(0);
        bench.act(&["gc"]).expect(0);
        points += 1;
    }
    assert!(enough > 0 && enough < points);
    saw(&format!("an update with 0 to 40 names left, {points} times: {enough} had room enough, 0 violations"));
}

#[test]
fn s03_a_disk_without_room_for_names() {
    let vendor = vendor(8 << 10, 32 << 10);
    let bench = Bench::new(&sections(&vendor, ""));
    bench.act(&["sync"]).expect(0);
    let after = Tree::walk(&bench.data()).unwrap();
    let data = bench.put("data", None);
    let step = if is_full() { 4 } else { 45 };
    let mut points = 0;
    let mut enough = 0;
    for names in (20..340).step_by(step) {
        let disk = Mounted::tmpfs(&data, DISK, names).unwrap();
        let ended = bench.act(&["sync", "--json"]);
        let served = Tree::walk(&data).unwrap_or_else(|error| panic!("{names} names: {error}"));
        served.is_among(&[&Tree::default(), &after]).unwrap_or_else(|error| panic!("{names} names: {error}"));
        if ended.code == Some(0) {
            assert!(served == after, "{names} names: {}", ended.text());
            enough += 1;
        } else {
            is_told(&ended).unwrap_or_else(|error| panic!("{names} names: {error}"));
        }
        sh("mount", &["-o", "remount,nr_inodes=10000", data.to_str().unwrap()]).unwrap();
        bench.act(&["sync"]).expect(0);
        assert!(Tree::walk(&data).unwrap() == after, "{names} names: the next sync leads elsewhere");
        bench.act(&["release", "verify", "--all", "--store"]).expect(0);
        disk.unmount().unwrap();
        points += 1;
    }
    assert!(enough > 0 && enough < points);
    saw(&format!("a disk with room for 20 to 340 names, {points} first syncs: {enough} had room enough, 0 violations"));
}
