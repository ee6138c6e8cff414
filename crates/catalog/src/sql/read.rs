//! What is asked of the database.

use model::{FeedId, ReleaseId, Timestamp, Version};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};

use super::decode;
use super::error::{damaged, refusal};
use crate::CatalogError;
use crate::batch::Needle;
use crate::port::{FeedRecord, Publication, ReleaseFilter, ReleaseRecord};

pub(crate) type Prepared<'q> = Query<'q, Any, AnyArguments>;

pub(crate) async fn feeds(connection: &mut AnyConnection) -> Result<Vec<FeedRecord>, CatalogError> {
    let query = sqlx::query("SELECT feed, record, sum FROM feeds ORDER BY feed");
    all(connection, "feeds", query, decode::feed).await
}

pub(crate) async fn feed(connection: &mut AnyConnection, feed: &FeedId) -> Result<Option<FeedRecord>, CatalogError> {
    let query = sqlx::query("SELECT feed, record, sum FROM feeds WHERE feed = $1").bind(feed.as_str().to_owned());
    Ok(all(connection, "feeds", query, decode::feed).await?.pop())
}

/// At most `limit` releases, from the number `newest` down.
pub(crate) async fn releases(
    connection: &mut AnyConnection,
    filter: &ReleaseFilter,
    newest: u64,
    limit: usize,
) -> Result<Vec<ReleaseRecord>, CatalogError> {
    let (text, words) = releases_query(filter);
    // It is safe: the text holds nothing but names of columns and numbered places.
    let query = sqlx::query(AssertSqlSafe(text)).bind(i64::try_from(newest).unwrap_or(i64::MAX)).bind(clamped(limit));
    let query = words.into_iter().fold(query, Query::bind);
    all(connection, "releases", query, decode::release).await
}

/// The text of the query for the releases that a filter lets through, and the words that it compares with. It names
/// only the columns that the filter speaks of: with an "or any" in it no index would be of use.
pub(crate) fn releases_query(filter: &ReleaseFilter) -> (String, Vec<String>) {
    let mut text =
        "SELECT id, number, state, state_since, state_sum, record, sum FROM releases WHERE number <= $1".to_owned();
    let mut words = Vec::new();
    for (column, word) in [
        ("feed", filter.feed.as_ref().map(FeedId::as_str)),
        ("version", filter.version.as_ref().map(Version::as_str)),
        ("state", filter.state.map(|state| state.as_str())),
        ("vendor", filter.vendor.map(|vendor| vendor.as_str())),
    ] {
        if let Some(word) = word {
            words.push(word.to_owned());
            text += &format!(" AND {column} = ${}", words.len().saturating_add(2));
        }
    }
    text += " ORDER BY number DESC LIMIT $2";
    (text, words)
}

pub(crate) async fn release(
    connection: &mut AnyConnection,
    id: &ReleaseId,
) -> Result<Option<ReleaseRecord>, CatalogError> {
    let query =
        sqlx::query("SELECT id, number, state, state_since, state_sum, record, sum FROM releases WHERE id = $1");
    Ok(all(connection, "releases", query.bind(id.to_string()), decode::release).await?.pop())
}

/// A release's number; none if it is not recorded.
pub(crate) async fn number_of(connection: &mut AnyConnection, id: &ReleaseId) -> Result<Option<u64>, CatalogError> {
    let query = sqlx::query("SELECT number FROM releases WHERE id = $1").bind(id.to_string());
    let number = |row: &_| decode::Reader { table: "releases", row }.number(0);
    Ok(all(connection, "releases", query, number).await?.pop())
}

pub(crate) async fn find_releases(
    connection: &mut AnyConnection,
    text: &str,
) -> Result<Vec<ReleaseRecord>, CatalogError> {
    let needle = Needle::read(text);
    let number = needle.number.and_then(|number| i64::try_from(number).ok()).unwrap_or(-1);
    // All that begins with the prefix lies before the prefix and a 'g', which no digit reaches. Without a prefix
    // both ends are the same and nothing lies between.
    let (low, high) = match needle.prefix {
        Some(prefix) => (prefix.clone(), format!("{prefix}g")),
        None => (String::new(), String::new()),
    };
    let query = sqlx::query(
        "SELECT id, number, state, state_since, state_sum, record, sum FROM releases \
         WHERE number = $1 OR (id >= $2 AND id < $3) ORDER BY number DESC",
    );
    all(connection, "releases", query.bind(number).bind(low).bind(high), decode::release).await
}

pub(crate) async fn open_publications(connection: &mut AnyConnection) -> Result<Vec<Publication>, CatalogError> {
    let query = sqlx::query(
        "SELECT ring, number, digest, opened_at, closed_at, sum FROM publications \
         WHERE closed_at IS NULL ORDER BY opened_at, ring, number",
    );
    all(connection, "publications", query, decode::publication).await
}

/// Every publication, open or closed.
pub(crate) async fn publications(connection: &mut AnyConnection) -> Result<Vec<Publication>, CatalogError> {
    let query = sqlx::query("SELECT ring, number, digest, opened_at, closed_at, sum FROM publications");
    all(connection, "publications", query, decode::publication).await
}

pub(crate) async fn host_waits(connection: &mut AnyConnection) -> Result<Vec<(String, Timestamp)>, CatalogError> {
    let query = sqlx::query("SELECT host, wait_until, sum FROM host_waits ORDER BY host");
    all(connection, "host_waits", query, decode::host_wait).await
}

/// Every row of the answer, decoded.
pub(crate) async fn all<T>(
    connection: &mut AnyConnection,
    table: &'static str,
    query: Prepared<'_>,
    decode: impl Fn(&sqlx::any::AnyRow) -> Result<T, CatalogError>,
) -> Result<Vec<T>, CatalogError> {
    let rows = query.fetch_all(connection).await.map_err(refusal("read", table))?;
    rows.iter().map(decode).collect()
}

/// The last of the numbers that a table counts with; 0 if it is empty.
pub(crate) async fn last_release(connection: &mut AnyConnection) -> Result<i64, CatalogError> {
    let query = sqlx::query("SELECT MAX(number) FROM releases");
    let last = |row: &_| decode::Reader { table: "releases", row }.get::<Option<i64>>(0);
    let last = all(connection, "releases", query, last).await?.pop().flatten().unwrap_or(0);
    if last < 0 { Err(damaged("releases", format!("the number {last}"))) } else { Ok(last) }
}

pub(crate) fn clamped(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
