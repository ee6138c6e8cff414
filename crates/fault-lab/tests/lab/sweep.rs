//! Every operation of a run fails once, and from then on.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use fault_lab::{FailingFolder, Fault, Op, Plan, Times};
use rustix::io::Errno;

use crate::bench::{Bench, Ended, is_full, saw};
use crate::scenario::Scenario;
use crate::tree::Tree;

/// A way to fail.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    ops: &'static [Op],
    fault: Fault,
    times: Times,
    /// One of these must be the reason when the run did not get to its end; nothing when nobody is left to tell.
    reasons: &'static [&'static str],
}

const FULL: &[&str] = &["disk_full"];
const BROKEN: &[&str] = &["store_failed", "catalog_failed"];
const ONCE: Times = Times::Many(1);

const fn kind(
    name: &'static str,
    ops: &'static [Op],
    errno: Errno,
    times: Times,
    reasons: &'static [&'static str],
) -> Kind {
    Kind { name, ops, fault: Fault::Error(errno), times, reasons }
}

#[test]
fn s01_s02_a_disk_without_room_at_every_operation() {
    let kinds = [
        kind("ENOSPC once", Op::GROWING, Errno::NOSPC, ONCE, FULL),
        kind("ENOSPC from then on", Op::GROWING, Errno::NOSPC, Times::ForEver, FULL),
        kind("EDQUOT once", Op::GROWING, Errno::DQUOT, ONCE, FULL),
        kind("EDQUOT from then on", Op::GROWING, Errno::DQUOT, Times::ForEver, FULL),
    ];
    sweep(&kinds, &all());
}

#[test]
fn s05_s06_a_disk_that_fails_to_write_or_flush_at_every_operation() {
    let flushes = &[Op::Flush, Op::FlushFolder];
    let lost = |times, name| Kind { name, ops: flushes, fault: Fault::LostFlush, times, reasons: BROKEN };
    let kinds = [
        kind("EIO once", Op::MUTATING, Errno::IO, ONCE, BROKEN),
        kind("EIO from then on", Op::MUTATING, Errno::IO, Times::ForEver, BROKEN),
        lost(ONCE, "flush fails once and loses"),
        lost(Times::ForEver, "flushes fail and lose"),
    ];
    sweep(&kinds, &all());
}

#[test]
fn s10_a_disk_that_turns_read_only_or_foreign_at_every_operation() {
    let kinds = [
        kind("EROFS from then on", Op::MUTATING, Errno::ROFS, Times::ForEver, BROKEN),
        kind("EACCES once", Op::MUTATING, Errno::ACCESS, ONCE, BROKEN),
        kind("EACCES from then on", Op::MUTATING, Errno::ACCESS, Times::ForEver, BROKEN),
    ];
    sweep(&kinds, &all());
}

#[test]
fn s07_short_writes_and_interruptions_change_nothing() {
    let kinds = [
        Kind { name: "short once", ops: &[Op::Write], fault: Fault::Short, times: ONCE, reasons: &[] },
        Kind { name: "all short", ops: &[Op::Write], fault: Fault::Short, times: Times::ForEver, reasons: &[] },
        kind("EINTR thrice", Op::INTERRUPTIBLE, Errno::INTR, Times::Many(3), &[]),
    ];
    sweep(&kinds, &[Scenario::first(), Scenario::update()]);
}

#[test]
fn s11_killed_before_and_after_every_operation() {
    let kinds = [
        Kind { name: "killed before", ops: Op::MUTATING, fault: Fault::KillBefore, times: ONCE, reasons: &[] },
        Kind { name: "killed after", ops: Op::MUTATING, fault: Fault::KillAfter, times: ONCE, reasons: &[] },
    ];
    sweep(&kinds, &all());
}

fn all() -> Vec<Scenario> {
    vec![Scenario::first(), Scenario::update(), Scenario::admit(), Scenario::reject(), Scenario::gc()]
}

/// What a sweep saw.
#[derive(Default)]
struct Seen {
    cases: usize,
    unharmed: usize,
    reasons: BTreeMap<String, usize>,
    breaches: Vec<String>,
}

/// How many points of one scenario a continuous run takes, for each kind.
const SAMPLE: u64 = 6;
const WORKERS: usize = 3;

fn sweep(kinds: &[Kind], scenarios: &[Scenario]) {
    let begun = Instant::now();
    let seen = Mutex::new(Seen::default());
    for scenario in scenarios {
        let cases = cases(kinds, scenario);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    let bench = scenario.bench();
                    while let Some((kind, at)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        play(&bench, scenario, **kind, *at, &seen);
                    }
                });
            }
        });
    }
    let seen = seen.into_inner().unwrap();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let reasons: Vec<String> = seen.reasons.iter().map(|(reason, times)| format!("{reason} {times}")).collect();
    saw(&format!(
        "{}: {} cases, {} ended well all the same, reasons: {}; {} violations; {} s",
        names.join(", "),
        seen.cases,
        seen.unharmed,
        if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") },
        seen.breaches.len(),
        begun.elapsed().as_secs()
    ));
    let shown = seen.breaches.iter().take(20).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(seen.breaches.is_empty(), "{} violations:\n{shown}", seen.breaches.len());
}

/// Every point of a run at which a kind can strike, or a sample that is spread over the run.
fn cases<'a>(kinds: &'a [Kind], scenario: &Scenario) -> Vec<(&'a Kind, u64)> {
    let bench = scenario.bench();
    let mut cases = Vec::new();
    for kind in kinds {
        let points = counted(&bench, scenario, kind.ops);
        let step = if is_full() { 1 } else { points.div_ceil(SAMPLE).max(1) };
        cases.extend((1..=points).step_by(usize::try_from(step).unwrap()).map(|at| (kind, at)));
    }
    cases
}

/// How many such operations a run without faults does.
fn counted(bench: &Bench, scenario: &Scenario, ops: &'static [Op]) -> u64 {
    let played = act(bench, scenario, Plan::count(ops));
    assert_eq!(played.ended.code, Some(scenario.codes.0), "{}: {}", scenario.name, played.ended.text());
    assert!(Tree::walk(&bench.data()).unwrap() == scenario.after, "{}: it does not repeat", scenario.name);
    played.counted
}

struct Played {
    ended: Ended,
    counted: u64,
    hits: Vec<fault_lab::Hit>,
}

/// Runs the command on a folder that fails; the folder itself is then the bench's data folder.
fn act(bench: &Bench, scenario: &Scenario, plan: Plan) -> Played {
    let held = bench.put("held", scenario.begin.as_deref());
    let data = bench.put("data", None);
    let folder = FailingFolder::mount(&held, &data).unwrap();
    folder.plan(plan);
    let ended = bench.act(&scenario.words());
    let (counted, hits) = (folder.counted(), folder.hits());
    folder.unmount().unwrap();
    std::fs::remove_dir(&data).unwrap();
    std::fs::rename(held, data).unwrap();
    Played { ended, counted, hits }
}

fn play(bench: &Bench, scenario: &Scenario, kind: Kind, at: u64, seen: &Mutex<Seen>) {
    let plan = Plan { ops: kind.ops, path: None, at, times: kind.times, fault: kind.fault };
    let played = act(bench, scenario, plan);
    let judged = judge(bench, scenario, kind, &played);
    let mut seen = seen.lock().unwrap();
    seen.cases += 1;
    match judged {
        Ok(None) => seen.unharmed += 1,
        Ok(Some(reason)) => *seen.reasons.entry(reason).or_default() += 1,
        Err(breach) => {
            let hit = played.hits.first().map(|hit| format!("{:?} of {}", hit.op, hit.path)).unwrap_or_default();
            seen.breaches.push(format!(
                "{}, {} at operation {at} ({hit}): {breach}\nthe run said: {}",
                scenario.name,
                kind.name,
                played.ended.text()
            ));
        }
    }
}

/// Whether all that was promised holds; answers the reason that was given when the run did not get to its end.
fn judge(bench: &Bench, scenario: &Scenario, kind: Kind, played: &Played) -> Result<Option<String>, String> {
    let served = Tree::walk(&bench.data()).map_err(|error| format!("what is served is not whole: {error}"))?;
    served.is_among(&[&scenario.before, &scenario.after])?;
    if scenario.begin.is_some() && served.is_empty() {
        return Err("nothing is served any more".to_owned());
    }
    let told = told(scenario, kind, played, &served)?;
    recovers(bench, scenario, &served)?;
    Ok(told)
}

fn told(scenario: &Scenario, kind: Kind, played: &Played, served: &Tree) -> Result<Option<String>, String> {
    let ended = &played.ended;
    let Some(code) = ended.code else {
        let killed = matches!(kind.fault, Fault::KillBefore | Fault::KillAfter);
        return if killed { Ok(Some("killed".to_owned())) } else { Err("it was ended by a signal".to_owned()) };
    };
    if ended.err.contains("panicked") {
        return Err("it panicked".to_owned());
    }
    if code == scenario.codes.0 {
        return if *served == scenario.after {
            Ok(None)
        } else {
            Err("it says that all went well, and the old release is served".to_owned())
        };
    }
    let fitting = fitting(kind, played);
    let Some(first) = fitting.first() else {
        return Err("this should have changed nothing".to_owned());
    };
    let given = ended.reasons();
    let is_given = |reason: &&&str| given.iter().any(|one| one == **reason) || ended.err.contains(**reason);
    match fitting.iter().find(is_given) {
        Some(reason) => Ok(Some((*reason).to_owned())),
        None => Err(format!("it failed with {given:?}, and not with {first} or the like")),
    }
}

/// The reasons that may be given. What becomes of the database's files comes to us as the database tells it: it
/// knows a full disk from a broken one only where it writes, and takes an interrupted flush for a failed one.
fn fitting(kind: Kind, played: &Played) -> Vec<&'static str> {
    let mut reasons = kind.reasons.to_vec();
    if played.hits.iter().any(|hit| hit.path.starts_with("catalog/")) {
        reasons.push("catalog_failed");
    }
    reasons
}

/// When the fault is gone, the next run leads where one without a fault would have. A word on a release is given again
/// only where it was not recorded: what was recorded, the next run alone carries out.
fn recovers(bench: &Bench, scenario: &Scenario, served: &Tree) -> Result<(), String> {
    let is_word = matches!(scenario.name, "admit" | "reject");
    if is_word && !was_said(bench)? {
        let synced = bench.act(&["sync", "--json"]);
        if synced.code != Some(3) {
            return Err(format!(
                "nothing was said, and the next sync does not tell of the quarantine: {}",
                synced.text()
            ));
        }
        if *served != scenario.before
            || Tree::walk(&bench.data()).map_err(|error| error.to_string())? != scenario.before
        {
            return Err("nothing was said, and another release is served".to_owned());
        }
    }
    if scenario.name == "gc" || is_word && !was_said(bench)? {
        let again = bench.act(&scenario.words());
        if again.code != Some(scenario.codes.0) {
            return Err(format!("without the fault it still fails: {}", again.text()));
        }
    }
    if scenario.name == "gc" && crate::scenario::blobs(bench) != scenario.blobs {
        return Err("the next gc left other blobs than one without a fault".to_owned());
    }
    let synced = bench.act(&["sync", "--json"]);
    if synced.code != Some(scenario.codes.1) {
        return Err(format!("the next sync fails: {}", synced.text()));
    }
    let now = Tree::walk(&bench.data()).map_err(|error| format!("after the next sync: {error}"))?;
    if now != scenario.after {
        return Err(format!("the next sync leads elsewhere: {now:?}\nnot: {:?}", scenario.after));
    }
    let verified = bench.act(&["release", "verify", "--all", "--store"]);
    if verified.code != Some(0) {
        return Err(format!("verify finds something: {}", verified.text()));
    }
    Ok(())
}

/// Whether the word on the scenario's release was recorded.
fn was_said(bench: &Bench) -> Result<bool, String> {
    let listed = bench.act(&["release", "list", "--json"]);
    if listed.code != Some(0) {
        return Err(format!("without the fault the releases cannot be listed: {}", listed.text()));
    }
    let waits = |line: &str| line.contains("\"number\":3,") && line.contains("\"state\":\"quarantined\"");
    Ok(!listed.out.lines().any(waits))
}
