//! A workload on a disk that remembers, and the moments at which its power can go.

use std::path::Path;
use std::sync::Arc;

use fault_lab::{Cut, Disk, DiskFolder, Event, FailingFolder, Fault, Kept, Mounted, Op, Plan, sh};
use vendor_sim::{Change, DefenderChange, DefenderTarget, Simulator, Step};

use crate::bench::{Bench, ended, is_full};
use crate::scenario::{sections, vendor};
use crate::tree::Tree;

/// A file system, how it is made and mounted.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) system: &'static str,
    megabytes: u64,
    make: &'static [&'static str],
    pub(super) options: &'static str,
    /// How many copies of one such file system may be mounted side by side.
    pub(super) copies: usize,
    /// Whether it needs a disk that writes 4 KiB whole or not at all, and not 512 bytes.
    pub(super) is_sector_a_block: bool,
    /// What a machine runs before it mounts it again after a crash.
    pub(super) check: &'static [&'static str],
}

const EXT4_MAKE: &[&str] = &["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"];
pub(super) const EXT4: Kind = Kind {
    name: "ext4",
    system: "ext4",
    megabytes: 64,
    make: EXT4_MAKE,
    options: "loop",
    copies: 3,
    is_sector_a_block: false,
    check: &[],
};
pub(super) const EXT4_WRITEBACK: Kind =
    Kind { name: "ext4 data=writeback,noauto_da_alloc", options: "loop,data=writeback,noauto_da_alloc", ..EXT4 };
pub(super) const EXT4_BARE: Kind = Kind {
    name: "ext4 without a journal",
    make: &["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard"],
    check: &["e2fsck", "-f", "-y"],
    ..EXT4
};
pub(super) const XFS: Kind = Kind {
    name: "xfs",
    system: "xfs",
    megabytes: 300,
    make: &["mkfs.xfs", "-q", "-f", "-K"],
    // Copies of one file system are mounted side by side.
    options: "loop,nouuid",
    copies: 3,
    is_sector_a_block: false,
    check: &[],
};
pub(super) const BTRFS: Kind = Kind {
    name: "btrfs",
    system: "btrfs",
    megabytes: 128,
    make: &["mkfs.btrfs", "-q", "-f", "-K", "-m", "single"],
    options: "loop",
    // Old kernels take every copy for a part of one file system.
    copies: 1,
    // Its superblock has one checksum over 4 KiB.
    is_sector_a_block: true,
    check: &[],
};

/// Whether the program's flushes reach the system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushes {
    Real,
    /// They say yes and do nothing.
    Pretended,
    /// Those of files and folders with this in their path say yes and do nothing.
    PretendedOn(&'static str),
}

impl Flushes {
    /// What does nothing, in a few words.
    pub(super) fn name(self) -> String {
        match self {
            Self::Real => "nothing".to_owned(),
            Self::Pretended => "flushes".to_owned(),
            Self::PretendedOn(path) => format!("flushes of {path}"),
        }
    }
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
pub(super) struct Recorded {
    pub(super) kind: Kind,
    pub(super) vendor: Simulator,
    pub(super) base: Arc<Disk>,
    pub(super) log: Vec<Event>,
    /// What was promised when each mark was made.
    pub(super) told: Vec<Told>,
}

/// What a cut may not take away once it was told.
pub(super) struct Told {
    pub(super) tree: Tree,
    /// The last entry of the history and its digest, as `history verify --expect` takes them; none before the first.
    pub(super) entry: Option<String>,
}

pub(super) const RETENTION: &str = "[retention]\ndays = 1\nbytes = \"1MB\"\ngrace = \"0s\"\n";

impl Recorded {
    pub(super) fn new(kind: Kind, flushes: Flushes) -> Self {
        let vendor = vendor(16 << 10, 192 << 10);
        let bench = Bench::new(&sections(&vendor, RETENTION));
        let disk = made(&bench, kind);
        let base = disk.copied();
        let shown = bench.folder().join("disks");
        std::fs::create_dir(&shown).unwrap();
        let disks = DiskFolder::mount(&shown).unwrap();
        let file = disks.show("disk.img", &disk);
        let data = bench.put("data", None);
        let (mounted, failing) = match flushes {
            Flushes::Real | Flushes::Pretended => (mount(kind, &file, &data), None),
            Flushes::PretendedOn(path) => {
                let below = bench.put("below", None);
                let mounted = mount(kind, &file, &below);
                let failing = FailingFolder::mount(&below, &data).unwrap();
                failing.plan(Plan::from(&[Op::Flush, Op::FlushFolder], 1, Fault::Pretend).on(path));
                (mounted, Some(failing))
            }
        };
        let mut recorded = Self { kind, vendor, base, log: Vec::new(), told: Vec::new() };
        recorded.note(&disk, &bench);
        recorded.work(&bench, flushes, &disk);
        // Only until the last word: taking it down writes what was never flushed.
        recorded.log = disk.log();
        let last = recorded.log.iter().rposition(|event| matches!(event, Event::Mark(_))).unwrap();
        recorded.log.truncate(last + 1);
        if let Some(failing) = failing {
            assert!(!failing.hits().is_empty(), "no flush was left out");
            failing.unmount().unwrap();
        }
        mounted.unmount().unwrap();
        drop(disks);
        recorded
    }

    /// Everything that writes: a first fetch, updates, a quarantine, the operator's word, a collection.
    fn work(&mut self, bench: &Bench, flushes: Flushes, disk: &Disk) {
        let before = if flushes == Flushes::Pretended { PRETEND } else { &[][..] };
        let act = |words: &[&str], code| ended(bench.command(before, words)).expect(code);
        let update = |vendor: &Simulator, step: Step| {
            vendor.publish_elastic("all", Change { step, ..Change::of(3) }).unwrap();
            vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
        };
        act(&["sync"], 0);
        self.note(disk, bench);
        update(&self.vendor, Step::Next);
        act(&["sync"], 0);
        self.note(disk, bench);
        self.vendor.publish_elastic("all", Change::regress()).unwrap();
        act(&["sync"], 3);
        self.note(disk, bench);
        act(&["release", "admit", "5", "--reason", "they meant it"], 0);
        self.note(disk, bench);
        update(&self.vendor, Step::To(1_100));
        act(&["sync"], 0);
        self.note(disk, bench);
        act(&["gc"], 0);
        self.note(disk, bench);
        update(&self.vendor, Step::Next);
        act(&["sync"], 0);
        self.note(disk, bench);
    }

    /// The program has said that it is done.
    fn note(&mut self, disk: &Disk, bench: &Bench) {
        disk.mark(u32::try_from(self.told.len()).unwrap());
        let tree = Tree::walk(&bench.data()).unwrap();
        let entry = (!self.told.is_empty()).then(|| {
            let head = bench.act(&["history", "verify", "--json"]).expect(0).lines().remove(0);
            format!("{}:{}", head["entries"], head["digest"].as_str().unwrap())
        });
        self.told.push(Told { tree, entry });
    }

    /// What was told last before a cut.
    pub(super) fn told(&self, at: usize) -> usize {
        let last = self.log[..at].iter().rev().find_map(|event| match event {
            Event::Mark(number) => usize::try_from(*number).ok(),
            _ => None,
        });
        last.unwrap_or(0)
    }

    /// What may be served after a cut: what was told last, or what was under way.
    pub(super) fn allowed(&self, at: usize) -> Vec<&Tree> {
        self.told[self.told(at)..].iter().take(2).map(|told| &told.tree).collect()
    }

    /// The first event after the disk was mounted for the first time.
    fn begin(&self) -> usize {
        self.log.iter().position(|event| matches!(event, Event::Mark(0))).unwrap() + 1
    }

    /// Moments in order: every flush and mark, and as many between them as make `wanted` disks; at each all that was
    /// written, and at least two parts of it.
    pub(super) fn cuts(&self, wanted: usize) -> Vec<Cut> {
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
                cuts.extend((0..parts).map(|part| Cut { at, kept: some(self.kind, part, at as u64 * parts + part) }));
            }
        }
        cuts
    }
}

/// A part of what was not flushed: by writes, by blocks, by sectors.
fn some(kind: Kind, part: u64, seed: u64) -> Kept {
    match part % 4 {
        0 => Kept::Some(seed),
        1 if kind.is_sector_a_block || seed.is_multiple_of(2) => Kept::Blocks(seed),
        1 => Kept::Sectors(seed),
        2 => Kept::None,
        _ => Kept::Blocks(seed),
    }
}

fn mount(kind: Kind, file: &Path, at: &Path) -> Mounted {
    Mounted::new(kind.system, file.to_str().unwrap(), at, kind.options).unwrap()
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
