//! Why a client was turned away at its handshake, in words that name what to do.

use std::io;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, InvalidMessage, PeerIncompatible,
    SignatureScheme,
};

/// Why no TLS came about.
pub(crate) fn why_no_tls(error: &io::Error) -> String {
    let known = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let words = match known {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "what it sent is no TLS; does it speak plain HTTP here?"
        }
        Some(Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)) => {
            "no revocation list says anything of its certificate: every authority in its chain needs one in client_crl"
        }
        Some(Error::PeerIncompatible(
            PeerIncompatible::SignatureAlgorithmsExtensionRequired | PeerIncompatible::Tls12NotOffered,
        )) => "it offers neither TLS 1.2 nor 1.3",
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// Judges as another one does, and tells the log whose certificate was refused: many clients may share an address.
#[derive(Debug)]
pub(super) struct Telling(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Telling {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(end_entity, intermediates, now).inspect_err(|why| {
            let serial =
                crate::expiry::serial_of(end_entity).map(|serial| serial.iter().map(|byte| format!("{byte:02X}")));
            let serial = serial.map(|digits| digits.collect::<Vec<_>>().join(":")).unwrap_or_default();
            tracing::info!(serial, %why, "a client's certificate was refused");
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }
}
