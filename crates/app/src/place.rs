//! What became of the data folder that `run` works on, as it was looked at last: for alarms, for readiness, and for
//! whoever asks a process that was left without its folder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mirror::EngineError;
use model::Reason;

/// Where the data folder is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    away: Mutex<Option<Away>>,
    /// A configuration was read while it was away.
    owes: AtomicBool,
}

/// The data folder, or a part of it, is not where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Away {
    what: Part,
    stands: Stands,
}

/// What is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// Rings and blobs are where they were.
    Catalog,
    /// All else is where it was.
    Blobs,
}

/// What stands where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// Nothing, or nothing that is known to be a data folder.
    Nothing,
    /// A data folder with another history, which is left alone.
    AnotherHistory,
    /// One with an older copy of this history, that lacks, or may lack, an operator's word, a verdict or a newer release: it
    /// is left alone as well.
    OlderCopy,
    /// One with a history that lacks the newest entries, of which nobody can tell what they say: it is left alone as well.
    Lacking,
}

impl Place {
    fn away_mut(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is where it was, or another was taken in its place.
    pub(crate) fn back(&self) {
        *self.away_mut() = None;
    }

    /// It is not where it was, as `error` says.
    pub(crate) fn gone(&self, error: &EngineError) {
        let mut away = self.away_mut();
        let stands = away.map_or(Stands::Nothing, |away| away.stands);
        *away = Some(Away { stands, ..Away::of(error) });
    }

    /// What stands there now; nothing where the data folder is not away.
    pub(crate) fn found(&self, stands: Stands) {
        if let Some(away) = self.away_mut().as_mut() {
            away.stands = stands;
        }
    }

    /// Whether a configuration waits for it to be back.
    pub(crate) fn owe(&self, owes: bool) {
        self.owes.store(owes, Ordering::SeqCst);
    }

    /// Whether a configuration was read while it was away, that no engine works by yet.
    pub(crate) fn owes(&self) -> bool {
        self.owes.load(Ordering::SeqCst)
    }

    /// What is not where it was; none where all is.
    pub(crate) fn away(&self) -> Option<Away> {
        *self.away_mut()
    }
}

impl Away {
    /// What an engine says of it, which looks at nothing that stands there.
    pub(crate) fn of(error: &EngineError) -> Self {
        let what = match error {
            EngineError::CatalogGone { .. } => Part::Catalog,
            EngineError::BlobsGone { .. } => Part::Blobs,
            _ => Part::Whole,
        };
        Self { what, stands: Stands::Nothing }
    }

    /// Whether an engine says that something is away.
    pub(crate) fn is_told_by(error: &EngineError) -> bool {
        use EngineError::{BlobsGone, CatalogGone, FolderGone};
        matches!(error, FolderGone { .. } | CatalogGone { .. } | BlobsGone { .. })
    }

    /// The reason code.
    pub(crate) fn reason(self) -> Reason {
        match self.stands {
            Stands::Nothing => Reason::FolderGone,
            Stands::AnotherHistory | Stands::OlderCopy | Stands::Lacking => Reason::AnotherHistory,
        }
    }

    /// Whether bytes of content can still be opened: they lie beside the catalog.
    pub(crate) fn has_content(self) -> bool {
        self.what == Part::Catalog
    }

    /// What is away, for a subject.
    pub(crate) fn what(self) -> &'static str {
        match self.what {
            Part::Whole => "the data folder",
            Part::Catalog => "the catalog",
            Part::Blobs => "the folder of the blobs",
        }
    }

    /// What is wrong, without a path: it is shown to whoever asks.
    pub(crate) fn in_words(self) -> String {
        let what = self.what();
        match self.stands {
            Stands::Nothing => {
                format!("{what} is gone, or another stands in its place: nothing is written until it is back")
            }
            Stands::AnotherHistory => format!(
                "another history stands where {what} was, and is left alone, for what was rejected here is not in it; put the \
                 right one back, or restart `waystation run` to work on the one that stands there"
            ),
            Stands::OlderCopy => format!(
                "an older copy of its own history stands where {what} was, and is left alone, for an operator's word, a verdict or \
                 a newer release that was recorded since is not in it, or nobody can tell; put the right one back, or restart `waystation run` to go \
                 on from the copy, and say again what was said since"
            ),
            Stands::Lacking => format!(
                "a history that lacks the newest entries stands where {what} was, and is left alone, for an operator's word, \
                 a verdict or a newer release may be among them; put the right one back, or restart `waystation run` to go on \
                 from what stands there, and say again what was said since"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_there_is_known_as_long_as_it_is_away_s42() {
        let place = Place::default();
        place.found(Stands::AnotherHistory);
        assert_eq!(place.away(), None, "it is in its place");
        let gone = EngineError::FolderGone { path: "/secret/d".into(), source: None };
        place.gone(&gone);
        assert_eq!(place.away().map(Away::reason), Some(Reason::FolderGone));
        place.found(Stands::AnotherHistory);
        place.gone(&gone);
        let away = place.away().unwrap();
        assert_eq!((away.reason(), away.has_content()), (Reason::AnotherHistory, false));
        assert!(away.in_words().contains("restart `waystation run`") && !away.in_words().contains("/secret"));
        place.found(Stands::OlderCopy);
        let away = place.away().unwrap();
        assert_eq!(away.reason(), Reason::AnotherHistory);
        assert!(away.in_words().contains("older copy") && away.in_words().contains("restart `waystation run`"));
        place.back();
        place.gone(&EngineError::CatalogGone { path: "/secret/d".into(), source: None });
        let away = place.away().unwrap();
        assert_eq!((away.reason(), away.has_content(), away.what()), (Reason::FolderGone, true, "the catalog"));
        place.gone(&EngineError::BlobsGone { path: "/secret/d".into(), source: None });
        let away = place.away().unwrap();
        assert_eq!((away.has_content(), away.what()), (false, "the folder of the blobs"));
        place.back();
        assert_eq!(place.away(), None);
    }
}
