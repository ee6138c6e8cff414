//! `serve` as nobody, on a mount that cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use e2e::whole::serves_what_the_vendor_shows;
use e2e::{Daemon, Site, get, waystation};
use vendor_sim::DefenderFeed;

use crate::shell::{VERSIONS, everything, saw, vendor};

/// In a mount namespace of its own, so that the machine's mounts stay as they are.
const STEPS: &str = "mount --bind data data && mount -o remount,ro,bind data && ! touch data/written 2>/dev/null && \
     exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs ./waystation --config waystation.toml serve";

#[test]
fn serve_runs_as_nobody_on_a_read_only_mount() {
    let vendor = vendor();
    let site = Site::new(&everything(&vendor));
    site.sync(&[]).expect(0);
    // Nobody must be able to come here, and to run what is elsewhere below a folder of root's.
    fs::set_permissions(site.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(site.config(), fs::Permissions::from_mode(0o644)).unwrap();
    fs::copy(waystation(), site.folder().join("waystation")).unwrap();
    let catalog = site.data().join("catalog");
    assert_eq!(fs::metadata(&catalog).unwrap().permissions().mode() & 0o077, 0, "the catalog is nobody's business");

    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", STEPS]).current_dir(site.folder());
    let serve = Daemon::start(command);
    let status = fs::read_to_string(format!("/proc/{}/status", serve.id())).unwrap();
    let uid = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    assert!(uid.split_whitespace().skip(1).all(|id| id == "65534"), "{uid}");
    assert!(serves_what_the_vendor_shows(serve.content, &vendor, &VERSIONS, &DefenderFeed::ALL));
    assert_eq!(get(serve.admin, "/readyz").unwrap().status, 200);

    // What root publishes beside it reaches it through the mount.
    vendor.publish_elastic("all", vendor_sim::Change::of(2)).unwrap();
    site.sync(&[]).expect(0);
    e2e::until("the newest is served", std::time::Duration::from_secs(30), || {
        serves_what_the_vendor_shows(serve.content, &vendor, &VERSIONS, &[]).then_some(())
    });
    serve.finish();
    saw(
        "uid 65534, no new privileges, read-only bind mount: 5 versions and 8 feeds served, a publication beside it learnt",
    );
}
