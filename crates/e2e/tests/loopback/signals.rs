//! Signals beside those that end a process, and processes that are held up by another.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use e2e::whole::serves_what_the_vendor_shows;
use e2e::{Site, get, until};
use platform::lock::FileLock;
use rustix::process::{Pid, Signal, kill_process};
use vendor_sim::Change;

use crate::vendor::{FEEDS, VERSIONS, sections, vendor};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_run_that_is_stopped_for_a_while_and_signalled_in_storms_goes_on_s39() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    let run = site.start("run");
    let shows = || serves_what_the_vendor_shows(run.content, &vendor, &VERSIONS, &FEEDS).then_some(());
    until("everything is served", PATIENCE, shows);

    run.signal(Signal::STOP);
    until("it stands still", PATIENCE, || (state(run.id()) == Some('T')).then_some(()));
    // The system takes the connection; the answer comes once the process goes on.
    let content = run.content;
    let asked = std::thread::spawn(move || get(content, "/").map(|answer| answer.status).map_err(|e| e.to_string()));
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    run.signal(Signal::CONT);
    asked.join().unwrap().unwrap();
    until("it serves on", PATIENCE, || {
        get(run.admin, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
    });

    for _ in 0..200 {
        run.signal(Signal::HUP);
        run.signal(Signal::PIPE);
    }
    site.sync(&["--wait"]).expect(0);
    until("the newest is served", PATIENCE, shows);
    assert!(!run.log().contains("panicked"), "{}", run.log());
    run.finish();
}

#[test]
fn a_reader_that_goes_away_ends_a_command_without_a_panic_s39() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    for verb in [&["release", "list"][..], &["history", "list", "--json"], &["status", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = site.command(verb.iter().copied()).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code().is_some() && !said.contains("panicked"), "{verb:?}: {ended:?}");
    }
}

#[test]
fn who_waits_for_a_publication_says_for_whom_and_stops_when_it_is_told_to_s23_s39() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    let mut held = FileLock::acquire_blocking(&site.data().join("locks/publish")).unwrap();
    held.describe("gc", model::Timestamp::from_micros(1));
    let holder = format!("pid {} (gc)", std::process::id());

    let mut sync = site.command(["sync"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(sync.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("waiting for a lock") && line.contains(&holder)), "it says for whom");
    kill_process(Pid::from_child(&sync), Signal::TERM).unwrap();
    let rest: Vec<String> = said.collect();
    assert_eq!(sync.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("interrupted")), "{rest:?}");

    let mut act = site.command(["release", "reject", "1", "--reason", "a test"]);
    let mut act = act.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(act.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("waiting for a lock") && line.contains(&holder)), "so does an act");
    drop(held);
    act.wait().unwrap();
    site.sync(&[]).expect(0);
    site.act(&["release", "verify", "--all", "--store"]).expect(0);
}

/// The letter of a process's state.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
