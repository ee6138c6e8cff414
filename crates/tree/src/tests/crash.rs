//! A run that is stopped before any of its operations.

use std::fs;

use blob_store::Current;

use super::stage::{ARM, Stage, X64, archive, artifact, companion, elastic};
use crate::{Depth, TreeError};

const FOREIGN: &str = "linux/production/arch_x86_64/notes";

/// From here.
fn before(stage: &Stage) -> Current {
    stage.serves(&[(X64, 2), (ARM, 7)], &[elastic(1), artifact("a"), artifact("b")])
}

/// To there: releases move on, one leaves, files come and go.
fn after(stage: &Stage) -> Current {
    stage.serves(&[(X64, 3)], &[elastic(2), artifact("b"), artifact("c")])
}

/// Each folder of a pair is whole, old or new, and a manifest finds what it names.
fn is_whole(stage: &Stage, at: u32, exchanges: bool) {
    for (suffix, arch, releases) in
        [("", X64, [2, 3]), ("_back", X64, [1, 2]), ("", ARM, [7, 0]), ("_back", ARM, [6, 0])]
    {
        let folder = stage.root.join(format!("linux/production{suffix}/arch_{arch}"));
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let pair = (read("updates.zip"), read("manifest.json"));
        let good = releases.iter().any(|n| pair == (Some(archive(arch, *n)), Some(companion(*n))));
        let gone = (releases.contains(&0) || !exchanges) && pair == (None, None);
        assert!(good || gone, "stopped at {at}: {suffix} {arch} {pair:?}");
    }
    let has = |name: &str| stage.root.join("downloads/artifacts").join(name).exists();
    let manifest = fs::read_to_string(stage.root.join("downloads/manifest/m.zip"));
    match manifest.unwrap_or_else(|_| if exchanges { "none".to_owned() } else { "manifest 1".to_owned() }).as_str() {
        "manifest 1" => assert!(has("a") && has("b"), "stopped at {at}"),
        "manifest 2" => assert!(has("b") && has("c"), "stopped at {at}"),
        other => panic!("stopped at {at}: {other}"),
    }
}

/// Runs until it is stopped before its operation `at`; false when it came to its end.
fn stopped(stage: &Stage, current: &Current, at: u32, exchanges: bool) -> bool {
    let tree = stage.tree();
    tree.hook.never_exchanges.store(!exchanges, std::sync::atomic::Ordering::SeqCst);
    *tree.hook.left.lock().unwrap() = Some(at);
    let ended = tree.bring(current, Depth::Look);
    assert!(matches!(ended, Ok(_) | Err(TreeError::Fs(_))), "{ended:?}");
    let left = *tree.hook.left.lock().unwrap();
    left == Some(0)
}

#[test]
fn a_run_stopped_anywhere_leaves_old_or_new_and_the_next_one_ends_it_s11() {
    everywhere(true);
}

#[test]
fn without_exchange_a_run_stopped_anywhere_leaves_old_new_or_none_and_the_next_one_ends_it_s11() {
    everywhere(false);
}

fn everywhere(exchanges: bool) {
    let mut at = 0;
    loop {
        let stage = Stage::new();
        stage.bring(&before(&stage));
        fs::write(stage.root.join(FOREIGN), "mine").unwrap();
        let next = after(&stage);
        let was_stopped = stopped(&stage, &next, at, exchanges);
        is_whole(&stage, at, exchanges);
        stage.bring(&next);
        assert_eq!(fs::read(stage.root.join(FOREIGN)).unwrap(), b"mine", "stopped at {at}");
        fs::remove_file(stage.root.join(FOREIGN)).unwrap();
        stage.is_exactly(&next);
        if !was_stopped {
            break;
        }
        at += if exchanges { 1 } else { 3 };
    }
    assert!(at > 30, "it was stopped {at} times only");
}

#[test]
fn a_recovery_that_is_stopped_as_well_is_recovered_s14() {
    for first in (0..40).step_by(3) {
        let stage = Stage::new();
        stage.bring(&before(&stage));
        let next = after(&stage);
        stopped(&stage, &next, first, true);
        for second in [0, 1, 2, 3, 5, 8, 13] {
            stopped(&stage, &next, second, true);
            is_whole(&stage, first, true);
        }
        stage.bring(&next);
        stage.is_exactly(&next);
    }
}

#[test]
fn a_run_stopped_on_its_way_to_a_release_that_is_overtaken_leaves_nothing_of_it() {
    for at in (0..45).step_by(2) {
        let stage = Stage::new();
        stage.bring(&before(&stage));
        stopped(&stage, &after(&stage), at, true);
        let last = stage.serves(&[(X64, 4)], &[elastic(3), artifact("d")]);
        stage.bring(&last);
        stage.is_exactly(&last);
    }
}
