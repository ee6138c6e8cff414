//! The zip that carries a manifest and its signature.

use std::io::{Cursor, Read as _};

use model::{Note, Reason, Timestamp};

use crate::ReadSeek;
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

/// Whether a file is a zip that carries a manifest, or begins like one: whoever reads its first member alone, as the
/// vendor's page has people do, would take it for one.
pub fn is_manifest(bytes: &mut dyn ReadSeek) -> bool {
    const NAME: &[u8] = b"manifest.json";
    /// A local header before its name, and where it says how long that is.
    const HEADER: usize = 30;
    let mut start = Vec::new();
    if (&mut *bytes).take(64).read_to_end(&mut start).is_err() || !start.starts_with(MAGIC) {
        return false;
    }
    let length = start
        .get(26..28)
        .map(|length| usize::from(length.iter().rev().fold(0, |all, byte| all << 8 | u16::from(*byte))));
    if length == Some(NAME.len()) && start.get(HEADER..HEADER + NAME.len()) == Some(NAME) {
        return true;
    }
    let caps = Caps {
        entries: 100_000,
        name_bytes: 1024,
        member_bytes: u64::MAX,
        total_bytes: u64::MAX,
        ratio: u64::MAX,
        folders: true,
    };
    bytes.rewind().is_ok() && Archive::open(bytes, &caps).is_ok_and(|archive| archive.find("manifest.json").is_some())
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn zip_of(names: &[&str]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(b"{}").unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn a_manifest_is_told_from_other_files_wherever_it_stands_in_its_zip() {
        let is = |bytes: &[u8]| is_manifest(&mut Cursor::new(bytes.to_vec()));
        assert!(is(&zip_of(&["manifest.json", "manifest.sig"])) && is(&zip_of(&["a", "manifest.json"])));
        let whole = zip_of(&["manifest.json"]);
        assert!(is(&whole[..50]), "cut, it is still read as one by who reads its beginning");
        for other in [&zip_of(&["rules.json"])[..], b"", b"PK\x03\x04", b"<html>manifest.json", &[0x78, 0x9c, 1]] {
            assert!(!is(other), "{other:?}");
        }
    }
}
