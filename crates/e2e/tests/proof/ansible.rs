//! The tasks that `configure defender` prints, run by Ansible on a host that was never managed, and on one that was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use e2e::Site;
use serde_json::{Value, json};

use crate::shell::{saw, sh};

/// The folder that the tasks name; the test has one of its own.
const FOLDER: &str = "/etc/opt/microsoft/mdatp/managed";
const PLAY: &str = "- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.import_tasks: tasks.yml
";

/// Nobody's own configuration of Ansible has a part in it.
const RUN: &str = "HOME=$PWD ANSIBLE_NOCOLOR=1 ANSIBLE_CONFIG=$PWD/ansible.cfg ansible-playbook -i localhost, play.yml";

/// Runs the tasks, which fail; what is told.
#[track_caller]
fn refused(folder: &Path) -> String {
    sh(folder, &format!("! {RUN} 2>&1"))
}

/// Runs the tasks; how many of them changed something.
#[track_caller]
fn play(folder: &Path, how: &str) -> u32 {
    let told = sh(folder, &format!("{RUN} {how}"));
    let recap = told.lines().find(|line| line.contains("changed=")).unwrap_or_else(|| panic!("{told}"));
    let count = recap.split("changed=").nth(1).unwrap().split_whitespace().next().unwrap();
    count.parse().unwrap()
}

#[test]
fn the_tasks_hold_on_a_new_host_and_merge_on_a_managed_one() {
    let site = Site::new(&[]);
    let folder = site.folder();
    let managed = folder.join("opt/managed");
    let file = managed.join("mdatp_managed.json");
    let tasks =
        site.command(["configure", "defender", "--url", "https://m.example", "--form", "ansible"]).output().unwrap();
    assert!(tasks.status.success(), "{}", String::from_utf8_lossy(&tasks.stderr));
    let tasks = String::from_utf8(tasks.stdout).unwrap();
    assert!(tasks.contains(FOLDER), "{tasks}");
    fs::write(folder.join("tasks.yml"), tasks.replace(FOLDER, managed.to_str().unwrap())).unwrap();
    fs::write(folder.join("play.yml"), PLAY).unwrap();
    fs::write(folder.join("ansible.cfg"), "[defaults]\n").unwrap();

    // A rehearsal on a host without the folder changes nothing, and does not fail.
    play(folder, "--check");
    assert!(!managed.exists());
    assert_eq!(play(folder, ""), 2, "the folder, and the file in it");
    let read = || serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap();
    let url = json!("https://m.example/linux/production/");
    assert_eq!(read()["antivirusEngine"]["offlineDefinitionUpdateUrl"], url);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(play(folder, ""), 0, "the same again");

    // What others manage stays.
    fs::write(
        &file,
        r#"{"edr":{"tags":[]},"antivirusEngine":{"passiveMode":true,"offlineDefinitionUpdate":"disabled"}}"#,
    )
    .unwrap();
    assert_eq!(play(folder, ""), 1);
    let merged = read();
    assert_eq!((&merged["edr"]["tags"], &merged["antivirusEngine"]["passiveMode"]), (&json!([]), &json!(true)));
    assert_eq!(merged["antivirusEngine"]["offlineDefinitionUpdate"], "enabled");
    assert_eq!(merged["antivirusEngine"]["offlineDefinitionUpdateUrl"], url);
    assert!(fs::read_dir(&managed).unwrap().count() >= 2, "a copy of what was there is kept");

    // A byte order mark is read past; a key that stands twice, of which one would be lost, fails with words.
    fs::write(&file, "\u{feff}{\"edr\": {\"note\": \"say \\\"x\\\": {{ 7 }} and \\u00e9\", \":\": [\"a\", \":\"]}}")
        .unwrap();
    assert_eq!(play(folder, ""), 1);
    assert_eq!(read()["edr"], json!({"note": "say \"x\": {{ 7 }} and é", ":": ["a", ":"]}));
    let twice = r#"{"edr": {"tags": []}, "info": 1, "info": 2}"#;
    fs::write(&file, twice).unwrap();
    let told = refused(folder);
    assert!(told.contains("A key stands twice in one object of"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), twice, "it is as it was");
    saw("ansible-playbook: a new host, the same again, a host with settings of others; rehearsals");
}
