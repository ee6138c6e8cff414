//! What the database's refusals mean here.

use std::error::Error;
use std::fmt;
use std::io;

use crate::CatalogError;

/// A refusal of the database, with what the operator can do about it.
#[derive(Debug)]
struct Refusal {
    advice: &'static str,
    source: sqlx::Error,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.advice)
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// What to do about a file that holds something else, or half of it.
pub(crate) const UNSOUND: &str = "the file is not a sound database: with nothing running, move it away together with \
    its -wal and -shm, then put a backup in its place, or sync again (what is served stays as it is)";

/// What is said of a disk without room.
const FULL: &str = "the disk is full";

/// Whether the database found no room.
pub(crate) fn is_full(source: &(dyn Error + 'static)) -> bool {
    let refused = source.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.advice == FULL);
    refused || source.downcast_ref::<io::Error>().is_some_and(says_full)
}

/// Whether the system's answer is that there is no room, be it for bytes or for names.
pub(crate) fn says_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether SQLite could not make or lengthen one of its files beside the database. It does not say why: the disk may have
/// no room for it.
pub(crate) fn is_unmade(error: &sqlx::Error) -> bool {
    code(error) == Some(14) || extended(error) == Some(NO_SHARED_MEMORY)
}

/// The database refused `act` because the disk is full.
pub(crate) fn full(act: &'static str, error: sqlx::Error) -> CatalogError {
    CatalogError::Database { act, source: Box::new(Refusal { advice: FULL, source: error }) }
}

/// The same error; where a file could not be made for it and `is_full`, it says that there is no room.
pub(crate) fn or_full(error: CatalogError, is_full: impl FnOnce() -> bool) -> CatalogError {
    let CatalogError::Database { act, source } = error else { return error };
    match source.downcast::<Refusal>() {
        Ok(refusal) if is_unmade(&refusal.source) && is_full() => full(act, refusal.source),
        Ok(refusal) => CatalogError::Database { act, source: refusal },
        Err(source) => CatalogError::Database { act, source },
    }
}

/// The database refused `act`, or gave a row of `table` that cannot be what was written.
pub(crate) fn refusal(act: &'static str, table: &'static str) -> impl FnOnce(sqlx::Error) -> CatalogError {
    move |error| match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::AnyDriverError(_) => damaged(table, error.to_string()),
        // Only before the write-ahead log is turned on, the first thing done to a new file, is there anything to undo.
        error if extended(&error) == Some(TO_BE_UNDONE) => CatalogError::Unfinished,
        error => match advice(&error) {
            Some(advice) => CatalogError::Database { act, source: Box::new(Refusal { advice, source: error }) },
            None => CatalogError::Database { act, source: Box::new(error) },
        },
    }
}

pub(crate) fn damaged(table: &'static str, what: impl Into<String>) -> CatalogError {
    CatalogError::Damaged { table, what: what.into() }
}

/// Whether somebody else was writing and trying again helps.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(5 | 6))
}

/// SQLite's code for a file that a reader finds in the middle of a change that only a writer can undo.
const TO_BE_UNDONE: u32 = 776;

/// SQLite's code for the file of its shared memory that could not be lengthened.
const NO_SHARED_MEMORY: u32 = 4874;

/// SQLite's extended result code (sqlite.org/rescode.html).
fn extended(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// Its primary one.
fn code(error: &sqlx::Error) -> Option<u32> {
    Some(extended(error)? & 0xff)
}

fn advice(error: &sqlx::Error) -> Option<&'static str> {
    Some(match code(error)? {
        5 | 6 => "another process has kept the database busy for too long",
        8 => "the database cannot be written: it was opened read-only, or its owner or mode forbid it",
        10 => "the disk failed to read or write the database: look at the system's log",
        11 | 26 => UNSOUND,
        13 => FULL,
        14 => "the database file cannot be opened: check that it is there, and its folder's owner and mode",
        _ => return None,
    })
}
