//! The power goes at any moment, and what stands on the disk then is mounted again.

mod recorded;
mod workshop;

use std::time::Instant;

use fault_lab::{Cut, Event, Kept};

use crate::bench::{is_full, saw};
use recorded::{BTRFS, EXT4, EXT4_BARE, EXT4_WRITEBACK, Flushes, Kind, Recorded, XFS};
use workshop::examine;

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

/// The test can fail: where flushes do nothing, what was told as done is not on the disk; nor where only those of
/// blobs, or only those of the catalog, do nothing.
#[test]
fn s12_power_cuts_find_what_was_never_flushed() {
    let unflushed = [Flushes::Pretended, Flushes::PretendedOn("partial/"), Flushes::PretendedOn("catalog/")];
    for (kind, flushes) in [EXT4, XFS].into_iter().flat_map(|kind| unflushed.map(|flushes| (kind, flushes))) {
        let recorded = Recorded::new(kind, flushes);
        let marks = recorded.log.iter().enumerate().filter(|(_, event)| matches!(event, Event::Mark(1..)));
        let cuts: Vec<Cut> = marks.map(|(at, _)| Cut { at: at + 1, kept: Kept::All }).collect();
        let seen = examine(&recorded, &cuts, 1);
        saw(&format!(
            "{}, {} switched off: {} of {} cuts right after success was told find it gone",
            kind.name,
            flushes.name(),
            seen.bad,
            seen.disks
        ));
        assert!(seen.bad > 0, "{}, {} switched off: and all was found durable", kind.name, flushes.name());
    }
}
