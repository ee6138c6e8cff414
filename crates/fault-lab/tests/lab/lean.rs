//! Little of what a process needs: descriptors, and a disk that answers in time.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::{Daemon, Download, get, get_with, until};
use fault_lab::{FailingFolder, Fault, Op, Plan};
use model::Digest;
use rustix::io::Errno;

use crate::bench::{Bench, ended, is_full, saw};
use crate::scenario::{Scenario, publish, sections, vendor};
use crate::tree::Tree;

const MANIFEST: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";
const ARCHIVE: &str = "/linux/production/arch_x86_64/updates.zip";
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn s09_a_serve_without_descriptors_serves_again_when_it_has_some() {
    let vendor = vendor(8 << 10, 32 << 10);
    let bench = Bench::new(&sections(&vendor, ""));
    bench.act(&["sync"]).expect(0);
    let serve = Daemon::start(bench.command(&["prlimit", "--nofile=64:64"], &["serve"]));
    let before = processor_time(serve.id());
    let begun = Instant::now();
    let crowd: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(serve.content).unwrap()).collect();
    // What has no place waits in the queue of the listener; nothing ends and nothing spins.
    std::thread::sleep(Duration::from_secs(2));
    assert!(std::path::Path::new(&format!("/proc/{}", serve.id())).exists(), "{}", serve.log());
    let used = processor_time(serve.id()) - before;
    assert!(used < begun.elapsed() / 2, "{used:?} of {:?} were spent on turning people away", begun.elapsed());
    drop(crowd);
    until("it serves again", Duration::from_secs(30), || {
        get(serve.content, MANIFEST).is_ok_and(|answer| answer.status == 200).then_some(())
    });
    serve.finish();
    saw(&format!("64 descriptors, 200 connections: {used:?} of processor time in 2 s, then served again"));
}

fn processor_time(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[test]
fn s09_a_sync_with_few_descriptors_does_it_or_says_so() {
    let scenario = Scenario::update();
    let bench = scenario.bench();
    let (mut done, mut failed) = (0, 0);
    for limit in [64, 48, 40, 36, 32, 28, 24, 20, 16, 12] {
        bench.put("data", scenario.begin.as_deref());
        let limits = format!("--nofile={limit}:{limit}");
        let ran = ended(bench.command(&["prlimit", &limits], &["sync", "--json"]));
        assert!(ran.code.is_some() && !ran.err.contains("panicked"), "{limit} descriptors: {}", ran.text());
        let served = Tree::walk(&bench.data()).unwrap();
        served.is_among(&[&scenario.before, &scenario.after]).unwrap();
        if ran.code == Some(0) {
            done += 1
        } else {
            failed += 1
        }
        assert!(ran.code != Some(0) || served == scenario.after, "{limit} descriptors: {}", ran.text());
        bench.act(&["sync"]).expect(0);
        assert!(Tree::walk(&bench.data()).unwrap() == scenario.after, "{limit} descriptors: it does not converge");
    }
    saw(&format!("12 to 64 descriptors: {done} syncs were done, {failed} failed and said so, all converged"));
}

/// One shard, one blob, one file of the catalog that may not be used: a reason, and everything else goes on.
#[test]
fn s10_s04_parts_that_may_not_be_used() {
    let scenario = Scenario::update();
    let bench = scenario.bench();
    let mut cases = 0;
    for errno in [Errno::ACCESS, Errno::PERM, Errno::IO] {
        for path in ["blobs", "rings", "rings/broad/current", "catalog", "locks", "partial"] {
            for ops in [Op::MUTATING, Op::ALL] {
                cases += 1;
                let held = bench.put("held", scenario.begin.as_deref());
                let data = bench.put("data", None);
                let folder = FailingFolder::mount(&held, &data).unwrap();
                folder.plan(Plan::from(ops, 1, Fault::Error(errno)).on(path));
                let ran = bench.act(&["sync", "--json"]);
                let hits = folder.hits();
                folder.unmount().unwrap();
                std::fs::remove_dir(&data).unwrap();
                std::fs::rename(held, &data).unwrap();
                let what = format!("{errno} on {path}, {} kinds of operation: {}", ops.len(), ran.text());
                assert!(ran.code.is_some() && !ran.err.contains("panicked"), "{what}");
                let served = Tree::walk(&data).unwrap_or_else(|error| panic!("{what}\n{error}"));
                served.is_among(&[&scenario.before, &scenario.after]).unwrap_or_else(|error| panic!("{what}\n{error}"));
                assert!(!served.is_empty(), "{what}");
                if ran.code == Some(0) {
                    assert!(served == scenario.after, "{what}");
                } else {
                    assert!(!hits.is_empty() && is_reasoned(&ran), "{what}");
                }
                bench.act(&["sync"]).expect(0);
                assert!(Tree::walk(&data).unwrap() == scenario.after, "{what}");
            }
        }
    }
    saw(&format!("{cases} cases of parts of the data folder that cannot be used: 0 violations"));
}

/// What `act` serves of a folder that can be made to fail, and the digest of its one large blob.
fn failing(act: &str) -> (vendor_sim::Simulator, Bench, FailingFolder, Daemon, Digest) {
    let vendor = vendor(8 << 10, 3 << 20);
    let bench = Bench::new(&sections(&vendor, ""));
    bench.act(&["sync"]).expect(0);
    let held = bench.folder().join("held");
    std::fs::rename(bench.data(), &held).unwrap();
    let folder = FailingFolder::mount(&held, &bench.put("data", None)).unwrap();
    let daemon = Daemon::start(bench.command(&[], &[act]));
    let whole = until("it serves", PATIENCE, || get(daemon.content, ARCHIVE).ok().filter(|it| it.status == 200));
    (vendor, bench, folder, daemon, Digest::of(&whole.body))
}

/// Until a path gives these bytes again.
fn served_again(daemon: &Daemon, digest: Digest) {
    until("it is served again", PATIENCE, || {
        let answer = get(daemon.content, ARCHIVE).ok().filter(|answer| answer.status == 200)?;
        assert_eq!(Digest::of(&answer.body), digest);
        Some(())
    });
}

/// The connection ends before the announced length: a client never takes a part for the whole. The blob is set aside
/// and fetched again, and nothing else suffers.
#[test]
fn s04_a_read_error_ends_the_download_and_the_blob_is_fetched_again() {
    let (_vendor, bench, folder, run, digest) = failing("run");
    folder.plan(Plan::from(&[Op::Read], 4, Fault::Error(Errno::IO)).on(&digest.to_string()));
    let mut download = Download::begin(run.content, ARCHIVE, &[]).unwrap();
    let (status, length) = (download.head.status, download.length);
    assert_eq!((status, length > 2 << 20), (200, true));
    assert!(download.read(length).is_err(), "{length} bytes came from a disk that cannot be read");
    assert!(!folder.hits().is_empty());
    assert_eq!(get(run.content, MANIFEST).unwrap().status, 200);
    let damaged = bench.data().join("damaged");
    until("it is set aside", PATIENCE, || std::fs::read_dir(&damaged).ok()?.next()).unwrap();
    folder.lift();
    served_again(&run, digest);
    run.finish();
    folder.unmount().unwrap();
    saw("a read error after 3 reads of a download: cut, set aside, fetched again, served whole");
}

/// What may not be opened answers 503 for itself alone, and is left where it is: it may be opened once it is allowed.
#[test]
fn s10_a_blob_that_may_not_be_opened_is_refused_alone_and_left() {
    for errno in [Errno::ACCESS, Errno::PERM] {
        let (_vendor, bench, folder, run, digest) = failing("run");
        folder.plan(Plan::from(&[Op::Open], 1, Fault::Error(errno)).on(&digest.to_string()));
        assert_eq!(get(run.content, ARCHIVE).unwrap().status, 503, "{errno}");
        assert!(!folder.hits().is_empty());
        assert_eq!(get(run.content, MANIFEST).unwrap().status, 200, "{errno}");
        folder.lift();
        served_again(&run, digest);
        let aside = std::fs::read_dir(bench.data().join("damaged")).map_or(0, Iterator::count);
        assert_eq!(aside, 0, "{errno}: what is whole was set aside");
        run.finish();
        folder.unmount().unwrap();
    }
    saw("a blob that may not be opened, by EACCES and EPERM: 503 for it alone, served once it may");
}

fn is_reasoned(ran: &crate::bench::Ended) -> bool {
    !ran.reasons().is_empty() || ran.err.contains("(reason ")
}

#[test]
fn s43_polls_are_answered_in_time_while_the_disk_is_slow() {
    let slow = if is_full() { Duration::from_secs(2) } else { Duration::from_millis(200) };
    let vendor = vendor(8 << 10, 32 << 10);
    let bench = Bench::new(&sections(&vendor, ""));
    bench.act(&["sync"]).expect(0);
    publish(&vendor);
    let held = bench.folder().join("held");
    std::fs::rename(bench.data(), &held).unwrap();
    let data = bench.put("data", None);
    let folder = FailingFolder::mount(&held, &data).unwrap();
    let serve = Daemon::start(bench.command(&[], &["serve"]));
    until("it serves", Duration::from_secs(30), || {
        get(serve.content, MANIFEST).is_ok_and(|answer| answer.status == 200).then_some(())
    });
    let tag = get(serve.content, MANIFEST).unwrap().header("etag").unwrap().to_owned();
    folder.plan(Plan::from(&[Op::Flush, Op::FlushFolder], 1, Fault::Slow(slow)));
    let begun = Instant::now();
    let mut run = bench.begin(&["sync"]);
    let mut waits = Vec::new();
    while run.try_wait().unwrap().is_none() {
        let asked = Instant::now();
        let answer = get_with(serve.content, MANIFEST, &[("If-None-Match", &tag)]).unwrap();
        assert!(matches!(answer.status, 200 | 304), "{}", answer.status);
        waits.push(asked.elapsed());
        std::thread::sleep(Duration::from_millis(2));
        assert!(begun.elapsed() < Duration::from_secs(600), "the sync does not end");
    }
    assert_eq!(run.wait().unwrap().code(), Some(0), "a slow disk is no failure");
    let took = begun.elapsed();
    serve.finish();
    folder.unmount().unwrap();
    waits.sort();
    let worst = waits[waits.len() * 99 / 100];
    saw(&format!(
        "each flush takes {slow:?}: the sync took {:.1} s, 99 of 100 of {} polls beside it at most {:.1} ms",
        took.as_secs_f64(),
        waits.len(),
        worst.as_secs_f64() * 1e3
    ));
    assert!(took > slow * 3, "no flush was slow");
    assert!(worst < Duration::from_millis(500), "{worst:?}");
}
