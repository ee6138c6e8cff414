//! The power goes at any moment, and what stands on the disk then is mounted again.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use fault_lab::{Cut, Disk, DiskFolder, Event, Kept, Mounted, Player, sh};
use vendor_sim::{Change, DefenderChange, DefenderTarget, Simulator, Step};

use crate::bench::{Bench, ended, is_full, saw};
use crate::scenario::{sections, vendor};
use crate::tree::Tree;

/// A file system, how it is made and mounted.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    system: &'static str,
    megabytes: u64,
    make: &'static [&'static str],
    options: &'static str,
    /// What a machine runs before it mounts it again after a crash.
    check: &'static [&'static str],
}

const EXT4_MAKE: &[&str] = &["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"];
const EXT4: Kind = Kind { name: "ext4", system: "ext4", megabytes: 64, make: EXT4_MAKE, options: "loop", check: &[] };
const EXT4_WRITEBACK: Kind =
    Kind { name: "ext4 data=writeback,noauto_da_alloc", options: "loop,data=writeback,noauto_da_alloc", ..EXT4 };
const EXT4_BARE: Kind = Kind {
    name: "ext4 without a journal",
    make: &["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard"],
    check: &["e2fsck", "-f", "-y"],
    ..EXT4
};
const XFS: Kind = Kind {
    name: "xfs",
    system: "xfs",
    megabytes: 300,
    make: &["mkfs.xfs", "-q", "-f", "-K"],
    // Copies of one file system are mounted side by side.
    options: "loop,nouuid",
    check: &[],
};
const BTRFS: Kind = Kind {
    name: "btrfs",
    system: "btrfs",
    megabytes: 128,
    make: &["mkfs.btrfs", "-q", "-f", "-K", "-m", "single"],
    options: "loop",
    check: &[],
};

/// Whether the program's flushes reach the system.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flushes {
    Real,
    /// They say yes and do nothing.
    Pretended,
}

/// What stands in front of a command whose flushes do nothing.
const PRETEND: &[&str] = &[
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync",
    "-e",
    "inject=fsync,fdatasync,syncfs,sync,sync_file_range,msync:retval=0",
];

/// A workload on a disk that remembers.
struct Recorded {
    kind: Kind,
    vendor: Simulator,
    base: Arc<Disk>,
    log: Vec<Event>,
    /// What was served when each mark was made.
    trees: Vec<Tree>,
}

const RETENTION: &str = "[retention]\ndays = 1\nbytes = \"1MB\"\ngrace = \"0s\"\n";

impl Recorded {
    fn new(kind: Kind, flushes: Flushes) -> Self {
        let vendor = vendor(16 << 10, 192 << 10);
        let bench = Bench::new(&sections(&vendor, RETENTION));
        let disk = made(&bench, kind);
        let base = disk.copied();
        let shown = bench.folder().join("disks");
        std::fs::create_dir(&shown).unwrap();
        let disks = DiskFolder::mount(&shown).unwrap();
        let file = disks.show("disk.img", &disk);
        let data = bench.put("data", None);
        let mounted = Mounted::new(kind.system, file.to_str().unwrap(), &data, kind.options).unwrap();
        let mut recorded = Self { kind, vendor, base, log: Vec::new(), trees: Vec::new() };
        recorded.note(&disk, &data);
        recorded.work(&bench, flushes, &disk);
        // Only until the last word: taking it down writes what was never flushed.
        recorded.log = disk.log();
        let last = recorded.log.iter().rposition(|event| matches!(event, Event::Mark(_))).unwrap();
        recorded.log.truncate(last + 1);
        mounted.unmount().unwrap();
        drop(disks);
        recorded
    }

    /// Everything that writes: a first fetch, updates, a quarantine, the operator's word, a collection.
    fn work(&mut self, bench: &Bench, flushes: Flushes, disk: &Disk) {
        let before = if flushes == Flushes::Real { &[][..] } else { PRETEND };
        let act = |words: &[&str], code| ended(bench.command(before, words)).expect(code);
        let update = |vendor: &Simulator, step: Step| {
            vendor.publish_elastic("all", Change { step, ..Change::of(3) }).unwrap();
            vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
        };
        act(&["sync"], 0);
        self.note(disk, &bench.data());
        update(&self.vendor, Step::Next);
        act(&["sync"], 0);
        self.note(disk, &bench.data());
        self.vendor.publish_elastic("all", Change::regress()).unwrap();
        act(&["sync"], 3);
        self.note(disk, &bench.data());
        act(&["release", "admit", "5", "--reason", "they meant it"], 0);
        self.note(disk, &bench.data());
        update(&self.vendor, Step::To(1_100));
        act(&["sync"], 0);
        self.note(disk, &bench.data());
        act(&["gc"], 0);
        self.note(disk, &bench.data());
        update(&self.vendor, Step::Next);
        act(&["sync"], 0);
        self.note(disk, &bench.data());
    }

    /// The program has said that it is done.
    fn note(&mut self, disk: &Disk, data: &Path) {
        let number = u32::try_from(self.trees.len()).unwrap();
        disk.mark(number);
        self.trees.push(Tree::walk(data).unwrap());
    }

    /// What may be served after a cut: what was told last, or what was under way.
    fn allowed(&self, at: usize) -> Vec<&Tree> {
        let told = self.log[..at].iter().rev().find_map(|event| match event {
            Event::Mark(number) => Some(*number as usize),
            _ => None,
        });
        let told = told.unwrap_or(0);
        self.trees[told..].iter().take(2).collect()
    }

    /// The first event after the disk was mounted for the first time.
    fn begin(&self) -> usize {
        self.log.iter().position(|event| matches!(event, Event::Mark(0))).unwrap() + 1
    }

    /// Moments in order: every flush and mark, and as many between them as make `wanted` disks; at each all that was
    /// written, and at least two parts of it.
    fn cuts(&self, wanted: usize) -> Vec<Cut> {
        let begin = self.begin();
        let moments = self.log.len() - begin;
        let step = (3 * moments).div_ceil(wanted).max(1);
        let parts = u64::try_from(wanted.div_ceil(moments).clamp(3, 9) - 1).unwrap();
        let mut cuts = Vec::new();
        for at in begin..=self.log.len() {
            let pending = self.log[..at].iter().rev().take_while(|event| !matches!(event, Event::Flush));
            let writes = pending.filter(|event| matches!(event, Event::Write(..))).count();
            let is_chosen = (at - begin).is_multiple_of(step);
            let is_border = matches!(self.log.get(at - 1), Some(Event::Flush | Event::Mark(_)));
            if !(is_chosen || is_border && is_full()) {
                continue;
            }
            cuts.push(Cut { at, kept: Kept::All });
            if writes > 0 {
                cuts.extend((0..parts).map(|part| Cut { at, kept: some(part, at as u64 * parts + part) }));
            }
        }
        cuts
    }
}

/// A part of what was not flushed: by writes, by blocks, by sectors.
fn some(part: u64, seed: u64) -> Kept {
    match part % 4 {
        0 => Kept::Some(seed),
        1 if seed.is_multiple_of(2) => Kept::Blocks(seed),
        1 => Kept::Sectors(seed),
        2 => Kept::None,
        _ => Kept::Blocks(seed),
    }
}

fn made(bench: &Bench, kind: Kind) -> Arc<Disk> {
    let image = bench.folder().join("made.img");
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(kind.megabytes << 20).unwrap();
    drop(file);
    let (program, arguments) = kind.make.split_first().unwrap();
    let arguments: Vec<&str> = arguments.iter().copied().chain([image.to_str().unwrap()]).collect();
    sh(program, &arguments).unwrap();
    let disk = Disk::of_file(&image).unwrap();
    std::fs::remove_file(image).unwrap();
    disk
}

/// What was seen on the disks that cuts left.
#[derive(Default)]
struct Seen {
    disks: usize,
    /// Of them, those after the first cut that were not as promised.
    bad: usize,
    again: usize,
    synced: usize,
    breaches: Vec<String>,
}

/// A place where disks are mounted again, one after the other.
struct Workshop {
    bench: Bench,
    // Taken down before the bench that it stands on.
    disks: Option<DiskFolder>,
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.disks = None;
    }
}

impl Workshop {
    fn new(recorded: &Recorded) -> Self {
        let bench = Bench::new(&sections(&recorded.vendor, RETENTION));
        bench.put("data", None);
        let shown = bench.folder().join("disks");
        std::fs::create_dir(&shown).unwrap();
        let disks = DiskFolder::mount(&shown).unwrap();
        Self { bench, disks: Some(disks) }
    }

    /// Mounts a disk, does something with it, and takes it down.
    fn with<T>(
        &self,
        kind: Kind,
        disk: &Arc<Disk>,
        act: impl FnOnce(&Bench) -> Result<T, String>,
    ) -> Result<T, String> {
        let disks = self.disks.as_ref().unwrap();
        let file = disks.show("cut.img", disk);
        let file = file.to_str().unwrap();
        if let Some((program, arguments)) = kind.check.split_first() {
            // It says whether it had something to mend, which is no failure.
            let arguments: Vec<&str> = arguments.iter().copied().chain([file]).collect();
            let _ = sh(program, &arguments);
        }
        let mounted = Mounted::new(kind.system, file, &self.bench.data(), kind.options);
        let done = mounted.map_err(|error| format!("it cannot be mounted: {error}")).and_then(|mounted| {
            let done = act(&self.bench);
            mounted.unmount()?;
            done
        });
        disks.hide("cut.img");
        done
    }

    fn judge(&self, recorded: &Recorded, disk: &Arc<Disk>, cut: Cut, thorough: bool) -> Result<(), String> {
        let allowed = recorded.allowed(cut.at);
        self.with(recorded.kind, disk, |bench| {
            let served = Tree::walk(&bench.data())?;
            served.is_among(&allowed)?;
            if thorough { recovers(bench, recorded) } else { Ok(()) }
        })
    }
}

/// After the cut, everything is found in order, and the next run leads where the vendor is.
fn recovers(bench: &Bench, recorded: &Recorded) -> Result<(), String> {
    let status = bench.act(&["status", "--json"]);
    if !matches!(status.code, Some(0 | 3 | 4)) {
        return Err(format!("status: {}", status.text()));
    }
    let synced = bench.act(&["sync", "--json"]);
    if synced.code != Some(0) {
        return Err(format!("the next sync: {}", synced.text()));
    }
    let verified = bench.act(&["release", "verify", "--all"]);
    if verified.code != Some(0) {
        return Err(format!("verify: {}", verified.text()));
    }
    let last = recorded.trees.last().unwrap().without_back();
    let now = Tree::walk(&bench.data())?.without_back();
    if now == last { Ok(()) } else { Err(format!("the next sync leads elsewhere: {now:?}\nnot: {last:?}")) }
}

const WORKERS: usize = 3;
/// Every so many disks the program is started on one, and another one loses power again while it recovers.
const THOROUGH: usize = 20;

/// Cuts the power of a recorded run, and looks at every disk that is left.
fn examine(recorded: &Recorded, cuts: &[Cut]) -> Seen {
    let seen = Mutex::new(Seen::default());
    let turn = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let workshop = Workshop::new(recorded);
                let mut player = Player::new(&recorded.base, &recorded.log);
                loop {
                    let index = turn.fetch_add(1, Ordering::Relaxed);
                    let Some(cut) = cuts.get(index) else { return };
                    let disk = player.cut(*cut);
                    let before = disk.copied();
                    let thorough = index.is_multiple_of(THOROUGH);
                    let first = workshop.judge(recorded, &disk, *cut, thorough);
                    let bad = usize::from(first.is_err());
                    let mut judged = vec![(*cut, first)];
                    let mut again = 0;
                    if index % THOROUGH == 1 {
                        let second = cut_again(&workshop, recorded, &before, *cut);
                        again = second.len();
                        judged.extend(second.into_iter().map(|outcome| (*cut, outcome)));
                    }
                    let mut seen = seen.lock().unwrap();
                    seen.disks += 1;
                    seen.bad += bad;
                    seen.again += again;
                    seen.synced += usize::from(thorough);
                    seen.breaches.extend(judged.into_iter().filter_map(|(cut, outcome)| {
                        outcome.err().map(|breach| format!("{}, {cut:?}: {breach}", recorded.kind.name))
                    }));
                }
            });
        }
    });
    seen.into_inner().unwrap()
}

/// The power goes again while the file system recovers from the first time.
fn cut_again(workshop: &Workshop, recorded: &Recorded, disk: &Arc<Disk>, cut: Cut) -> Vec<Result<(), String>> {
    let recovering = disk.copied();
    if let Err(error) = workshop.with(recorded.kind, &recovering, |_| Ok(())) {
        return vec![Err(error)];
    }
    let log = recovering.log();
    let mut player = Player::new(disk, &log);
    let mut outcomes = Vec::new();
    for part in 1..=3 {
        let at = log.len() * part / 4;
        let left = player.cut(Cut { at, kept: Kept::Some(part as u64) });
        outcomes.push(workshop.judge(recorded, &left, cut, false));
    }
    outcomes
}

fn power_goes(kind: Kind, wanted: usize) {
    let begun = Instant::now();
    let recorded = Recorded::new(kind, Flushes::Real);
    let cuts = recorded.cuts(wanted);
    let seen = examine(&recorded, &cuts);
    saw(&format!(
        "{}: {} events, {} disks after a cut, {} after a second one, {} synced on: {} violations; {} s",
        kind.name,
        recorded.log.len(),
        seen.disks,
        seen.again,
        seen.synced,
        seen.breaches.len(),
        begun.elapsed().as_secs()
    ));
    let shown = seen.breaches.iter().take(10).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(seen.breaches.is_empty(), "{} violations:\n{shown}", seen.breaches.len());
}

fn size(full: usize, continuous: usize) -> usize {
    if is_full() { full } else { continuous }
}

#[test]
fn s12_s14_power_cuts_on_ext4() {
    power_goes(EXT4, size(2_600, 200));
}

#[test]
fn s12_s14_power_cuts_on_xfs() {
    power_goes(XFS, size(2_600, 200));
}

#[test]
fn s15_power_cuts_on_ext4_that_orders_nothing() {
    power_goes(EXT4_WRITEBACK, size(600, 30));
}

#[test]
fn s15_power_cuts_on_btrfs() {
    power_goes(BTRFS, size(600, 30));
}

/// Without a journal nobody promises that the file system itself is whole; what the check program makes of it is told.
#[test]
fn s15_power_cuts_on_ext4_without_a_journal() {
    let recorded = Recorded::new(EXT4_BARE, Flushes::Real);
    let cuts = recorded.cuts(size(600, 30));
    let seen = examine(&recorded, &cuts);
    saw(&format!(
        "{}, checked before it is mounted: {} disks after a cut, {} of them not whole",
        recorded.kind.name, seen.disks, seen.bad
    ));
    println!("{}", seen.breaches.first().map(String::as_str).unwrap_or_default());
}

/// The test can fail: where flushes do nothing, what was told as done is not on the disk.
#[test]
fn s12_power_cuts_find_what_was_never_flushed() {
    for kind in [EXT4, XFS] {
        let recorded = Recorded::new(kind, Flushes::Pretended);
        let marks = recorded.log.iter().enumerate().filter(|(_, event)| matches!(event, Event::Mark(1..)));
        let cuts: Vec<Cut> = marks.map(|(at, _)| Cut { at: at + 1, kept: Kept::All }).collect();
        let seen = examine(&recorded, &cuts);
        saw(&format!(
            "{}, flushes switched off: {} of {} cuts right after success was told find it gone",
            kind.name, seen.bad, seen.disks
        ));
        assert!(seen.bad > 0, "{}: a run that flushes nothing was found durable", kind.name);
    }
}
