//! The `manifest.json` beside an archive: read as Microsoft's two scripts leave it, written as the bash one does.

use bytes::Bytes;
use model::{VendorVersion, Version};
use serde::Deserialize;

use super::info::quad;

/// The most bytes of one.
pub(super) const CAP: u64 = 64 << 10;

/// Derived reading refuses a key that comes twice.
#[derive(Deserialize)]
struct Companion {
    #[serde(rename = "EngineVersion")]
    engine: String,
    #[serde(rename = "DefinitionVersion")]
    definitions: String,
}

/// Reads one.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<VendorVersion, String> {
    if body.len() as u64 > CAP {
        return Err("is larger than 64 KiB".to_owned());
    }
    let text = text(body).ok_or("is neither UTF-8 nor UTF-16 with a byte order mark")?;
    let read: Companion = serde_json::from_str(&text).map_err(|error| format!("is not the script's JSON: {error}"))?;
    if read.engine.trim().is_empty() || read.definitions.trim().is_empty() {
        return Err("has empty versions, which the script leaves when its download failed".to_owned());
    }
    match (quad(&read.definitions), quad(&read.engine)) {
        (Some(version), Some(engine)) => Ok(VendorVersion { version, engine: Some(engine) }),
        _ => Err("has versions that are not four numbers".to_owned()),
    }
}

/// Windows PowerShell writes UTF-16LE, or UTF-8, with a byte order mark.
fn text(body: &[u8]) -> Option<String> {
    if let Some(utf16) = body.strip_prefix(&[0xff, 0xfe]) {
        let units =
            utf16.chunks(2).map(|pair| pair.try_into().map(u16::from_le_bytes)).collect::<Result<Vec<u16>, _>>();
        return String::from_utf16(&units.ok()?).ok();
    }
    let utf8 = body.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(body);
    std::str::from_utf8(utf8).ok().map(str::to_owned)
}

/// Writes one, byte for byte as jq prints it. Versions hold no character that JSON escapes.
pub(super) fn write(engine: &Version, definitions: &Version) -> Bytes {
    format!("{{\n  \"EngineVersion\": \"{engine}\",\n  \"DefinitionVersion\": \"{definitions}\"\n}}\n").into()
}
