//! What becomes of the files of a TLS listener while it runs: each is taken over when it can be used, and nothing that
//! is wrong with one keeps another, or other rules, out.

use std::path::Path;

use content_http::{CertificateFacts, Policy, TlsSettings};

use crate::harness::{Site, until};
use crate::tls::{Authority, Served, authority, named, put, served, settings};

/// A certificate for an RSA key of 1024 bits.
const SHORT_RSA: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIB9DCCAV2gAwIBAgIUbL4yKjLDsqAtZE7JkXuIeP+cax4wDQYJKoZIhvcNAQEL\n\
BQAwDDEKMAgGA1UEAwwBbTAeFw0yNjExMjIxNzI3MDRaFw0zNjExMTkxNzI3MDRa\n\
MAwxCjAIBgNVBAMMAW0wgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAOS0A8M+\n\
PfZDpQ7yUA8c1idY6kEYUTp7CXthFfNPoGl8YfgvFkPMD5tIxWIYPt9gIl2Yj/hH\n\
sbcldtpyPOHVWLmngWxEtVHAXgUNbdcsmnBLwfUlWJSGcGGLt/D6IWD8f3bq9VaG\n\
AVGlmyDs80Uzw3T4JJvBdLLMRA7H/aD4yOkVAgMBAAGjUzBRMB0GA1UdDgQWBBQq\n\
aaUdKnNE7Wdgl4X+Nd2Ym+WTczAfBgNVHSMEGDAWgBQqaaUdKnNE7Wdgl4X+Nd2Y\n\
m+WTczAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBAFM1CFl2nsZC\n\
/OL+cfAKHvMBUpne8ShcOM4exowsHQtOO9alyJ9Uwcp3Ns2cj5YEmFlgKckrzs4f\n\
Kz+Vv/a/DYYvD5gx3mTQN7Pfg1+gV6obMHYYDW3WlOG8h2cyfcr+UAgZYugwJplC\n\
vPoTSZIpjn14Dhctl0vd9yNKfbifBk/q\n\
-----END CERTIFICATE-----\n";

/// A listener that asks for certificates of `people`, of which none is revoked yet.
fn with_people(people: &Authority) -> Served {
    let served = served(None);
    std::fs::write(list_of(&served), people.revoke(0, 3000)).unwrap();
    served.site.server.reload(&[policy(&served, people)]).unwrap();
    served
}

fn list_of(served: &Served) -> std::path::PathBuf {
    served.folder.path().join("clients.crl")
}

fn tls(served: &Served, people: &Authority) -> TlsSettings {
    let tls = settings(served.folder.path(), Some(&people.certificate));
    TlsSettings { client_crl: Some(list_of(served)), ..tls }
}

fn policy(served: &Served, people: &Authority) -> Policy {
    Policy { tls: Some(tls(served, people)), ..Policy::default() }
}

fn facts(site: &Site) -> Vec<CertificateFacts> {
    site.server.stats().certificates
}

fn refused(site: &Site) -> Vec<String> {
    facts(site).into_iter().filter_map(|facts| facts.refused).collect()
}

fn looks_until(site: &Site, mut condition: impl FnMut() -> bool) {
    until(|| {
        site.server.nudge();
        condition()
    });
}

#[test]
fn a_pair_that_is_half_written_keeps_no_list_out_v34() {
    let people = authority();
    let served = with_people(&people);
    let (good, bad) = (people.issue_as("good", Some(7)), people.issue_as("bad", Some(8)));
    let lets_in = |who| served.try_get("mirror", Some(who)).is_ok();
    assert!(lets_in(&good) && lets_in(&bad));
    let other = served.authority.issue("mirror");
    std::fs::write(served.folder.path().join("tls.crt"), &other.0).unwrap();
    looks_until(&served.site, || !refused(&served.site).is_empty());
    std::fs::write(list_of(&served), people.revoke(8, 3000)).unwrap();
    looks_until(&served.site, || !lets_in(&bad));
    assert!(lets_in(&good));
    let refused = refused(&served.site);
    assert!(refused.len() == 1 && refused[0].contains("tls.key is not the key of"), "{refused:?}");
}

#[test]
fn a_list_that_cannot_be_read_keeps_no_certificate_out_v23() {
    let people = authority();
    let served = with_people(&people);
    let good = people.issue_as("good", Some(7));
    std::fs::write(list_of(&served), "nonsense").unwrap();
    put(served.folder.path(), &served.authority.issue("renewed"));
    looks_until(&served.site, || served.try_get("renewed", Some(&good)).is_ok());
    let facts = facts(&served.site);
    assert!(facts[0].refused.is_none() && facts[2].refused.is_some(), "{facts:?}");
}

#[test]
fn other_rules_are_taken_over_beside_files_that_cannot_be_used_v33() {
    let people = authority();
    let served = with_people(&people);
    let good = people.issue_as("good", Some(7));
    assert!(served.try_get("mirror", Some(&good)).is_ok());
    std::fs::write(served.folder.path().join("tls.key"), served.authority.issue("other").1).unwrap();
    let shut = Policy { allow: vec!["10.0.0.0/8".parse().unwrap()], ..policy(&served, &people) };
    served.site.server.reload(&[shut]).unwrap();
    assert!(served.try_get("mirror", Some(&good)).is_err(), "whoever is shut out is out");
    assert_eq!(refused(&served.site).len(), 1);
    // What was not in use before has to be good.
    let mut new = tls(&served, &people);
    new.certificate = served.folder.path().join("nowhere.crt");
    assert!(served.site.server.reload(&[Policy { tls: Some(new), ..Policy::default() }]).is_err());
}

#[test]
fn an_open_connection_outlives_another_path_of_the_certificate_v23() {
    let served = served(None);
    let mut open = served.connect("mirror", &rustls::version::TLS13, None);
    let mut asked = || {
        open.get("/a", "");
        open.answer().is_ok()
    };
    assert!(asked());
    let folder = served.folder.path().join("other");
    std::fs::create_dir(&folder).unwrap();
    put(&folder, &served.authority.issue("renewed"));
    let moved = |tls| Policy { tls: Some(tls), ..Policy::default() };
    served.site.server.reload(&[moved(settings(&folder, None))]).unwrap();
    assert!(asked() && served.try_get("renewed", None).is_ok());
    served.site.server.reload(&[moved(settings(&folder, Some(&authority().certificate)))]).unwrap();
    assert!(!asked(), "it never showed what is asked for now");
}

#[test]
fn a_list_that_has_ended_takes_no_place_of_one_that_holds_v34() {
    let people = authority();
    let served = served(None);
    // The test's clock stands in 1994; what is shut out is judged by the system's.
    let write = |list: &str| std::fs::write(list_of(&served), list).unwrap();
    write(&people.list(7, 8, (1990, 3000)));
    served.site.server.reload(&[policy(&served, &people)]).unwrap();
    let good = people.issue_as("good", Some(7));
    write(&people.list(8, 8, (1990, 1993)));
    looks_until(&served.site, || refused(&served.site).len() == 1);
    assert!(served.try_get("mirror", Some(&good)).is_ok());
    let facts = facts(&served.site);
    assert!(facts[2].not_after.is_some_and(|end| end.to_string().starts_with("3000")), "{facts:?}");
    write(&people.list(8, 7, (1990, 3000)));
    looks_until(&served.site, || served.try_get("mirror", Some(&good)).is_err());
    assert_eq!(refused(&served.site), [""; 0]);
}

#[test]
fn another_path_is_no_way_round_what_holds_for_a_changed_file_v34() {
    let people = authority();
    let served = served(None);
    std::fs::write(list_of(&served), people.list(7, 8, (1990, 3000))).unwrap();
    served.site.server.reload(&[policy(&served, &people)]).unwrap();
    let good = people.issue_as("good", Some(7));
    let ended = served.folder.path().join("ended.crl");
    std::fs::write(&ended, people.list(8, 8, (1990, 1993))).unwrap();
    let other = TlsSettings { client_crl: Some(ended), ..tls(&served, &people) };
    let refused = served.site.server.reload(&[Policy { tls: Some(other), ..Policy::default() }]).unwrap_err();
    assert!(model::error_chain(&refused).contains("ended.crl holds from 1990"), "{refused:?}");
    assert!(served.try_get("mirror", Some(&good)).is_ok());
}

#[test]
fn a_file_in_use_that_went_bad_keeps_no_new_one_beside_it_out_v34() {
    let people = authority();
    let served = with_people(&people);
    let (good, bad) = (people.issue_as("good", Some(7)), people.issue_as("bad", Some(8)));
    let at = |name: &str| served.folder.path().join(name);
    std::fs::write(at("newer.crl"), people.list(2, 8, (1990, 3000))).unwrap();
    let newer = TlsSettings { client_crl: Some(at("newer.crl")), ..tls(&served, &people) };
    std::fs::write(at("ca.crt"), "cut off").unwrap();
    served.site.server.reload(&[Policy { tls: Some(newer.clone()), ..Policy::default() }]).unwrap();
    assert!(served.try_get("mirror", Some(&good)).is_ok() && served.try_get("mirror", Some(&bad)).is_err());
    looks_until(&served.site, || refused(&served.site).iter().any(|why| why.contains("ca.crt holds no usable")));
    // What was not in use has to be good, whatever was.
    std::fs::write(at("newest.crl"), "cut off").unwrap();
    let newest = TlsSettings { client_crl: Some(at("newest.crl")), ..newer };
    assert!(served.site.server.reload(&[Policy { tls: Some(newest), ..Policy::default() }]).is_err());
    assert!(served.try_get("mirror", Some(&good)).is_ok());
}

#[test]
fn a_file_in_use_that_is_out_of_its_time_keeps_no_new_one_beside_it_out_v34() {
    let (people, others) = (authority(), authority());
    let served = served(None);
    let at = |name: &str| served.folder.path().join(name);
    std::fs::write(list_of(&served), people.list(7, 8, (1990, 3000))).unwrap();
    served.site.server.reload(&[policy(&served, &people)]).unwrap();
    let good = people.issue_as("good", Some(7));
    assert!(served.try_get("mirror", Some(&good)).is_ok());
    // The list in use has ended on the disk, another authority stands in a file of its own, and addresses are shut out.
    std::fs::write(list_of(&served), people.list(8, 8, (1990, 1993))).unwrap();
    std::fs::write(at("both.crt"), format!("{}{}", people.certificate, others.certificate)).unwrap();
    let both = TlsSettings { client_ca: Some(at("both.crt")), ..tls(&served, &people) };
    let shut = |tls: &TlsSettings| Policy {
        tls: Some(tls.clone()),
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        ..Policy::default()
    };
    served.site.server.reload(&[shut(&both)]).unwrap();
    assert!(served.try_get("mirror", Some(&good)).is_err(), "whoever is shut out is out");
    served.site.server.reload(&[Policy { tls: Some(both.clone()), ..Policy::default() }]).unwrap();
    assert!(served.try_get("mirror", Some(&good)).is_ok(), "the list that holds is in use");
    looks_until(&served.site, || refused(&served.site).iter().any(|why| why.contains("clients.crl")));
    // A renewal that begins later stands in the certificate's place, and its key has another path.
    let (now, before) = ((1990, 3000), (2001, 3001));
    put(served.folder.path(), &served.authority.issue_for("mirror", now));
    let ends = |year: &str| facts(&served.site)[0].not_after.is_some_and(|end| end.to_string().starts_with(year));
    looks_until(&served.site, || ends("3000"));
    let key = std::fs::read_to_string(at("tls.key")).unwrap();
    std::fs::write(at("moved.key"), &key).unwrap();
    std::fs::write(at("tls.crt"), served.authority.renew("mirror", before, &key)).unwrap();
    let moved = TlsSettings { key: at("moved.key"), ..both };
    served.site.server.reload(&[shut(&moved)]).unwrap();
    assert!(served.try_get("mirror", Some(&good)).is_err());
    assert!(refused(&served.site).iter().any(|why| why.contains("tls.crt holds from 2001")));
}

#[test]
fn a_certificate_that_has_not_begun_is_known_as_that_v23() {
    let (authority, folder) = (authority(), tempfile::tempdir().unwrap());
    // The test's clock stands in 1994. The authority's certificate ends last and began first.
    let (leaf, key) = authority.issue_for("mirror", (2001, 2030));
    put(folder.path(), &(format!("{leaf}{}", authority.certificate), key));
    let tls = settings(folder.path(), None);
    let site = Site::empty(|settings| settings.listeners[0].policy.tls = Some(tls));
    let (facts, now) = (facts(&site), model::Clock::now(&*site.clock));
    assert_eq!(facts[0].begins_later(now).map(|begins| begins.to_string()).as_deref(), Some("2001-01-01T00:00:00Z"));
    assert_eq!(facts[0].level(now, CertificateFacts::LIMITS), model::Level::Fail);
}

#[test]
fn a_file_that_is_again_as_it_was_is_well_again_v23() {
    let served = served(None);
    let certificate = served.folder.path().join("tls.crt");
    let (before, away) = (std::fs::read(&certificate).unwrap(), |path: &Path| path.with_extension("away"));
    std::fs::rename(&certificate, away(&certificate)).unwrap();
    looks_until(&served.site, || refused(&served.site).len() == 1);
    std::fs::write(&certificate, before).unwrap();
    looks_until(&served.site, || refused(&served.site).is_empty());
    assert!(served.try_get("mirror", None).is_ok());
}

#[test]
fn whoever_only_looks_whether_the_port_is_open_is_no_trouble_v19() {
    let served = served(None);
    drop(served.site.connect());
    served.site.raw(b"");
    until(|| served.site.server.stats().connections_total == 2 && served.site.server.stats().connections_open == 0);
    assert_eq!(served.site.server.stats().trouble(content_http::Trouble::Handshake), 0);
}

#[test]
fn what_is_no_pem_is_called_what_it_is_v23() {
    let served = served(None);
    let why = |certificate: &[u8], key: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let tls = settings(folder.path(), None);
        std::fs::write(&tls.certificate, certificate).unwrap();
        std::fs::write(&tls.key, key).unwrap();
        let policy = Policy { tls: Some(tls), ..Policy::default() };
        model::error_chain(&served.site.server.reload(&[policy]).unwrap_err())
    };
    let (certificate, key) = served.authority.issue("mirror");
    let der = why(&[0x30, 0x82, 1, 2], key.as_bytes());
    assert!(der.contains("tls.crt is in DER form") && der.contains("openssl x509 -inform DER"), "{der}");
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let locked = why(certificate.as_bytes(), locked.as_bytes());
    assert!(locked.contains("tls.key is protected by a passphrase"), "{locked}");
    let trusted = why(certificate.replace(" CERTIFICATE", " TRUSTED CERTIFICATE").as_bytes(), key.as_bytes());
    assert!(trusted.contains("a TRUSTED CERTIFICATE is openssl's own form"), "{trusted}");
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(certificate.bytes().flat_map(|byte| [byte, 0])).collect();
    let wide = why(&wide, key.as_bytes());
    assert!(wide.contains("tls.crt holds no usable certificate in PEM form: it is written in UTF-16"), "{wide}");
    let upside_down = format!("{}{certificate}", served.authority.certificate);
    let upside_down = why(upside_down.as_bytes(), key.as_bytes());
    assert!(upside_down.contains("tls.key is the key of a later certificate"), "{upside_down}");
    let short = why(SHORT_RSA.as_bytes(), key.as_bytes());
    assert!(short.contains("tls.crt has 1024 bits, and 2048 are the fewest"), "{short}");
}

#[test]
fn a_byte_order_mark_says_nothing_v23() {
    let served = served(None);
    let (certificate, key) = served.authority.issue("marked");
    put(served.folder.path(), &(format!("\u{feff}{certificate}"), format!("\u{feff}{key}")));
    looks_until(&served.site, || served.try_get("marked", None).is_ok());
}

#[test]
fn a_list_of_another_authority_takes_no_place_of_ours_v34() {
    let (people, others) = (named("ours"), named("theirs"));
    let served = with_people(&people);
    let good = people.issue_as("good", Some(7));
    std::fs::write(list_of(&served), others.revoke(0, 3000)).unwrap();
    looks_until(&served.site, || refused(&served.site).iter().any(|why| why.contains("but of theirs: no client")));
    assert!(served.try_get("mirror", Some(&good)).is_ok());
    // With its authority it is what is wanted.
    std::fs::write(served.folder.path().join("ca.crt"), &others.certificate).unwrap();
    let theirs = others.issue_as("theirs", Some(7));
    looks_until(&served.site, || served.try_get("mirror", Some(&theirs)).is_ok());
    assert!(served.try_get("mirror", Some(&good)).is_err() && refused(&served.site).is_empty());
}

#[test]
fn who_begins_with_lists_of_others_alone_lets_nobody_in_and_says_so_v34() {
    let (people, others) = (named("ours"), named("theirs"));
    let served = served(None);
    std::fs::write(list_of(&served), others.revoke(0, 3000)).unwrap();
    served.site.server.reload(&[policy(&served, &people)]).unwrap();
    let nobody = || facts(&served.site).into_iter().find_map(|facts| facts.nobody);
    assert!(nobody().is_some_and(|why| why.contains("ca.crt: no client is let in")), "{:?}", nobody());
    let good = people.issue_as("good", Some(7));
    assert!(served.try_get("mirror", Some(&good)).is_err());
    std::fs::write(list_of(&served), people.revoke(0, 3000)).unwrap();
    looks_until(&served.site, || nobody().is_none());
    assert!(served.try_get("mirror", Some(&good)).is_ok());
}

#[test]
fn whether_a_list_has_ended_is_asked_of_each_authority_v34() {
    let (people, others) = (named("ours"), named("theirs"));
    let served = served(None);
    let write = |list: &str| std::fs::write(list_of(&served), list).unwrap();
    write(&people.list(1, 0, (1990, 3000)));
    served.site.server.reload(&[policy(&served, &people)]).unwrap();
    let (good, bad) = (people.issue_as("good", Some(7)), people.issue_as("bad", Some(8)));
    // One that has ended beside a newer one of ours keeps that not out.
    let ended = others.list(1, 0, (1990, 1993));
    write(&format!("{ended}{}", people.list(2, 8, (1990, 3000))));
    looks_until(&served.site, || served.try_get("mirror", Some(&bad)).is_err());
    assert!(served.try_get("mirror", Some(&good)).is_ok() && refused(&served.site).is_empty());
    // Nor does it open the door for ours to end.
    write(&format!("{ended}{}", people.list(3, 8, (1990, 1993))));
    looks_until(&served.site, || {
        refused(&served.site).iter().any(|why| why.contains("(the list of ours), which is not now"))
    });
    assert!(served.try_get("mirror", Some(&good)).is_ok());
}
