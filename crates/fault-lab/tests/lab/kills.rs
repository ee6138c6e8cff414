//! Runs that are killed, at random times and at exactly this operation, again and again on one data folder.

use std::time::{Duration, Instant};

use fault_lab::{Dice, FailingFolder, Fault, Op, Plan};

use crate::bench::{Bench, is_full, saw};
use crate::scenario::{publish, sections, vendor};
use crate::tree::Tree;

/// How a run is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// So long after it began.
    Time(Duration),
    /// At its operation of that number, before or after it had its effect.
    Operation(u64, Fault),
    /// The same, counted among those that publish.
    Publishing(u64, Fault),
}

#[test]
fn s11_killed_again_and_again_what_is_served_is_whole_and_the_next_sync_converges_i1_i15() {
    let kills: u32 = if is_full() { 500 } else { 30 };
    let begun = Instant::now();
    let vendor = vendor(8 << 10, 32 << 10);
    let grace = "[retention]\ndays = 1\nbytes = \"1MB\"\ngrace = \"0s\"\n";
    // The twin sees every release, and is never killed.
    let (bench, twin) = (Bench::new(&sections(&vendor, grace)), Bench::new(&sections(&vendor, grace)));
    bench.act(&["sync"]).expect(0);
    twin.act(&["sync"]).expect(0);
    publish(&vendor);
    twin.act(&["sync"]).expect(0);
    let began = Instant::now();
    let all = counted(&bench, Op::MUTATING, None);
    let usual = u64::try_from(began.elapsed().as_micros()).unwrap();
    publish(&vendor);
    twin.act(&["sync"]).expect(0);
    let publishing = counted(&bench, Op::MUTATING, Some("rings/"));
    assert!(all > 20 && publishing > 3, "{all} {publishing}");

    let mut dice = Dice::new(500);
    let (mut killed, mut anew) = (0, 0);
    for turn in 0..kills {
        let before = Tree::walk(&bench.data()).unwrap();
        publish(&vendor);
        twin.act(&["sync"]).expect(0);
        let fault = if dice.below(2) == 0 { Fault::KillBefore } else { Fault::KillAfter };
        let point = match dice.below(3) {
            0 => Point::Time(Duration::from_micros(dice.below(usual))),
            1 => Point::Operation(1 + dice.below(all), fault),
            _ => Point::Publishing(1 + dice.below(publishing), fault),
        };
        killed += u32::from(kill(&bench, point));
        let after = Tree::walk(&twin.data()).unwrap();
        let served = Tree::walk(&bench.data()).unwrap_or_else(|error| panic!("turn {turn}, {point:?}: {error}"));
        served.is_among(&[&before, &after]).unwrap_or_else(|error| panic!("turn {turn}, {point:?}: {error}"));
        anew += u32::from(served == after);
        let synced = bench.act(&["sync", "--json"]);
        assert_eq!(synced.code, Some(0), "turn {turn}, {point:?}: {}", synced.text());
        let now = Tree::walk(&bench.data()).unwrap();
        // Of what is superseded without a grace, nothing is promised.
        assert!(now.feeds() == after.feeds(), "turn {turn}, {point:?}: it leads to {now:?}\nnot to {after:?}");
        if turn % 25 == 24 {
            bench.act(&["gc"]).expect(0);
            twin.act(&["gc"]).expect(0);
        }
    }
    bench.act(&["release", "verify", "--all", "--store"]).expect(0);
    bench.act(&["history", "verify"]).expect(0);
    bench.act(&["gc"]).expect(0);
    twin.act(&["gc"]).expect(0);
    assert_eq!(crate::scenario::blobs(&bench), crate::scenario::blobs(&twin), "after gc the same blobs are held");
    saw(&format!(
        "{kills} runs, {killed} killed before their end, after {anew} the new release was served; each \
         served a whole release and converged with the next sync; {} s",
        begun.elapsed().as_secs()
    ));
    assert!(killed * 10 >= kills * 6, "most runs ended before their point: {killed} of {kills} were killed");
}

/// A run without faults, and how many operations it does.
fn counted(bench: &Bench, ops: &'static [Op], path: Option<&str>) -> u64 {
    let plan = Plan { path: path.map(str::to_owned), ..Plan::count(ops) };
    let (counted, code) = on_failing(bench, plan);
    assert_eq!(code, Some(0));
    counted
}

/// Whether the run was still alive at its point.
fn kill(bench: &Bench, point: Point) -> bool {
    match point {
        Point::Time(time) => {
            let begun = Instant::now();
            let mut run = bench.begin(&["sync"]);
            while begun.elapsed() < time && run.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            let alive = run.try_wait().unwrap().is_none();
            // Killing what ended is no fault.
            let _ = run.kill();
            run.wait().unwrap();
            alive
        }
        Point::Operation(at, fault) => on_failing(bench, Plan::once(Op::MUTATING, at, fault)).1.is_none(),
        Point::Publishing(at, fault) => on_failing(bench, Plan::once(Op::MUTATING, at, fault).on("rings/")).1.is_none(),
    }
}

/// A `sync` on the data folder as it is, seen through one that fails; answers what was counted, and the exit code.
fn on_failing(bench: &Bench, plan: Plan) -> (u64, Option<i32>) {
    let held = bench.folder().join("held");
    std::fs::rename(bench.data(), &held).unwrap();
    let data = bench.put("data", None);
    let folder = FailingFolder::mount(&held, &data).unwrap();
    folder.plan(plan);
    let ended = bench.act(&["sync"]);
    let counted = folder.counted();
    folder.unmount().unwrap();
    std::fs::remove_dir(&data).unwrap();
    std::fs::rename(held, data).unwrap();
    (counted, ended.code)
}
