//! What was learned, kept in the data folder and read by every process.

mod dates;
mod engine;
mod error;
mod forwarded;
mod gathered;
mod heads;
mod names;
#[cfg(test)]
mod tests;
mod trial;

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use model::{FeedId, Timestamp};
use platform::fs::{Folder, Mode, Owners, modified};
use platform::lock::FileLock;

use crate::due::is_due;
use crate::state::{State, counted, has_room};
use crate::{LearnedFeed, Named, WantedList, Why};

pub(crate) use dates::{AllTold, Told};
pub use error::BookError;
pub use gathered::{collect, pending};
pub(crate) use heads::Lines;
pub use heads::PASSABLE;
pub(crate) use names::folded;
pub(crate) use trial::Terms;

const FOLDER: &str = "wanted";
const WANTED: &str = "wanted.json";
/// Where a list goes that does not read, once another is to be written in its place.
const ASIDE: &str = "wanted.set-aside.json";
const LEARNED: &str = "learned.json";
const LOCK: &str = "lock";
/// The longest form of a path that is kept: as long as a path may be, and its marks.
const GUESS_BYTES: usize = 1200;
/// What it comes to where nothing is known any more of what was learned.
const ANEW: &str = ": what endpoints ask for is followed again as they ask, and what the operator named once it is named again (`waystation feed learn`; `waystation history list` shows what was, and `waystation feed list`, once it is removed, what is served)";
/// Far beyond what the caps let grow.
const FILE_BYTES: u64 = 8 << 20;

/// What is kept beside what was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// What the configuration names: it takes no room among what is learned.
    pub named: Named,
    /// The most bytes of all forwarded paths.
    pub forwarded_bytes: u64,
    /// Whether the heads that the vendor's files come with are kept, to be passed on.
    pub heads: bool,
}

/// What was learned.
#[derive(Debug)]
pub struct Book {
    data: PathBuf,
    keeping: Mutex<Keeping>,
    cache: Mutex<Option<(Stamp, State)>>,
    heads: Mutex<heads::Cached>,
    names: names::Names,
    trying: Mutex<trial::AllTried>,
    in_place: Place,
    /// What the ring tells of what is followed, and is written down nowhere.
    ring: Mutex<InRing>,
    /// Of a book that only supposes: what it says, as soon as it says more than the files.
    supposed: Option<Mutex<Option<State>>>,
}

/// Says whether the data folder is the one that is worked on, where somebody knows.
#[derive(Default)]
struct Place(OnceLock<Box<dyn Fn() -> bool + Send + Sync>>);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").finish_non_exhaustive()
    }
}

/// What a ring tells of what is followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct InRing {
    /// Forms, else unknown, of paths at which it serves manifests.
    pub(crate) forms: Vec<String>,
    /// What it serves that patterns cover: followed also where what was learned does not read.
    pub(crate) covered: Vec<FeedId>,
}

/// Tells one writing of a file from the next.
type Stamp = (Timestamp, u64);

impl Book {
    /// The book of a data folder, which need not be there yet.
    pub fn new(data: &Path, keeping: Keeping) -> Self {
        Self {
            data: data.to_owned(),
            keeping: Mutex::new(keeping),
            cache: Mutex::default(),
            heads: Mutex::default(),
            names: names::Names::default(),
            trying: Mutex::default(),
            in_place: Place::default(),
            ring: Mutex::default(),
            supposed: None,
        }
    }

    /// A book that goes on from what was learned, and keeps nothing: for who only looks what would be.
    pub fn supposing(data: &Path, keeping: Keeping) -> Self {
        Self { supposed: Some(Mutex::default()), ..Self::new(data, keeping) }
    }

    /// Writes nothing from now on while another folder stands where the one was that is worked on, as `in_place` says; the
    /// first who says so counts.
    pub fn write_only_while(&self, in_place: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.in_place.0.set(Box::new(in_place));
    }

    pub(crate) fn keeps_nothing(&self) -> bool {
        self.supposed.is_some()
    }

    /// Keeps other things from now on.
    pub fn keep(&self, keeping: Keeping) {
        *self.keeping.lock().unwrap_or_else(PoisonError::into_inner) = keeping;
    }

    pub(crate) fn keeping(&self) -> Keeping {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether one more may be learned beside these.
    pub(crate) fn has_room(&self, learned: &[LearnedFeed], feed: &FeedId, why: Why, most: usize) -> bool {
        has_room(learned, &self.keeping().named, (feed, why), most)
    }

    /// Whether a feed's manifest was read since it was forgotten what it names.
    pub(crate) fn has_read(&self, feed: &FeedId) -> bool {
        self.names.knows(feed)
    }

    pub(crate) fn forget_named(&self, feed: &FeedId) {
        self.names.forget(feed);
    }

    /// What is wanted.
    ///
    /// # Errors
    /// [`BookError`] when it cannot be read.
    pub fn wanted(&self) -> Result<WantedList, BookError> {
        let Some(text) = self.text(WANTED)? else { return Ok(WantedList::default()) };
        WantedList::read(&text).ok_or_else(|| self.damaged(WANTED))
    }

    /// Keeps what is wanted. What stands in its place and does not read may be a newer version's: it is set aside, and where
    /// it is then is told.
    ///
    /// # Errors
    /// [`BookError`] when it cannot be written, or what stands in its place cannot be read now.
    pub fn keep_wanted(&self, list: &WantedList) -> Result<Option<PathBuf>, BookError> {
        if self.keeps_nothing() {
            return Ok(None);
        }
        let (folder, text) = (self.folder()?, list.text()?);
        let aside = match self.wanted() {
            Ok(_) => None,
            Err(BookError::Damaged { .. }) => {
                folder.rename(WANTED, &folder, ASIDE)?;
                Some(self.path_of(ASIDE))
            }
            Err(error) => return Err(error),
        };
        folder.write_atomic(WANTED, text.as_bytes(), Mode::PRIVATE_FILE)?;
        Ok(aside)
    }

    /// The feeds that were learned.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be read.
    pub fn learned(&self) -> Result<Vec<LearnedFeed>, BookError> {
        Ok(self.state()?.feeds)
    }

    /// The forms of paths that turned out right.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be read.
    pub fn proven(&self) -> Result<Vec<String>, BookError> {
        Ok(self.state()?.proven)
    }

    /// Whether so many are learned that no other is because endpoints ask for it.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be read.
    pub fn is_full(&self, most: usize) -> Result<bool, BookError> {
        Ok(counted(&self.state()?.feeds, &self.keeping().named) >= most)
    }

    /// Follows a feed from now on; whether it was not learned yet.
    ///
    /// # Errors
    /// [`BookError::Full`] when `most` are learned already, beside what the configuration names or has a pattern for;
    /// else when it cannot be kept.
    pub fn learn(&self, feed: &FeedId, why: Why, at: Timestamp, most: usize) -> Result<bool, BookError> {
        if self.state()?.feeds.iter().any(|known| known.feed == *feed) {
            return Ok(false);
        }
        let named = self.keeping().named;
        self.change(|state| {
            if state.feeds.iter().any(|known| known.feed == *feed) {
                return Ok(false);
            }
            if !has_room(&state.feeds, &named, (feed, why), most) {
                return Err(BookError::Full { feed: feed.clone(), learned: counted(&state.feeds, &named) });
            }
            state.feeds.push(LearnedFeed { feed: feed.clone(), since: at, why });
            Ok(true)
        })?
    }

    /// Follows a learned feed no longer; whether it was followed.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be kept.
    pub fn forget(&self, feed: &FeedId) -> Result<bool, BookError> {
        self.change(|state| {
            let before = state.feeds.len();
            state.feeds.retain(|known| known.feed != *feed);
            if vendors::elastic::is_forwarded(feed) {
                state.forwarded.clear();
            }
            state.feeds.len() != before
        })
    }

    /// A form that a path may have, and that the vendor is to be asked about.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be kept.
    pub fn guess(&self, template: &str) -> Result<bool, BookError> {
        if template.len() > GUESS_BYTES {
            return Ok(false);
        }
        if self.state()?.guesses.iter().any(|known| known == template) {
            return Ok(false);
        }
        self.change(|state| state.guess(template))
    }

    /// Knows from now on what the ring tells, for as long as this process lives.
    pub(crate) fn note_ring(&self, told: InRing) {
        *lock(&self.ring) = told;
    }

    /// A form that was no good.
    pub(crate) fn drop_guess(&self, template: &str) -> Result<(), BookError> {
        self.change(|state| state.guesses.retain(|known| known != template))
    }

    /// Whether it is time to ask the vendor what a pattern stands for.
    pub(crate) fn is_probe_due(&self, pattern: &str, now: Timestamp, every: Duration) -> bool {
        let probed = self.state().ok().and_then(|state| state.probed.get(pattern).copied());
        probed.is_none_or(|at| is_due(at, now, every))
    }

    pub(crate) fn note_probed(&self, pattern: &str, at: Timestamp) -> Result<(), BookError> {
        self.change(|state| {
            state.probed.retain(|_, when| *when <= at);
            state.probed.insert(pattern.to_owned(), at);
        })
    }

    fn folder(&self) -> Result<Folder, BookError> {
        let data = Folder::open(&self.data)?;
        // Once it is open: what is written goes into this one, whatever stands there next.
        if self.in_place.0.get().is_some_and(|in_place| !in_place()) {
            return Err(BookError::Away { path: self.data.clone() });
        }
        let folder = data.ensure_folder(FOLDER, Mode::PRIVATE_FOLDER)?;
        folder.check(Owners::us())?;
        Ok(folder)
    }

    /// What was learned, read anew whenever another process may have written it.
    pub(crate) fn state(&self) -> Result<State, BookError> {
        match self.supposed.as_ref().map(|supposed| lock(supposed).clone()) {
            Some(Some(state)) => Ok(state),
            _ => self.read_state(),
        }
    }

    fn read_state(&self) -> Result<State, BookError> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((file, stamp)) = self.open(LEARNED)? else { return Ok(State::default()) };
        if let Some((known, state)) = cache.as_ref()
            && *known == stamp
        {
            return Ok(state.clone());
        }
        let text = self.whole(LEARNED, file)?;
        let state = State::read(&text).ok_or_else(|| self.damaged(LEARNED))?;
        *cache = Some((stamp, state.clone()));
        Ok(state)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, BookError> {
        if let Some(supposed) = &self.supposed {
            let mut state = self.state()?;
            let changed = change(&mut state);
            *lock(supposed) = Some(state);
            return Ok(changed);
        }
        let folder = self.folder()?;
        let _lock = FileLock::acquire_blocking_in(&folder, LOCK)?;
        // Another process may have written within the same moment as the last look.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).take();
        let before = self.state()?;
        let mut state = before.clone();
        let changed = change(&mut state);
        if state != before {
            let text = state.text()?;
            if text.len() as u64 > FILE_BYTES {
                return Err(BookError::TooMuch { path: self.path_of(LEARNED) });
            }
            folder.write_atomic(LEARNED, text.as_bytes(), Mode::PRIVATE_FILE)?;
        }
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(changed)
    }

    fn open(&self, name: &str) -> Result<Option<(std::fs::File, Stamp)>, BookError> {
        let opened = Folder::open(&self.data).and_then(|data| data.folder(FOLDER));
        let opened = opened.and_then(|folder| folder.open_plain(name, Owners::us_or_owner_of(&folder)?));
        match opened {
            Ok((file, size)) => {
                let at = modified(&file).map_err(|source| self.unreadable(name, source))?;
                Ok(Some((file, (at, size))))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, BookError> {
        let Some((file, _)) = self.open(name)? else { return Ok(None) };
        self.whole(name, file).map(Some)
    }

    /// What a file says, as far as one may grow.
    fn whole(&self, name: &str, file: std::fs::File) -> Result<String, BookError> {
        let mut text = String::new();
        file.take(FILE_BYTES).read_to_string(&mut text).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => self.damaged(name),
            _ => self.unreadable(name, source),
        })?;
        Ok(text)
    }

    fn unreadable(&self, name: &str, source: io::Error) -> BookError {
        BookError::Read { path: self.path_of(name), source }
    }

    fn damaged(&self, name: &str) -> BookError {
        BookError::Damaged { path: self.path_of(name), anew: if name == LEARNED { ANEW } else { "" } }
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.data.join(FOLDER).join(name)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
