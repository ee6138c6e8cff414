//! Why an archive is refused.

use std::io;

use model::Reason;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// It has no end record: it is no zip, or its tail is gone.
    #[error("not a zip archive, or cut: it has no end record")]
    NoEnd,
    /// Its end records are damaged, or two readers could find different ones.
    #[error("the archive's end record {0}")]
    End(&'static str),
    /// Its central directory is damaged or passes a cap.
    #[error("the archive's directory {0}")]
    Directory(&'static str),
    /// A member's headers are damaged, disagree, or say what is not allowed.
    #[error("member '{name}' {what}")]
    Header {
        /// Its name, escaped and cut.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A member passes a cap, or its bytes are not what its headers say.
    #[error("member '{name}' {what}")]
    Damaged {
        /// Its name, escaped and cut.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// All members together pass the cap.
    #[error("the archive unpacks to more bytes than its cap")]
    TooLarge,
    /// The caller asked for a member that is not there.
    #[error("the archive has no member {0}")]
    NoMember(usize),
    /// The archive's bytes could not be read.
    #[error("the archive could not be read")]
    Io(#[source] io::Error),
}

impl ZipError {
    /// The code to refuse with.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoEnd | Self::End(_) | Self::Directory(_) | Self::Header { .. } | Self::NoMember(_) => Reason::BadZip,
            Self::Damaged { .. } | Self::TooLarge => Reason::MemberDamaged,
            // The disk's failure is not the vendor's.
            Self::Io(_) => Reason::StoreFailed,
        }
    }

    pub(super) fn header(name: &str, what: &'static str) -> Self {
        Self::Header { name: shown(name), what }
    }

    pub(super) fn damaged(name: &str, what: &'static str) -> Self {
        Self::Damaged { name: shown(name), what }
    }
}

impl From<io::Error> for ZipError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A name as a terminal and a log may show it.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_default).collect()
}
