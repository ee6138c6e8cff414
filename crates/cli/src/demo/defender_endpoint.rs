//! A Microsoft Defender endpoint, as far as its behaviour is public: one archive at one fixed address.

use std::io::Cursor;

use model::Digest;
use serde::Deserialize;
use vendors::zip::{Archive, Caps};

use super::client::Client;

/// Far more than the demo's archives have.
const CAPS: Caps =
    Caps { entries: 100, name_bytes: 255, member_bytes: 64 << 20, total_bytes: 128 << 20, ratio: 200, folders: true };

/// The `manifest.json` that stands beside an archive, as Microsoft's script writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Companion {
    engine_version: String,
    definition_version: String,
}

/// What an endpoint got.
#[derive(Clone)]
pub(super) struct DefenderUpdate {
    /// `x86_64`, `arm64`.
    pub(super) architecture: String,
    pub(super) definitions: String,
    pub(super) engine: String,
    /// The digest of the archive.
    pub(super) digest: Digest,
    /// Bytes of the archive.
    pub(super) bytes: u64,
    /// Files in it, each with the right checksum.
    pub(super) members: usize,
    path: String,
    etag: String,
}

/// One update from a track: `production`, or `production_back` for the release before.
pub(super) async fn update(client: &Client, track: &str, architecture: &str) -> Result<DefenderUpdate, String> {
    let folder = format!("/linux/{track}/arch_{architecture}");
    let companion = client.file(&format!("{folder}/manifest.json")).await?;
    let companion: Companion =
        serde_json::from_slice(&companion.body).map_err(|error| format!("{folder}/manifest.json: {error}"))?;
    let path = format!("{folder}/updates.zip");
    let got = client.file(&path).await?;
    let members = whole(&got.body).map_err(|error| format!("{path}: {error}"))?;
    Ok(DefenderUpdate {
        architecture: architecture.to_owned(),
        definitions: companion.definition_version,
        engine: companion.engine_version,
        digest: Digest::of(&got.body),
        bytes: got.body.len() as u64,
        members,
        path,
        etag: got.etag,
    })
}

impl DefenderUpdate {
    /// Asks again with the ETag.
    pub(super) async fn poll(&self, client: &Client) -> Result<(), String> {
        client.nothing_new(&self.path, &self.etag).await
    }
}

fn whole(bytes: &[u8]) -> Result<usize, String> {
    let mut cursor = Cursor::new(bytes);
    let mut archive = Archive::open(&mut cursor, &CAPS).map_err(|error| error.to_string())?;
    archive.check_all().map_err(|error| error.to_string())?;
    Ok(archive.members().len())
}
