//! Programs that are told.

use std::path::Path;
use std::time::Duration;

use alarm::{Command, Sink as _};
use serde_json::Value;

use crate::bench::{hostile, one, until, within};

const LONG: Duration = Duration::from_secs(20);

fn shell(script: &str, folder: &Path) -> Command {
    let argv = ["/bin/sh", "-c", script, "way", folder.to_str().unwrap()].map(str::to_owned).to_vec();
    Command::new(argv, vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())])
}

#[tokio::test]
async fn it_gets_json_and_variables_and_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let script = "cat > \"$1/in\"; env > \"$1/env\"";
    shell(script, folder.path()).tell(&one()).await.unwrap();
    let json: Value = serde_json::from_slice(&std::fs::read(folder.path().join("in")).unwrap()).unwrap();
    assert_eq!(json, one().json());
    let env = std::fs::read_to_string(folder.path().join("env")).unwrap();
    for part in [
        "WAYSTATION_ALARM_KIND=raised",
        "WAYSTATION_ALARM_LEVEL=fail",
        "WAYSTATION_ALARM_REASON=connect_failed",
        "WAYSTATION_ALARM_SITE=dmz-1",
        "WAYSTATION_ALARM_SUBJECT=[waystation dmz-1] FAIL connect_failed: elastic/9.0.0",
    ] {
        assert!(env.contains(part), "{env}");
    }
    assert!(!env.contains("CARGO"), "{env}");
}

#[tokio::test]
async fn nothing_hostile_reaches_a_shell_c36_r22() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "cd \"$1\"; cat > in; printf '%s' \"$WAYSTATION_ALARM_SUBJECT\" > subject; echo $WAYSTATION_ALARM_TEXT > text";
    shell(script, folder.path()).tell(&hostile()).await.unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["in", "subject", "text"]);
    let subject = std::fs::read_to_string(folder.path().join("subject")).unwrap();
    assert!(!subject.contains(char::is_control), "{subject:?}");
}

#[tokio::test]
async fn what_it_complains_is_told_in_short_r02() {
    let folder = tempfile::tempdir().unwrap();
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"no\x1b[2J such pager\" >&2; i=$((i+1)); done; exit 7";
    let error = shell(script, folder.path()).tell(&one()).await.unwrap_err().to_string();
    assert!(error.starts_with("exit status: 7: no\\u{1b}[2J such pager") && error.len() < 600, "{error}");
    let absent = Command::new(vec!["/nowhere/page".to_owned()], Vec::new());
    let error = absent.tell(&one()).await.unwrap_err().to_string();
    assert!(error.contains("cannot start /nowhere/page"), "{error}");
}

#[tokio::test]
async fn one_that_reads_nothing_and_one_that_leaves_children_are_told_r02() {
    let folder = tempfile::tempdir().unwrap();
    shell("exit 0", folder.path()).tell(&one()).await.unwrap();
    // The child keeps standard error open; it ends with its group.
    let script = "sleep 1000 & echo $! > \"$1/pid\"";
    within(shell(script, folder.path()), LONG).await.unwrap();
    ends(folder.path()).await;
}

#[tokio::test]
async fn one_that_hangs_ends_with_all_that_it_started_r02_r03() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > \"$1/pid.new\"; mv \"$1/pid.new\" \"$1/pid\"; wait";
    let (sink, pid) = (shell(script, folder.path()), folder.path().join("pid"));
    let attempt = tokio::spawn(async move { within(sink, Duration::from_secs(2)).await });
    until(|| pid.exists()).await;
    let error = attempt.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "nothing came of it within 2 s");
    ends(folder.path()).await;
}

async fn ends(folder: &Path) {
    let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // Gone, or dead and not yet fetched by whoever took it over.
    until(|| std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))).await;
}
