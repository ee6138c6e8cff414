//! What becomes of signatures, by mode.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use model::{Checked, Reason};
use serde_json::{Value, json};
use trust::KeyRing;

use super::world::{End, World, manifest, zip_of};
use crate::elastic::SignatureMode;

fn pair() -> &'static RsaKeyPair {
    static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    PAIR.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn ring() -> KeyRing {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let der: PublicKeyX509Der<'_> = pair().public_key().as_der().unwrap();
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    for group in der.as_ref().chunks(3) {
        let mut padded = [0u8; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        let digit = |place: usize| char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]);
        text.extend((0..4).map(|place| if place <= group.len() { digit(place) } else { '=' }));
    }
    KeyRing::built_in().with_pem(&format!("{text}\n-----END PUBLIC KEY-----\n")).unwrap()
}

fn sign(message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair().public_modulus_len()];
    pair().sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

fn text(version: &str) -> String {
    let mut made = manifest(json!({}));
    made["manifest_version"] = Value::from(version);
    made.to_string()
}

fn run(zip: &[u8], mode: SignatureMode, keys: KeyRing) -> End {
    World::of_zip(zip.to_vec())
        .settings(|settings| {
            settings.signature = mode;
            settings.keys = Arc::new(keys);
        })
        .run()
}

#[test]
fn a_good_signature_is_said_with_its_key() {
    let text = text("1.0.1");
    let zip = zip_of(&[("manifest.json", text.as_bytes()), ("manifest.sig", &sign(text.as_bytes()))]);
    let id = ring().ids().nth(1).unwrap().to_owned();
    for mode in [SignatureMode::Warn, SignatureMode::Require] {
        let release = run(&zip, mode, ring()).release();
        assert_eq!(
            (&release.verdict.trust.checked, release.verdict.notes.len()),
            (&Checked::VendorSigned(id.clone()), 0)
        );
    }
    let release = run(&zip, SignatureMode::Off, ring()).release();
    assert_eq!((release.verdict.trust.checked, release.verdict.notes.len()), (Checked::VendorHashed, 0));
}

#[test]
fn bad_signatures_by_mode_c32_c33() {
    let ours = text("1.0.1");
    let good = sign(ours.as_bytes());
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    let other_version = sign(text("1.0.2").as_bytes());
    let table: [(&str, Option<&[u8]>, KeyRing, Reason); 6] = [
        ("absent", None, ring(), Reason::SignatureMissing),
        ("empty", Some(b""), ring(), Reason::SignatureUnverified),
        ("of another version", Some(&other_version), ring(), Reason::SignatureUnverified),
        ("truncated", Some(&good[..200]), ring(), Reason::SignatureUnverified),
        ("flipped", Some(&flipped), ring(), Reason::SignatureUnverified),
        ("by an unknown key", Some(&good), KeyRing::built_in(), Reason::SignatureUnverified),
    ];
    for (name, signature, keys, reason) in table {
        let mut members: Vec<(&str, &[u8])> = vec![("manifest.json", ours.as_bytes())];
        members.extend(signature.map(|signature| ("manifest.sig", signature)));
        let zip = zip_of(&members);
        run(&zip, SignatureMode::Require, keys.clone()).refused(reason);
        let release = run(&zip, SignatureMode::Warn, keys.clone()).release();
        assert_eq!(release.verdict.trust.checked, Checked::VendorHashed, "{name}");
        assert_eq!(release.verdict.notes.iter().map(|note| note.reason).collect::<Vec<_>>(), [reason], "{name}");
        assert_eq!(run(&zip, SignatureMode::Off, keys).notes(), [], "{name}");
    }
}

#[test]
fn a_signature_beyond_any_key_is_refused() {
    let text = text("1.0.1");
    let zip = zip_of(&[("manifest.json", text.as_bytes()), ("manifest.sig", &[7; 70_000])]);
    run(&zip, SignatureMode::Warn, ring()).refused(Reason::MemberDamaged);
}
