//! Proving an archive, and unpacking it.

use std::fs::File;

use model::{Digest, Hasher, Reason};
use trust::SignatureCheck;
use vendors::defender::{DefenderSettings, MemberPolicy};
use vendors::zip::{Archive, Caps, ZipError};

use super::agent::{OddArchive, Platform};
use super::store::{Member, NewSet};
use super::update::Endpoint;
use crate::disk::StateError;
use crate::fetch::{Fail, Trouble};

/// The vendor's package for Linux carries these two; nothing says what else could be signed, or how macOS's engine is.
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
    ///
    /// Which of several engines an agent would load is not published, so each must have its own signature beside it: a
    /// signed one in another folder vouches for nothing but itself.
    pub(super) fn engine_key(&self, file: &mut File, wanted: bool) -> Result<Option<String>, Fail> {
        let Some(keys) = self.engine_keys.as_ref().filter(|_| wanted) else { return Ok(None) };
        let mut archive = Archive::open(file, &self.caps()).map_err(refused)?;
        let names: Vec<String> = archive.members().iter().map(|member| member.name.clone()).collect();
        let engines: Vec<(usize, &str)> = engines(&names).collect();
        let missing = |name: &str| {
            let mac = if self.agent.platform == Platform::Mac {
                ": how macOS's engine is signed is not published"
            } else {
                ""
            };
            Fail::new(Reason::SignatureMissing, format!("updates.zip holds no {name}{mac}"))
        };
        let mut made = None;
        for (engine, name) in &engines {
            let signature = format!("{}{SIGNATURE}", name.strip_suffix(last_of(name)).unwrap_or_default());
            let beside = names.iter().position(|other| *other == signature).ok_or_else(|| missing(&signature))?;
            let signature = archive.read(beside, SIGNATURE_CAP).map_err(refused)?;
            let engine = archive.read(*engine, self.vendor.archive_cap).map_err(refused)?;
            match keys.verify(&engine, &signature) {
                SignatureCheck::Good { key_id } => made = made.or(Some(key_id)),
                SignatureCheck::Unverified => {
                    let detail =
                        format!("no key that was given made the signature of {name}: the engine is not loaded");
                    return Err(Fail::new(Reason::SignatureUnverified, detail));
                }
            }
        }
        made.map(Some).ok_or_else(|| missing(ENGINE))
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

/// Every member that is an engine by its name, however a system compares names.
fn engines(names: &[String]) -> impl Iterator<Item = (usize, &str)> {
    let is_engine = |name: &&String| last_of(name).eq_ignore_ascii_case(ENGINE);
    names.iter().enumerate().filter(move |(_, name)| is_engine(name)).map(|(index, name)| (index, name.as_str()))
}

/// What stands behind the last slash.
fn last_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn refused(error: ZipError) -> Fail {
    Fail::new(error.reason(), format!("updates.zip: {error}"))
}
