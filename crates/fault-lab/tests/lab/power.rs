//! The power goes at any moment, and what stands on the disk then is mounted again.

mod recorded;
mod workshop;

use std::time::Instant;

use fault_lab::{Cut, Event, Kept};

use crate::bench::{is_full, saw};
use recorded::{BTRFS, EXT4, EXT4_BARE, EXT4_WRITEBACK, Flushes, Kind, Recorded, XFS};
use workshop::{Seen, examine};

/// How many disks are looked at for each one that the program is started on.
const THOROUGH: usize = 20;

/// The least disks of a continuous and of a full run, of the file systems that are promised most.
const LEAST: (usize, usize) = (60, 2_000);

fn power_goes(kind: Kind, wanted: usize, least: usize) {
    let begun = Instant::now();
    let recorded = Recorded::new(kind, Flushes::Real);
    let cuts = recorded.cuts(wanted);
    let seen = examine(&recorded, &cuts, THOROUGH);
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
    assert!(seen.disks >= least, "only {} disks, of {least} at the least", seen.disks);
    let shown = seen.breaches.iter().take(10).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(seen.breaches.is_empty(), "{} violations:\n{shown}", seen.breaches.len());
}

fn size(full: usize, continuous: usize) -> usize {
    if is_full() { full } else { continuous }
}

#[test]
fn s12_s14_power_cuts_on_ext4() {
    power_goes(EXT4, size(3_800, 200), size(LEAST.1, LEAST.0));
}

#[test]
fn s12_s14_power_cuts_on_xfs() {
    power_goes(XFS, size(3_800, 200), size(LEAST.1, LEAST.0));
}

#[test]
fn s15_power_cuts_on_ext4_that_orders_nothing() {
    power_goes(EXT4_WRITEBACK, size(900, 30), size(300, 10));
}

#[test]
fn s15_power_cuts_on_btrfs() {
    power_goes(BTRFS, size(900, 30), size(300, 10));
}

/// Without a journal nobody promises that the file system itself is whole; what the check program makes of it is told.
#[test]
fn s15_power_cuts_on_ext4_without_a_journal() {
    let recorded = Recorded::new(EXT4_BARE, Flushes::Real);
    let cuts = recorded.cuts(size(900, 30));
    let seen = examine(&recorded, &cuts, THOROUGH);
    saw(&format!(
        "{}, checked before it is mounted: {} disks after a cut, {} of them not whole",
        recorded.kind.name, seen.disks, seen.bad
    ));
    let least = size(300, 10);
    assert!(seen.disks >= least, "only {} disks, of {least} at the least", seen.disks);
    println!("{}", seen.breaches.first().map(String::as_str).unwrap_or_default());
}

/// What is left out on which file system, so that what was told as done is gone after a cut. Where there is a journal, the
/// catalog's flush brings every name before it to the disk, so that of the blobs only the flush of their bytes, below
/// `partial/`, can be missed there. Without one each folder needs its own.
const UNFLUSHED: [(Kind, Flushes); 9] = [
    (EXT4, Flushes::Pretended),
    (EXT4, Flushes::PretendedOn("partial/")),
    (EXT4, Flushes::PretendedOn("catalog/")),
    (EXT4, Flushes::PretendedOn("rings/")),
    (XFS, Flushes::Pretended),
    (XFS, Flushes::PretendedOn("partial/")),
    (XFS, Flushes::PretendedOn("catalog/")),
    (XFS, Flushes::PretendedOn("rings/")),
    (EXT4_BARE, Flushes::PretendedOn("blobs/")),
];

/// The power goes right after success was told, each time.
fn cut_after_success(kind: Kind, flushes: Flushes) -> Seen {
    let recorded = Recorded::new(kind, flushes);
    let marks = recorded.log.iter().enumerate().filter(|(_, event)| matches!(event, Event::Mark(1..)));
    let cuts: Vec<Cut> = marks.map(|(at, _)| Cut { at: at + 1, kept: Kept::All }).collect();
    let seen = examine(&recorded, &cuts, 1);
    let (off, bad, disks) = (flushes.name(), seen.bad, seen.disks);
    saw(&format!("{}, {off} switched off: {bad} of {disks} cuts right after success was told find it gone", kind.name));
    seen
}

/// The test can fail: where flushes do nothing, what was told as done is not on the disk; nor where only those of one
/// folder do nothing.
#[test]
fn s12_power_cuts_find_what_was_never_flushed() {
    for (kind, flushes) in UNFLUSHED {
        let seen = cut_after_success(kind, flushes);
        assert!(seen.bad > 0, "{}, {} switched off: and all was found durable", kind.name, flushes.name());
    }
}

/// Even without a journal: what was told as done is there, once its file system was checked.
#[test]
fn s12_s15_what_was_told_is_durable_without_a_journal() {
    let seen = cut_after_success(EXT4_BARE, Flushes::Real);
    assert!(seen.breaches.is_empty(), "{}", seen.breaches.join("\n"));
}
