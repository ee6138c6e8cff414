//! Heads of the chain that were kept elsewhere, as they are named on the command line.

use std::path::Path;

use app::Kept;
use catalog::{Compared, HeadsError, HeadsFault, KeptHeads};
use model::{Digest, Reason};

use crate::failure::{Exit, Failure};
use crate::show;

/// An entry's number and digest, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    seq: u64,
    digest: Digest,
}

impl std::str::FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':');
        let read = parts.and_then(|(seq, digest)| Some(Self { seq: seq.parse().ok()?, digest: digest.parse().ok()? }));
        read.ok_or_else(|| "write SEQ:DIGEST, an entry's number and its 64 digits".to_owned())
    }
}

/// Takes one that was typed.
pub(super) fn expect(heads: &mut KeptHeads, expected: &Expected) -> Result<(), Failure> {
    let taken = heads.expect(expected.seq, expected.digest, "--expect");
    taken.map_err(|error| failed(error.to_string()))
}

/// Takes the heads of a file that was named, be it a pipe, that are of this site.
pub(super) fn given(heads: &mut KeptHeads, path: &Path, site: &str) -> Result<(), Failure> {
    match app::read_given(path, site, heads) {
        Ok(0) => Err(no_head(path, site, None)),
        Ok(_) => Ok(()),
        Err(error) => Err(unread(path, error)),
    }
}

/// Takes those of history.head_file; whether any was told.
pub(super) fn configured(heads: &mut KeptHeads, path: &Path, site: &str) -> Result<bool, Failure> {
    match app::read_kept(path, site, heads) {
        Ok(Kept::Nobody) => Ok(false),
        Ok(Kept::Site) => Ok(true),
        Ok(Kept::Begun) => Err(no_head(path, site, None)),
        Ok(Kept::Others(others)) => Err(no_head(path, site, Some(&others.in_words()))),
        Err(error) => Err(unread(path, error)),
    }
}

fn no_head(path: &Path, site: &str, others: Option<&str>) -> Failure {
    let others = others.map(|others| format!(", but of {others}")).unwrap_or_default();
    let failure = failed(format!("{} holds no head of site {site}{others}: nothing is no proof", path.display()));
    failure.with_next("each line is: time, entry, digest, site; see [history] head_file")
}

fn unread(path: &Path, error: HeadsError) -> Failure {
    match error {
        HeadsError::Read(error) => Failure::new(&format!("cannot read {}", path.display()), &error),
        error => failed(error.to_string()),
    }
}

/// The history is not the one that the heads are of.
pub(super) fn broken(fault: &HeadsFault) -> Failure {
    let text = match fault {
        // It may be the same: nothing shows that it is another.
        HeadsFault::Undated { .. } => format!("history verify: {fault}"),
        fault => format!("{}: {fault}", Reason::HistoryBroken),
    };
    Failure::usage(text).with_exit(Exit::FAILED).with_next(fault.remedy())
}

fn failed(text: String) -> Failure {
    Failure::usage(format!("history verify: {text}")).with_exit(Exit::FAILED)
}

/// What to do where the history is another than it was.
pub(super) const RESTORE: &str = "restore the catalog from a backup, and find out who wrote to it";

/// What came of it, in words.
pub(super) fn in_words(compared: Compared) -> String {
    let verb = if compared.same == 1 { "is" } else { "are" };
    let same = format!("{} kept elsewhere {verb} its own", show::count(compared.same, "head"));
    match compared.let_go {
        0 => same,
        gone if compared.same == 0 => {
            format!(
                "{} kept elsewhere: of entries that were let go, as old as they had to be",
                show::count(gone, "head")
            )
        }
        gone => format!("{same}; {} of entries that were let go could not be compared", show::count(gone, "head")),
    }
}
