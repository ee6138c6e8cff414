//! Proving an archive, and unpacking it.

use std::fs::File;

use model::{Digest, Hasher, Reason};
use trust::SignatureCheck;
use vendors::defender::{DefenderSettings, MemberPolicy};
use vendors::zip::{Archive, Caps, ZipError};

use super::agent::OddArchive;
use super::store::{Member, NewSet};
use super::update::Endpoint;
use crate::disk::StateError;
use crate::fetch::{Fail, Trouble};

/// The vendor's package for Linux carries these two; nothing says what else could be signed.
const ENGINE: &str = "libmpengine.so";
const SIGNATURE: &str = "libmpengine.so.sig";
const SIGNATURE_CAP: u64 = 64 << 10;

impl Endpoint {
    /// Proves that it is one whole archive of this agent's kind; what weakens it.
    pub(super) fn inspect(&self, file: &mut File) -> Result<Vec<String>, Fail> {
        let feed = self.agent.feed().ok_or_else(|| Fail::settings("no feed is for this agent"))?;
        let expected_members = match self.assumptions.odd_archive {
            OddArchive::Refuse => MemberPolicy::Require,
            OddArchive::Take => MemberPolicy::Warn,
        };
        let settings = DefenderSettings { expected_members, ..self.vendor.clone() };
        let inspection = vendors::defender::inspection(&feed, &settings).map_err(Fail::settings)?;
        let notes = inspection.inspect(file)?;
        Ok(notes.into_iter().map(|note| format!("{}: {}", note.reason, note.detail)).collect())
    }

    /// Whether a key of ours made the engine's signature; the key's id. None where it is not looked at.
    pub(super) fn engine_key(&self, file: &mut File, wanted: bool) -> Result<Option<String>, Fail> {
        let Some(keys) = self.engine_keys.as_ref().filter(|_| wanted) else { return Ok(None) };
        let mut archive = Archive::open(file, &self.caps()).map_err(refused)?;
        let missing = |name| Fail::new(Reason::SignatureMissing, format!("updates.zip holds no {name}"));
        let at = |archive: &Archive<'_>, name: &str| {
            archive.members().iter().position(|member| member.name.rsplit('/').next() == Some(name))
        };
        let (engine, signature) = (at(&archive, ENGINE), at(&archive, SIGNATURE));
        let engine = engine.ok_or_else(|| missing(ENGINE))?;
        let signature = signature.ok_or_else(|| missing(SIGNATURE))?;
        let signature = archive.read(signature, SIGNATURE_CAP).map_err(refused)?;
        let engine = archive.read(engine, self.vendor.archive_cap).map_err(refused)?;
        match keys.verify(&engine, &signature) {
            SignatureCheck::Good { key_id } => Ok(Some(key_id)),
            SignatureCheck::Unverified => {
                let detail = format!("no key that was given made the signature of {ENGINE}: the engine is not loaded");
                Err(Fail::new(Reason::SignatureUnverified, detail))
            }
        }
    }

    /// Unpacks it beside the set in use.
    pub(super) fn unpack(&self, file: &mut File, set: &mut NewSet<'_>) -> Result<Vec<Member>, Trouble> {
        let mut archive = Archive::open(file, &self.caps()).map_err(refused)?;
        let members = archive.members().to_vec();
        let mut unpacked = Vec::new();
        for (index, member) in members.iter().enumerate().filter(|(_, member)| !member.is_folder) {
            let mut growing = set.file(&member.name)?;
            let mut hasher = Hasher::new();
            let mut failed: Option<StateError> = None;
            archive
                .pieces(index, |piece| {
                    hasher.update(piece);
                    if failed.is_none() {
                        failed = growing.write(piece).err();
                    }
                })
                .map_err(refused)?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            growing.finish()?;
            let (size, digest): (u64, Digest) = (hasher.bytes(), hasher.finish());
            unpacked.push(Member { name: member.name.clone(), size, digest });
        }
        Ok(unpacked)
    }

    fn caps(&self) -> Caps {
        let cap = self.vendor.archive_cap;
        Caps {
            entries: 10_000,
            name_bytes: 512,
            member_bytes: cap.saturating_mul(2),
            total_bytes: cap.saturating_mul(4),
            ratio: 200,
            folders: true,
        }
    }
}

fn refused(error: ZipError) -> Fail {
    Fail::new(error.reason(), format!("updates.zip: {error}"))
}
