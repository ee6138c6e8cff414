//! Files and rows that are not what was written.

use std::error::Error as _;
use std::path::Path;

use model::{Outcome, ReleaseState};
use tempfile::TempDir;

use super::{file, sql};
use crate::conformance::sample::{at, blob, feed, put, record, release, tell};
use crate::sql::raw;
use crate::{Batch, Catalog, CatalogError, Publication, ReleaseFilter, SqlCatalog, verify_chain};

async fn fill(catalog: &SqlCatalog) {
    for number in 0..20 {
        let release = release("elastic/9.0.0", &[&format!("artifact-{number}"), "shared"]);
        put(catalog, &release, ReleaseState::Admitted).await;
    }
    let publication = Publication {
        ring: model::RingName::broad(),
        number: 1,
        digest: blob("generation"),
        opened_at: at(1),
        closed_at: None,
    };
    let batch = Batch {
        feeds: vec![record("elastic/9.0.0", Outcome::Current)],
        publications: vec![publication],
        host_waits: vec![("vendor.test".to_owned(), at(1))],
        ..Batch::default()
    };
    catalog.apply(batch).await.unwrap();
    tell(catalog, &["a", "b", "c", "d"]).await;
}

/// Reads everything there is.
async fn read_all(catalog: &dyn Catalog) -> Result<(), CatalogError> {
    catalog.feeds().await?;
    catalog.feed(&feed("elastic/9.0.0")).await?;
    for record in catalog.releases(&ReleaseFilter::default()).await? {
        catalog.release(&record.release.id).await?;
    }
    catalog.find_releases("1").await?;
    catalog.open_publications().await?;
    catalog.host_waits().await?;
    catalog.history(1, 1000).await?;
    catalog.chain_head().await.map(drop)
}

#[tokio::test]
async fn a_damaged_row_is_named_s41() {
    for (statement, table) in [
        ("UPDATE feeds SET record = '{'", "feeds"),
        ("UPDATE feeds SET feed = 'sophos/1'", "feeds"),
        ("UPDATE feeds SET feed = 'elastic/8.0.0'", "feeds"),
        ("UPDATE feeds SET record = x'00ff'", "feeds"),
        ("UPDATE releases SET record = substr(record, 1, 100) WHERE number = 3", "releases"),
        ("UPDATE releases SET record = replace(record, 'elastic/9.0.0', 'elastic/9.0.1') WHERE number = 3", "releases"),
        ("UPDATE releases SET state = 'good' WHERE number = 3", "releases"),
        ("UPDATE releases SET state_since = 'noon' WHERE number = 3", "releases"),
        ("UPDATE releases SET number = -3 WHERE number = 3", "releases"),
        ("UPDATE publications SET ring = '../x'", "publications"),
        ("UPDATE publications SET digest = 'ABC'", "publications"),
        ("UPDATE publications SET opened_at = 1.5", "publications"),
        ("UPDATE host_waits SET wait_until = 'soon'", "host_waits"),
        ("UPDATE history SET kind = '' WHERE seq = 2", "history"),
        ("UPDATE history SET digest = '' WHERE seq = 4", "history"),
    ] {
        let (folder, catalog) = sql().await;
        fill(&catalog).await;
        sqlx::raw_sql(statement).execute(&mut raw(&file(&folder)).await).await.unwrap();
        match read_all(&catalog).await {
            Err(CatalogError::Damaged { table: named, .. }) => assert_eq!(named, table, "{statement}"),
            other => panic!("{statement}: {other:?}"),
        }
        // The rest of the catalog stays of use.
        let host_waits = vec![("other.test".to_owned(), at(1))];
        catalog.apply(Batch { host_waits, ..Batch::default() }).await.unwrap();
    }
}

#[tokio::test]
async fn another_kind_of_file_is_refused_in_clear_words_s41() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("catalog.sqlite3");
    let html = "<html>".repeat(1000);
    for garbage in [b"x".as_slice(), &[0; 4096], &[0xff; 5000], b"SQLite format 3\0", html.as_bytes()] {
        std::fs::write(&path, garbage).unwrap();
        for opened in [SqlCatalog::open(&path).await, SqlCatalog::open_read_only(&path).await] {
            let error = opened.unwrap_err();
            let advice = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(advice.contains("not a sound database"), "{error}: {advice}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), garbage, "the file is left for the operator to look at");
    }
}

/// A copy of a filled catalog with nothing left in its write-ahead log.
async fn image() -> Vec<u8> {
    let (folder, catalog) = sql().await;
    fill(&catalog).await;
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut raw(&file(&folder)).await).await.unwrap();
    std::fs::read(file(&folder)).unwrap()
}

/// Opens what was put down, reads all of it and writes to it: each may fail, none may panic or hang. The history
/// is whole, or is said not to be.
async fn survives(path: &Path) -> Result<(), String> {
    let catalog = SqlCatalog::open(path).await.map_err(|error| error.to_string())?;
    let read = read_all(&catalog).await.map_err(|error| error.to_string());
    let whole = verify_chain(&catalog).await.map_err(|fault| fault.to_string());
    let candidates = [blob("shared"), blob("stray")];
    catalog.reserve("run-1", &candidates).await.ok();
    let history = vec![crate::conformance::sample::entry("after")];
    catalog.apply(Batch { history, ..Batch::default() }).await.ok();
    read?;
    match whole?.seq {
        4 => Ok(()),
        seq => Err(format!("the history ends at {seq}")),
    }
}

#[tokio::test]
async fn a_truncated_file_is_survived_s41() {
    let image = image().await;
    let folder = TempDir::new().unwrap();
    let mut refused = 0;
    for (number, length) in (1..image.len()).step_by(3271).enumerate() {
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, &image[..length]).unwrap();
        refused += usize::from(survives(&path).await.is_err());
    }
    assert_eq!(refused, image.len().div_ceil(3271), "no part passes for the whole");
}

/// A sample, each 997th byte: whatever a flip leads to is an error or an answer, never a panic or a hang, and the history
/// is whole or said not to be. A flip in a part that no question reads may pass unseen here.
#[tokio::test]
async fn a_flip_at_each_997th_byte_is_survived_s41() {
    let image = image().await;
    let folder = TempDir::new().unwrap();
    let mut refused = 0;
    for (number, place) in (0..image.len()).step_by(997).enumerate() {
        let path = folder.path().join(number.to_string());
        let mut flipped = image.clone();
        flipped[place] ^= 0x55;
        std::fs::write(&path, &flipped).unwrap();
        refused += usize::from(survives(&path).await.is_err());
    }
    assert!(refused > 0, "no flip was noticed");
}

/// What no question comes across is found by looking at everything.
#[tokio::test]
async fn damage_in_any_table_is_found_by_a_look_at_every_row_s41() {
    for (statement, table) in [
        ("UPDATE items SET size = size + 1 WHERE rowid = 3", "items"),
        ("UPDATE items SET digest = replace(digest, substr(digest, 1, 1), 'f') WHERE rowid = 5", "items"),
        ("DELETE FROM items WHERE rowid = 7", "items"),
        ("UPDATE items SET sum = '' WHERE rowid = 7", "items"),
        ("UPDATE releases SET state = 'expired' WHERE number = 3", "releases"),
        ("UPDATE releases SET record = replace(record, '\"notes\":[]', '\"notes\": []') WHERE number = 3", "releases"),
        ("UPDATE releases SET number = 99 WHERE number = 3", "releases"),
        ("UPDATE feeds SET record = replace(record, '\"failures\":0', '\"failures\":7')", "feeds"),
        ("UPDATE publications SET opened_at = opened_at + 1", "publications"),
        ("UPDATE publications SET closed_at = 1", "publications"),
        ("UPDATE host_waits SET wait_until = wait_until + 1", "host_waits"),
        ("PRAGMA foreign_keys = OFF; INSERT INTO items VALUES ('nobody', 'x', 1, '')", "items"),
        (
            "INSERT INTO history SELECT 0, happened_at, uid, pid, verb, kind, subject, data, previous, digest, NULL, NULL, NULL FROM history WHERE seq = 1",
            "items",
        ),
    ] {
        let (folder, catalog) = sql().await;
        fill(&catalog).await;
        sqlx::raw_sql(statement).execute(&mut raw(&file(&folder)).await).await.unwrap();
        let mut found = Vec::new();
        catalog.examine(&mut |fault| found.push(fault)).await.unwrap();
        let named = |fault: &CatalogError| matches!(fault, CatalogError::Damaged { table: of, .. } if *of == table);
        assert!(found.len() == 1 && named(&found[0]), "{statement}: {found:?}");
    }
}
