//! Whoever changes the history is found out.

use proptest::prelude::*;
use sqlx::AnyConnection;

use super::{file, sql};
use crate::conformance::sample::{entry, tell};
use crate::sql::raw;
use crate::{ChainBreak, ChainHead, Entry, SqlCatalog, chain_digest, prove_end, verify_chain};

async fn tampered(statements: &[&'static str]) -> (SqlCatalog, tempfile::TempDir) {
    let (folder, catalog) = sql().await;
    tell(&catalog, &["a", "b", "c", "d", "e"]).await;
    assert_eq!(verify_chain(&catalog).await.unwrap().seq, 5);
    let mut connection: AnyConnection = raw(&file(&folder)).await;
    for statement in statements {
        sqlx::raw_sql(*statement).execute(&mut connection).await.unwrap();
    }
    (catalog, folder)
}

async fn check(statements: &[&'static str], seq: u64, expected: fn(&ChainBreak) -> bool) {
    let (catalog, _folder) = tampered(statements).await;
    let fault = verify_chain(&catalog).await.expect_err(statements[0]);
    assert!(fault.seq == seq && expected(&fault.what), "{statements:?}: {fault}");
}

#[tokio::test]
async fn an_edited_entry_is_found_a21() {
    for statement in [
        "UPDATE history SET happened_at = happened_at + 1 WHERE seq = 3",
        "UPDATE history SET uid = 0 WHERE seq = 3",
        "UPDATE history SET pid = 43 WHERE seq = 3",
        "UPDATE history SET verb = 'run' WHERE seq = 3",
        "UPDATE history SET kind = 'act' WHERE seq = 3",
        "UPDATE history SET subject = 'C' WHERE seq = 3",
        "UPDATE history SET subject = subject || ' ' WHERE seq = 3",
        "UPDATE history SET data = '{}' WHERE seq = 3",
        "UPDATE history SET data = data || ' ' WHERE seq = 3",
        "UPDATE history SET previous = digest WHERE seq = 3",
        "UPDATE history SET digest = previous WHERE seq = 3",
    ] {
        check(&[statement], 3, |what| matches!(what, ChainBreak::Edited)).await;
    }
}

#[tokio::test]
async fn the_end_of_the_chain_is_proven_by_itself_a21() {
    for (statement, found) in [
        ("UPDATE history SET subject = 'C' WHERE seq = 3", [None, None, Some(3), Some(3)]),
        ("UPDATE history SET subject = 'E' WHERE seq = 5", [Some(5); 4]),
        ("DELETE FROM history WHERE seq = 4", [None, Some(4), Some(4), Some(4)]),
        ("UPDATE history SET subject = subject WHERE seq = 1", [None; 4]),
    ] {
        let (catalog, _folder) = tampered(&[statement]).await;
        for (count, found) in [1, 2, 3, 100].into_iter().zip(found) {
            let fault = prove_end(&catalog, count).await.err().map(|fault| fault.seq);
            assert_eq!(fault, found, "{statement}, the last {count}");
        }
    }
    let (_folder, empty) = sql().await;
    prove_end(&empty, 3).await.unwrap();
}

#[tokio::test]
async fn a_removed_entry_is_found_a21() {
    check(&["DELETE FROM history WHERE seq = 1"], 1, |what| matches!(what, ChainBreak::Missing)).await;
    check(&["DELETE FROM history WHERE seq IN (2, 3)"], 2, |what| matches!(what, ChainBreak::Missing)).await;
    let closed_up = ["DELETE FROM history WHERE seq = 3", "UPDATE history SET seq = 3 WHERE seq = 4"];
    check(&closed_up, 3, |what| matches!(what, ChainBreak::Edited)).await;
}

#[tokio::test]
async fn an_entry_that_was_put_in_is_found_a21() {
    let copy = "CREATE TEMP TABLE copied AS SELECT * FROM history WHERE seq = 3";
    check(
        &[copy, "UPDATE copied SET seq = 0, subject = 'forged'", "INSERT INTO history SELECT * FROM copied"],
        0,
        |what| matches!(what, ChainBreak::PutIn),
    )
    .await;
    let below = [copy, "UPDATE copied SET seq = -5", "INSERT INTO history SELECT * FROM copied"];
    check(&below, 1, |what| matches!(what, ChainBreak::Unreadable(_))).await;
    for (number, seq) in [("UPDATE copied SET seq = -1e300", 1), ("UPDATE copied SET seq = 3.5", 4)] {
        let between = [copy, number, "INSERT INTO history SELECT * FROM copied"];
        check(&between, seq, |what| matches!(what, ChainBreak::Unreadable(_))).await;
    }
}

#[tokio::test]
async fn entries_out_of_order_are_found_a21() {
    let swapped = [
        "UPDATE history SET seq = -1 WHERE seq = 2",
        "UPDATE history SET seq = 2 WHERE seq = 3",
        "UPDATE history SET seq = 3 WHERE seq = -1",
    ];
    check(&swapped, 2, |what| matches!(what, ChainBreak::Edited)).await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_named_a21() {
    for statement in [
        "UPDATE history SET kind = 'lunch' WHERE seq = 4",
        "UPDATE history SET digest = 'none' WHERE seq = 4",
        "UPDATE history SET uid = -1 WHERE seq = 4",
        "UPDATE history SET pid = 4294967296 WHERE seq = 4",
        "UPDATE history SET data = x'ff00' WHERE seq = 4",
        "UPDATE history SET happened_at = 'noon' WHERE seq = 4",
    ] {
        check(&[statement], 4, |what| matches!(what, ChainBreak::Unreadable(_))).await;
    }
}

/// An entry whose digest was made again for its new words no longer fits the next one.
#[tokio::test]
async fn a_forged_entry_is_found_by_the_next_one_a21() {
    let (catalog, folder) = tampered(&["UPDATE history SET subject = 'forged' WHERE seq = 2"]).await;
    let forged = catalog_entry(&catalog, 2).await;
    let mut connection = raw(&file(&folder)).await;
    sqlx::query("UPDATE history SET digest = $1 WHERE seq = 2")
        .bind(chain_digest(&forged).to_string())
        .execute(&mut connection)
        .await
        .unwrap();
    let fault = verify_chain(&catalog).await.unwrap_err();
    assert!(fault.seq == 3 && matches!(fault.what, ChainBreak::Unlinked), "{fault}");
}

async fn catalog_entry(catalog: &SqlCatalog, seq: u64) -> Entry {
    crate::Catalog::history(catalog, seq, 1).await.unwrap().remove(0)
}

async fn begun_late(statements: &[&'static str]) -> Result<u64, crate::ChainFault> {
    let (folder, catalog) = sql().await;
    tell(&catalog, &["a", "b", "c", "d", "e"]).await;
    let through = crate::Anchor { seq: 3, digest: catalog_entry(&catalog, 3).await.digest };
    let data = serde_json::json!({ "through": through });
    let told = crate::NewEntry { kind: crate::EntryKind::Pruned, data, ..entry("history") };
    let publications_until = crate::conformance::sample::at(0);
    let prune = Some(crate::Prune { through, releases: Vec::new(), publications_until });
    let batch = crate::Batch { history: vec![told], prune, ..crate::Batch::default() };
    crate::Catalog::apply(&catalog, batch).await.unwrap();
    tell(&catalog, &["f"]).await;
    let mut connection = raw(&file(&folder)).await;
    for statement in statements {
        sqlx::raw_sql(*statement).execute(&mut connection).await.unwrap();
    }
    verify_chain(&catalog).await.map(|head| head.seq)
}

/// Where the chain begins behind an anchor, nothing more can be taken from its front, and the anchor cannot go.
#[tokio::test]
async fn a_chain_begins_only_where_its_anchor_says_a21() {
    assert_eq!(begun_late(&[]).await.unwrap(), 7);
    for (statement, seq) in [
        ("DELETE FROM history WHERE seq = 4", 4),
        ("DELETE FROM history WHERE seq <= 5", 4),
        ("DELETE FROM history WHERE seq <= 6", 1),
        ("DELETE FROM history WHERE seq >= 6", 1),
        ("DELETE FROM history WHERE seq = 6", 6),
        ("UPDATE history SET previous = digest WHERE seq = 4", 4),
        ("UPDATE history SET data = replace(data, '3', '4') WHERE seq = 6", 6),
    ] {
        let fault = begun_late(&[statement]).await.expect_err(statement);
        assert_eq!(fault.seq, seq, "{statement}: {fault}");
    }
}

fn whole(entries: &[Entry]) -> bool {
    entries.iter().try_fold(ChainHead::EMPTY, |head, entry| head.follow(entry)).is_ok()
}

fn chain(length: usize) -> Vec<Entry> {
    let mut head = ChainHead::EMPTY;
    (0..length).map(|number| head.append(&entry(&format!("{number}")))).collect()
}

proptest! {
    /// Any member of any entry, changed in any way, is found.
    #[test]
    fn any_edit_is_found_a21(at in 0usize..6, field in 0usize..8, text in "\\PC{0,12}", number in any::<u64>()) {
        let mut entries = chain(6);
        let edited = &mut entries[at];
        let before = edited.clone();
        match field {
            0 => edited.seq = number,
            1 => edited.at = model::Timestamp::from_micros(number.cast_signed()),
            2 => edited.actor.uid = number as u32,
            3 => edited.actor.verb = text,
            4 => edited.subject = text,
            5 => edited.data = text,
            6 => edited.previous = model::Digest::of(text.as_bytes()),
            _ => edited.digest = model::Digest::of(text.as_bytes()),
        }
        prop_assert_eq!(whole(&entries), entries[at] == before);
    }

    /// So is any entry taken out before the last, put in twice, or moved.
    #[test]
    fn any_other_order_is_found_a21(from in 0usize..6, to in 0usize..6, act in 0usize..3) {
        let mut entries = chain(6);
        let before = entries.clone();
        match act {
            0 => drop(entries.remove(from)),
            1 => entries.insert(to, before[from].clone()),
            _ => entries.swap(from, to),
        }
        prop_assert_eq!(whole(&entries), before.starts_with(&entries));
    }
}
