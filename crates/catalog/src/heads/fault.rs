//! Heads that cannot be compared, and what speaks against a history.

use std::io;

/// Heads that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// One entry has two digests.
    #[error("{one} and {other} know entry {seq} with different digests: one of them is not of this history")]
    Clash {
        /// Which entry.
        seq: u64,
        /// Who knows it first.
        one: String,
        /// Who else.
        other: String,
    },
    /// More than can be kept in memory.
    #[error("there are more than {} heads to compare", super::MOST)]
    Many,
    /// What holds them cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

/// The chain is not the one that heads kept elsewhere are of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadsFault {
    /// An entry has another digest.
    #[error("entry {seq} is not the one that {whence} knows: the history was written anew from there, or from before")]
    Anew {
        /// Which entry.
        seq: u64,
        /// Who knows another.
        whence: String,
    },
    /// The chain ends before an entry that is known.
    #[error("entry {seq} is missing: {whence} knows it, and the history ends at entry {ends}")]
    Cut {
        /// Which entry.
        seq: u64,
        /// Who knows it.
        whence: String,
        /// The last that is there.
        ends: u64,
    },
    /// The last entry that was let go was another one.
    #[error("the history begins behind an entry {begins} that is not the one {whence} knows")]
    OtherFront {
        /// The last that was let go.
        begins: u64,
        /// Who knows another.
        whence: String,
    },
    /// The chain begins behind all that is known.
    #[error(
        "entry {seq}, the newest that {whence} knows, is not in the history, which begins behind entry {begins}: nothing \
         shows that it is the same history"
    )]
    Behind {
        /// The newest that is known.
        seq: u64,
        /// Who knows it.
        whence: String,
        /// The last that was let go.
        begins: u64,
    },
    /// An entry went that was not old enough.
    #[error(
        "entry {seq} is missing, and was too young to be let go: {whence} knows it, and the history begins behind entry \
         {begins}"
    )]
    Young {
        /// Which entry.
        seq: u64,
        /// Who knows it.
        whence: String,
        /// The last that was let go.
        begins: u64,
    },
    /// The newest that is known was let go, and nobody says when it was told.
    #[error(
        "entry {seq}, the newest that {whence} knows, is the last that was let go: the history goes on from it, but \
         nothing shows that what is gone was old enough to go"
    )]
    Undated {
        /// Which entry.
        seq: u64,
        /// Who knows it.
        whence: String,
    },
}

impl HeadsFault {
    /// What to do next.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Anew { .. } | Self::OtherFront { .. } | Self::Young { .. } => {
                "restore the catalog from a backup, and find out who wrote to it"
            }
            Self::Cut { .. } => "entries were cut off, or an older catalog was put in place: restore the newest backup",
            Self::Behind { .. } => {
                "compare with a newer head; where this is the newest one, the history was written anew"
            }
            Self::Undated { .. } => {
                "compare with a head of an entry that is still there, or with a line that says when it was told"
            }
        }
    }
}
