//! The doctor's two examinations, by the binary.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use e2e::{Site, defender, elastic};
use vendor_sim::{DefenderChange, DefenderFeed, DefenderTarget, Settings, Simulator};

const VERSION: &str = "9.0.0";

fn following(vendor: &Simulator) -> Vec<String> {
    let keys = "signature = \"require\"\npublic_keys = [\"key.pem\"]\n".to_owned();
    vec![
        elastic(&vendor.elastic_url(), &[VERSION]),
        keys,
        defender(&vendor.defender_url(), &["linux"], &["production"]),
    ]
}

#[test]
fn the_doctor_finds_nothing_wrong_with_our_mirror() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let site = Site::new(&following(&vendor));
    std::fs::write(site.folder().join("key.pem"), vendor.public_key_pem().unwrap()).unwrap();
    site.sync(&[]).expect(0);
    vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let url = format!("http://{}", serve.content);
    for more in [&["--json"][..], &["--json", "--quick"]] {
        let report = site.act(&[&["doctor", &url, "--strict"], more].concat()).expect(0).lines().remove(0);
        assert_eq!(report["level"], "ok", "{report:#}");
        assert_eq!(report["feeds"].as_array().unwrap().len(), 3);
    }
    // Without a configuration nothing is known but Defender's addresses.
    let feed = DefenderFeed::ALL[0].to_string();
    let alone = site.command(["doctor", &url, "--defender", &feed, "--elastic", VERSION]).output().unwrap();
    assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
}

/// A proxy that wants other credentials, whatever it is given.
fn refusing_proxy() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        }
    });
    address
}

#[test]
fn the_doctor_tells_before_set_up_what_a_firewall_must_let_through_and_no_secret_i13() {
    let (folder, secrets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let password = secrets.path().join("password");
    std::fs::write(&password, "canary\n").unwrap();
    let mut command = std::process::Command::new(e2e::waystation());
    // Behind a proxy nothing is resolved here, and this one lets nothing out.
    command.env("WAYSTATION__ORIGIN__PROXY", format!("http://user@{}", refusing_proxy()));
    command.env("WAYSTATION__ORIGIN__PROXY_PASSWORD_FILE", &password);
    command.env("WAYSTATION__DATA_DIR", folder.path().join("data"));
    let ended = command.args(["-vvv", "doctor", "--form", "csv"]).current_dir(folder.path()).output().unwrap();
    let (told, logged) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(1), "{told}{logged}");
    for host in ["artifacts.security.elastic.co", "go.microsoft.com", "definitionupdates.microsoft.com", "127.0.0.1"] {
        assert!(told.lines().any(|line| line.starts_with(&format!("\"{host}\","))), "{host}\n{told}");
    }
    // The password, and what Basic makes of user and password.
    for secret in ["canary", "dXNlcjpjYW5hcnk"] {
        assert!(!told.contains(secret) && !logged.contains(secret), "{told}{logged}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the doctor wrote something");
}
