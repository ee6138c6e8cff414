//! Credentials, and the cap on one client's connections.

use std::io::{Read, Write};
use std::path::Path;

use content_http::{AccessLog, LogForm, LogTarget, Policy, Settings, StartError, Trouble};
use model::Digest;

use crate::harness::{Site, noise, ring, source, until};

fn line(name: &str, secret: &str) -> String {
    format!("{name}:{}\n", Digest::of(secret.as_bytes()))
}

fn policy(path: &Path) -> Policy {
    Policy { credentials: Some(path.to_owned()), ..Policy::default() }
}

#[test]
fn without_a_name_nothing_is_said_but_that_one_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let who = folder.path().join("who");
    std::fs::write(&who, line("branch-7", "secret")).unwrap();
    let site = Site::empty(|settings| settings.listeners[0].policy = policy(&who));
    site.publish("broad", &[("/a", b"A")]);
    for headers in [
        "",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Basic YnJhbmNoLTg6c2VjcmV0\r\n",
        "Authorization: secret\r\n",
        "Authorization: Bearer secret\r\nAuthorization: Bearer secret\r\n",
        "X-Authorization: Bearer secret\r\n",
    ] {
        for path in ["/a", "/nowhere", "/"] {
            let answer = site.get(path, headers);
            assert_eq!((answer.status, answer.body.len()), (401, 0), "{path} {headers}");
            let asked: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "WWW-Authenticate").collect();
            assert_eq!(asked.len(), 2, "{answer:?}");
            assert!(answer.header("ETag").is_none());
        }
    }
    assert_eq!(site.get("/a", "Authorization: Bearer secret\r\n").body, b"A");
    assert_eq!(site.get("/a", "Authorization: Basic YnJhbmNoLTc6c2VjcmV0\r\n").body, b"A");
    assert_eq!(site.get("/nowhere", "Authorization: Bearer secret\r\n").status, 404);
}

#[test]
fn a_changed_file_is_taken_over_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let who = folder.path().join("who");
    std::fs::write(&who, line("a", "old")).unwrap();
    let site = Site::empty(|settings| settings.listeners[0].policy = policy(&who));
    site.publish("broad", &[("/a", b"A")]);
    let status = |secret: &str| site.get("/a", &format!("Authorization: Bearer {secret}\r\n")).status;
    assert_eq!((status("old"), status("new")), (200, 401));
    std::fs::write(&who, "half a li").unwrap();
    let server = &site.server;
    let refused = || server.stats().certificates.iter().any(|facts| facts.refused.is_some());
    until(|| {
        server.nudge();
        refused()
    });
    assert_eq!((status("old"), server.stats().trouble(Trouble::TlsRefused)), (200, 1));
    std::fs::write(&who, line("a", "new")).unwrap();
    until(|| {
        server.nudge();
        !refused()
    });
    assert_eq!((status("old"), status("new")), (401, 200));
}

#[test]
fn a_server_whose_credentials_cannot_be_read_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    settings.listeners[0].policy = policy(&folder.path().join("nobody"));
    let clock = std::sync::Arc::new(crate::harness::TestClock::at_start());
    let error = content_http::ContentServer::start(settings, source(), clock).unwrap_err();
    assert!(matches!(error, StartError::Policy(_)), "{error}");
}

#[test]
fn names_are_logged_and_secrets_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (who, log) = (folder.path().join("who"), folder.path().join("access.log"));
    std::fs::write(&who, line("branch-7", "secret")).unwrap();
    let site = Site::empty(|settings| {
        settings.listeners[0].policy = policy(&who);
        let target = LogTarget::File { path: log.clone(), rotate_bytes: 0, keep: 0 };
        settings.access_log = Some(AccessLog { target, form: LogForm::Json });
    });
    site.publish("broad", &[("/a", b"A")]);
    site.get("/a", "Authorization: Bearer secret\r\n");
    site.get("/a", "Authorization: Bearer wrong-secret\r\n");
    until(|| std::fs::read_to_string(&log).is_ok_and(|text| text.lines().count() == 2));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("\"name\":\"branch-7\"") && !text.contains("secret"), "{text}");
}

#[test]
fn one_client_has_only_so_many_connections_v35() {
    let big = noise(1, 32 << 20);
    let site = Site::empty(|settings| settings.limits.connections_per_client = 2);
    site.publish("broad", &[("/a", b"A"), ("/big", &big)]);
    let mut busy: Vec<_> = (0..2)
        .map(|_| {
            let mut client = site.connect();
            client.get("/big", "Connection: close\r\n");
            client.stream.read_exact(&mut [0; 1]).unwrap();
            client
        })
        .collect();
    let mut late = site.connect();
    let _ = late.stream.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(late.answer().is_err());
    assert_eq!(site.server.stats().trouble(Trouble::Crowded), 1);
    for client in &mut busy {
        let mut rest = Vec::new();
        client.stream.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(&big[big.len() - 1000..]));
    }
    drop(busy);
    until(|| site.server.stats().connections_open == 0);
    assert_eq!(site.get("/a", "").status, 200);
}
