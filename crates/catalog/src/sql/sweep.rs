//! Reservations, and letting go of blobs that nothing refers to.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use model::Digest;
use sqlx::AnyConnection;
use sqlx::AssertSqlSafe;

use super::connect::{begin, commit};
use super::decode::Reader;
use super::error::refusal;
use super::read;
use crate::port::{CatalogError, Remover, Sweep};

/// How many blobs are looked at while everybody else waits.
pub(crate) const SWEEP_BATCH: usize = 200;
/// Left between two batches, so that other processes, who ask for the lock again and again, find it free.
pub(crate) const BREATH: Duration = Duration::from_millis(10);

const RESERVE: &str = "reserve blobs";
const SWEEP: &str = "sweep blobs";

/// Of the blobs given, those that a release or a fetch run counts on.
static IN_USE: LazyLock<Arc<str>> = LazyLock::new(|| {
    let places: Vec<String> = (1..=SWEEP_BATCH).map(|number| format!("${number}")).collect();
    let places = places.join(", ");
    format!(
        "SELECT i.digest FROM items i JOIN releases r ON r.id = i.release_id \
         WHERE r.state IN ('admitted', 'quarantined') AND i.digest IN ({places}) \
         UNION SELECT digest FROM reservations WHERE digest IN ({places})"
    )
    .into()
});

pub(crate) async fn reserve(
    connection: &mut AnyConnection,
    holder: &str,
    digests: &[Digest],
) -> Result<(), CatalogError> {
    begin(connection, RESERVE).await?;
    for digest in digests {
        sqlx::query("INSERT INTO reservations (holder, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(holder.to_owned())
            .bind(digest.to_string())
            .execute(&mut *connection)
            .await
            .map_err(refusal(RESERVE, "reservations"))?;
    }
    commit(connection, RESERVE).await
}

pub(crate) async fn unreserve(connection: &mut AnyConnection, holder: Option<&str>) -> Result<(), CatalogError> {
    const ACT: &str = "drop reservations";
    begin(connection, ACT).await?;
    match holder {
        Some(holder) => sqlx::query("DELETE FROM reservations WHERE holder = $1").bind(holder.to_owned()),
        // With a condition, SQLite writes nothing, and flushes nothing, when there is nothing to drop.
        None => sqlx::query("DELETE FROM reservations WHERE holder IS NOT NULL"),
    }
    .execute(&mut *connection)
    .await
    .map_err(refusal(ACT, "reservations"))?;
    commit(connection, ACT).await
}

/// Of at most [`SWEEP_BATCH`] blobs, those that a release or a fetch run counts on.
pub(crate) async fn in_use(
    connection: &mut AnyConnection,
    digests: &[Digest],
) -> Result<BTreeSet<Digest>, CatalogError> {
    let Some(last) = digests.last() else { return Ok(BTreeSet::new()) };
    // One text for every size of batch, so that it is prepared once: the places left over name the last again.
    // It is safe: it holds nothing but numbered places.
    let query = digests
        .iter()
        .chain(std::iter::repeat(last))
        .take(SWEEP_BATCH)
        .fold(sqlx::query(AssertSqlSafe(Arc::clone(&IN_USE))), |query, digest| query.bind(digest.to_string()));
    let digest = |row: &_| Reader { table: "items", row }.parsed(0);
    Ok(read::all(connection, "items", query, digest).await?.into_iter().collect())
}

/// Removes those of at most [`SWEEP_BATCH`] blobs that nothing refers to, while nobody can reserve one.
pub(crate) async fn remove_loose(
    connection: &mut AnyConnection,
    digests: &[Digest],
    keep: &(dyn for<'d> Fn(&'d Digest) -> bool + Send + Sync),
    remover: &dyn Remover,
) -> Result<Sweep, CatalogError> {
    begin(connection, SWEEP).await?;
    let in_use = in_use(connection, digests).await?;
    let mut sweep = Sweep::default();
    for digest in digests {
        if in_use.contains(digest) || keep(digest) {
            sweep.kept += 1;
        } else {
            remover.remove(digest).await.map_err(CatalogError::Remove)?;
            sweep.removed += 1;
        }
    }
    commit(connection, SWEEP).await?;
    Ok(sweep)
}
