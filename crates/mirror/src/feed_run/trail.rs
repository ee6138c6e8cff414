//! What one conversation with a vendor leaves for the record: where each file came from, and who vouches for that.

use model::{Attestation, Exchange, Provenance, TlsAnchor};
use vendors::{FetchedItem, Validator, Want};

/// What a conversation leaves for the record.
#[derive(Default)]
pub(super) struct Trail {
    pub(super) provenance: Provenance,
    pub(super) weakest: Option<TlsAnchor>,
    pub(super) validator: Option<(String, Validator)>,
}

impl Trail {
    /// The first document's validator is the one that the next run is conditional on.
    pub(super) fn document(&mut self, url: String, validator: Validator, exchange: Option<&Exchange>) {
        self.validator.get_or_insert((url, validator));
        if let Some(exchange) = exchange {
            self.weaken(exchange.anchor);
            self.provenance.exchanges.push(exchange.clone());
        }
    }

    pub(super) fn file(&mut self, want: &Want, item: &FetchedItem) {
        let Some(exchange) = &item.exchange else { return };
        if want.digest.is_none() {
            self.weaken(exchange.anchor);
            self.provenance.exchanges.push(exchange.clone());
            return;
        }
        let host = exchange.urls.last().and_then(|url| url::Url::parse(url).ok());
        let host = host.as_ref().and_then(url::Url::host_str).unwrap_or_default().to_owned();
        match self.provenance.artifact_hosts.iter_mut().find(|(known, _)| *known == host) {
            Some((_, anchor)) => *anchor = weaker(*anchor, exchange.anchor),
            None => self.provenance.artifact_hosts.push((host, exchange.anchor)),
        }
    }

    pub(super) fn weaken(&mut self, anchor: TlsAnchor) {
        self.weakest = Some(self.weakest.map_or(anchor, |known| weaker(known, anchor)));
    }
}

fn weaker(a: TlsAnchor, b: TlsAnchor) -> TlsAnchor {
    let rank = |anchor| match anchor {
        TlsAnchor::PublicRoot => 0,
        TlsAnchor::SystemRoot => 1,
        TlsAnchor::CaFile => 2,
        TlsAnchor::None => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}

/// What the weakest of the connections vouches for.
pub(super) fn attestation(weakest: Option<TlsAnchor>) -> Attestation {
    match weakest {
        Some(TlsAnchor::PublicRoot) => Attestation::PublicTls,
        Some(TlsAnchor::SystemRoot) => Attestation::SystemTls,
        Some(TlsAnchor::CaFile) => Attestation::CaFileTls,
        Some(TlsAnchor::None) | None => Attestation::PlainHttp,
    }
}
