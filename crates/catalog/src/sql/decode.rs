//! Rows into records; whatever does not read as what was written is damage.

use std::fmt::Display;
use std::str::FromStr;

use model::{Release, ReleaseId, ReleaseState, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Decode, Row, Type};

use super::error::{damaged, refusal};
use crate::port::{Actor, CatalogError, ChainHead, Entry, EntryKind, FeedRecord, Publication, ReleaseRecord};

/// A row of one table, read column by column.
pub(crate) struct Reader<'r> {
    pub(crate) table: &'static str,
    pub(crate) row: &'r AnyRow,
}

impl<'r> Reader<'r> {
    pub(crate) fn get<T: Decode<'r, Any> + Type<Any>>(&self, column: usize) -> Result<T, CatalogError> {
        self.row.try_get(column).map_err(refusal("read a row", self.table))
    }

    fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, CatalogError> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| damaged(self.table, format!("{number} is out of range")))
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp, CatalogError> {
        self.get(column).map(Timestamp::from_micros)
    }

    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, column: usize) -> Result<T, CatalogError> {
        let text: String = self.get(column)?;
        text.parse().map_err(|error| damaged(self.table, format!("'{}': {error}", shown(&text))))
    }

    fn word<T>(&self, column: usize, read: impl FnOnce(&str) -> Option<T>) -> Result<T, CatalogError> {
        let text: String = self.get(column)?;
        read(&text).ok_or_else(|| damaged(self.table, format!("'{}' is not a word known here", shown(&text))))
    }

    fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, CatalogError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| damaged(self.table, error.to_string()))
    }

    fn agree<T: PartialEq + Display>(&self, key: &T, record: &T) -> Result<(), CatalogError> {
        if key == record {
            return Ok(());
        }
        Err(damaged(self.table, format!("the row of {key} holds the record of {record}")))
    }
}

/// Columns: `feed, record`.
pub(crate) fn feed(row: &AnyRow) -> Result<FeedRecord, CatalogError> {
    let reader = Reader { table: "feeds", row };
    let record: FeedRecord = reader.json(1)?;
    reader.agree(&reader.parsed(0)?, &record.feed)?;
    Ok(record)
}

/// Columns: `id, number, state, state_since, record`.
pub(crate) fn release(row: &AnyRow) -> Result<ReleaseRecord, CatalogError> {
    let reader = Reader { table: "releases", row };
    let release: Release = reader.json(4)?;
    reader.agree(&reader.parsed::<ReleaseId>(0)?, &release.id)?;
    if ReleaseId::of(&release.feed, &release.items) != release.id {
        return Err(damaged(
            "releases",
            format!("the items of {} are not those that it was recorded with", release.id),
        ));
    }
    let number = reader.number(1)?;
    let (state, state_since) = state(&reader, 2)?;
    Ok(ReleaseRecord { number, release, state, state_since })
}

/// Columns from `first` on: `state, state_since`.
pub(crate) fn state(reader: &Reader<'_>, first: usize) -> Result<(ReleaseState, Timestamp), CatalogError> {
    Ok((reader.word(first, ReleaseState::from_word)?, reader.time(first.saturating_add(1))?))
}

/// Columns: `ring, number, digest, opened_at, closed_at`.
pub(crate) fn publication(row: &AnyRow) -> Result<Publication, CatalogError> {
    let reader = Reader { table: "publications", row };
    Ok(Publication {
        ring: reader.parsed(0)?,
        number: reader.number(1)?,
        digest: reader.parsed(2)?,
        opened_at: reader.time(3)?,
        closed_at: reader.get::<Option<i64>>(4)?.map(Timestamp::from_micros),
    })
}

/// Columns: `host, wait_until`.
pub(crate) fn host_wait(row: &AnyRow) -> Result<(String, Timestamp), CatalogError> {
    let reader = Reader { table: "host_waits", row };
    Ok((reader.get(0)?, reader.time(1)?))
}

/// Columns: `seq, happened_at, uid, pid, verb, kind, subject, data, previous, digest`.
pub(crate) fn entry(row: &AnyRow) -> Result<Entry, CatalogError> {
    let reader = Reader { table: "history", row };
    Ok(Entry {
        seq: reader.number(0)?,
        at: reader.time(1)?,
        actor: Actor { uid: reader.number(2)?, pid: reader.number(3)?, verb: reader.get(4)? },
        kind: reader.word(5, kind)?,
        subject: reader.get(6)?,
        data: reader.get(7)?,
        previous: reader.parsed(8)?,
        digest: reader.parsed(9)?,
    })
}

/// Columns: `seq, digest, happened_at`.
pub(crate) fn head(row: &AnyRow) -> Result<ChainHead, CatalogError> {
    let reader = Reader { table: "history", row };
    Ok(ChainHead { seq: reader.number(0)?, digest: reader.parsed(1)?, at: Some(reader.time(2)?) })
}

fn kind(word: &str) -> Option<EntryKind> {
    [
        EntryKind::Check,
        EntryKind::Verdict,
        EntryKind::PublicationIntended,
        EntryKind::PublicationDone,
        EntryKind::PublicationAbandoned,
        EntryKind::Act,
        EntryKind::Upkeep,
        EntryKind::ConfigChange,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == word)
}

/// What may be anything, fit for a terminal.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}
