//! What can go wrong with a tree as a whole, and with one folder of it.

use std::path::PathBuf;

use blob_store::StoreError;
use model::{Digest, Reason};
use platform::fs::FsError;

/// Why a tree was not touched at all, or could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Something is in the folder that this program did not write.
    #[error(
        "{} holds '{name}', which this program did not write: name an empty folder, or empty this one",
        root.display()
    )]
    Foreign {
        /// The folder.
        root: PathBuf,
        /// The first thing found.
        name: String,
    },
    /// The folder says that another installation keeps it, or the records of it were lost.
    #[error("{} says that it is kept by somebody whose records are not here", root.display())]
    Strange {
        /// The folder.
        root: PathBuf,
    },
    /// The folder is, or lies in, one that a Waystation keeps for a ring.
    #[error("{} is a ring's folder: another Waystation keeps it, as .waystation-tree in it says; name another folder", root.display())]
    Kept {
        /// The ring's folder.
        root: PathBuf,
    },
    /// The records say that the folder was filled, and it is gone or empty.
    #[error(
        "{} is gone or was emptied: if it lies on a volume, mount it; if it was meant, `tree rebuild` fills it again",
        root.display()
    )]
    Emptied {
        /// The folder.
        root: PathBuf,
    },
    /// The folder, or what is above a file in it, could be changed by somebody else.
    #[error("{} {what}", root.display())]
    Unsafe {
        /// The folder.
        root: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        what: &'static str,
    },
    /// Somebody else could put another folder in the tree's place.
    #[error("{} {what}, who could put another folder in the place of {}: {mend}", above.display(), root.display())]
    Replaceable {
        /// The tree's folder.
        root: PathBuf,
        /// The folder above it.
        above: PathBuf,
        /// Who, as the middle of a sentence.
        what: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// The data folder lies in it.
    #[error("{} holds the data folder, which would be shared with it: name a folder beside it", root.display())]
    HoldsData {
        /// The folder.
        root: PathBuf,
    },
    /// It lies in the data folder.
    #[error(
        "{} lies in the data folder {}, which nobody but this program may share or change: name a folder beside it",
        root.display(),
        data.display()
    )]
    InData {
        /// The folder.
        root: PathBuf,
        /// The data folder.
        data: PathBuf,
    },
    /// An operation on a file or folder failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The records do not read.
    #[error("the records of the tree in {} do not read", path.display())]
    Records {
        /// Their file.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        source: serde_json::Error,
    },
}

impl TreeError {
    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Foreign { .. }
            | Self::Strange { .. }
            | Self::Kept { .. }
            | Self::Emptied { .. }
            | Self::HoldsData { .. }
            | Self::InData { .. }
            | Self::Records { .. } => Reason::TreeRefused,
            Self::Unsafe { .. } | Self::Replaceable { .. } => Reason::UnsafeFile,
            Self::Fs(error) => error.reason(),
        }
    }
}

/// Why one folder is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The store does not give a blob as it should.
    #[error("blob {digest} cannot be had")]
    Store {
        digest: Digest,
        #[source]
        source: Box<StoreError>,
    },
    /// A blob opened well, and its bytes cannot be read.
    #[error("cannot read blob {digest}")]
    Unread {
        digest: Digest,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {act} {name}")]
    Io {
        act: &'static str,
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("blob {digest} has other bytes than its name says: {actual}")]
    Damaged { digest: Digest, actual: Digest },
    #[error("{name} needs {bytes} bytes, and {free} are free, of which {reserve} stay free")]
    NoRoom { name: String, bytes: u64, free: u64, reserve: u64 },
    #[error("{name} {what}: move it away")]
    InTheWay { name: String, what: &'static str },
    #[error("{name} cannot be entered by others, and belongs to another user: give it mode 0755")]
    Closed { name: String },
    #[error("files that it refers to could not be put there")]
    Waits,
    /// A test stopped the run here.
    #[cfg(test)]
    #[error("stopped")]
    Stopped,
}

impl FolderError {
    pub(crate) fn io(act: &'static str, name: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let name = name.into();
        move |source| Self::Io { act, name, source }
    }

    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Fs(error) => error.reason(),
            Self::Store { source, .. } if source.is_damage() => Reason::BlobDamaged,
            Self::Store { source, .. } => source.reason(),
            Self::Unread { source, .. } if platform::fs::says_bad_medium(source) => Reason::BlobDamaged,
            Self::Unread { source, .. } => platform::fs::reason_of(source),
            Self::Io { source, .. } => platform::fs::reason_of(source),
            Self::Damaged { .. } => Reason::BlobDamaged,
            Self::NoRoom { .. } => Reason::DiskFull,
            Self::InTheWay { .. } | Self::Closed { .. } | Self::Waits => Reason::TreeBehind,
            #[cfg(test)]
            Self::Stopped => Reason::Interrupted,
        }
    }

    /// The blob that is not what it should be, if it is one that keeps a folder back.
    pub(crate) fn blob(&self) -> Option<Digest> {
        match self {
            Self::Damaged { digest, .. } | Self::Store { digest, .. } | Self::Unread { digest, .. } => Some(*digest),
            _ => None,
        }
    }

    /// Whether giving room back may help.
    pub(crate) fn is_room(&self) -> bool {
        self.reason() == Reason::DiskFull
    }
}
