//! Who may write the data folder: its owner, and the members of a group that the operator declares.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use e2e::{Site, get};

use crate::vendor::{sections, vendor};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The mode of everything below a folder; the names of the newest files differ from run to run.
fn modes(root: &Path) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let meta = entry.metadata().unwrap();
            let name = entry.path().strip_prefix(root).unwrap().display().to_string();
            if meta.is_dir() {
                folders.push(entry.path());
            }
            all.insert(name, meta.mode() & 0o7777);
        }
    }
    all
}

#[test]
fn a_folder_that_a_group_can_write_needs_the_group_declared_s22() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    fs::create_dir(site.data()).unwrap();
    let gid = rustix::process::getegid().as_raw();
    // As a volume of Kubernetes with fsGroup comes.
    chown(site.data(), None, Some(gid)).unwrap();
    mode(&site.data(), 0o2775);
    let refused = site.sync(&[]).expect(1);
    assert!(refused.text().contains("data_group"), "{}", refused.text());
    assert_eq!(fs::read_dir(site.data()).unwrap().count(), 0, "nothing is written into a folder that is not believed");

    let environment = ("WAYSTATION__DATA_GROUP", gid.to_string());
    let act = |arguments: &[&str]| site.command(arguments).env(environment.0, &environment.1).output().unwrap();
    let synced = act(&["sync", "--json"]);
    assert!(synced.status.success(), "{synced:?}");
    for (path, expected) in
        [("blobs", 0o2775), ("catalog", 0o2770), ("catalog/catalog.sqlite3", 0o660), ("locks/publish", 0o660)]
    {
        let meta = fs::metadata(site.data().join(path)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.gid()), (expected, gid), "{path}");
    }
    assert!(act(&["release", "verify", "--all", "--store"]).status.success());
    let mut serve = site.command(["serve"]);
    serve.env(environment.0, &environment.1);
    let serve = e2e::Daemon::start(serve);
    assert_eq!(get(serve.admin, "/readyz").unwrap().status, 200);
    serve.finish();
    // Others may never write, whatever is declared.
    mode(&site.data(), 0o2777);
    let refused = act(&["sync"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("can be written by others"), "{refused:?}");
}

#[test]
fn a_group_that_there_is_not_is_a_mistake_of_the_configuration() {
    let vendor = vendor(1024);
    let site = Site::new(&sections(&vendor));
    let told = site.command(["sync"]).env("WAYSTATION__DATA_GROUP", "no-such-group").output().unwrap();
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).contains("no-such-group"), "{told:?}");
}

#[test]
fn runs_under_any_umask_leave_the_same_modes_s22() {
    let vendor = vendor(16 * 1024);
    let under = |umask: &str| {
        let site = Site::new(&sections(&vendor));
        let line = format!("umask {umask}; exec \"$0\" sync --json");
        for _ in 0..2 {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", &line]).arg(e2e::waystation());
            let ran = shell.env("WAYSTATION_CONFIG", site.config()).current_dir(site.folder()).output().unwrap();
            assert!(ran.status.success(), "umask {umask}: {ran:?}");
        }
        let mut found = modes(&site.data());
        // The database's own companions come and go; they have the database's mode.
        found.retain(|name, mode| {
            let companion = name.starts_with("catalog/") && name != "catalog/catalog.sqlite3";
            assert!(!companion || *mode == 0o600, "{name}: {mode:o}");
            !companion
        });
        found
    };
    assert_eq!(under("000"), under("077"));
}
