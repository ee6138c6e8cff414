//! Secrets that the configuration holds appear nowhere: canaries are put into every one, everything that can be read
//! afterwards is searched.

use std::fs;
use std::path::Path;
use std::time::Duration;

use e2e::{Site, closed_address, get, until};

use crate::vendor::{sections, vendor};

const USER: &str = "canary-user-3f1c";
const PASSWORD: &str = "canary-password-9d27";
const KEY: &str = "canarykey5b8eaaaaaaaaaaaaaaaaaaaa";
const HEADER: &str = "canary-header-77aa";

fn search(place: &str, text: &str) {
    for canary in [PASSWORD, KEY, HEADER] {
        assert!(!text.contains(canary), "{place} shows {canary}:\n{text}");
    }
}

/// Every file below a folder, as far as it can be read as text.
fn search_files(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            search_files(&path);
        } else {
            search(&path.display().to_string(), &String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn secrets_are_in_no_log_metric_record_or_message_i13_a22() {
    let vendor = vendor(16 * 1024);
    let site = Site::new(&sections(&vendor));
    site.sync(&[]).expect(0);
    fs::write(site.folder().join("password"), PASSWORD).unwrap();
    fs::write(site.folder().join("header"), HEADER).unwrap();
    let proxy = closed_address();
    let config = fs::read_to_string(site.config()).unwrap();
    let proxied = config.replace(
        "[origin]\n",
        &format!("[origin]\nproxy = \"http://{USER}@{proxy}\"\nproxy_password_file = \"password\"\n"),
    );
    let told = format!(
        "[[alarm.webhook]]\nname = \"hook\"\nurl = \"http://{proxy}/hook?token=x\"\nheader = \"Authorization\"\nheader_file = \"header\"\n"
    );
    fs::write(site.config(), format!("{proxied}{told}")).unwrap();
    for arguments in [
        &["sync", "--log-level", "trace"][..],
        &["sync", "--json", "--log-level", "trace"],
        &["sync", "--plan"],
        &["status", "--json"],
        &["status"],
        &["history", "list", "--json"],
        &["release", "show", "1", "--json"],
        &["alarm", "test"],
        &["doctor", "--json"],
    ] {
        let done = site.act(arguments);
        assert!(done.code() >= 0, "{arguments:?} died: {}", done.text());
        search(&format!("{arguments:?}"), &done.text());
    }
    let run = e2e::Daemon::start(site.command(["run", "--log-level", "trace"]));
    until("it failed through the proxy", Duration::from_secs(60), || run.log().contains("proxy").then_some(()));
    for page in ["/metrics", "/api/v1/status", "/readyz"] {
        search(page, &String::from_utf8_lossy(&get(run.admin, page).unwrap().body));
    }
    let (environment, arguments) = (format!("/proc/{}/environ", run.id()), format!("/proc/{}/cmdline", run.id()));
    for path in [environment, arguments] {
        search(&path, &String::from_utf8_lossy(&fs::read(&path).unwrap()));
    }
    search("the log", &run.log());
    run.finish();
    search_files(&site.data());

    // A key that cannot be read is told by its path, never by what it holds; a password in a URL is not repeated.
    fs::write(
        site.folder().join("key.pem"),
        format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n"),
    )
    .unwrap();
    let tls = "[[serve]]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"key.pem\", key = \"key.pem\" }\n";
    fs::write(site.config(), format!("{config}{tls}")).unwrap();
    search("a key that cannot be used", &site.act(&["serve"]).expect(1).text());
    let inline = config.replace("[origin]\n", &format!("[origin]\nproxy = \"http://{USER}:{PASSWORD}@{proxy}\"\n"));
    fs::write(site.config(), inline).unwrap();
    let done = site.act(&["sync", "--log-level", "trace"]);
    assert_ne!(done.code(), 0);
    search("a password in a URL", &done.text());
}
