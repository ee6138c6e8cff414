//! The wanted list and what the spool still holds of it, for a process that does not stay.

use std::path::Path;

use model::Timestamp;
use vendors::elastic::ElasticSettings;

use super::{Book, BookError, WANTED};
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
/// [`BookError`] when the spool or the list cannot be read now, or the list cannot be kept; then both are as they were.
/// [`BookError::Anew`] when the list did not read and begins anew with what was gathered: that is told this once.
pub fn collect(book: &Book, spool: &Path, settings: &ElasticSettings, now: Timestamp) -> Result<(), BookError> {
    let gathered = gather(spool, now)?;
    if gathered.seen.is_empty() {
        return Ok(gathered.done()?);
    }
    let mut list = match book.wanted() {
        Ok(list) => list,
        Err(BookError::Damaged { .. }) => WantedList::default(),
        Err(error) => return Err(error),
    };
    for seen in &gathered.seen {
        list.add(seen, settings);
    }
    let aside = book.keep_wanted(&list)?;
    gathered.done()?;
    aside.map_or(Ok(()), |aside| Err(BookError::Anew { path: book.path_of(WANTED), aside }))
}
