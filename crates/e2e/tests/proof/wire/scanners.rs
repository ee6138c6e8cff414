//! What well-known scanners say of the real binary.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use e2e::{Daemon, Site, closed_address, get};
use serde_json::Value;
use vendor_sim::Simulator;

use crate::shell::{everything, is_small, saw, sh, vendor};

/// A mirror that speaks plainly and over TLS.
struct House {
    serve: Daemon,
    tls: SocketAddr,
    site: Site,
    _vendor: Simulator,
}

/// The suites that may be offered: with forward secrecy and authenticated encryption, no others.
const SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// What `testssl.sh` finds wanting, and why that is as it should be.
const EXPECTED: [(&str, &str); 9] = [
    ("cert_chain_of_trust", "the certificate is this test's own"),
    ("cert_revocation", "the certificate is this test's own"),
    ("DNS_CAArecord", "the name is localhost"),
    ("HSTS", "for browsers: endpoints ask for the address that they were given"),
    ("security_headers", "for browsers"),
    ("cipher_order", "every suite is strong, so the client may choose the one that is cheap for it"),
    ("cipher_order-tls1_2", "as above"),
    ("sessionresumption_ticket", "this scanner's own client cannot test it"),
    ("engine_problem", "about the scanner's own OpenSSL"),
];

fn house() -> House {
    let vendor = vendor();
    let tls = closed_address();
    let mut sections = everything(&vendor);
    sections
        .push(format!("[[serve]]\naddress = \"{tls}\"\ntls = {{ certificate = \"tls.crt\", key = \"tls.key\" }}\n"));
    let site = Site::new(&sections);
    sh(
        site.folder(),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.crt -days 300 \
         -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null",
    );
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    House { serve, tls, site, _vendor: vendor }
}

fn output(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let answer = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    // Colours that some cannot leave out.
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let mut plain = String::new();
    let mut parts = text.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[test]
fn sslscan_finds_strong_suites_of_two_versions_alone_v24() {
    let house = house();
    let report = output(house.site.folder(), "sslscan", &["--no-colour", &house.tls.to_string()]);
    let of = |name: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("nothing about {name} in:\n{report}")).trim().to_owned()
    };
    for (version, state) in [
        ("SSLv2", "disabled"),
        ("SSLv3", "disabled"),
        ("TLSv1.0", "disabled"),
        ("TLSv1.1", "disabled"),
        ("TLSv1.2", "enabled"),
        ("TLSv1.3", "enabled"),
    ] {
        assert_eq!(of(version), state, "{version}");
    }
    assert!(report.contains("Session renegotiation not supported"), "{report}");
    assert!(
        !report.contains("vulnerable to heartbleed\n") || report.contains("not vulnerable to heartbleed"),
        "{report}"
    );
    let offered = |line: &str| line.starts_with("Accepted") || line.starts_with("Preferred");
    let mut suites: Vec<&str> =
        report.lines().filter(|line| offered(line)).filter_map(|line| line.split_whitespace().nth(4)).collect();
    suites.sort_unstable();
    assert_eq!(suites, SUITES);
    house.serve.finish();
    saw(&format!("sslscan: TLS 1.2 and 1.3 alone, no renegotiation, suites {}", suites.join(" ")));
}

#[test]
fn testssl_finds_nothing_that_is_not_explained_v24() {
    if is_small() {
        return;
    }
    let house = house();
    let address = house.tls.to_string();
    let arguments = ["--warnings", "batch", "--color", "0", "--quiet", "--jsonfile", "report.json", &address];
    output(house.site.folder(), "testssl", &arguments);
    let text = std::fs::read_to_string(house.site.folder().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let found = report.as_array().unwrap();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let (mut wanting, mut explained) = (Vec::new(), Vec::new());
    for finding in found {
        let (id, severity) = (word(finding, "id"), word(finding, "severity"));
        if matches!(severity.as_str(), "OK" | "INFO") {
            continue;
        }
        if EXPECTED.iter().any(|(known, _)| *known == id) {
            explained.push(id);
        } else {
            wanting.push(format!("{severity} {id}: {}", word(finding, "finding")));
        }
    }
    assert!(wanting.is_empty(), "{wanting:#?}");
    assert!(found.len() > 100, "{} findings are no whole report", found.len());
    // It is as good as before it was scanned.
    assert_eq!(get(house.serve.content, "/").unwrap().status, 200);
    house.serve.finish();
    saw(&format!(
        "testssl.sh: {} findings, none above INFO but for {} that are explained",
        found.len(),
        EXPECTED.len()
    ));
}

#[test]
fn slowhttptest_never_finds_the_service_gone_v08_v10() {
    if is_small() {
        return;
    }
    let house = house();
    let base = format!("http://{}", house.serve.content);
    let archive = format!("{base}/linux/production/arch_x86_64/updates.zip");
    let tests: [(&str, &[&str], &str); 4] = [
        ("slow heads", &["-H", "-i", "5"], &base),
        ("slow bodies", &["-B", "-i", "5", "-s", "8192"], &base),
        ("Apache killer", &["-R", "-a", "1", "-b", "3000", "-t", "HEAD"], &archive),
        ("slow reads", &["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"], &archive),
    ];
    for (name, kind, url) in tests {
        let common = ["-c", "1000", "-r", "300", "-l", "40", "-p", "5", "-v", "1", "-u", url];
        let report = output(house.site.folder(), "slowhttptest", &[kind, &common].concat());
        let seen: Vec<&str> = report.lines().filter_map(|line| line.strip_prefix("service available:")).collect();
        assert!(!seen.is_empty(), "{report}");
        assert!(seen.iter().all(|word| word.trim() == "YES"), "{name}: {report}");
        let end = report.lines().find_map(|line| line.strip_prefix("Exit status:")).unwrap_or("?").trim().to_owned();
        saw(&format!("slowhttptest, {name}, 1,000 connections: available at each of {} looks; {end}", seen.len()));
    }
    assert_eq!(get(house.serve.content, "/").unwrap().status, 200);
    house.serve.finish();
}
