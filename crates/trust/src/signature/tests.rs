use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};

use super::*;

/// One RSA key for all tests: making them is slow.
fn pair(index: usize) -> &'static RsaKeyPair {
    static PAIRS: OnceLock<[RsaKeyPair; 2]> = OnceLock::new();
    let make = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    &PAIRS.get_or_init(|| [make(), make()])[index]
}

fn pem_of(pair: &RsaKeyPair) -> String {
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    armour("PUBLIC KEY", der.as_ref())
}

fn armour(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in der.chunks(3) {
        let mut padded = [0u8; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= group.len() { char::from(DIGITS[digit as usize]) } else { '=' });
        }
    }
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn sign(pair: &RsaKeyPair, how: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(how, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

fn ring() -> KeyRing {
    KeyRing::empty().with_pem(&pem_of(pair(0))).unwrap()
}

#[test]
fn the_built_in_key_is_the_published_one() {
    assert_eq!(KeyRing::built_in().ids().collect::<Vec<_>>(), ["0852f75b1c4f95c3"]);
}

#[test]
fn a_good_signature_names_its_key() {
    let ring = KeyRing::built_in().with_pem(&pem_of(pair(1))).unwrap().with_pem(&pem_of(pair(0))).unwrap();
    let id = ring.ids().nth(2).unwrap().to_owned();
    let signature = sign(pair(0), &RSA_PKCS1_SHA256, b"manifest");
    assert_eq!(ring.verify(b"manifest", &signature), SignatureCheck::Good { key_id: id });
}

#[test]
fn absent_empty_or_of_another_manifest_is_unverified_c32() {
    let ring = ring();
    let signature = sign(pair(0), &RSA_PKCS1_SHA256, b"manifest");
    for (message, signature) in [
        (&b"manifest"[..], &b""[..]),
        (b"manifest", &[0; 256]),
        (b"manifesu", &signature),
        (b"manifest\n", &signature),
        (b"", &signature),
    ] {
        assert_eq!(ring.verify(message, signature), SignatureCheck::Unverified);
    }
}

#[test]
fn every_flipped_bit_breaks_a_signature_c33() {
    let ring = ring();
    let good = sign(pair(0), &RSA_PKCS1_SHA256, b"manifest");
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        assert_eq!(ring.verify(b"manifest", &bad), SignatureCheck::Unverified, "byte {byte}");
    }
}

#[test]
fn truncated_lengthened_or_made_otherwise_is_unverified_c33() {
    let ring = ring();
    let good = sign(pair(0), &RSA_PKCS1_SHA256, b"manifest");
    let mut longer = good.clone();
    longer.push(0);
    let mut padded = good.clone();
    padded.insert(0, 0);
    let table: [(&str, &[u8]); 6] = [
        ("truncated", &good[..255]),
        ("longer", &longer),
        ("zero before it", &padded),
        ("another key", &sign(pair(1), &RSA_PKCS1_SHA256, b"manifest")),
        ("another hash", &sign(pair(0), &RSA_PKCS1_SHA512, b"manifest")),
        ("another padding", &sign(pair(0), &RSA_PSS_SHA256, b"manifest")),
    ];
    for (name, signature) in table {
        assert_eq!(ring.verify(b"manifest", signature), SignatureCheck::Unverified, "{name}");
    }
    assert_eq!(KeyRing::empty().verify(b"manifest", &good), SignatureCheck::Unverified, "no key");
}

#[test]
fn a_key_counts_once_c33() {
    let text = pem_of(pair(0));
    let twice = KeyRing::empty().with_pem(&format!("{text}{text}")).unwrap().with_pem(&text).unwrap();
    assert_eq!(twice.ids().count(), 1);
    assert_eq!(KeyRing::built_in().with_pem(BUILT_IN).unwrap(), KeyRing::built_in());
}

#[test]
fn several_keys_with_text_between_and_any_line_ends() {
    let text = format!("\u{feff}# old key\n{}\n# new key\n{}", pem_of(pair(0)), pem_of(pair(1)));
    assert_eq!(KeyRing::empty().with_pem(&text).unwrap().ids().count(), 2);
    assert_eq!(KeyRing::empty().with_pem(&text.replace('\n', "\r\n")).unwrap().ids().count(), 2);
}

#[track_caller]
fn check_refused(text: &str, expected: &KeyError) {
    assert_eq!(KeyRing::empty().with_pem(text).as_ref(), Err(expected));
}

#[test]
fn bad_pem_says_what_is_wrong() {
    let good = pem_of(pair(0));
    let der: PublicKeyX509Der<'_> = pair(0).public_key().as_der().unwrap();
    let mut trailing = der.as_ref().to_vec();
    trailing.push(0);
    check_refused("", &KeyError::None);
    check_refused("hello", &KeyError::None);
    check_refused(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        &KeyError::Label { block: 1, label: "CERTIFICATE".into() },
    );
    check_refused(
        &format!("{good}{}", armour("RSA PUBLIC KEY", pair(0).public_key().as_ref())),
        &KeyError::Label { block: 2, label: "RSA PUBLIC KEY".into() },
    );
    check_refused(
        &good.replace("-----END", "----END"),
        &KeyError::Damaged { block: 1, what: "its END line is missing" },
    );
    check_refused(
        &good.replace("-----END PUBLIC", "-----END SECRET"),
        &KeyError::Damaged { block: 1, what: "its END line names another kind" },
    );
    check_refused(&good.replace("MII", "M?I"), &KeyError::Damaged { block: 1, what: "its text is not base64" });
    check_refused(&armour("PUBLIC KEY", &der.as_ref()[..200]), &KeyError::Unusable { block: 1 });
    check_refused(&armour("PUBLIC KEY", &trailing), &KeyError::Unusable { block: 1 });
    check_refused(&armour("PUBLIC KEY", pair(0).public_key().as_ref()), &KeyError::Unusable { block: 1 });
    check_refused(&armour("PUBLIC KEY", b"\x30\x00"), &KeyError::Unusable { block: 1 });
}

/// `openssl genrsa 1024 | openssl rsa -pubout` and `openssl genpkey -algorithm ed25519 | openssl pkey -pubout`.
#[test]
fn small_and_other_keys_are_unusable() {
    let small = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCx9TbITs4fS5vuvVxWIFDbJQeD
LcR2ZXUyEGl2M3wqbjbTfgSONs9vRzBSj/z1wWeujYo78l8fWGWCv7WaZz6CIYzT
yYPuRx855i73M2Z2nDI6iEP3jV7vBaV1An3YOQ55rCM1mBW5SndgQBrcG+HzvbSi
G9anAqprKEOYrBNjyQIDAQAB
-----END PUBLIC KEY-----";
    let ed25519 = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAzZXCqlypydEi77rTGbSbSmJpZebW//ISHmVUPbuG4Fg=
-----END PUBLIC KEY-----";
    check_refused(small, &KeyError::Unusable { block: 1 });
    check_refused(ed25519, &KeyError::Unusable { block: 1 });
}
