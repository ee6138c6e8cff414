//! Files with public keys.

use trust::{KeyRing, SignatureCheck};

use crate::fit_to_show;

/// Text as a file of public keys: what is taken gives each key one id, and verifies nothing that it should not.
pub fn pem_keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match KeyRing::empty().with_pem(text) {
        Ok(ring) => sound(text, &ring),
        Err(error) => {
            fit_to_show(&error.to_string());
            assert!(KeyRing::built_in().with_pem(text).is_err(), "taken beside other keys only");
        }
    }
}

fn sound(text: &str, ring: &KeyRing) {
    let mut ids: Vec<&str> = ring.ids().collect();
    assert!((1..=64).contains(&ids.len()));
    assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())), "{ids:?}");
    ids.sort_unstable();
    assert!(ids.is_sorted_by(|a, b| a < b), "one key, two places: {ids:?}");
    assert_eq!(ring.clone().with_pem(text).as_ref(), Ok(ring), "a key counts twice");
    let windows = text.replace("\r\n", "\n").replace('\n', "\r\n");
    assert_eq!(KeyRing::empty().with_pem(&windows).as_ref(), Ok(ring), "how lines end changes keys");
    for signature in [&[][..], &[0; 256], &[1; 512], text.as_bytes()] {
        assert_eq!(ring.verify(text.as_bytes(), signature), SignatureCheck::Unverified);
    }
}
