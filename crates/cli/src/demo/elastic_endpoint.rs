//! An Elastic Defend endpoint, as far as its behaviour is public: manifest, signature, artifacts, hashes, ETag.

use std::collections::BTreeMap;
use std::io::Cursor;

use model::Digest;
use serde::Deserialize;
use trust::{KeyRing, SignatureCheck};
use vendors::zip::{Archive, Caps};

use super::client::Client;

/// Far more than the demo's manifests have.
const CAPS: Caps =
    Caps { entries: 8, name_bytes: 255, member_bytes: 16 << 20, total_bytes: 32 << 20, ratio: 200, folders: false };

#[derive(Deserialize)]
struct Manifest {
    manifest_version: String,
    artifacts: BTreeMap<String, Artifact>,
}

/// What a manifest says of one artifact; an endpoint looks at no more.
#[derive(Clone, Deserialize)]
pub(super) struct Artifact {
    relative_url: String,
    encoded_size: u64,
    encoded_sha256: Digest,
}

/// What an endpoint got.
#[derive(Clone)]
pub(super) struct ElasticUpdate {
    /// The endpoint's own version.
    pub(super) endpoint: String,
    /// `1.0.N`.
    pub(super) version: String,
    /// The digest of the manifest's archive.
    pub(super) digest: Digest,
    pub(super) artifacts: Vec<Artifact>,
    /// Bytes of manifest and artifacts.
    pub(super) bytes: u64,
    path: String,
    etag: String,
}

/// One update: nothing of it counts unless all of it is right.
pub(super) async fn update(client: &Client, keys: &KeyRing, endpoint: &str) -> Result<ElasticUpdate, String> {
    let path = format!("/downloads/endpoint/manifest/artifacts-{endpoint}.zip");
    let got = client.file(&path).await?;
    if got.etag.contains('-') || !got.etag.starts_with('"') {
        return Err(format!("{path}: endpoints stumble over the ETag {}", got.etag));
    }
    let manifest = open(&got.body, keys).map_err(|error| format!("{path}: {error}"))?;
    let artifacts: Vec<Artifact> = manifest.artifacts.into_values().collect();
    let bytes = got.body.len() as u64 + fetch(client, &artifacts).await?;
    let (version, digest) = (manifest.manifest_version, Digest::of(&got.body));
    Ok(ElasticUpdate { endpoint: endpoint.to_owned(), version, digest, artifacts, bytes, path, etag: got.etag })
}

impl ElasticUpdate {
    /// Asks again with the ETag.
    pub(super) async fn poll(&self, client: &Client) -> Result<(), String> {
        client.nothing_new(&self.path, &self.etag).await
    }

    /// Fetches what this manifest names once more, as an endpoint does that read it before a newer one came.
    pub(super) async fn finish(&self, client: &Client) -> Result<u64, String> {
        fetch(client, &self.artifacts).await
    }
}

fn open(bytes: &[u8], keys: &KeyRing) -> Result<Manifest, String> {
    let mut cursor = Cursor::new(bytes);
    let mut archive = Archive::open(&mut cursor, &CAPS).map_err(|error| error.to_string())?;
    let mut member = |name: &str| {
        let index = archive.find(name).ok_or_else(|| format!("no {name} in the archive"))?;
        archive.read(index, CAPS.member_bytes).map_err(|error| error.to_string())
    };
    let (json, signature) = (member("manifest.json")?, member("manifest.sig")?);
    match keys.verify(&json, &signature) {
        SignatureCheck::Good { .. } => serde_json::from_slice(&json).map_err(|error| error.to_string()),
        SignatureCheck::Unverified => Err("the signature is not the vendor's".to_owned()),
    }
}

async fn fetch(client: &Client, artifacts: &[Artifact]) -> Result<u64, String> {
    let mut bytes = 0;
    for artifact in artifacts {
        let got = client.file(&artifact.relative_url).await?;
        if got.body.len() as u64 != artifact.encoded_size || Digest::of(&got.body) != artifact.encoded_sha256 {
            return Err(format!("{}: not the bytes that the manifest names", artifact.relative_url));
        }
        bytes += artifact.encoded_size;
    }
    Ok(bytes)
}
