//! Certificates and heads of answers that any mirror presents to `doctor`.

use doctor::fuzzing;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::fit_to_show;

/// DER as a certificate: what is taken is fit to show, is read the same whatever follows, and names whom the library that
/// decides about trust finds named.
pub fn certificate(bytes: &[u8]) {
    let read = fuzzing::certificate(bytes);
    for at in (0..bytes.len()).step_by(bytes.len() / 16 + 1) {
        let cut = fuzzing::certificate(bytes.get(..at).unwrap_or_default());
        assert!(cut.is_none() || cut == read, "cut at {at} it is another");
    }
    let Some(read) = read else { return };
    assert_eq!(fuzzing::certificate(&[bytes, b"more"].concat()).as_ref(), Some(&read));
    read.words.iter().for_each(|words| fit_to_show(words));
    let der = CertificateDer::from(bytes);
    let Ok(other) = EndEntityCert::try_from(&der) else { return };
    assert_eq!((other.issuer(), other.subject()), (&*read.issuer, &*read.subject));
    assert!(read.is_ca.is_some(), "the library takes none that cannot say whether it may issue others");
}

/// Bytes as the head of a mirror's answer: what is whole is the same whatever follows, and nothing shorter is whole or
/// refused.
pub fn mirror_head(bytes: &[u8]) {
    match fuzzing::head(bytes) {
        Err(why) => fit_to_show(&why),
        Ok(None) => {}
        Ok(Some(head)) => {
            let whole = bytes.get(..head.2).expect("a head is no longer than what there is");
            assert_eq!(fuzzing::head(whole), Ok(Some(head)));
            for at in (0..whole.len()).step_by(whole.len() / 16 + 1) {
                assert_eq!(fuzzing::head(whole.get(..at).unwrap_or_default()), Ok(None), "cut at {at}");
            }
        }
    }
}
