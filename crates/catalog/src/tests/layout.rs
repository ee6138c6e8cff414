//! From one layout to the next, whatever happens meanwhile.

use std::path::Path;

use model::ReleaseState;
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use crate::conformance::sample::{at, blob, record, release};
use crate::entry::ChainHead;
use crate::sql::{MIGRATIONS, Migration, Step, migrate, raw};
use crate::{Catalog, CatalogError, ReleaseFilter, SqlCatalog, verify_chain};

/// A catalog as the program before this one left it.
async fn old(path: &Path) {
    let mut connection = raw(path).await;
    migrate(&mut connection, &MIGRATIONS[..1]).await.unwrap();
    let json = |value: &dyn erased::Json| value.text();
    let release = release("elastic/9.0.0", &["a", "b"]);
    let feed = record("elastic/9.0.0", model::Outcome::Current);
    let entries: Vec<_> = {
        let mut head = ChainHead::EMPTY;
        ["x", "y", "z"].map(|subject| head.append(&crate::conformance::sample::entry(subject))).to_vec()
    };
    let mut statements = vec![
        format!("INSERT INTO feeds VALUES ('elastic/9.0.0', '{}')", json(&feed)),
        format!(
            "INSERT INTO releases VALUES ('{}', 1, 'elastic', 'elastic/9.0.0', '1.0.7', 'admitted', {}, '{}')",
            release.id,
            at(0).as_micros(),
            json(&release)
        ),
        format!("INSERT INTO publications VALUES ('broad', 1, '{}', {}, NULL)", blob("g"), at(1).as_micros()),
        format!("INSERT INTO host_waits VALUES ('vendor.test', {})", at(3).as_micros()),
    ];
    statements.extend(
        release
            .items
            .iter()
            .map(|item| format!("INSERT INTO items VALUES ('{}', '{}', {})", release.id, item.digest, item.size)),
    );
    statements.extend(entries.iter().map(|entry| {
        format!(
            "INSERT INTO history VALUES ({}, {}, 1000, 42, 'sync', 'check', '{}', '{}', '{}', '{}')",
            entry.seq,
            entry.at.as_micros(),
            entry.subject,
            entry.data,
            entry.previous,
            entry.digest
        )
    }));
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
}

mod erased {
    pub(super) trait Json {
        fn text(&self) -> String;
    }
    impl<T: serde::Serialize> Json for T {
        fn text(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

async fn layout(path: &Path) -> i64 {
    let row = sqlx::query("SELECT MAX(number) FROM layout").fetch_one(&mut raw(path).await).await.unwrap();
    row.get(0)
}

/// All that was there is there, in the new layout.
async fn is_new_and_whole(path: &Path) {
    let catalog = SqlCatalog::open(path).await.unwrap();
    assert_eq!(layout(path).await, 2);
    assert_eq!(verify_chain(&catalog).await.unwrap().seq, 3);
    assert_eq!(catalog.feeds().await.unwrap().len(), 1);
    let releases = catalog.releases(&ReleaseFilter::default()).await.unwrap();
    assert_eq!((releases.len(), releases[0].state, releases[0].state_since), (1, ReleaseState::Admitted, at(0)));
    assert_eq!(catalog.open_publications().await.unwrap().len(), 1);
    assert_eq!(catalog.host_waits().await.unwrap(), [("vendor.test".to_owned(), at(3))]);
    let mut faults = Vec::new();
    catalog.examine(&mut |fault| faults.push(fault.to_string())).await.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    crate::conformance::sample::tell(&catalog, &["goes on"]).await;
    assert_eq!(verify_chain(&catalog).await.unwrap().seq, 4);
}

#[tokio::test]
async fn an_older_layout_is_brought_up_to_date_s34() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("catalog.sqlite3");
    old(&path).await;
    let reader = SqlCatalog::open_read_only(&path).await.unwrap_err();
    assert!(reader.to_string().contains("open the catalog for writing once"), "{reader}");
    is_new_and_whole(&path).await;
    // The program before refuses what it does not know, and touches nothing.
    let refused = migrate(&mut raw(&path).await, &MIGRATIONS[..1]).await.unwrap_err();
    assert!(matches!(&refused, CatalogError::Newer { found: 2, known: 1 }));
    assert_eq!(refused.to_string(), "the catalog has layout 2, this program knows up to 1: use the newer program");
    assert_eq!(layout(&path).await, 2);
}

/// The power went while the very first process made it.
#[tokio::test]
async fn what_was_never_laid_out_is_told_from_what_is_damaged_s12_s35() {
    let folder = TempDir::new().unwrap();
    for layouts in 0..MIGRATIONS.len() {
        let path = folder.path().join(format!("{layouts}.sqlite3"));
        migrate(&mut raw(&path).await, &MIGRATIONS[..layouts]).await.unwrap();
        let unfinished = SqlCatalog::open_read_only(&path).await.unwrap_err();
        assert!(matches!(unfinished, CatalogError::Unfinished), "{layouts}: {unfinished}");
        SqlCatalog::open(&path).await.unwrap();
        assert!(SqlCatalog::open_read_only(&path).await.is_ok());
    }
}

/// Fails, or is killed, before each of its steps and after the last: what is there is the old layout or the new one.
#[tokio::test]
async fn a_migration_that_stops_at_any_step_leaves_the_old_layout_s35() {
    let steps = MIGRATIONS[1];
    for stop in 0..=steps.len() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("catalog.sqlite3");
        old(&path).await;
        // A step that fails.
        let mut failing: Vec<Step> = steps[..stop].to_vec();
        failing.push(Step::Sql("this is no statement"));
        let failing: Migration = failing.leak();
        assert!(migrate(&mut raw(&path).await, &[MIGRATIONS[0], failing]).await.is_err());
        assert_eq!(layout(&path).await, 1, "stopped before step {stop}");
        // A process that is killed: what lies on the disk then, copied away.
        let mut connection = raw(&path).await;
        sqlx::raw_sql("BEGIN IMMEDIATE; PRAGMA cache_spill = 1; PRAGMA cache_size = 1")
            .execute(&mut connection)
            .await
            .unwrap();
        for step in &steps[..stop] {
            if let Step::Sql(statement) = step {
                sqlx::raw_sql(*statement).execute(&mut connection).await.unwrap();
            }
        }
        let copy = folder.path().join("copy");
        for part in ["", "-wal"] {
            let beside = |path: &Path| format!("{}{part}", path.display());
            std::fs::copy(beside(&path), beside(&copy)).unwrap();
        }
        assert_eq!(layout(&copy).await, 1);
        is_new_and_whole(&copy).await;
        drop(connection);
        is_new_and_whole(&path).await;
    }
}
