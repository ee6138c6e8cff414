//! Bytes behind routes: there, whole, and what the vendor sent (I1, I4).

use std::collections::HashSet;
use std::io::Cursor;

use model::{Digest, Generation, Route, RoutePath};
use serde_json::Value;
use vendors::zip::{Archive, Caps};

use super::{Oracle, Seen};
use crate::violation::{Holds, Violation};

/// What a manifest names: path, digest and size on the wire.
pub(super) type Named = Vec<(RoutePath, Digest, u64)>;

impl Oracle {
    /// Every blob that is routed is there, with the right size (I1).
    pub(super) fn presence(&self) -> Holds {
        let seen = self.seen();
        let Some(current) = &seen.current else { return Ok(()) };
        let view = self.view();
        for (path, route) in &current.generation.routes {
            if !seen.rotten.contains(&route.digest) && view.size(route.digest, route.size) != Some(route.size) {
                return Err(Violation::new("I1", format!("{path}: blob {} is not there whole", route.digest.short())));
            }
        }
        Ok(())
    }

    /// Reads the bytes behind every route once (I4). What rotted while it was served is the disk's; nothing that rotted
    /// before comes in.
    pub(super) fn prove(&self, seen: &mut Seen, generation: &Generation) -> Holds {
        let before = seen.current.iter().flat_map(|current| current.generation.routes.values());
        let served: HashSet<Digest> = before.map(|route| route.digest).collect();
        for (path, route) in &generation.routes {
            let was_lost = seen.worn || served.contains(&route.digest);
            if seen.proven.contains(&route.digest) || (was_lost && seen.rotten.contains(&route.digest)) {
                continue;
            }
            let bytes = self.read(path, route)?;
            if Digest::of(&bytes) != route.digest || bytes.len() as u64 != route.size {
                return Err(Violation::new("I4", format!("{path}: other bytes than generation and name say")));
            }
            if !path.as_str().ends_with("/manifest.json") && !self.upstream.is_honest(&route.digest) {
                return Err(Violation::new("I4", format!("{path}: bytes that no vendor published whole")));
            }
            seen.proven.insert(route.digest);
            seen.rotten.remove(&route.digest);
        }
        Ok(())
    }

    pub(super) fn read(&self, path: &RoutePath, route: &Route) -> Result<Vec<u8>, Violation> {
        let bytes = self.view().read(route.digest, route.size);
        bytes.ok_or_else(|| Violation::new("I1", format!("{path}: blob {} is not there", route.digest.short())))
    }
}

/// What an Elastic manifest's archive names.
pub(super) fn named_by(zip: &[u8]) -> Option<Named> {
    let caps =
        Caps { entries: 10, name_bytes: 100, member_bytes: 1 << 24, total_bytes: 1 << 24, ratio: 1000, folders: false };
    let mut cursor = Cursor::new(zip);
    let mut archive = Archive::open(&mut cursor, &caps).ok()?;
    let index = archive.find("manifest.json")?;
    let json: Value = serde_json::from_slice(&archive.read(index, 1 << 24).ok()?).ok()?;
    let entries = json.get("artifacts")?.as_object()?.values();
    entries
        .map(|entry| {
            let text = |key: &str| entry.get(key)?.as_str();
            let path = text("relative_url")?.parse().ok()?;
            Some((path, text("encoded_sha256")?.parse().ok()?, entry.get("encoded_size")?.as_u64()?))
        })
        .collect()
}

/// Definitions and engine, as a companion says them.
pub(super) fn companion(bytes: &[u8]) -> Option<(String, String)> {
    let json: Value = serde_json::from_slice(bytes).ok()?;
    let text = |key: &str| Some(json.get(key)?.as_str()?.to_owned());
    Some((text("DefinitionVersion")?, text("EngineVersion")?))
}
