//! Seeds of the ordinary run. `cargo xtask simulate` runs as many as one likes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // tests

use simulation::{On, Outcome, Request, simulate};

#[track_caller]
fn holds(request: Request) -> Outcome {
    let outcome = simulate(request).unwrap();
    if let Some(account) = outcome.account() {
        panic!("{account}");
    }
    outcome
}

fn many(seeds: std::ops::Range<u64>) -> (u64, u64, u64) {
    seeds
        .map(|seed| holds(Request::of(seed)))
        .fold((0, 0, 0), |sum, outcome| (sum.0 + outcome.struck, sum.1 + outcome.crashes, sum.2 + outcome.tricks))
}

#[test]
fn what_is_served_is_whole_whatever_happens_u40_u60_s18_s23_s26_s28_s41() {
    let (struck, crashes, tricks) = many(0..60);
    assert!(
        struck > 100 && crashes > 20 && tricks > 100,
        "{struck} operations struck, {crashes} crashes, {tricks} tricks"
    );
}

#[test]
fn what_is_served_is_whole_on_other_seeds_too_u60_s23_s26_s28() {
    many(1_000..1_060);
}

#[test]
fn what_is_served_is_whole_on_files_u60_s18_s28_s41() {
    for seed in 0..6 {
        holds(Request { on: On::Files, ..Request::of(seed) });
    }
}

#[test]
fn a_seed_means_the_same_each_time() {
    for request in [Request::of(5), Request::of(0x16), Request { on: On::Files, steps: 12, seed: 9 }] {
        let (once, again) = (holds(request), holds(request));
        assert_eq!((once.digest, once.operations), (again.digest, again.operations), "{}", request.command());
    }
}

/// What each of them found was mended; they stay, as the tests of that.
#[test]
fn seeds_that_once_found_something() {
    // A feed that waited for another's path is seated by the run that makes room for it: report and record differed.
    let held = [0x16, 0x50, 0x51, 0x9a].map(Request::of);
    // A rollback whose record failed: the next run took "not modified" of the newer release for the older one's.
    let rolled_back = [Request::of(0x1a04)];
    // A rollback that crashed before anything moved: what was rolled back from lost paths that it shares.
    let interrupted = [Request { on: On::Files, ..Request::of(5) }];
    // A ring was made anew while the store could not answer, and feeds were let go for that, or went back. A ring damaged
    // as a whole, of which nothing was held whole, stopped every run. A generation that was served for want of a pointer
    // was called done without one. A ring made anew beside a damaged blob mixed feeds that share a path, or kept them
    // back for one that had not moved.
    let worn = [0x267, 0x436, 0x51f, 0x543, 0x569, 0x2f66, 0x55a5, 0x79d1, 0x1_0000_0cc0].map(Request::of);
    // Beside a damaged ring, a release lacked bytes of a path that another had taken from it: the oracle was blind to that.
    // A wait for a vendor that a clock set back had made void came back a day later. A feed that left made way to such a
    // path, whose bytes had rotted, and gc planned anew for ever.
    let taken = [0x1_0000_19b3, 0x1_0000_3b26, 0x1_0000_0594].map(Request::of);
    // What was let in and rotted before the ring followed was called current. Beside a ring of which nothing was left, gc took
    // what readers had in memory.
    let blind = [0x1_0000_001b, 0x1_0000_30ba].map(Request::of);
    for request in held.into_iter().chain(rolled_back).chain(interrupted).chain(worn).chain(taken).chain(blind) {
        holds(request);
    }
}
