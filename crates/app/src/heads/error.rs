//! Why a head could not be told, or should not have been.

use std::io;
use std::path::PathBuf;

use model::Reason;

/// Why a head could not be told, or should not have been.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] catalog::CatalogError),
    /// The file cannot be written.
    #[error("history.head_file: cannot append to {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be read, so that nobody knows what it says of the history.
    #[error(
        "history.head_file: cannot read {path}; whether the history is the one that was told is not known until it can \
         be read"
    )]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The syslog failed.
    #[error("history.head_syslog: {0}")]
    Syslog(String),
    /// The chain itself does not hold.
    #[error(
        "{0}: no head is told until the history is whole again; restore the catalog from a backup, and find out who wrote to it"
    )]
    Broken(String),
    /// The chain is not the one that some head in the file is of.
    #[error(
        "{why}; `waystation history verify --head {path}` says more. No head is told until the history fits, or the \
         file is moved away"
    )]
    Another {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The file knows more than the history, or something else.
    #[error(
        "{path} knows entry {seq}, and the history does not have it as it was told: it was cut off at its end or its \
         beginning, written anew, or restored from a backup; `waystation history verify --head {path}` says more. No head \
         is told until the history fits, or the file is moved away"
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// The entry that the file knows.
        seq: u64,
    },
    /// The file knows more of this history than it has, under the name that the site had before.
    #[error(
        "{path} knows entry {seq} of this history under the name {was}, and the history does not have it as it was told: it \
         was cut off or written anew before the site was called {site}, or is a copy of {was}'s. No head is told until the \
         history fits, the site has that name again, or the file is moved away; a copied site needs a head_file of its own"
    )]
    Former {
        /// The file.
        path: PathBuf,
        /// The name then.
        was: String,
        /// The name now.
        site: String,
        /// The entry that the file knows.
        seq: u64,
    },
    /// The site has another name than before: its heads are told under that from now on. They were told.
    #[error(
        "{path} knows this history up to entry {seq} under the name {was}: its heads are told under the name {site} from \
         now on; with site.name set back to {was}, `waystation history verify` compares those that were told before"
    )]
    Renamed {
        /// The file.
        path: PathBuf,
        /// The name then.
        was: String,
        /// The name now.
        site: String,
        /// The newest entry that was told under the name before.
        seq: u64,
    },
    /// The chain is not the one that this process saw a moment ago.
    #[error(
        "entry {seq}, the newest that this process saw, is not in the history as it was: it was written anew, or another \
         catalog, be it an older copy of this one, was put in its place; where that was meant, restart `waystation run`"
    )]
    Replaced {
        /// The entry that was seen.
        seq: u64,
    },
}

impl HeadError {
    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Broken(_)
            | Self::Another { .. }
            | Self::Differs { .. }
            | Self::Former { .. }
            | Self::Replaced { .. } => Reason::HistoryBroken,
            Self::Catalog(_) => Reason::CatalogFailed,
            Self::File { .. } | Self::Unread { .. } | Self::Renamed { .. } | Self::Syslog(_) => Reason::HeadFailed,
        }
    }

    /// Whether the history is not what was written.
    pub fn is_broken(&self) -> bool {
        self.reason() == Reason::HistoryBroken
    }

    /// Whether nothing can be said of the history for it.
    pub(super) fn is_blind(&self) -> bool {
        matches!(self, Self::Catalog(_) | Self::Unread { .. })
    }

    /// Whether it tells of what happened, and nothing is in the way.
    pub(super) fn is_news(&self) -> bool {
        matches!(self, Self::Renamed { .. })
    }

    /// What makes it the same condition as one before; none where it is no condition of the heads.
    pub(super) fn key(&self) -> Option<&'static str> {
        match self {
            Self::Broken(_)
            | Self::Another { .. }
            | Self::Differs { .. }
            | Self::Former { .. }
            | Self::Replaced { .. } => Some("heads/history"),
            Self::File { .. } | Self::Unread { .. } => Some("heads/file"),
            Self::Syslog(_) => Some("heads/syslog"),
            // One is seen elsewhere; the other happens once, and stands nowhere.
            Self::Catalog(_) | Self::Renamed { .. } => None,
        }
    }
}
