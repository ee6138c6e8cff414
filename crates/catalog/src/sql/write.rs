//! One batch, one transaction.

use model::{Release, ReleaseId, ReleaseState, Timestamp};
use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::connect::{begin, commit};
use super::decode::{self, Reader};
use super::error::refusal;
use super::sums::{self, sum};
use super::{history, read};
use crate::batch::{PRUNE, check_identity, check_prune, numbered, refused, release_of, state_since, unknown_release};
use crate::entry::{Entry, Prune};
use crate::port::{Batch, CatalogError, FeedRecord, NewRelease, Publication};

const ACT: &str = "record an act";

/// Applies the batch whole. After an error nothing was applied once the connection is closed.
pub(crate) async fn apply(connection: &mut AnyConnection, batch: &Batch) -> Result<(), CatalogError> {
    batch.releases.iter().try_for_each(check_identity)?;
    begin(connection, ACT).await?;
    for record in &batch.feeds {
        feed(connection, record).await?;
    }
    if !batch.releases.is_empty() {
        releases(connection, &batch.releases).await?;
    }
    for (id, state, at) in &batch.states {
        let now = current_state(connection, id).await?.ok_or_else(|| unknown_release(id))?;
        set_state(connection, id, now, (*state, *at)).await?;
    }
    for record in &batch.publications {
        publication(connection, record).await?;
    }
    for (host, until) in &batch.host_waits {
        host_wait(connection, host, *until).await?;
    }
    if !batch.history.is_empty() {
        let mut head = history::head(connection).await?;
        for new in &batch.history {
            let about = match release_of(new) {
                Some(id) => read::number_of(connection, &id).await?,
                None => None,
            };
            entry(connection, &head.append(&numbered(new, about))).await?;
        }
    }
    if let Some(prune) = &batch.prune {
        let_go(connection, prune).await?;
    }
    commit(connection, ACT).await
}

async fn feed(connection: &mut AnyConnection, record: &FeedRecord) -> Result<(), CatalogError> {
    let text = json(record)?;
    sqlx::query(
        "INSERT INTO feeds (feed, record, sum) VALUES ($1, $2, $3) ON CONFLICT (feed) \
         DO UPDATE SET record = excluded.record, sum = excluded.sum",
    )
    .bind(record.feed.as_str().to_owned())
    .bind(text.clone())
    .bind(sum("feeds", &[&record.feed, &text]))
    .execute(connection)
    .await
    .map_err(refusal(ACT, "feeds"))?;
    Ok(())
}

async fn releases(connection: &mut AnyConnection, batch: &[NewRelease]) -> Result<(), CatalogError> {
    let mut last = read::last_release(connection).await?;
    for NewRelease { release, state } in batch {
        if let Some(now) = current_state(connection, &release.id).await? {
            set_state(connection, &release.id, now, (*state, release.held_since)).await?;
            continue;
        }
        last = last.checked_add(1).ok_or_else(|| refused(ACT, "the releases' numbers are used up"))?;
        insert_release(connection, last, release, *state).await?;
        insert_items(connection, release).await?;
    }
    Ok(())
}

async fn insert_release(
    connection: &mut AnyConnection,
    number: i64,
    release: &Release,
    state: ReleaseState,
) -> Result<(), CatalogError> {
    let text = json(release)?;
    sqlx::query(
        "INSERT INTO releases (id, number, vendor, feed, version, state, state_since, record, sum, state_sum) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(release.id.to_string())
    .bind(number)
    .bind(release.feed.vendor().as_str())
    .bind(release.feed.as_str().to_owned())
    .bind(release.vendor_version.version.as_str().to_owned())
    .bind(state.as_str())
    .bind(release.held_since.as_micros())
    .bind(text.clone())
    .bind(sum("releases", &[&release.id, &number, &text]))
    .bind(sum("states", &[&release.id, &state, &release.held_since.as_micros()]))
    .execute(connection)
    .await
    .map_err(refusal(ACT, "releases"))?;
    Ok(())
}

/// Two items may share a blob, which is one reference.
async fn insert_items(connection: &mut AnyConnection, release: &Release) -> Result<(), CatalogError> {
    let id = release.id.to_string();
    for item in &release.items {
        let sum = sum("items", &[&id, &item.digest, &item.size]);
        sqlx::query("INSERT INTO items (release_id, digest, size, sum) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
            .bind(id.clone())
            .bind(item.digest.to_string())
            .bind(number(item.size)?)
            .bind(sum)
            .execute(&mut *connection)
            .await
            .map_err(refusal(ACT, "items"))?;
    }
    Ok(())
}

async fn current_state(
    connection: &mut AnyConnection,
    id: &ReleaseId,
) -> Result<Option<(ReleaseState, Timestamp)>, CatalogError> {
    let query = sqlx::query("SELECT state, state_since, state_sum FROM releases WHERE id = $1").bind(id.to_string());
    let state = |row: &_| decode::state(&Reader { table: "releases", row }, id, 0);
    Ok(read::all(connection, "releases", query, state).await?.pop())
}

async fn set_state(
    connection: &mut AnyConnection,
    id: &ReleaseId,
    now: (ReleaseState, Timestamp),
    new: (ReleaseState, Timestamp),
) -> Result<(), CatalogError> {
    let Some(since) = state_since(now, new) else { return Ok(()) };
    sqlx::query("UPDATE releases SET state = $1, state_since = $2, state_sum = $3 WHERE id = $4")
        .bind(new.0.as_str())
        .bind(since.as_micros())
        .bind(sum("states", &[id, &new.0, &since.as_micros()]))
        .bind(id.to_string())
        .execute(connection)
        .await
        .map_err(refusal(ACT, "releases"))?;
    Ok(())
}

async fn publication(connection: &mut AnyConnection, record: &Publication) -> Result<(), CatalogError> {
    let (ring, number, digest) = (record.ring.to_string(), number(record.number)?, record.digest.to_string());
    let (opened, closed) = (record.opened_at.as_micros(), record.closed_at.map(Timestamp::as_micros));
    sqlx::query(
        "INSERT INTO publications (ring, number, digest, opened_at, closed_at, sum) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (ring, number, digest) \
         DO UPDATE SET opened_at = excluded.opened_at, closed_at = excluded.closed_at, sum = excluded.sum",
    )
    .bind(ring.clone())
    .bind(number)
    .bind(digest.clone())
    .bind(opened)
    .bind(closed)
    .bind(sums::publication(&ring, number, &digest, (opened, closed)))
    .execute(connection)
    .await
    .map_err(refusal(ACT, "publications"))?;
    Ok(())
}

async fn host_wait(connection: &mut AnyConnection, host: &str, until: Timestamp) -> Result<(), CatalogError> {
    sqlx::query(
        "INSERT INTO host_waits (host, wait_until, sum) VALUES ($1, $2, $3) ON CONFLICT (host) \
         DO UPDATE SET wait_until = excluded.wait_until, sum = excluded.sum",
    )
    .bind(host.to_owned())
    .bind(until.as_micros())
    .bind(sum("host_waits", &[&host, &until.as_micros()]))
    .execute(connection)
    .await
    .map_err(refusal(ACT, "host_waits"))?;
    Ok(())
}

async fn entry(connection: &mut AnyConnection, entry: &Entry) -> Result<(), CatalogError> {
    sqlx::query(
        "INSERT INTO history (seq, happened_at, uid, pid, verb, sudo_uid, login, token, kind, subject, data, previous, digest) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(number(entry.seq)?)
    .bind(entry.at.as_micros())
    .bind(i64::from(entry.actor.uid))
    .bind(i64::from(entry.actor.pid))
    .bind(entry.actor.verb.clone())
    .bind(entry.actor.sudo_uid.map(i64::from))
    .bind(entry.actor.login.clone())
    .bind(entry.actor.token.clone())
    .bind(entry.kind.as_str())
    .bind(entry.subject.clone())
    .bind(entry.data.clone())
    .bind(entry.previous.to_string())
    .bind(entry.digest.to_string())
    .execute(connection)
    .await
    .map_err(refusal(ACT, "history"))?;
    Ok(())
}

async fn let_go(connection: &mut AnyConnection, what: &Prune) -> Result<(), CatalogError> {
    let last = history::entries_from(connection, what.through.seq, 1).await?.pop();
    let found = last.filter(|last| last.seq == what.through.seq).map(|last| last.digest);
    check_prune(what, found, &history::head(connection).await?)?;
    let entries = sqlx::query("DELETE FROM history WHERE seq <= $1").bind(number(what.through.seq)?);
    entries.execute(&mut *connection).await.map_err(refusal(PRUNE, "history"))?;
    let newest = read::last_release(connection).await?;
    for id in &what.releases {
        let over = "SELECT id FROM releases WHERE id = $1 AND number <> $2 AND state IN ('expired', 'rejected')";
        for (table, text) in [
            ("items", format!("DELETE FROM items WHERE release_id IN ({over})")),
            ("releases", format!("DELETE FROM releases WHERE id IN ({over})")),
        ] {
            // It is safe: the text is ours, and what was given is bound.
            let query = sqlx::query(AssertSqlSafe(text)).bind(id.to_string()).bind(newest);
            query.execute(&mut *connection).await.map_err(refusal(PRUNE, table))?;
        }
    }
    let closed = sqlx::query("DELETE FROM publications WHERE closed_at <= $1");
    let closed = closed.bind(what.publications_until.as_micros());
    closed.execute(connection).await.map_err(refusal(PRUNE, "publications"))?;
    Ok(())
}

fn json(record: &impl Serialize) -> Result<String, CatalogError> {
    serde_json::to_string(record).map_err(|error| CatalogError::Database { act: ACT, source: Box::new(error) })
}

fn number(number: u64) -> Result<i64, CatalogError> {
    i64::try_from(number).map_err(|error| CatalogError::Database { act: ACT, source: Box::new(error) })
}
