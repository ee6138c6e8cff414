//! The folder where the content side leaves what it saw. Each file is written once, whole, and never again; whoever
//! gathers it removes it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use model::Timestamp;
use platform::fs::{Folder, FsError, Mode, create_folder};

use crate::Seen;

/// How many files may wait to be gathered.
const FILES: usize = 256;
/// The most bytes of a file that is read.
const FILE_BYTES: u64 = 1 << 20;
const PREFIX: &str = "seen-";

/// Why nothing could be left.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FsError),
    /// Nobody gathers.
    #[error(
        "{path} holds {files} files that nobody gathers: run `waystation run` or `waystation sync` on this data folder"
    )]
    Full {
        /// The folder.
        path: PathBuf,
        /// How many files it holds.
        files: usize,
    },
    /// It could not be written down.
    #[error("what was seen cannot be written down")]
    Form(#[from] serde_json::Error),
}

/// The folder, as one process uses it.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    name: String,
    next: AtomicU64,
}

/// What was gathered.
pub(crate) struct Gathered {
    folder: Option<Folder>,
    files: Vec<String>,
    pub(crate) seen: Vec<Seen>,
    /// Lines and files that were not what they should be.
    pub(crate) refused: u64,
}

impl Spool {
    /// The folder at a path, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), name: platform::unique_name(PREFIX), next: AtomicU64::new(0) }
    }

    /// Makes the folder where it is not there.
    ///
    /// # Errors
    /// [`SpoolError`] when it cannot be made.
    pub fn make(&self) -> Result<(), SpoolError> {
        create_folder(&self.path, Mode::PRIVATE_FOLDER)?;
        Ok(())
    }

    /// Leaves what was seen.
    ///
    /// # Errors
    /// [`SpoolError`] when the folder is not there, cannot be written or is full.
    pub fn put(&self, seen: &[Seen]) -> Result<(), SpoolError> {
        if seen.is_empty() {
            return Ok(());
        }
        let folder = Folder::open(&self.path)?;
        let waiting = names(&folder)?.len();
        if waiting >= FILES {
            return Err(SpoolError::Full { path: self.path.clone(), files: waiting });
        }
        let lines: Vec<String> = seen.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", self.name);
        // The one who gathers may be another user.
        folder.write_atomic(&name, (lines.join("\n") + "\n").as_bytes(), Mode::FILE)?;
        Ok(())
    }
}

/// Reads all that was left; nothing is removed before [`Gathered::done`].
pub(crate) fn gather(path: &Path, now: Timestamp) -> Result<Gathered, FsError> {
    let folder = match Folder::open(path) {
        Ok(folder) => folder,
        Err(error) if error.is_missing() => {
            return Ok(Gathered::empty());
        }
        Err(error) => return Err(error),
    };
    let files = names(&folder)?;
    let mut gathered = Gathered::empty();
    for name in files.into_iter().take(FILES) {
        match read(&folder, &name) {
            Some(text) => gathered.take(&text, now),
            None => gathered.refused += 1,
        }
        gathered.files.push(name);
    }
    gathered.folder = Some(folder);
    Ok(gathered)
}

impl Gathered {
    pub(crate) const fn empty() -> Self {
        Self { folder: None, files: Vec::new(), seen: Vec::new(), refused: 0 }
    }

    pub(crate) fn take(&mut self, text: &str, now: Timestamp) {
        for line in text.lines() {
            match serde_json::from_str::<Seen>(line).ok().filter(|seen| seen.is_plausible(now)) {
                Some(seen) => self.seen.push(seen),
                None => self.refused += 1,
            }
        }
    }

    /// Removes what was gathered.
    pub(crate) fn done(self) -> Result<(), FsError> {
        let Some(folder) = self.folder else { return Ok(()) };
        self.files.iter().try_for_each(|name| folder.remove(name).map(drop))
    }
}

/// A file that is none of ours, or too large, is left unread.
fn read(folder: &Folder, name: &str) -> Option<String> {
    let (file, size) = folder.open_regular(name).ok()?;
    let mut text = String::new();
    (size <= FILE_BYTES).then_some(())?;
    file.take(FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

fn names(folder: &Folder) -> Result<Vec<String>, FsError> {
    let mut names = Vec::new();
    for name in folder.names()?.take(FILES * 4) {
        let name = name?;
        if name.starts_with(PREFIX) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::RingName;

    fn seen(path: &str) -> Seen {
        let at = Timestamp::from_micros(7);
        Seen { ring: RingName::broad(), path: path.parse().unwrap(), count: 2, first: at, last: at }
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(1_000_000)
    }

    #[test]
    fn what_is_left_is_gathered_once_and_stays_until_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("spool"));
        assert!(matches!(spool.put(&[seen("/downloads/a")]), Err(SpoolError::Folder(_))), "it is not there");
        spool.make().unwrap();
        spool.put(&[seen("/downloads/a"), seen("/downloads/b")]).unwrap();
        spool.put(&[]).unwrap();
        spool.put(&[seen("/downloads/c")]).unwrap();
        let path = dir.path().join("spool");
        drop(gather(&path, now()).unwrap());
        let gathered = gather(&path, now()).unwrap();
        assert_eq!(gathered.seen, [seen("/downloads/a"), seen("/downloads/b"), seen("/downloads/c")]);
        gathered.done().unwrap();
        assert!(gather(&path, now()).unwrap().seen.is_empty());
        assert!(gather(&dir.path().join("absent"), now()).unwrap().seen.is_empty());
    }

    #[test]
    fn nobody_gathers_and_the_folder_stays_small_s31() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        for _ in 0..FILES {
            spool.put(&[seen("/downloads/a")]).unwrap();
        }
        assert!(matches!(spool.put(&[seen("/downloads/a")]), Err(SpoolError::Full { files: FILES, .. })));
    }

    #[test]
    fn what_another_planted_is_refused_and_removed_s20() {
        let dir = tempfile::tempdir().unwrap();
        let future = Seen { last: Timestamp::from_micros(i64::MAX), ..seen("/downloads/a") };
        let lines = [
            serde_json::to_string(&future).unwrap(),
            serde_json::to_string(&seen("/downloads/a")).unwrap().replace("/downloads/a", "/../../etc/passwd"),
            "[".repeat(100_000),
            serde_json::to_string(&seen("/downloads/b")).unwrap(),
        ];
        std::fs::write(dir.path().join("seen-x-0"), lines.join("\n")).unwrap();
        std::fs::write(dir.path().join("seen-x-1"), vec![0xff; 100]).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("seen-x-2")).unwrap();
        std::fs::write(dir.path().join("other"), "mine").unwrap();
        let gathered = gather(dir.path(), now()).unwrap();
        assert_eq!(gathered.seen, [seen("/downloads/b")]);
        assert_eq!(gathered.refused, 5);
        gathered.done().unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["other"]);
    }
}
