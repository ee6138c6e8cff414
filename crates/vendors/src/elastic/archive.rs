//! The zip that carries a manifest and its signature.

use std::io::Cursor;

use model::{Note, Reason, Timestamp};

use crate::zip::{Archive, Caps};

/// A signature of the largest key that is used has 1,024 bytes.
const SIGNATURE_CAP: u64 = 64 << 10;
/// What every zip with a member begins with.
const MAGIC: &[u8] = b"PK\x03\x04";

/// What the zip holds of what is known here; other members are nobody's business.
#[derive(Debug)]
pub(super) struct Members {
    /// The bytes of `manifest.json`, exactly.
    pub(super) manifest: Vec<u8>,
    /// The bytes of `manifest.sig`, exactly.
    pub(super) signature: Option<Vec<u8>>,
    /// The date that `manifest.json` has in the zip.
    pub(super) modified: Option<Timestamp>,
}

/// Opens the zip, if every reader sees the same in it.
pub(super) fn open(bytes: &[u8], cap: u64) -> Result<Members, Note> {
    if !bytes.starts_with(MAGIC) {
        return Err(not_manifest(&describe(bytes)));
    }
    let caps = Caps {
        entries: 64,
        name_bytes: 255,
        member_bytes: cap,
        total_bytes: cap.saturating_add(SIGNATURE_CAP),
        ratio: 200,
        folders: false,
    };
    let mut cursor = Cursor::new(bytes);
    let refused = |error: crate::zip::ZipError| Note { reason: error.reason(), detail: error.to_string() };
    let mut archive = Archive::open(&mut cursor, &caps).map_err(refused)?;
    let Some(index) = archive.find("manifest.json") else {
        return Err(not_manifest("the zip holds no manifest.json"));
    };
    let signature = match archive.find("manifest.sig") {
        Some(index) => Some(archive.read(index, SIGNATURE_CAP).map_err(refused)?),
        None => None,
    };
    let modified = archive.members().get(index).and_then(|member| member.modified);
    Ok(Members { modified, manifest: archive.read(index, cap).map_err(refused)?, signature })
}

fn not_manifest(detail: &str) -> Note {
    Note { reason: Reason::NotManifest, detail: detail.to_owned() }
}

/// What came in the zip's place, for a person who looks for the culprit.
fn describe(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "an empty body came, not a zip".to_owned();
    }
    let start = bytes.get(..bytes.len().min(40)).unwrap_or_default();
    format!("{} bytes came that are no zip; they begin with '{}'", bytes.len(), start.escape_ascii())
}
