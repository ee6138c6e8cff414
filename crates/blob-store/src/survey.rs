//! What lies in a data folder, for who checks it whole. Looking changes nothing.

use model::Digest;

/// Something that lies in the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something under a blob's name.
    Blob {
        /// Its name.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// What makes it unsafe to believe, as the end of a sentence that begins with its path.
        doubt: Option<&'static str>,
    },
    /// Something that is no part of what is held, and harms nothing.
    Left(Leftover),
    /// A file or folder that somebody else could change, or that cannot be looked at.
    Unsafe {
        /// Which, relative to the data folder.
        path: String,
        /// What is wrong with it, as the end of a sentence that begins with its path.
        what: String,
    },
}

/// What is no part of what is held, and harms nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Of what kind.
    pub kind: LeftoverKind,
    /// Where, relative to the data folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Where a leftover comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftoverKind {
    /// A download that can be resumed, or is under way.
    Partial,
    /// A file that was about to be renamed when its writer ended.
    Temporary,
    /// A blob whose bytes changed under us, set aside.
    Damaged,
    /// A generation that was prepared and never served.
    Unpublished,
    /// Something that Waystation did not put there.
    Foreign,
}

/// What a ring's folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingState {
    /// What its pointer says.
    pub pointer: PointerState,
    /// Its generation files, oldest first.
    pub generations: Vec<GenerationState>,
    /// What else lies there.
    pub others: Vec<Found>,
}

/// What a ring's pointer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointerState {
    /// There is none.
    Absent,
    /// It names a generation whose file is there and is whole.
    Good {
        /// The generation's number.
        number: u64,
        /// The digest of its file.
        digest: Digest,
    },
    /// It cannot be read, or does not name a whole generation.
    Bad {
        /// The number that it names, where it names one.
        number: Option<u64>,
        /// What is wrong, as the end of a sentence that begins with "it".
        what: String,
    },
}

impl PointerState {
    /// What is wrong with it, as a sentence; nothing where it names a whole generation or is not there.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Absent | Self::Good { .. } => None,
            Self::Bad { what, .. } => Some(format!("the ring's pointer {what}")),
        }
    }
}

/// One generation file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationState {
    /// Its number.
    pub number: u64,
    /// The file's size in bytes.
    pub size: u64,
    /// What is wrong with it, as the end of a sentence that begins with its path.
    pub fault: Option<String>,
}
