//! What went wrong with TLS, in words of its own for each.

use model::Timestamp;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use super::chain::ChainFault;
use crate::text::escape;

/// What went wrong with TLS, for people.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => certificate_words(problem),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the host offers TLS 1.1 or older alone".to_owned()
        }
        Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the host does not speak HTTP/1.1".to_owned()
        }
        Error::AlertReceived(alert) => format!("the host ended the TLS handshake: {alert:?}"),
        Error::PeerIncompatible(why) => {
            format!(
                "the host offers no TLS version or cipher that is safe: {}",
                escape(format!("{why:?}").as_bytes(), 128)
            )
        }
        Error::InvalidMessage(_) => "what the host sent is not TLS".to_owned(),
        other => format!("TLS failed: {}", escape(other.to_string().as_bytes(), 200)),
    }
}

fn certificate_words(problem: &CertificateError) -> String {
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => format!("the certificate expired at {}", moment(not_after)),
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", moment(not_before))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::UnknownIssuer => {
            "the certificate leads to no root that is known here: neither public, nor the system's, nor in origin.ca_file"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => other_names(expected, presented),
        CertificateError::NotValidForName => "the certificate is for another host".to_owned(),
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not meant for servers".to_owned()
        }
        CertificateError::BadEncoding => "the certificate is malformed".to_owned(),
        CertificateError::BadSignature => "a signature in the certificate's chain is wrong".to_owned(),
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            format!("a certificate in the chain is signed with {}, which is not safe", algorithm(signature_algorithm_id))
        }
        CertificateError::Other(OtherError(cause)) => match cause.downcast_ref::<ChainFault>() {
            Some(fault) => fault.to_string(),
            None => of_path(cause.downcast_ref()).unwrap_or_else(|| refused(problem)),
        },
        other => refused(other),
    }
}

fn moment(time: &UnixTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

fn refused(problem: &CertificateError) -> String {
    format!("the certificate was refused: {}", escape(problem.to_string().as_bytes(), 200))
}

fn other_names(expected: &ServerName<'_>, presented: &[String]) -> String {
    let names: Vec<String> = presented.iter().take(5).map(|name| escape(bare(name).as_bytes(), 80)).collect();
    let addresses = !presented.is_empty() && presented.iter().all(|name| name.starts_with("IpAddress"));
    let only = if addresses && matches!(expected, ServerName::DnsName(_)) { "addresses alone: " } else { "" };
    format!("the certificate is not for {} but for {only}{}", expected.to_str(), names.join(", "))
}

/// A presented name without the type that rustls writes around it: `DnsName("a")`, `IpAddress(1.2.3.4)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// The name of a signature algorithm, from its identifier in DER.
fn algorithm(identifier: &[u8]) -> &'static str {
    /// 1.2.840.113549.1.1: RSA with some digest, which the next number says.
    const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    let which = identifier.windows(9).find(|part| part.starts_with(&RSA)).and_then(|part| part.last());
    match which {
        Some(5) => "SHA-1",
        Some(2..=4) => "MD5 or older",
        _ => "an algorithm that is not known here",
    }
}

/// What the building of a path says that rustls has no word for.
fn of_path(cause: Option<&webpki::Error>) -> Option<String> {
    let text = match cause? {
        webpki::Error::NameConstraintViolation => {
            "an authority in the certificate's chain may not sign for this name (name constraints)"
        }
        webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumSignatureChecksExceeded => "the certificate's chain is longer than is followed",
        webpki::Error::CaUsedAsEndEntity => "the certificate is an authority's and not a host's",
        webpki::Error::EndEntityUsedAsCa => "the certificate was signed by a host and not by an authority",
        webpki::Error::PathLenConstraintViolated => "an authority in the certificate's chain may not make others",
        _ => return None,
    };
    Some(text.to_owned())
}
