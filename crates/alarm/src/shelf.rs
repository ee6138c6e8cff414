//! Keeps the ledger in a file, so that a restart repeats nothing and forgets nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use platform::fs::{Folder, FsError, Mode, Owners};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Book, Ledger};

/// The folder below the data folder, its file, and what it may weigh.
const FOLDER: &str = "alarms";
const FILE: &str = "state.json";
const MOST: u64 = 16 * 1024 * 1024;
/// What a file that cannot be used is renamed to, with a number.
const ASIDE: &str = "state.set-aside";
/// The most that are kept; a further one takes the place of the last.
const MOST_ASIDE: u32 = 9;
/// The version of the file's form.
const FORM: u32 = 1;
/// How long changes are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);

/// Where the ledger is kept: `alarms/state.json` below the data folder.
#[derive(Clone, Debug)]
pub struct Shelf {
    data: PathBuf,
}

/// Why the ledger cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The system, or who owns the file, is against it.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file is none of ours, or is damaged.
    #[error("{} holds no state of alarms; what was told is unknown until it is told again", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error("{} was written by a newer version of this program", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
    },
}

/// What could be made of a state that cannot be read.
#[derive(Debug)]
pub struct Salvage {
    /// What to go on from.
    pub ledger: Ledger,
    /// What was wrong and what became of it, for the operator.
    pub told: String,
}

#[derive(Serialize, Deserialize)]
struct Kept<L> {
    form: u32,
    ledger: L,
}

impl Shelf {
    /// The shelf of a data folder; nothing is touched.
    pub fn new(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.data.join(FOLDER).join(FILE)
    }

    /// What was kept; none when nothing ever was.
    ///
    /// # Errors
    /// [`ShelfError`] when there is something that cannot be read or believed.
    pub fn read(&self) -> Result<Option<Ledger>, ShelfError> {
        let path = self.path();
        let opened = Folder::open(&self.data).and_then(|data| data.folder(FOLDER));
        let opened = opened.and_then(|folder| folder.open_plain(FILE, Owners::us_or_owner_of(&folder)?));
        let (file, _) = match opened {
            Ok(opened) => opened,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        let read = file.take(MOST).read_to_end(&mut bytes);
        read.map_err(|source| ShelfError::Read { path: path.clone(), source })?;
        let kept: Kept<serde_json::Value> =
            serde_json::from_slice(&bytes).map_err(|source| ShelfError::Form { path: path.clone(), source })?;
        if kept.form > FORM {
            return Err(ShelfError::Newer { path });
        }
        serde_json::from_value(kept.ledger).map(Some).map_err(|source| ShelfError::Form { path, source })
    }

    /// Sets aside a state that cannot be used, so that nothing is written over it, and makes out of it what can be made:
    /// numbers go on, and alarms that were told and can still be read are told to be over once they are.
    pub fn salvage(&self, error: &ShelfError) -> Salvage {
        let why = model::error_chain(error);
        let ledger = self.bytes().map(|bytes| Ledger::salvage(&bytes)).unwrap_or_default();
        let aside = self.set_aside().map_or_else(
            |error| format!("it could not be set aside ({})", model::error_chain(&error)),
            |name| format!("it was set aside as {}", self.path().with_file_name(name).display()),
        );
        let (number, known) = (ledger.last_number(), ledger.standing().len());
        let told = format!(
            "{why}; {aside}; alarms up to number {number} may be over without a message, but for {known} that could be read"
        );
        Salvage { ledger, told }
    }

    fn bytes(&self) -> Result<Vec<u8>, FsError> {
        let folder = Folder::open(&self.data)?.folder(FOLDER)?;
        let (file, _) = folder.open_plain(FILE, Owners::us_or_owner_of(&folder)?)?;
        let mut bytes = Vec::new();
        // What can be read of it is worth something.
        let _ = file.take(MOST).read_to_end(&mut bytes);
        Ok(bytes)
    }

    fn set_aside(&self) -> Result<String, FsError> {
        let folder = Folder::open(&self.data)?.folder(FOLDER)?;
        let taken: Vec<String> = folder.names()?.filter_map(Result::ok).collect();
        let name = |number: u32| format!("{ASIDE}.{number}");
        let free = (1..MOST_ASIDE).map(name).find(|name| !taken.contains(name));
        let name = free.unwrap_or_else(|| name(MOST_ASIDE));
        folder.rename(FILE, &folder, &name)?;
        folder.sync()?;
        Ok(name)
    }

    /// Keeps a ledger, durably and whole, in the folder that [`crate::Life::prepare`] made.
    ///
    /// # Errors
    /// [`ShelfError`] when it cannot be written, or there is no such folder; what was kept before then still stands.
    pub fn keep(&self, ledger: &Ledger) -> Result<(), ShelfError> {
        let folder = Folder::open(&self.data)?.folder(FOLDER)?;
        let form = |source| ShelfError::Form { path: self.path(), source };
        let bytes = serde_json::to_vec(&Kept { form: FORM, ledger }).map_err(form)?;
        Ok(folder.write_atomic(FILE, &bytes, Mode::PRIVATE_FILE)?)
    }

    /// Keeps the book's ledger whenever it changes, until the end and once more then. `told` hears how each attempt
    /// went. While the data folder is not in place nothing is written, and nothing is wrong with this for that: it is
    /// written once the folder is back.
    pub async fn follow(
        self,
        book: Arc<Book>,
        (in_place, told): (impl Fn() -> bool + Clone + Send + 'static, impl Fn(Option<String>) + Send),
        end: CancellationToken,
    ) {
        let mut turns = book.turns();
        let mut kept: Option<Ledger> = None;
        turns.mark_changed();
        loop {
            let ending = tokio::select! {
                () = end.cancelled() => true,
                change = turns.changed() => change.is_err(),
            };
            if !ending {
                tokio::select! {
                    () = end.cancelled() => {}
                    () = tokio::time::sleep(GATHER) => {}
                }
            }
            turns.mark_unchanged();
            let ledger = book.ledger();
            if kept.as_ref() != Some(&ledger) {
                let (shelf, copy, in_place) = (self.clone(), ledger.clone(), in_place.clone());
                // On a thread of its own: a disk that hangs must keep nobody from telling.
                let keep = move || if in_place() { shelf.keep(&copy).map(|()| true) } else { Ok(false) };
                match tokio::task::spawn_blocking(keep).await {
                    Ok(Ok(is_kept)) => {
                        kept = if is_kept { Some(ledger) } else { kept };
                        told(None);
                    }
                    Ok(Err(error)) => told(Some(model::error_chain(&error))),
                    Err(error) => told(Some(error.to_string())),
                }
            }
            if ending {
                return;
            }
        }
    }
}
