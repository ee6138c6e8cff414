//! TLS of a mirror: the chain, the names, the time, the versions.

use std::time::Duration;

use model::{Timestamp, TlsAnchor};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, OtherError};

use crate::Check;
use crate::certificate::Certificate;
use crate::finding::{Finding, clean};
use crate::play::Scene;
use crate::play::fetch::{CLOSED, asks_for_certificate};
use crate::tls::{Handshake, Roots, version_words, wrong_name};
use crate::wire::Connection;

/// A certificate that ends sooner is worth a warning.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Looks at the server's certificates and versions.
pub(crate) async fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let client = &scene.client;
    let (Some(handshake), Some(roots)) = (client.handshake(), &scene.roots) else { return Vec::new() };
    let mut findings = chain(roots, &handshake.chain, &client.place.name, scene.examination.clock.now());
    findings.push(versions(scene, &handshake).await);
    findings
}

/// What a chain is worth under a name.
pub(crate) fn chain(roots: &Roots, chain: &[CertificateDer<'static>], name: &str, now: Timestamp) -> Vec<Finding> {
    let asked = "the certificates presented";
    let read: Vec<Certificate> = chain.iter().filter_map(|one| Certificate::read(one)).collect();
    let names: Vec<String> = read.iter().map(|one| format!("{} by {}", one.subject.words, one.issuer.words)).collect();
    let shown = names.join(", ");
    let mut findings = match roots.judge(chain, name, now) {
        Ok(anchor) => {
            vec![Finding::ok(Check::TlsTrust, name, asked, format!("{shown}: vouched for by {}", anchor_words(anchor)))]
        }
        Err(error) => {
            let first = refused(roots, &read, name, &shown, &error);
            let other = if first.check == Check::TlsName { None } else { named(roots, chain, name) };
            std::iter::once(first).chain(other).collect()
        }
    };
    if let Some(leaf) = read.first() {
        let ended = read.iter().any(|one| one.not_after < now || one.not_before > now);
        let (until, already) = (leaf.not_after, findings.iter().any(|finding| finding.check == Check::TlsTime));
        let came = format!("{} is valid until {until}", leaf.subject.words);
        if !already && !ended {
            let soon = until.since(now) < SOON;
            let level = if soon { Finding::warn } else { Finding::ok };
            findings.push(level(Check::TlsTime, name, asked.to_owned(), came));
        } else if !already {
            findings.push(Finding::fail(Check::TlsTime, name, asked, format!("{shown}: one of them is not valid now")));
        }
    }
    findings
}

fn refused(roots: &Roots, read: &[Certificate], name: &str, shown: &str, error: &CertificateError) -> Finding {
    let asked = "the certificates presented";
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            let until = read.first().map(|leaf| format!("{} to {}", leaf.not_before, leaf.not_after));
            let came = format!("{shown}: valid from {}", until.unwrap_or_default());
            Finding::fail(Check::TlsTime, name, asked, came)
        }
        CertificateError::NotValidForName => Finding::fail(Check::TlsName, name, asked, shown),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            let for_whom = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            Finding::fail(Check::TlsName, name, asked, clean(&format!("{shown}: for {for_whom}")))
        }
        CertificateError::UnknownIssuer => match read.last() {
            Some(last) if !last.is_its_own() && !roots.knows(&last.issuer.der) => {
                let came =
                    format!("{shown}: '{}' is neither presented nor a root that is known here", last.issuer.words);
                Finding::fail(Check::TlsChain, name, asked, came)
            }
            _ => Finding::fail(Check::TlsTrust, name, asked, format!("{shown}: no root that is known here")),
        },
        CertificateError::Other(OtherError(cause)) => {
            let (words, remedy) = of_path(cause.downcast_ref());
            let finding = Finding::fail(Check::TlsTrust, name, asked, format!("{shown}: {words}"));
            match remedy {
                Some(remedy) => finding.with_remedy(remedy),
                None => finding,
            }
        }
        other => Finding::fail(Check::TlsTrust, name, asked, clean(&format!("{shown}: {other}"))),
    }
}

/// What the building of a path says that rustls has no word for, and what to do where the check's remedy is not it.
fn of_path(cause: Option<&webpki::Error>) -> (&'static str, Option<&'static str>) {
    match cause {
        Some(webpki::Error::CaUsedAsEndEntity) => (
            "the server presents an authority's own certificate (CA:TRUE), which is not one for servers",
            Some(
                "Issue the server a certificate of its own (`basicConstraints = CA:FALSE`, with its name in subjectAltName) and let endpoints trust who signed it: curl takes an authority's own, this program and others do not.",
            ),
        ),
        Some(webpki::Error::EndEntityUsedAsCa) => {
            ("it was signed by a server's certificate, not by an authority's", None)
        }
        Some(webpki::Error::NameConstraintViolation) => {
            ("an authority in the chain may not sign for this name (name constraints)", None)
        }
        Some(webpki::Error::PathLenConstraintViolated) => ("an authority in the chain may not make others", None),
        _ => ("the chain breaks a rule of X.509", None),
    }
}

/// A presented name without the type that rustls writes around it: `DnsName("a")`, `IpAddress(1.2.3.4)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// Whether the server's own certificate is for the name, where the chain alone did not come so far as to say.
fn named(roots: &Roots, chain: &[CertificateDer<'static>], name: &str) -> Option<Finding> {
    let error = wrong_name(chain.first()?, name)?;
    Some(refused(roots, &[], name, "its own certificate", &error)).filter(|finding| finding.check == Check::TlsName)
}

/// Who vouches, in words.
pub(crate) fn anchor_words(anchor: TlsAnchor) -> &'static str {
    match anchor {
        TlsAnchor::PublicRoot => "a public root",
        TlsAnchor::SystemRoot => "this machine's trust store",
        TlsAnchor::CaFile => "the CA file",
        TlsAnchor::None => "nobody",
    }
}

/// What it speaks beside what was agreed on.
async fn versions(scene: &Scene<'_>, handshake: &Handshake) -> Finding {
    let client = &scene.client;
    let (on, asked) = (client.place.authority.as_str(), "handshakes with TLS 1.3 and 1.2");
    let agreed = version_words(handshake.version);
    let middle = Connection::open_with(&client.place, &client.way, client.waits, &[&rustls::version::TLS12]).await;
    match middle {
        Ok(_) => Finding::ok(Check::TlsVersion, on, asked, format!("{agreed}; TLS 1.2 too")),
        Err(error) if asks_for_certificate(&error) => {
            let came = format!("{agreed}: it asks for a client's certificate, and `doctor` shows none");
            Finding::warn(Check::TlsVersion, on, asked, came).with_remedy(CLOSED)
        }
        Err(error) => {
            let came = format!("{agreed} alone; TLS 1.2: {}", model::error_chain(&error));
            Finding::warn(Check::TlsVersion, on, asked, came)
        }
    }
}
