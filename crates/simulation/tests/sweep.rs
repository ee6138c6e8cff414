//! One life, stopped at its operations in every way; `cargo xtask simulate --sweep` stops it at each.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // tests

use simulation::{Sweep, Swept};

#[track_caller]
fn holds(sweep: Sweep) -> Swept {
    let swept = sweep.run().unwrap();
    assert!(swept.violations.is_empty(), "{}", swept.violations.join("\n\n"));
    swept
}

#[test]
fn wherever_it_stops_it_goes_on_to_the_same_end_s01_s11_s18_s27() {
    let swept = holds(Sweep { stride: 5, ..Sweep::FULL });
    assert!(swept.operations > 500 && swept.faults > 500, "{swept:?}");
}

#[test]
fn where_it_stops_twice_it_goes_on_to_the_same_end_s14() {
    holds(Sweep { stride: 13, twice: true, ..Sweep::FULL });
}
