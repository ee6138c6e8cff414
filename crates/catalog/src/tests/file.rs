//! The file: its place, its layout, its readers.

use std::path::Path;

use model::{Outcome, ReleaseState};
use sqlx::Row;
use tempfile::TempDir;

use super::{file, sql};
use crate::conformance::sample::{at, entry, put, record, release, tell};
use crate::sql::{Migration, Step, migrate, raw};
use crate::{Batch, Catalog, CatalogError, ReleaseFilter, SqlCatalog, verify_chain};

#[tokio::test]
async fn what_was_recorded_is_there_after_a_restart() {
    let (folder, catalog) = sql().await;
    let release = release("elastic/9.0.0", &["a", "b"]);
    put(&catalog, &release, ReleaseState::Admitted).await;
    tell(&catalog, &["a"]).await;
    drop(catalog);
    let catalog = SqlCatalog::open(&file(&folder)).await.unwrap();
    assert_eq!(catalog.release(&release.id).await.unwrap().unwrap().release, release);
    tell(&catalog, &["b"]).await;
    assert_eq!(verify_chain(&catalog).await.unwrap().seq, 2);
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_not_begun_anew_s42() {
    let (folder, catalog) = sql().await;
    tell(&catalog, &["a"]).await;
    let (path, away) = (file(&folder), folder.path().join("away"));
    std::fs::rename(&path, &away).unwrap();
    // As after an error: the next connection is made anew.
    drop(catalog.hold_writer().await);
    assert!(catalog.chain_head().await.is_err());
    assert!(catalog.apply(Batch { history: vec![entry("b")], ..Batch::default() }).await.is_err());
    assert!(!path.exists());
    std::fs::rename(&away, &path).unwrap();
    tell(&catalog, &["b"]).await;
    assert_eq!(verify_chain(&catalog).await.unwrap().seq, 2);
}

#[tokio::test]
async fn another_file_in_its_place_is_never_opened_s40_s42() {
    let (folder, catalog) = sql().await;
    tell(&catalog, &["a"]).await;
    let path = file(&folder);
    let (here, away, copy) = (path.parent().unwrap(), folder.path().join("away"), folder.path().join("copy"));
    let other = SqlCatalog::open(&copy.join(path.file_name().unwrap())).await.unwrap();
    tell(&other, &["x", "y"]).await;
    drop(other);
    std::fs::rename(here, &away).unwrap();
    std::fs::rename(&copy, here).unwrap();
    assert_eq!(catalog.chain_head().await.unwrap().seq, 1, "what was open is what it was");
    // As after an error, and as for who reads while it is written: the next connection is made anew.
    drop(catalog.hold_writer().await);
    let refused = catalog.chain_head().await.unwrap_err();
    assert!(model::error_chain(&refused).contains("another file stands there now"), "{refused:?}");
    assert!(catalog.apply(Batch { history: vec![entry("b")], ..Batch::default() }).await.is_err());
    assert_eq!(
        verify_chain(&SqlCatalog::open(&path).await.unwrap()).await.unwrap().seq,
        2,
        "nothing is written into it"
    );
}

/// A backup is one file: copied while nothing is at work on it, and put back over a later one.
#[tokio::test]
async fn at_a_clean_end_the_file_alone_is_the_catalog_s40() {
    let (folder, writer) = sql().await;
    tell(&writer, &["a", "b"]).await;
    let (path, backup) = (file(&folder), folder.path().join("backup"));
    let log = || std::fs::metadata(format!("{}-wal", path.display())).map_or(0, |found| found.len());
    let reader = SqlCatalog::open_read_only(&path).await.unwrap();
    assert_eq!(verify_chain(&reader).await.unwrap().seq, 2);
    assert!(log() > 0);
    writer.fold().await.unwrap();
    assert_eq!(log(), 0);
    std::fs::copy(&path, &backup).unwrap();
    tell(&writer, &["c"]).await;
    assert_eq!(verify_chain(&reader).await.unwrap().seq, 3, "whoever is at work goes on");
    writer.fold().await.unwrap();
    // As at the end of a process, which closes nothing.
    std::mem::forget((writer, reader));
    std::fs::copy(&backup, &path).unwrap();
    let restored = SqlCatalog::open(&path).await.unwrap();
    assert_eq!(verify_chain(&restored).await.unwrap().seq, 2);
    restored.examine(&mut |fault| panic!("{fault}")).await.unwrap();
}

#[tokio::test]
async fn a_reader_beside_a_writer_sees_all_and_changes_nothing() {
    let (folder, writer) = sql().await;
    let reader = SqlCatalog::open_read_only(&file(&folder)).await.unwrap();
    tell(&writer, &["a"]).await;
    assert_eq!(verify_chain(&reader).await.unwrap().seq, 1);
    let batch = Batch { feeds: vec![record("elastic/9.0.0", Outcome::Current)], ..Batch::default() };
    assert!(matches!(reader.apply(batch).await, Err(CatalogError::Database { .. })));
    assert!(reader.reserve("run-1", &[model::Digest::of(b"a")]).await.is_err());
    tell(&writer, &["b"]).await;
    assert_eq!(verify_chain(&reader).await.unwrap().seq, 2);
    assert!(reader.feeds().await.unwrap().is_empty());
}

/// What a killed process leaves is a log that was not folded in yet; a reader and a writer both go on from it.
#[tokio::test]
async fn what_a_killed_writer_left_is_whole_s11() {
    let (folder, writer) = sql().await;
    tell(&writer, &["a", "b"]).await;
    let path = file(&folder);
    for (number, parts) in [&["", "-wal"][..], &["", "-wal", "-shm"][..]].into_iter().enumerate() {
        let copy = file(&TempDir::new_in(folder.path()).unwrap()).with_file_name(format!("{number}"));
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        for part in parts {
            let beside = |path: &Path| format!("{}{part}", path.display());
            std::fs::copy(beside(&path), beside(&copy)).unwrap();
        }
        let reader = SqlCatalog::open_read_only(&copy).await.unwrap();
        assert_eq!(verify_chain(&reader).await.unwrap().seq, 2);
        let next = SqlCatalog::open(&copy).await.unwrap();
        tell(&next, &["c"]).await;
        assert_eq!(verify_chain(&reader).await.unwrap().seq, 3);
    }
}

/// A write-ahead log cut anywhere, as by a power cut, loses whole acts from its end and nothing else.
#[tokio::test]
async fn a_cut_log_loses_whole_acts_only_s12() {
    let (folder, writer) = sql().await;
    for number in 0..8 {
        let subject = format!("{number}");
        let feeds = vec![record(&format!("elastic/9.0.{number}"), Outcome::Current)];
        let history = vec![entry(&subject), entry(&subject), entry(&subject)];
        writer.apply(Batch { feeds, history, ..Batch::default() }).await.unwrap();
    }
    let path = file(&folder);
    let log = std::fs::read(format!("{}-wal", path.display())).unwrap();
    let mut last = 0;
    // The layout itself is in the log's first part.
    for (number, length) in (0..=log.len()).rev().step_by(4999).enumerate() {
        let copy = folder.path().join(format!("copy-{number}"));
        std::fs::copy(&path, &copy).unwrap();
        std::fs::write(format!("{}-wal", copy.display()), &log[..length]).unwrap();
        let catalog = SqlCatalog::open(&copy).await.unwrap();
        let acts = catalog.feeds().await.unwrap().len() as u64;
        assert_eq!(verify_chain(&catalog).await.unwrap().seq, 3 * acts);
        assert!(number == 0 && acts == 8 || acts <= last, "a shorter log holds no more");
        last = acts;
    }
    assert_eq!(last, 0);
}

#[tokio::test]
async fn a_reader_makes_nothing() {
    let folder = TempDir::new().unwrap();
    let error = SqlCatalog::open_read_only(&file(&folder)).await.unwrap_err();
    assert!(matches!(&error, CatalogError::Database { .. }), "{error}");
    assert!(!folder.path().join("catalog").exists());
    // A file that no writer has laid out yet is not a catalog.
    let path = folder.path().join("empty");
    std::fs::write(&path, "").unwrap();
    assert!(SqlCatalog::open_read_only(&path).await.is_err());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
}

#[tokio::test]
async fn odd_names_are_taken_as_they_are() {
    let folder = TempDir::new().unwrap();
    for name in
        ["a b", "100%41", "what?mode=memory", "a#b", "file:x", "%2e%2e", "ä\u{1f980}", ":memory:", "a&b=c;d'e\"f"]
    {
        let path = folder.path().join(name).join("..").join(name).join(name);
        let catalog = SqlCatalog::open(&path).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        tell(&catalog, &["a"]).await;
        assert!(folder.path().join(name).join(name).is_file(), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, _catalog) = sql().await;
    let mode = std::fs::metadata(folder.path().join("catalog")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_in_the_files_place_is_refused_s20() {
    let (folder, _catalog) = sql().await;
    let link = folder.path().join("link");
    for target in [file(&folder), folder.path().join("nowhere"), "/dev/null".into()] {
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(SqlCatalog::open(&link).await.is_err());
        assert!(SqlCatalog::open_read_only(&link).await.is_err());
        std::fs::remove_file(&link).unwrap();
    }
    assert!(SqlCatalog::open(folder.path()).await.is_err(), "a folder is no file");
    assert!(!folder.path().join("nowhere").exists());
}

#[tokio::test]
async fn a_newer_layout_is_refused_in_exact_words_s34() {
    let (folder, catalog) = sql().await;
    tell(&catalog, &["a"]).await;
    execute(&file(&folder), "INSERT INTO layout (number) VALUES (7)").await;
    for opened in [SqlCatalog::open(&file(&folder)).await, SqlCatalog::open_read_only(&file(&folder)).await] {
        let error = opened.unwrap_err();
        assert!(matches!(error, CatalogError::Newer { found: 7, known: 2 }));
        assert_eq!(error.to_string(), "the catalog has layout 7, this program knows up to 2: use the newer program");
    }
    execute(&file(&folder), "DELETE FROM layout WHERE number = 7").await;
    let catalog = SqlCatalog::open(&file(&folder)).await.unwrap();
    assert_eq!(verify_chain(&catalog).await.unwrap().seq, 1, "nothing was touched");
}

#[tokio::test]
async fn a_failed_migration_leaves_the_layout_before_it_s35() {
    const GOOD: Migration = &[Step::Sql("CREATE TABLE extra (word TEXT NOT NULL)")];
    const BAD: Migration =
        &[Step::Sql("CREATE TABLE half (word TEXT NOT NULL)"), Step::Sql("CREATE TABLE extra (word TEXT NOT NULL)")];
    const FIXED: Migration = &[Step::Sql("CREATE TABLE half (word TEXT NOT NULL)")];
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("catalog.sqlite3");
    assert!(migrate(&mut raw(&path).await, &[GOOD, BAD]).await.is_err());
    assert_eq!(layout(&path).await, [1]);
    migrate(&mut raw(&path).await, &[GOOD, FIXED]).await.unwrap();
    assert_eq!(layout(&path).await, [1, 2]);
    migrate(&mut raw(&path).await, &[GOOD, FIXED]).await.unwrap();
    assert!(matches!(migrate(&mut raw(&path).await, &[GOOD]).await, Err(CatalogError::Newer { found: 2, known: 1 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_file_at_once_s34() {
    let folder = TempDir::new().unwrap();
    let open = |number: usize| {
        let path = file(&folder);
        tokio::spawn(async move {
            let catalog = SqlCatalog::open(&path).await.unwrap();
            tell(&catalog, &[&number.to_string()]).await;
        })
    };
    for task in (0..12).map(open).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let catalog = SqlCatalog::open(&file(&folder)).await.unwrap();
    assert_eq!(verify_chain(&catalog).await.unwrap().seq, 12);
}

/// An act that is dropped while under way is done or not done; the catalog goes on.
#[tokio::test]
async fn a_cancelled_act_leaves_nothing_half_done() {
    let (_folder, catalog) = sql().await;
    for polls in 0..60 {
        let name = format!("elastic/9.0.{polls}");
        let batch = Batch {
            feeds: vec![record(&name, Outcome::Current)],
            host_waits: vec![(name.clone(), at(1))],
            history: vec![entry(&name)],
            ..Batch::default()
        };
        let mut act = catalog.apply(batch);
        for _ in 0..polls {
            if futures_poll(&mut act).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(act);
    }
    let head = verify_chain(&catalog).await.unwrap();
    let (feeds, waits) = (catalog.feeds().await.unwrap(), catalog.host_waits().await.unwrap());
    assert_eq!((feeds.len() as u64, waits.len() as u64), (head.seq, head.seq));
    tell(&catalog, &["after"]).await;
    assert_eq!(catalog.chain_head().await.unwrap().seq, head.seq + 1);
}

/// Polls once; whether it is done.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready()))
        .await
}

#[tokio::test]
async fn the_later_of_two_readers_does_not_wait_for_a_writer() {
    let (folder, catalog) = sql().await;
    put(&catalog, &release("elastic/9.0.0", &["a"]), ReleaseState::Admitted).await;
    let mut writing = raw(&file(&folder)).await;
    sqlx::raw_sql("BEGIN IMMEDIATE; DELETE FROM history").execute(&mut writing).await.unwrap();
    assert_eq!(catalog.releases(&ReleaseFilter::default()).await.unwrap().len(), 1);
    let held = catalog.hold_writer().await;
    assert_eq!(catalog.releases(&ReleaseFilter::default()).await.unwrap().len(), 1);
    drop(held);
}

async fn execute(path: &Path, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&mut raw(path).await).await.unwrap();
}

async fn layout(path: &Path) -> Vec<i64> {
    let rows = sqlx::query("SELECT number FROM layout ORDER BY number").fetch_all(&mut raw(path).await).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
