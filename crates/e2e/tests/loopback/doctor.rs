//! The doctor's two examinations, by the binary.

use e2e::{Site, closed_address, defender, elastic};
use vendor_sim::{DefenderChange, DefenderFeed, DefenderTarget, Settings, Simulator};

const VERSION: &str = "9.0.0";

fn following(vendor: &Simulator) -> Vec<String> {
    let keys = "signature = \"require\"\npublic_keys = [\"key.pem\"]\n".to_owned();
    vec![elastic(&vendor.elastic_url(), &[VERSION]), keys, defender(&vendor.defender_url(), &["linux"], &["production"])]
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

#[test]
fn the_doctor_tells_before_set_up_what_a_firewall_must_let_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(e2e::waystation());
    // A proxy that is not there: nothing leaves this machine.
    command.env("WAYSTATION__ORIGIN__PROXY", format!("http://user:canary@{}", closed_address()));
    command.env("WAYSTATION__DATA_DIR", folder.path().join("data"));
    let ended = command.args(["doctor", "--form", "csv"]).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&ended.stderr));
    for host in ["artifacts.security.elastic.co", "go.microsoft.com", "definitionupdates.microsoft.com", "127.0.0.1"] {
        assert!(text.lines().any(|line| line.starts_with(&format!("\"{host}\","))), "{host}\n{text}");
    }
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the doctor wrote something");
}
