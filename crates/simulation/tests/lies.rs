//! The oracle can fail: each defect that is planted in a port is found within few seeds.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // tests

use simulation::{Lie, Request, simulate_with};

/// The seeds that a defect is looked for in.
const SEEDS: std::ops::Range<u64> = 0..800;

#[test]
fn every_planted_defect_is_found() {
    for lie in Lie::ALL {
        let found =
            SEEDS.map(|seed| simulate_with(Request::of(seed), Some(lie)).unwrap()).find(|it| it.violation.is_some());
        let found = found.unwrap_or_else(|| panic!("{lie:?} is not found within {SEEDS:?}"));
        println!("{lie:?}: seed {}, {}", found.request.seed, found.violation.as_ref().unwrap());
        let account = found.account().unwrap();
        assert!(account.contains("cargo xtask simulate --seed 0x"), "{account}");
        let again = simulate_with(found.request, Some(lie)).unwrap();
        assert_eq!((again.violation, again.digest), (found.violation, found.digest), "{lie:?} plays again as it was");
    }
}
