//! Rows into records; whatever does not read as what was written is damage.

use std::fmt::Display;
use std::str::FromStr;

use model::{Release, ReleaseId, ReleaseState, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Decode, Row, Type};

use super::error::{damaged, refusal};
use super::sums;
use crate::entry::{Actor, ChainHead, Entry, EntryKind};
use crate::port::{CatalogError, FeedRecord, Publication, ReleaseRecord};

/// A row of one table, read column by column.
pub(crate) struct Reader<'r> {
    pub(crate) table: &'static str,
    pub(crate) row: &'r AnyRow,
}

impl<'r> Reader<'r> {
    pub(crate) fn get<T: Decode<'r, Any> + Type<Any>>(&self, column: usize) -> Result<T, CatalogError> {
        self.row.try_get(column).map_err(refusal("read a row", self.table))
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, CatalogError> {
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

    /// Fails unless the last column holds the sum of the row's members.
    pub(crate) fn summed(&self, column: usize, expected: &str) -> Result<(), CatalogError> {
        let found: String = self.get(column)?;
        if found == expected {
            return Ok(());
        }
        Err(damaged(self.table, "a row does not have the sum that it was written with"))
    }

    fn agree<T: PartialEq + Display>(&self, key: &T, record: &T) -> Result<(), CatalogError> {
        if key == record {
            return Ok(());
        }
        Err(damaged(self.table, format!("the row of {key} holds the record of {record}")))
    }
}

/// Columns: `feed, record, sum`.
pub(crate) fn feed(row: &AnyRow) -> Result<FeedRecord, CatalogError> {
    let reader = Reader { table: "feeds", row };
    let record: FeedRecord = reader.json(1)?;
    reader.agree(&reader.parsed(0)?, &record.feed)?;
    reader.summed(2, &sums::sum("feeds", &[&record.feed, &reader.get::<String>(1)?]))?;
    Ok(record)
}

/// Columns: `id, number, state, state_since, state_sum, record, sum`.
pub(crate) fn release(row: &AnyRow) -> Result<ReleaseRecord, CatalogError> {
    let reader = Reader { table: "releases", row };
    let release: Release = reader.json(5)?;
    reader.agree(&reader.parsed::<ReleaseId>(0)?, &release.id)?;
    if ReleaseId::of(&release.feed, &release.items) != release.id {
        return Err(damaged(
            "releases",
            format!("the items of {} are not those that it was recorded with", release.id),
        ));
    }
    let number = reader.number(1)?;
    reader.summed(6, &sums::sum("releases", &[&release.id, &number, &reader.get::<String>(5)?]))?;
    let (state, state_since) = state(&reader, &release.id, 2)?;
    Ok(ReleaseRecord { number, release, state, state_since })
}

/// Columns from `first` on: `state, state_since, state_sum`.
pub(crate) fn state(
    reader: &Reader<'_>,
    id: &ReleaseId,
    first: usize,
) -> Result<(ReleaseState, Timestamp), CatalogError> {
    let state = reader.word(first, ReleaseState::from_word)?;
    let since = reader.time(first.saturating_add(1))?;
    reader.summed(first.saturating_add(2), &sums::sum("states", &[id, &state, &since.as_micros()]))?;
    Ok((state, since))
}

/// Columns: `ring, number, digest, opened_at, closed_at, sum`.
pub(crate) fn publication(row: &AnyRow) -> Result<Publication, CatalogError> {
    let reader = Reader { table: "publications", row };
    let (ring, digest): (String, String) = (reader.get(0)?, reader.get(2)?);
    reader.summed(5, &sums::publication(&ring, reader.get(1)?, &digest, (reader.get(3)?, reader.get(4)?)))?;
    Ok(Publication {
        ring: reader.parsed(0)?,
        number: reader.number(1)?,
        digest: reader.parsed(2)?,
        opened_at: reader.time(3)?,
        closed_at: reader.get::<Option<i64>>(4)?.map(Timestamp::from_micros),
    })
}

/// Columns: `host, wait_until, sum`.
pub(crate) fn host_wait(row: &AnyRow) -> Result<(String, Timestamp), CatalogError> {
    let reader = Reader { table: "host_waits", row };
    let (host, until): (String, Timestamp) = (reader.get(0)?, reader.time(1)?);
    reader.summed(2, &sums::sum("host_waits", &[&host, &until.as_micros()]))?;
    Ok((host, until))
}

/// Columns: `seq, happened_at, uid, pid, verb, sudo_uid, login, token, kind, subject, data, previous, digest`.
pub(crate) fn entry(row: &AnyRow) -> Result<Entry, CatalogError> {
    let reader = Reader { table: "history", row };
    Ok(Entry {
        seq: reader.number(0)?,
        at: reader.time(1)?,
        actor: actor(&reader)?,
        kind: reader.word(8, EntryKind::from_word)?,
        subject: reader.get(9)?,
        data: reader.get(10)?,
        previous: reader.parsed(11)?,
        digest: reader.parsed(12)?,
    })
}

/// Columns from the third on: `uid, pid, verb, sudo_uid, login, token`.
fn actor(reader: &Reader<'_>) -> Result<Actor, CatalogError> {
    let sudo_uid = reader.get::<Option<i64>>(5)?.map(u32::try_from).transpose();
    Ok(Actor {
        uid: reader.number(2)?,
        pid: reader.number(3)?,
        verb: reader.get(4)?,
        sudo_uid: sudo_uid.map_err(|_| damaged(reader.table, "a user id is out of range"))?,
        login: reader.get(6)?,
        token: reader.get(7)?,
    })
}

/// Columns: `seq, digest, happened_at`.
pub(crate) fn head(row: &AnyRow) -> Result<ChainHead, CatalogError> {
    let reader = Reader { table: "history", row };
    Ok(ChainHead { seq: reader.number(0)?, digest: reader.parsed(1)?, at: Some(reader.time(2)?) })
}

/// What may be anything, fit for a terminal.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}
