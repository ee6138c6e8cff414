//! Fetching one file, whole, into the spool.

use blob_store::{BlobWriter, Expected, StoreError};
use model::{Digest, Held};

use crate::Check;
use crate::finding::Finding;
use crate::play::Scene;
use crate::play::facts::{Edges, Facts, Role};
use crate::play::spool::Spool;
use crate::wire::{Ask, Connection, Head, WireError};

/// What is known of a file before it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) digest: Option<Digest>,
    pub(crate) size: Option<u64>,
    /// The most bytes that are taken.
    pub(crate) cap: u64,
}

/// A file as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) route: String,
    pub(crate) role: Role,
    pub(crate) declared: Declared,
}

/// A plain request, as an endpoint sends it.
pub(crate) const PLAIN: &str = "GET";

impl Scene<'_> {
    /// Asks for a file plainly; what is wrong with the answer's head is told, and without one there is no file.
    pub(crate) async fn open(&self, wanted: &Wanted, findings: &mut Vec<Finding>) -> Option<(Connection, Head)> {
        let route = wanted.route.as_str();
        let (connection, head) = match self.client.begin(&Ask::get(route)).await {
            Ok(answer) => answer,
            Err(error) => {
                findings.push(broken(wanted, &error));
                return None;
            }
        };
        if head.status != 200 {
            findings.push(refused(wanted, &head));
            return None;
        }
        if let Some(coding) = head.coding() {
            findings.push(Finding::fail(Check::Coding, route, PLAIN, format!("Content-Encoding: {coding}")));
            return None;
        }
        if head.length().is_none() {
            let came = if head.is_chunked() { "chunks, and no Content-Length" } else { "no Content-Length" };
            findings.push(Finding::warn(Check::Length, route, PLAIN, came));
        }
        Some((connection, head))
    }

    /// Fetches a file whole and compares it with what is declared.
    pub(crate) async fn fetch(&self, wanted: &Wanted, spool: &Spool) -> (Option<(Facts, Held)>, Vec<Finding>) {
        let mut findings = Vec::new();
        let Some((mut connection, head)) = self.open(wanted, &mut findings).await else { return (None, findings) };
        let mut edges = Edges::default();
        let length = head.length();
        let took = take(&mut connection, &mut edges, (wanted, length), spool).await;
        match took {
            Ok(held) => {
                self.client.give_back(connection);
                let facts = Facts {
                    route: wanted.route.clone(),
                    role: wanted.role,
                    head,
                    size: held.size(),
                    digest: Some(held.digest()),
                    first: edges.first,
                    last: edges.last,
                };
                (Some((facts, held)), findings)
            }
            Err(finding) => {
                findings.push(*finding);
                (None, findings)
            }
        }
    }
}

async fn take(
    connection: &mut Connection,
    edges: &mut Edges,
    (wanted, length): (&Wanted, Option<u64>),
    spool: &Spool,
) -> Result<Held, Box<Finding>> {
    let unstored = |why: String| Box::new(Finding::fail(Check::Spool, &wanted.route, "to store it for a look", why));
    let mut writer = spool.begin(length).await.map_err(unstored)?;
    while let Some(piece) = connection.next().await.map_err(|error| Box::new(cut(wanted, &error)))? {
        if writer.written().saturating_add(piece.len() as u64) > wanted.declared.cap {
            let came = format!("more than {} bytes", wanted.declared.cap);
            return Err(Box::new(Finding::fail(Check::ArtifactSize, &wanted.route, expected(wanted), came)));
        }
        edges.take(&piece);
        writer.write(piece).await.map_err(|error| unstored(model::error_chain(&error)))?;
    }
    finish(writer, wanted).await
}

async fn finish(writer: Box<dyn BlobWriter>, wanted: &Wanted) -> Result<Held, Box<Finding>> {
    let Declared { digest, size, .. } = wanted.declared;
    match writer.finish(Expected { digest, size }).await {
        Ok(held) => Ok(held),
        Err(StoreError::Mismatch { actual, size: came, .. }) => {
            let check = if size.is_some_and(|size| size != came) { Check::ArtifactSize } else { Check::ArtifactDigest };
            let came = format!("{came} bytes with digest {actual}");
            Err(Box::new(Finding::fail(check, &wanted.route, expected(wanted), came)))
        }
        Err(error) => {
            let text = model::error_chain(&error);
            Err(Box::new(Finding::fail(Check::Spool, &wanted.route, "to store it for a look", text)))
        }
    }
}

fn expected(wanted: &Wanted) -> String {
    match (wanted.declared.size, wanted.declared.digest) {
        (Some(size), Some(digest)) => format!("{size} bytes with digest {digest}"),
        _ => format!("at most {} bytes", wanted.declared.cap),
    }
}

/// What to do about a mirror that asks for what no vendor's endpoint is known to show.
pub(crate) const CLOSED: &str = "Neither vendor's endpoint is known to show a mirror credentials or a certificate: give endpoints a \
    listener that asks for none (`allow` says who may come), and examine that one.";

/// What came from such a mirror.
pub(crate) const NO_CREDENTIALS: &str = "401: it asks for credentials, and `doctor` shows none";
pub(crate) const NO_CERTIFICATE: &str = "it asks for a client's certificate, and `doctor` shows none";

/// Whoever names a file that is missing is at fault, not the file.
fn refused(wanted: &Wanted, head: &Head) -> Finding {
    let route = wanted.route.as_str();
    let mut came = head.status.to_string();
    if head.is_redirect() {
        came.push_str(&format!(" to {}", head.field("location").unwrap_or("nowhere")));
        return Finding::fail(Check::Redirect, route, PLAIN, came);
    }
    if head.status == 401 {
        return Finding::fail(Check::Status, route, PLAIN, NO_CREDENTIALS).with_remedy(CLOSED);
    }
    let gone = matches!(head.status, 403 | 404 | 410);
    let check = match wanted.role {
        Role::Artifact if gone => Check::ArtifactMissing,
        Role::Companion if gone => return Finding::warn(Check::Companion, route, PLAIN, came),
        Role::Manifest | Role::Archive if gone => Check::NotFound,
        _ => Check::Status,
    };
    Finding::fail(check, route, PLAIN, came)
}

/// The answer began, and the body did not come to its end: it stalled, or the connection went.
fn cut(wanted: &Wanted, error: &WireError) -> Finding {
    match error {
        WireError::Slow(..) | WireError::Broken(_) | WireError::Closed => {
            Finding::fail(Check::ArtifactCut, &wanted.route, PLAIN, model::error_chain(error))
        }
        other => broken(wanted, other),
    }
}

/// Whether a server ended it because it got no certificate (RFC 8446, 6.2: `certificate_required`).
pub(crate) fn asks_for_certificate(error: &WireError) -> bool {
    model::error_chain(error).contains("CertificateRequired")
}

fn broken(wanted: &Wanted, error: &WireError) -> Finding {
    if asks_for_certificate(error) {
        return Finding::fail(Check::Status, &wanted.route, PLAIN, NO_CERTIFICATE).with_remedy(CLOSED);
    }
    let check = match error {
        WireError::Short { .. } => Check::ArtifactCut,
        WireError::Deadline => Check::Deadline,
        WireError::BadLength(_) => Check::Length,
        _ => Check::Status,
    };
    Finding::fail(check, &wanted.route, PLAIN, model::error_chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_that_asks_who_comes_is_told_as_that() {
        let declared = Declared { digest: None, size: None, cap: 1 };
        let wanted = Wanted { route: "/x".to_owned(), role: Role::Archive, declared };
        let (head, _) = Head::parse(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").unwrap().unwrap();
        let finding = refused(&wanted, &head);
        assert!(finding.came.contains("asks for credentials") && finding.remedy == CLOSED, "{finding:?}");
        let alert = std::io::Error::other("received fatal alert: CertificateRequired");
        let finding = broken(&wanted, &WireError::Broken(alert));
        assert!(finding.came.contains("a client's certificate") && finding.remedy == CLOSED, "{finding:?}");
    }

    #[test]
    fn a_body_that_does_not_come_to_its_end_is_told_as_that_u02() {
        let declared = Declared { digest: None, size: None, cap: 1 };
        let wanted = Wanted { route: "/x".to_owned(), role: Role::Artifact, declared };
        let broke = WireError::Broken(std::io::Error::other("reset"));
        let short = WireError::Short { got: 1, announced: Some(2) };
        for error in [WireError::Slow("the next bytes", 30), broke, short, WireError::Closed] {
            assert_eq!(cut(&wanted, &error).check, Check::ArtifactCut, "{error}");
        }
        assert_eq!(cut(&wanted, &WireError::Deadline).check, Check::Deadline);
        assert_eq!(broken(&wanted, &WireError::Slow("the head", 20)).check, Check::Status);
    }
}
