//! The versions of the tables, and how one becomes the next.

use sqlx::AnyConnection;
use sqlx::Row;

use super::connect::{begin, commit};
use super::error::{damaged, refusal};
use super::sums;
use crate::CatalogError;

/// One step of a migration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A statement.
    Sql(&'static str),
    /// Every row gets its sum.
    Sums,
}

/// What makes one layout out of the one before it, applied in one transaction.
pub(crate) type Migration = &'static [Step];

/// The first makes layout 1 out of nothing.
pub(crate) const MIGRATIONS: &[Migration] = &[LAYOUT_1, LAYOUT_2];

const LAYOUT_1: Migration = &[
    Step::Sql("CREATE TABLE feeds (feed TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL)"),
    Step::Sql(
        "CREATE TABLE releases (id TEXT NOT NULL PRIMARY KEY, number BIGINT NOT NULL UNIQUE, vendor TEXT NOT NULL, \
     feed TEXT NOT NULL, version TEXT NOT NULL, state TEXT NOT NULL, state_since BIGINT NOT NULL, record TEXT NOT NULL)",
    ),
    Step::Sql("CREATE INDEX releases_by_feed ON releases (feed, number)"),
    Step::Sql("CREATE INDEX releases_by_feed_and_state ON releases (feed, state, number)"),
    Step::Sql("CREATE INDEX releases_by_version ON releases (feed, version, state, number)"),
    Step::Sql("CREATE INDEX releases_by_state ON releases (state, number)"),
    Step::Sql(
        "CREATE TABLE items (release_id TEXT NOT NULL REFERENCES releases (id), digest TEXT NOT NULL, \
     size BIGINT NOT NULL, PRIMARY KEY (release_id, digest))",
    ),
    Step::Sql("CREATE INDEX items_by_digest ON items (digest)"),
    Step::Sql(
        "CREATE TABLE publications (ring TEXT NOT NULL, number BIGINT NOT NULL, digest TEXT NOT NULL, \
     opened_at BIGINT NOT NULL, closed_at BIGINT, PRIMARY KEY (ring, number, digest))",
    ),
    Step::Sql("CREATE INDEX publications_by_closed_at ON publications (closed_at)"),
    Step::Sql("CREATE TABLE host_waits (host TEXT NOT NULL PRIMARY KEY, wait_until BIGINT NOT NULL)"),
    Step::Sql(
        "CREATE TABLE history (seq BIGINT NOT NULL PRIMARY KEY, happened_at BIGINT NOT NULL, uid BIGINT NOT NULL, \
     pid BIGINT NOT NULL, verb TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, data TEXT NOT NULL, \
     previous TEXT NOT NULL, digest TEXT NOT NULL)",
    ),
    Step::Sql("CREATE TABLE reservations (holder TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (holder, digest))"),
    Step::Sql("CREATE INDEX reservations_by_digest ON reservations (digest)"),
];

/// Who acted, more closely; entries found by kind and subject; sums of rows.
const LAYOUT_2: Migration = &[
    Step::Sql("ALTER TABLE history ADD COLUMN sudo_uid BIGINT"),
    Step::Sql("ALTER TABLE history ADD COLUMN login TEXT"),
    Step::Sql("ALTER TABLE history ADD COLUMN token TEXT"),
    Step::Sql("CREATE INDEX history_by_kind_and_subject ON history (kind, subject, seq)"),
    Step::Sql("ALTER TABLE feeds ADD COLUMN sum TEXT NOT NULL DEFAULT ''"),
    Step::Sql("ALTER TABLE releases ADD COLUMN sum TEXT NOT NULL DEFAULT ''"),
    Step::Sql("ALTER TABLE releases ADD COLUMN state_sum TEXT NOT NULL DEFAULT ''"),
    Step::Sql("ALTER TABLE items ADD COLUMN sum TEXT NOT NULL DEFAULT ''"),
    Step::Sql("ALTER TABLE publications ADD COLUMN sum TEXT NOT NULL DEFAULT ''"),
    Step::Sql("ALTER TABLE host_waits ADD COLUMN sum TEXT NOT NULL DEFAULT ''"),
    Step::Sums,
];

const ACT: &str = "bring the layout up to date";
const NUMBER: &str = "SELECT MAX(number) FROM layout";

/// Applies the migrations that are missing.
pub(crate) async fn bring_up_to_date(connection: &mut AnyConnection) -> Result<(), CatalogError> {
    migrate(connection, MIGRATIONS).await
}

/// Fails unless the layout is exactly the newest one: for those who may not change it.
pub(crate) async fn require(connection: &mut AnyConnection) -> Result<(), CatalogError> {
    let found = match number(connection).await {
        Err(_) if is_none(connection, "SELECT 1 FROM sqlite_master LIMIT 1").await => Err(CatalogError::Unfinished),
        other => other,
    }?;
    let known = check(found, MIGRATIONS)?;
    if found == known {
        return Ok(());
    }
    if is_none(connection, "SELECT 1 FROM history LIMIT 1").await {
        return Err(CatalogError::Unfinished);
    }
    Err(damaged("layout", format!("it is at {found} and not yet at {known}: open the catalog for writing once")))
}

/// Whether there surely is no such row.
async fn is_none(connection: &mut AnyConnection, query: &'static str) -> bool {
    matches!(sqlx::query(query).fetch_optional(connection).await, Ok(None))
}

pub(crate) async fn migrate(connection: &mut AnyConnection, migrations: &[Migration]) -> Result<(), CatalogError> {
    // One question in the usual case. In a new file the table is not there; any other trouble comes up again.
    let mut found = number(connection).await.unwrap_or(0);
    let known = check(found, migrations)?;
    while found < known {
        found = step(connection, migrations).await?;
    }
    Ok(())
}

/// Applies one migration, if another process has not done so meanwhile. Returns the layout reached.
async fn step(connection: &mut AnyConnection, migrations: &[Migration]) -> Result<i64, CatalogError> {
    begin(connection, ACT).await?;
    execute(connection, "CREATE TABLE IF NOT EXISTS layout (number BIGINT NOT NULL PRIMARY KEY)").await?;
    let found = number(connection).await?;
    let next = usize::try_from(found).ok().and_then(|done| migrations.get(done));
    let reached = match next {
        Some(statements) if check(found, migrations)? > found => {
            for step in *statements {
                match step {
                    Step::Sql(statement) => execute(connection, statement).await?,
                    Step::Sums => sums::fill(connection).await?,
                }
            }
            let reached = found.saturating_add(1);
            sqlx::query("INSERT INTO layout (number) VALUES ($1)")
                .bind(reached)
                .execute(&mut *connection)
                .await
                .map_err(refusal(ACT, "layout"))?;
            reached
        }
        _ => check(found, migrations).map(|_| found)?,
    };
    commit(connection, ACT).await?;
    tracing::info!(layout = reached, "catalog layout");
    Ok(reached)
}

/// The newest layout known, unless the one found is newer or no layout's number.
fn check(found: i64, migrations: &[Migration]) -> Result<i64, CatalogError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    match found {
        found if found > known => Err(CatalogError::Newer { found, known }),
        found if found < 0 => Err(damaged("layout", format!("{found} is no layout's number"))),
        _ => Ok(known),
    }
}

/// The layout's number; 0 if none was ever applied.
async fn number(connection: &mut AnyConnection) -> Result<i64, CatalogError> {
    let refused = || refusal("read the layout", "layout");
    let row = sqlx::query(NUMBER).fetch_one(connection).await.map_err(refused())?;
    Ok(row.try_get::<Option<i64>, _>(0).map_err(refused())?.unwrap_or(0))
}

async fn execute(connection: &mut AnyConnection, statement: &'static str) -> Result<(), CatalogError> {
    sqlx::raw_sql(statement).execute(connection).await.map_err(refusal(ACT, "layout"))?;
    Ok(())
}
