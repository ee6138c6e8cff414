//! One `run` for a data folder, and starts that did not take place.

use std::time::Duration;

use e2e::{Site, get, until};

use crate::vendor::{sections, vendor};

const PATIENCE: Duration = Duration::from_secs(30);

/// The history's entries of processes, in words.
fn processes(site: &Site) -> Vec<String> {
    let lines = site.act(&["history", "list", "--kind", "process", "--json"]).expect(0).lines();
    lines.iter().map(|line| format!("{} {}", line["data"]["event"], line["data"]["before"])).collect()
}

#[test]
fn a_second_run_on_a_data_folder_ends_and_leaves_no_trace_p01() {
    let vendor = vendor(8 * 1024);
    let site = Site::new(&sections(&vendor));
    let first = site.start("run");
    let state = || std::fs::read_to_string(site.data().join("alarms/alive.json")).ok();
    let pid = format!("\"pid\":{}", first.id());
    until("the first is seen to live", PATIENCE, || state().filter(|alive| alive.contains(&pid)));
    // Its addresses are others: each takes a free port.
    let second = site.act(&["run"]).expect(1).text();
    assert!(
        second.contains("reason locked") && second.contains(&format!("process {} (run), since ", first.id())),
        "{second}"
    );
    assert!(state().unwrap().contains(&pid), "the first is still the one that lives");
    assert_eq!(processes(&site), ["\"start\" null"]);
    let listed = site.act(&["alarm", "list"]).expect(0).text();
    assert!(!listed.contains("was_down") && !listed.contains("hangs"), "{listed}");
    // What only serves stands beside it.
    let serve = site.start("serve");
    assert_eq!(get(serve.content, "/").unwrap().status, 200);
    serve.finish();
    first.finish();
    let again = site.start("run");
    again.finish();
    assert_eq!(processes(&site), ["\"start\" null", "\"stop\" null", "\"start\" \"ended\"", "\"stop\" null"]);
}

#[test]
fn a_start_whose_port_is_taken_never_took_place_p01() {
    let vendor = vendor(8 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    for key in ["WAYSTATION__ADMIN__ADDRESS", "WAYSTATION__SERVE__0__ADDRESS"] {
        let refused = site.command(["run"]).env(key, port.to_string()).output().unwrap();
        assert!(!refused.status.success(), "{key}: {refused:?}");
    }
    drop(taken);
    site.start("run").finish();
    assert_eq!(processes(&site), ["\"start\" null", "\"stop\" null"], "no start that did not take place is on record");
}
