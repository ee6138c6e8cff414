//! Reads a pair as it lies in the folder.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use model::{Digest, FeedId, Hasher, Note, Reason};
use platform::fs::{Folder, FsError};
use serde_json::Value;
use vendors::defender::{DefenderSettings, MemberPolicy, inspection};

use crate::takeover::place;

/// The archive's name.
pub(crate) const ARCHIVE: &str = "updates.zip";
/// The most of a companion that is read.
const COMPANION: u64 = 64 << 10;
/// How much of an archive is read at once.
const READ: usize = 256 << 10;

/// The version that a pair's companion names, as the script reads it; `at` is the pair's folder.
pub(crate) fn definitions(root: &Folder, at: &str) -> Option<String> {
    let (companion, _) = root.open_regular(&format!("{at}/manifest.json")).ok()?;
    let mut bytes = Vec::new();
    companion.take(COMPANION).read_to_end(&mut bytes).ok()?;
    let plain = bytes.strip_prefix(&[0xef, 0xbb, 0xbf][..]).unwrap_or(&bytes);
    let read: Option<Value> = serde_json::from_slice(plain).ok();
    read.and_then(|read| Some(read.get("DefinitionVersion")?.as_str()?.to_owned()))
}

/// Why what lies there is no archive of a feed; none where it is one, whatever its members are.
pub(crate) fn fault(file: &mut File, feed: &FeedId, settings: &DefenderSettings) -> Option<Note> {
    // That members are missing is for people to judge; that it is no archive is not.
    let settings = DefenderSettings { expected_members: MemberPolicy::Off, ..settings.clone() };
    let fault = inspection(feed, &settings).ok()?.inspect(file).err();
    // A disk that does not answer says nothing about what is on it.
    fault.filter(|fault| fault.reason != Reason::StoreFailed)
}

/// The digest of a feed's archive as it lies in the folder, where that reads whole.
pub(crate) fn whole(root: &Path, feed: &FeedId, settings: &DefenderSettings) -> Option<Digest> {
    let at = place(feed)?.join(ARCHIVE);
    let (mut file, _) = Folder::open(root).ok()?.open_regular(at.to_str()?).ok()?;
    if fault(&mut file, feed, settings).is_some() {
        return None;
    }
    hashed(&mut file).ok()
}

fn hashed(file: &mut File) -> std::io::Result<Digest> {
    file.rewind()?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; READ]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// An archive that lies in the folder and is none: where, and why.
pub(crate) struct Bad {
    /// Below the folder.
    pub(crate) path: String,
    /// What it is called now, or why it could not be renamed.
    pub(crate) aside: Result<String, FsError>,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// What lies where endpoints look, was not put there by this program, and is told.
#[derive(Default)]
pub(crate) struct Strays {
    /// No archives; nobody finds them under the archive's name any more.
    pub(crate) bad: Vec<Bad>,
    /// Archives that read whole, of which no companion says what they are.
    pub(crate) nameless: Vec<String>,
    /// What reads whole, and which nobody vouches for.
    pub(crate) whole: Vec<String>,
}

/// What a bad archive's name ends with from then on.
const ASIDE: &str = ".no-archive";

/// Reads what lies where endpoints look and is not among `ours`. What is no archive is kept beside, under a name that no
/// endpoint asks for: on the way back to the release before, they would be given it.
pub(crate) fn strays(root: &Path, ours: impl Fn(&str) -> bool, settings: &DefenderSettings) -> Result<Strays, FsError> {
    let root = Folder::open(root)?;
    let mut strays = Strays::default();
    for (feed, at) in places() {
        let path = format!("{at}/{ARCHIVE}");
        let Ok(feed) = feed.parse::<FeedId>() else { continue };
        // What cannot be opened is no file that an endpoint could read.
        let Some((mut file, _)) = Some(&path).filter(|path| !ours(path)).and_then(|path| root.open_regular(path).ok())
        else {
            continue;
        };
        if let Some(fault) = fault(&mut file, &feed, settings) {
            let renamed = root.folder(&at).and_then(|folder| {
                let name = free(&folder)?;
                folder.rename(ARCHIVE, &folder, &name).map(|()| name)
            });
            strays.bad.push(Bad { aside: renamed.map(|name| format!("{at}/{name}")), path, why: fault.detail });
        } else if definitions(&root, &at).is_none_or(|version| version.is_empty()) {
            strays.nameless.push(path);
        } else {
            strays.whole.push(path);
        }
    }
    Ok(strays)
}

/// A name for a bad archive that no earlier one has: nothing that somebody left is lost. One more than all of them is free.
fn free(folder: &Folder) -> Result<String, FsError> {
    let first = format!("{ARCHIVE}{ASIDE}");
    let taken = folder.every_name()?;
    let names = (2..taken.len() + 3).map(|count| format!("{first}.{count}"));
    let is_free = |name: &String| taken.iter().all(|taken| *taken != **name);
    Ok(std::iter::once(first.clone()).chain(names).find(is_free).unwrap_or(first))
}

/// Every place of the layout, and the feed whose archives lie there.
fn places() -> impl Iterator<Item = (String, String)> {
    let platforms = ["linux", "mac"].into_iter();
    let tracks = platforms.flat_map(|platform| ["production", "preview"].map(|track| (platform, track)));
    let places = tracks.flat_map(|(platform, track)| ["", "_back"].map(|back| (platform, track, back)));
    places.flat_map(|(platform, track, back)| {
        ["x86_64", "arm64"].map(|arch| {
            (format!("defender/{platform}/{track}/{arch}"), format!("{platform}/{track}{back}/arch_{arch}"))
        })
    })
}
