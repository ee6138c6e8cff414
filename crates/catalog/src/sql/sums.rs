//! Sums of rows: a byte that changed under the database is noticed when its row is read. They tell damage, not
//! forgery; the history has its chain for that.

use std::fmt::Display;

use model::Hasher;
use sqlx::AnyConnection;

use super::decode::Reader;
use super::error::refusal;
use super::read;
use crate::CatalogError;

/// How many hexadecimal digits a sum has.
const DIGITS: usize = 16;
/// How many rows get their sums at a time.
const PAGE: i64 = 500;
const ACT: &str = "give rows their sums";

/// The sum of a row's members, in the order of its table.
pub(crate) fn sum(table: &str, members: &[&(dyn Display + Sync)]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(table.as_bytes());
    for member in members {
        let text = member.to_string();
        hasher.update(format!("\n{} {text}", text.len()).as_bytes());
    }
    let mut sum = hasher.finish().to_string();
    sum.truncate(DIGITS);
    sum
}

/// Gives every row that was written without one its sum.
pub(crate) async fn fill(connection: &mut AnyConnection) -> Result<(), CatalogError> {
    let feeds = two(connection, "feeds", "SELECT feed, record FROM feeds").await?;
    for (feed, record) in feeds {
        let sum = sum("feeds", &[&feed, &record]);
        set(connection, "UPDATE feeds SET sum = $1 WHERE feed = $2", &[sum, feed]).await?;
    }
    let hosts = two(connection, "host_waits", "SELECT host, CAST(wait_until AS TEXT) FROM host_waits").await?;
    for (host, until) in hosts {
        let sum = sum("host_waits", &[&host, &until]);
        set(connection, "UPDATE host_waits SET sum = $1 WHERE host = $2", &[sum, host]).await?;
    }
    releases(connection).await?;
    items(connection).await?;
    publications(connection).await
}

async fn releases(connection: &mut AnyConnection) -> Result<(), CatalogError> {
    const PAGE_OF: &str =
        "SELECT id, number, state, state_since, record FROM releases WHERE number > $1 ORDER BY number LIMIT $2";
    type Row = (String, i64, String, i64, String);
    let mut last = i64::MIN;
    loop {
        let query = sqlx::query(PAGE_OF).bind(last).bind(PAGE);
        let row = |row: &_| -> Result<Row, CatalogError> {
            let reader = Reader { table: "releases", row };
            Ok((reader.get(0)?, reader.get(1)?, reader.get(2)?, reader.get(3)?, reader.get(4)?))
        };
        let page = read::all(connection, "releases", query, row).await?;
        let Some((.., newest, _, _, _)) = page.last() else { return Ok(()) };
        last = *newest;
        for (id, number, state, since, record) in page {
            let whole = sum("releases", &[&id, &number, &record]);
            let stands = sum("states", &[&id, &state, &since]);
            let text = "UPDATE releases SET sum = $1, state_sum = $2 WHERE id = $3";
            set(connection, text, &[whole, stands, id]).await?;
        }
    }
}

async fn items(connection: &mut AnyConnection) -> Result<(), CatalogError> {
    const PAGE_OF: &str = "SELECT release_id, digest, size FROM items \
         WHERE release_id > $1 OR (release_id = $1 AND digest > $2) ORDER BY release_id, digest LIMIT $3";
    let mut last = (String::new(), String::new());
    loop {
        let query = sqlx::query(PAGE_OF).bind(last.0.clone()).bind(last.1.clone()).bind(PAGE);
        let row = |row: &_| -> Result<(String, String, i64), CatalogError> {
            let reader = Reader { table: "items", row };
            Ok((reader.get(0)?, reader.get(1)?, reader.get(2)?))
        };
        let page = read::all(connection, "items", query, row).await?;
        let Some((release, digest, _)) = page.last() else { return Ok(()) };
        last = (release.clone(), digest.clone());
        for (release, digest, size) in page {
            let sum = sum("items", &[&release, &digest, &size]);
            let text = "UPDATE items SET sum = $1 WHERE release_id = $2 AND digest = $3";
            set(connection, text, &[sum, release, digest]).await?;
        }
    }
}

async fn publications(connection: &mut AnyConnection) -> Result<(), CatalogError> {
    type Row = (String, i64, String, i64, Option<i64>);
    let query = sqlx::query("SELECT ring, number, digest, opened_at, closed_at FROM publications");
    let row = |row: &_| -> Result<Row, CatalogError> {
        let reader = Reader { table: "publications", row };
        Ok((reader.get(0)?, reader.get(1)?, reader.get(2)?, reader.get(3)?, reader.get(4)?))
    };
    for (ring, number, digest, opened, closed) in read::all(connection, "publications", query, row).await? {
        let sum = publication(&ring, number, &digest, (opened, closed));
        sqlx::query("UPDATE publications SET sum = $1 WHERE ring = $2 AND number = $3 AND digest = $4")
            .bind(sum)
            .bind(ring)
            .bind(number)
            .bind(digest)
            .execute(&mut *connection)
            .await
            .map_err(refusal(ACT, "publications"))?;
    }
    Ok(())
}

/// The sum of a publication, which is open where it was not closed.
pub(crate) fn publication(ring: &str, number: i64, digest: &str, times: (i64, Option<i64>)) -> String {
    let closed = times.1.map_or_else(|| "open".to_owned(), |at| at.to_string());
    sum("publications", &[&ring, &number, &digest, &times.0, &closed])
}

async fn two(
    connection: &mut AnyConnection,
    table: &'static str,
    text: &'static str,
) -> Result<Vec<(String, String)>, CatalogError> {
    let row = |row: &_| {
        let reader = Reader { table, row };
        Ok((reader.get(0)?, reader.get(1)?))
    };
    read::all(connection, table, sqlx::query(text), row).await
}

async fn set(connection: &mut AnyConnection, text: &'static str, words: &[String]) -> Result<(), CatalogError> {
    let query = words.iter().fold(sqlx::query(text), |query, word| query.bind(word.clone()));
    query.execute(connection).await.map_err(refusal(ACT, "rows"))?;
    Ok(())
}
