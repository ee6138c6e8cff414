//! What is asked of the history.

use model::Timestamp;
use sqlx::query::Query;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::decode::{self, Reader};
use super::read::{all, clamped};
use crate::CatalogError;
use crate::aging::{Aging, Lived, Span, step_back};
use crate::entry::{ChainHead, Entry, EntryFilter, EntryKind, EntryOrder};

const COLUMNS: &str =
    "seq, happened_at, uid, pid, verb, sudo_uid, login, token, kind, subject, data, previous, digest FROM history";
/// How many entries' times are read at a time.
const TIMES: i64 = 4000;

/// At most `limit` entries from the number `from` on. Whoever begins at the first also sees what was put in before it,
/// and whoever goes on what was put in between two: entries with numbers that none can have.
pub(crate) async fn entries_from(
    connection: &mut AnyConnection,
    from: u64,
    limit: usize,
) -> Result<Vec<Entry>, CatalogError> {
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let which = if from <= 1 { "$1 <= 1" } else { "seq > $1 - 1" };
    let query = format!("SELECT {COLUMNS} WHERE {which} ORDER BY seq LIMIT $2");
    // It is safe: the text holds nothing but names of columns and numbered places.
    let query = sqlx::query(AssertSqlSafe(query)).bind(from).bind(clamped(limit));
    all(connection, "history", query, decode::entry).await
}

pub(crate) async fn entries(
    connection: &mut AnyConnection,
    filter: &EntryFilter,
    (order, limit): (EntryOrder, usize),
) -> Result<Vec<Entry>, CatalogError> {
    // Beyond what the database can count there is nothing.
    let Ok(from) = i64::try_from(filter.from) else { return Ok(Vec::new()) };
    let to = filter.to.map_or(i64::MAX, |to| i64::try_from(to).unwrap_or(i64::MAX));
    let (text, words, times) = entries_query(filter, order);
    // It is safe: the text holds nothing but names of columns and numbered places.
    let query = sqlx::query(AssertSqlSafe(text)).bind(from).bind(to).bind(clamped(limit));
    let query = times.into_iter().fold(query, |query, time| query.bind(time.as_micros()));
    let query = words.into_iter().fold(query, Query::bind);
    all(connection, "history", query, decode::entry).await
}

/// The text of the query for the entries that a filter lets through, and the words and times that it compares with. It
/// names only the columns that the filter speaks of: with an "or any" in it no index would be of use.
pub(crate) fn entries_query(filter: &EntryFilter, order: EntryOrder) -> (String, Vec<String>, Vec<Timestamp>) {
    let mut text = format!("SELECT {COLUMNS} WHERE seq >= $1 AND seq <= $2");
    let (mut words, mut times) = (Vec::new(), Vec::new());
    let mut place = 3_usize;
    let mut next = || {
        place = place.saturating_add(1);
        format!("${place}")
    };
    for (sign, time) in [(">=", filter.since), ("<=", filter.until)] {
        if let Some(time) = time {
            text += &format!(" AND happened_at {sign} {}", next());
            times.push(time);
        }
    }
    if !filter.kinds.is_empty() {
        let places: Vec<String> = filter.kinds.iter().map(|_| next()).collect();
        text += &format!(" AND kind IN ({})", places.join(", "));
        words.extend(filter.kinds.iter().map(|kind| kind.as_str().to_owned()));
    }
    if let Some(subject) = &filter.subject {
        text += &format!(" AND subject = {}", next());
        words.push(subject.clone());
    }
    text += match order {
        EntryOrder::OldestFirst => " ORDER BY seq LIMIT $3",
        EntryOrder::NewestFirst => " ORDER BY seq DESC LIMIT $3",
    };
    (text, words, times)
}

/// Of one kind, the last entry on each subject up to a number.
pub(crate) async fn latest(
    connection: &mut AnyConnection,
    kind: EntryKind,
    until: u64,
) -> Result<Vec<Entry>, CatalogError> {
    let query = format!(
        "SELECT {COLUMNS} WHERE seq IN (SELECT MAX(seq) FROM history WHERE kind = $1 AND seq <= $2 GROUP BY subject) \
         ORDER BY seq"
    );
    let until = i64::try_from(until).unwrap_or(i64::MAX);
    let query = sqlx::query(AssertSqlSafe(query)).bind(kind.as_str()).bind(until);
    all(connection, "history", query, decode::entry).await
}

/// For each span, the newest entry that it has surely passed since.
pub(crate) async fn lived(
    connection: &mut AnyConnection,
    now: Timestamp,
    spans: &[Span],
) -> Result<Vec<Option<Lived>>, CatalogError> {
    let mut walks = Aging::all(spans, now);
    let mut below = i64::MAX;
    loop {
        let query = sqlx::query("SELECT seq, happened_at FROM history WHERE seq < $1 ORDER BY seq DESC LIMIT $2");
        let row = |row: &_| -> Result<(u64, Timestamp), CatalogError> {
            let reader = Reader { table: "history", row };
            Ok((reader.number(0)?, reader.time(1)?))
        };
        let page = all(connection, "history", query.bind(below).bind(TIMES), row).await?;
        let over = page.iter().any(|(seq, at)| step_back(&mut walks, *seq, *at));
        match page.last().map(|(seq, _)| i64::try_from(*seq)) {
            Some(Ok(last)) if !over => below = last,
            _ => return Ok(walks.into_iter().map(Aging::found).collect()),
        }
    }
}

pub(crate) async fn head(connection: &mut AnyConnection) -> Result<ChainHead, CatalogError> {
    let query = sqlx::query("SELECT seq, digest, happened_at FROM history ORDER BY seq DESC LIMIT 1");
    Ok(all(connection, "history", query, decode::head).await?.pop().unwrap_or(ChainHead::EMPTY))
}
