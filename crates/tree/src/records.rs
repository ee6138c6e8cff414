//! What was written into a tree: kept outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use model::{Digest, FeedId, Reason, RingName, RoutePath, Timestamp, Version};
use platform::fs::{Folder, FsError, Look, Mode, Owners};
use serde::{Deserialize, Serialize};

use crate::TreeError;

/// The format's number.
const FORMAT: u32 = 1;

/// What was written into a tree. It is saved with what a run is about to write before the run writes it, so that a
/// crash leaves nothing there that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Records {
    pub(crate) waystation_tree: u32,
    pub(crate) ring: RingName,
    pub(crate) root: PathBuf,
    /// What the folder's own mark must say.
    pub(crate) token: String,
    /// The generation that the folder shows; none while it is between two, or was not brought to its end.
    pub(crate) shows: Option<Shown>,
    /// The files that are, or may be, ours.
    pub(crate) files: BTreeMap<RoutePath, Wrote>,
    /// What the generation shown last served of each feed.
    pub(crate) versions: BTreeMap<FeedId, Version>,
    /// Folders that were replaced and are kept out of sight.
    pub(crate) retired: BTreeMap<String, Retired>,
    /// Why the folder is not what it should be.
    pub(crate) trouble: Option<Trouble>,
    /// When every byte was last read and was right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proven: Option<Timestamp>,
}

/// A generation that a folder shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) generation: u64,
    pub(crate) digest: Digest,
    pub(crate) at: Timestamp,
}

/// A file that was written, and how it looked then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrote {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// None while it is only about to be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) print: Option<Print>,
    /// What was there before, while it is only about to be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before: Vec<Digest>,
    /// The file that was there before, while it is only about to be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<Stood>,
}

/// A file of ours, whatever became of its bytes since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stood {
    inode: u64,
    size: u64,
}

/// What tells that nobody touched a file since: its number on the file system and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Print {
    inode: u64,
    modified: i64,
}

impl Print {
    pub(crate) fn of(look: &Look) -> Self {
        Self { inode: look.inode, modified: i64::try_from(look.modified).unwrap_or(i64::MAX) }
    }
}

impl Wrote {
    /// A file whose bytes are known to be these, and how it looks.
    pub(crate) fn seen(digest: Digest, look: &Look) -> Self {
        Self { digest, size: look.size, print: Some(Print::of(look)), before: Vec::new(), was: None }
    }

    /// A file that is about to be written where this, if anything, was.
    pub(crate) fn intended(digest: Digest, size: u64, known: Option<&Self>) -> Self {
        let mut before: Vec<Digest> =
            known.iter().flat_map(|known| known.before.iter().copied().chain([known.digest])).collect();
        before.retain(|earlier| *earlier != digest);
        before.dedup();
        Self { digest, size, print: None, before, was: known.and_then(Self::stood) }
    }

    /// Whether we may have written these bytes there.
    pub(crate) fn is_ours(&self, actual: Digest) -> bool {
        self.digest == actual || self.before.contains(&actual)
    }

    /// The file that was last seen there.
    fn stood(&self) -> Option<Stood> {
        self.print.map(|print| Stood { inode: print.inode, size: self.size }).or(self.was)
    }

    /// Whether it is the very file that was written: a failing disk changes bytes and makes no other file of it.
    pub(crate) fn is_that_file(&self, look: &Look) -> bool {
        self.stood() == Some(Stood { inode: look.inode, size: look.size })
    }

    /// Whether a file still looks as it did when its bytes were known to be these.
    pub(crate) fn is_untouched(&self, look: &Look) -> bool {
        look.size == self.size && self.print == Some(Print::of(look))
    }
}

/// A folder that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retired {
    /// What it was replaced as.
    pub(crate) folder: String,
    /// Until when it is kept.
    pub(crate) until: Timestamp,
    /// The files in it that are ours to remove.
    pub(crate) names: BTreeSet<String>,
    /// What it held of which feed: what the ring went back from is not kept.
    pub(crate) held: BTreeMap<FeedId, Version>,
}

/// Why a folder is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Reason,
    /// On what, in words.
    pub detail: String,
}

/// How a tree stands, as its records say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The ring.
    pub ring: RingName,
    /// The folder.
    pub root: PathBuf,
    /// The generation that it shows, and since when; none before the first, or while it is behind.
    pub generation: Option<u64>,
    /// The digest of that generation's file.
    #[serde(skip)]
    pub digest: Option<Digest>,
    /// Since when it shows it.
    pub since: Option<Timestamp>,
    /// How many files in it are ours.
    pub files: usize,
    /// How many replaced folders are kept for those who still read them.
    pub retired: usize,
    /// Why it is not what it should be.
    pub trouble: Option<Trouble>,
}

impl Records {
    pub(crate) fn new(ring: RingName, root: PathBuf, token: String) -> Self {
        Self {
            waystation_tree: FORMAT,
            ring,
            root,
            token,
            shows: None,
            files: BTreeMap::new(),
            versions: BTreeMap::new(),
            retired: BTreeMap::new(),
            trouble: None,
            proven: None,
        }
    }

    /// Reads them; none where there are none.
    pub(crate) fn read(folder: &Folder, ring: &RingName) -> Result<Option<Self>, TreeError> {
        let name = file_name(ring);
        let (mut file, _) = match folder.open_plain(&name, Owners::us()) {
            Ok(opened) => opened,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let path = folder.path().join(&name);
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes);
        read.map_err(|source| FsError::Io { act: "read", path: path.clone(), source })?;
        let read: Result<Self, _> = serde_json::from_slice(&bytes);
        let newer = || <serde_json::Error as serde::de::Error>::custom("they were written by a newer program");
        let whole = read.and_then(|read| if read.waystation_tree == FORMAT { Ok(read) } else { Err(newer()) });
        whole.map(Some).map_err(|source| TreeError::Records { path, source })
    }

    /// Keeps them, durably.
    pub(crate) fn save(&self, folder: &Folder) -> Result<(), TreeError> {
        let name = file_name(&self.ring);
        let failed = |source| TreeError::Records { path: folder.path().join(&name), source };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(failed)?;
        bytes.push(b'\n');
        Ok(folder.write_atomic(&name, &bytes, Mode::PRIVATE_FILE)?)
    }

    /// How a folder stands; of another than the one that they speak of nothing is known.
    pub(crate) fn standing_of(&self, root: &Path) -> Standing {
        let shows = self.shows.filter(|_| self.root == root);
        Standing {
            ring: self.ring.clone(),
            root: root.to_owned(),
            generation: shows.map(|shows| shows.generation),
            digest: shows.map(|shows| shows.digest),
            since: shows.map(|shows| shows.at),
            files: self.files.len(),
            retired: self.retired.len(),
            trouble: self.trouble.clone(),
        }
    }
}

fn file_name(ring: &RingName) -> String {
    format!("{ring}.json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

    use super::*;

    /// Whatever became of the file, reading it ends, and what is taken names no path that climbs.
    #[test]
    fn records_damaged_at_any_byte_are_refused_or_harmless_s41() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, ring) = (Folder::open(dir.path()).unwrap(), RingName::broad());
        let mut records = Records::new(ring.clone(), "/srv/tree".into(), "0123".to_owned());
        let wrote = Wrote { digest: Digest::of(b"x"), size: 1, print: None, before: vec![Digest::of(b"y")], was: None };
        records.files.insert("/linux/production/updates.zip".parse().unwrap(), wrote);
        let at = Timestamp::from_micros(7);
        records.shows = Some(Shown { generation: 3, digest: Digest::of(b"g"), at });
        records.save(&folder).unwrap();
        assert_eq!(Records::read(&folder, &ring).unwrap().as_ref(), Some(&records));
        let path = dir.path().join(file_name(&ring));
        let whole = std::fs::read(&path).unwrap();
        let flips = (0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        });
        let cuts = (0..whole.len()).map(|at| whole[..at].to_vec());
        let text = String::from_utf8(whole.clone()).unwrap();
        let hostile = ["/../../etc/passwd", "/a/../b", "relative", "/a\\u0000b", "//a"];
        let planted = hostile.map(|path| text.replace("/linux/production/updates.zip", path).into_bytes());
        let odd = [Vec::new(), vec![b'['; 100_000], b"null".to_vec(), b"{}".to_vec()];
        for bytes in planted.iter().chain(&odd) {
            std::fs::write(&path, bytes).unwrap();
            let read = Records::read(&folder, &ring);
            assert!(matches!(read, Err(TreeError::Records { .. })), "{}", String::from_utf8_lossy(bytes));
        }
        for bytes in flips.chain(cuts) {
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(Some(read)) = Records::read(&folder, &ring) {
                let climbs = |path: &RoutePath| path.as_str().split('/').any(|part| part == "..");
                assert!(!read.files.keys().any(climbs), "{}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}
