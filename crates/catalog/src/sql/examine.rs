//! A look at every row.

use std::collections::BTreeMap;

use model::Digest;
use sqlx::AnyConnection;

use super::decode::{self, Reader};
use super::error::damaged;
use super::read::{self, all};
use super::sums::sum;
use crate::CatalogError;
use crate::paging::Paging;
use crate::port::{ReleaseFilter, ReleaseRecord};

/// How many of its own findings the database may tell.
const FINDINGS: &str = "PRAGMA integrity_check(20)";

type Faults<'a> = &'a mut (dyn FnMut(CatalogError) + Send);

/// What the database finds by itself, and the small tables.
pub(crate) async fn small(connection: &mut AnyConnection, each: Faults<'_>) -> Result<(), CatalogError> {
    let finding = |row: &_| Reader { table: "file", row }.get::<String>(0);
    for finding in all(connection, "file", sqlx::query(FINDINGS), finding).await? {
        if finding != "ok" {
            each(damaged("file", finding));
        }
    }
    told(read::feeds(connection).await, each)?;
    told(read::host_waits(connection).await, each)?;
    told(read::publications(connection).await, each)?;
    let strays = sqlx::query(
        "SELECT COUNT(*) FROM items WHERE release_id NOT IN (SELECT id FROM releases) \
         UNION ALL SELECT COUNT(*) FROM history WHERE seq < 1",
    );
    let count = |row: &_| Reader { table: "items", row }.get::<i64>(0);
    let strays: i64 = all(connection, "items", strays, count).await?.into_iter().sum();
    if strays > 0 {
        each(damaged("items", format!("{strays} rows belong to nothing that is recorded")));
    }
    Ok(())
}

/// A damaged row is a finding; anything else ends the look.
fn told<T>(read: Result<T, CatalogError>, each: Faults<'_>) -> Result<(), CatalogError> {
    match read {
        Ok(_) => Ok(()),
        Err(fault @ CatalogError::Damaged { .. }) => {
            each(fault);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// One page of releases, with the blobs that each names. Returns whether there are more.
pub(crate) async fn releases(
    connection: &mut AnyConnection,
    paging: &mut Paging,
    each: Faults<'_>,
) -> Result<bool, CatalogError> {
    let Some(size) = paging.size() else { return Ok(false) };
    let any = ReleaseFilter::default();
    let page = match read::releases(connection, &any, paging.newest, size).await {
        Ok(page) => page,
        // One bad row spoils its page: go on one by one, by its number, to name it.
        Err(CatalogError::Damaged { .. }) => return one_by_one(connection, paging, each).await,
        Err(error) => return Err(error),
    };
    for record in &page {
        items(connection, record, each).await?;
    }
    paging.turn(&page);
    Ok(true)
}

async fn one_by_one(
    connection: &mut AnyConnection,
    paging: &mut Paging,
    each: Faults<'_>,
) -> Result<bool, CatalogError> {
    let number = |row: &_| Reader { table: "releases", row }.get::<i64>(0);
    let query = sqlx::query("SELECT number FROM releases WHERE number <= $1 ORDER BY number DESC LIMIT $2");
    let newest = i64::try_from(paging.newest).unwrap_or(i64::MAX);
    let size = read::clamped(paging.size().unwrap_or(0));
    let numbers = all(connection, "releases", query.bind(newest).bind(size), number).await?;
    for number in &numbers {
        let query = sqlx::query(
            "SELECT id, number, state, state_since, state_sum, record, sum FROM releases WHERE number = $1",
        );
        match all(connection, "releases", query.bind(*number), decode::release).await {
            Ok(found) => {
                for record in &found {
                    items(connection, record, each).await?;
                }
            }
            Err(error) => told::<()>(Err(error), each)?,
        }
    }
    let last = numbers.last().and_then(|last| u64::try_from(*last).ok());
    Ok(paging.turn_to(numbers.len(), last))
}

/// The index of a release's blobs is that of its record.
async fn items(connection: &mut AnyConnection, record: &ReleaseRecord, each: Faults<'_>) -> Result<(), CatalogError> {
    let id = record.release.id.to_string();
    let query = sqlx::query("SELECT digest, size, sum FROM items WHERE release_id = $1").bind(id.clone());
    let row = |row: &_| -> Result<(Digest, u64), CatalogError> {
        let reader = Reader { table: "items", row };
        let item = (reader.parsed::<Digest>(0)?, reader.number(1)?);
        reader.summed(2, &sum("items", &[&id, &item.0, &item.1]))?;
        Ok(item)
    };
    let rows = match all(connection, "items", query, row).await {
        Ok(rows) => rows,
        Err(error) => return told::<()>(Err(error), each),
    };
    let expected: BTreeMap<Digest, u64> = record.release.items.iter().map(|item| (item.digest, item.size)).collect();
    let count = rows.len();
    let found: BTreeMap<Digest, u64> = rows.into_iter().collect();
    if count != expected.len() || found.keys().ne(expected.keys()) {
        each(damaged("items", format!("the blobs of release {} are not those of its record", record.number)));
    }
    Ok(())
}
