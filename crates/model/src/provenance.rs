//! Where bytes came from and who attested them on the way.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What vouched for the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsAnchor {
    /// A root of the public list that this program was built with.
    PublicRoot,
    /// A root that only this machine's own trust store holds.
    SystemRoot,
    /// A root out of the configured `ca_file`: an intercepting proxy or an internal origin.
    CaFile,
    /// Plain HTTP: nobody vouched.
    None,
}

/// One request and its answer, as far as an auditor asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Every URL asked, redirects included, the last being the one that answered. Never holds credentials.
    pub urls: Vec<String>,
    /// The answer's status.
    pub status: u16,
    /// What vouched for the server that answered.
    pub anchor: TlsAnchor,
    /// The proxy that carried it, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The answer's headers that say something about the content: ETag, Last-Modified, Date, Cache-Control,
    /// Content-Type, Content-Language, Content-Length, Via, Age, Server. Values are cut at 256 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// When the answer's head arrived.
    pub at: Timestamp,
}

/// Where a release's bytes came from: kept with the release for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The requests that brought manifests, infos and archives. Artifacts bound by a manifest's digest are
    /// summed up by `artifact_hosts`.
    pub exchanges: Vec<Exchange>,
    /// The hosts that artifacts came from, with the weakest anchor seen for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifact_hosts: Vec<(String, TlsAnchor)>,
    /// The folder that a person brought, when it was no network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The id of the key whose signature was checked and found good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}
