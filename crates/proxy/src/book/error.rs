//! Why what was learned cannot be read or kept.

use std::io;
use std::path::PathBuf;

use model::FeedId;
use platform::fs::FsError;

use super::FILE_BYTES;

/// Why what was learned cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FsError),
    /// A file is not what it should be.
    #[error(
        "{path} does not read: a newer version wrote it, or it is damaged; go on with that version, put a copy of it back, or remove it to begin anew{anew}"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What beginning anew comes to, where that is not nothing.
        anew: &'static str,
    },
    /// A file is there, and the system does not give it now.
    #[error("{path} cannot be read now, and is left as it is: look after its disk or mount")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A list that did not read was not gone on with.
    #[error(
        "{path} did not read: a newer version wrote it, or it is damaged; it begins anew with what was asked for since, and what stood there is kept as {aside}"
    )]
    Anew {
        /// Which.
        path: PathBuf,
        /// Where what stood there is now.
        aside: PathBuf,
    },
    /// It could not be written down.
    #[error("what was learned cannot be written down")]
    Form(#[from] serde_json::Error),
    /// It would not read any more.
    #[error(
        "{path} would grow beyond {FILE_BYTES} bytes, and is left as it is; `waystation feed forget` makes it smaller"
    )]
    TooMuch {
        /// Which.
        path: PathBuf,
    },
    /// Another data folder stands where the one was that is worked on.
    #[error("{path} is gone, or another stands in its place: nothing that is learned is written there")]
    Away {
        /// The data folder.
        path: PathBuf,
    },
    /// There is no room for one more.
    #[error(
        "{feed} is not learned: {learned} feeds are, and elastic.learned_feeds lets no more in; `waystation feed forget` makes room, and `waystation feed list` says what each is followed for"
    )]
    Full {
        /// Which was to be learned.
        feed: FeedId,
        /// How many are.
        learned: usize,
    },
}
