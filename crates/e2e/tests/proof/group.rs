//! Two users of one group on one data folder, as containers with other users and one fsGroup are.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use e2e::whole::serves_what_the_vendor_shows;
use e2e::{Daemon, Site, get, waystation};
use vendor_sim::DefenderFeed;

use crate::shell::{VERSIONS, everything, saw, vendor};

const GROUP: u32 = 42_000;

/// The program as a user of the group, and of nothing else.
fn as_user(site: &Site, user: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg(format!("--groups={GROUP}"));
    command.args(["--no-new-privs", "--inh-caps=-all", "./waystation", "--config", "waystation.toml"]).args(arguments);
    command.current_dir(site.folder()).env("WAYSTATION__DATA_GROUP", GROUP.to_string());
    command
}

#[test]
fn members_of_the_declared_group_share_a_volume_s22() {
    let vendor = vendor();
    let site = Site::new(&everything(&vendor));
    fs::set_permissions(site.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(site.config(), fs::Permissions::from_mode(0o644)).unwrap();
    fs::copy(waystation(), site.folder().join("waystation")).unwrap();
    // Kubernetes leaves the volume to root and hands it to the group.
    fs::create_dir(site.data()).unwrap();
    chown(site.data(), Some(0), Some(GROUP)).unwrap();
    fs::set_permissions(site.data(), fs::Permissions::from_mode(0o2775)).unwrap();

    let (writer, other, stranger) = (42_001, 42_002, 42_003);
    let done = |user: u32, arguments: &[&str]| {
        let ran = as_user(&site, user, arguments).output().unwrap();
        assert!(ran.status.success(), "{arguments:?} as {user}: {ran:?}");
    };
    done(writer, &["sync"]);
    vendor.publish_elastic("all", vendor_sim::Change::of(2)).unwrap();
    done(other, &["sync"]);
    done(writer, &["gc"]);
    done(other, &["release", "verify", "--all", "--store"]);
    let serve = Daemon::start(as_user(&site, other, &["serve"]));
    assert_eq!(get(serve.admin, "/readyz").unwrap().status, 200);
    assert!(serves_what_the_vendor_shows(serve.content, &vendor, &VERSIONS, &DefenderFeed::ALL));
    serve.finish();
    // Who is no member gets nowhere, and what he brings is not believed.
    let current = site.data().join("rings/broad/current");
    chown(&current, Some(stranger), Some(stranger)).unwrap();
    let told = as_user(&site, writer, &["release", "verify", "--store"]).output().unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("unsafe_file") || text.contains("pointer_damaged"), "{told:?}");
    saw("a folder of root's, mode 2775, group 42000: users 42001 and 42002 synced, collected, verified and served it");
}
