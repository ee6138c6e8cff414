//! The wanted list and what the spool still holds of it, for a process that does not stay.

use std::path::Path;

use model::Timestamp;
use vendors::elastic::ElasticSettings;

use super::{Book, BookError};
use crate::WantedList;
use crate::spool::gather;

/// What is wanted, with what the spool still holds.
///
/// # Errors
/// [`BookError`] when the list or the spool cannot be read.
pub fn pending(book: &Book, spool: &Path, settings: &ElasticSettings, now: Timestamp) -> Result<WantedList, BookError> {
    let mut list = book.wanted()?;
    for seen in &gather(spool, now)?.seen {
        list.add(seen, settings);
    }
    Ok(list)
}

/// Takes what the spool holds into the list.
///
/// # Errors
/// [`BookError`] when the spool cannot be read or the list cannot be kept; then the spool is as it was. Also when the list
/// did not read: then it begins anew with what was gathered, and that is told this once.
pub fn collect(book: &Book, spool: &Path, settings: &ElasticSettings, now: Timestamp) -> Result<(), BookError> {
    let gathered = gather(spool, now)?;
    if gathered.seen.is_empty() {
        return Ok(gathered.done()?);
    }
    let (mut list, unread) = match book.wanted() {
        Ok(list) => (list, Ok(())),
        Err(error @ BookError::Damaged { .. }) => (WantedList::default(), Err(error)),
        Err(error) => return Err(error),
    };
    for seen in &gathered.seen {
        list.add(seen, settings);
    }
    book.keep_wanted(&list)?;
    gathered.done()?;
    unread
}
