//! What is told where, when, and when not.

use std::sync::Arc;

use alarm::Condition;
use catalog::{Actor, Batch, EntryKind, KeptHeads, MemoryCatalog, NewEntry};
use model::Reason;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::proof::Proof;
use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).after(Duration::from_secs(seconds))
}

/// Since when the history is known to be another one.
fn broken(state: &HeadState) -> Option<Timestamp> {
    let conditions = state.conditions();
    conditions.iter().find(|condition| condition.reason() == Reason::HistoryBroken).map(Condition::since)
}

fn heads(folder: &Path, more: &str) -> Heads {
    named("dmz-1", folder, more)
}

fn named(site: &str, folder: &Path, more: &str) -> Heads {
    let text = format!("data_dir = \"d\"\n[site]\nname = \"{site}\"\n[history]\nhead_entries = 3\n{more}");
    Heads::of(&Config::parse(&text, &folder.join("waystation.toml"), &[]).unwrap())
}

async fn happen(catalog: &MemoryCatalog, count: usize) {
    happened(catalog, EntryKind::Check, count).await;
}

async fn happened(catalog: &MemoryCatalog, kind: EntryKind, count: usize) {
    let entry = NewEntry { at: at(0), actor: Actor::new(0, 1, "test"), kind, subject: "x".to_owned(), data: json!({}) };
    catalog.apply(Batch { history: vec![entry; count], ..Batch::default() }).await.unwrap();
}

#[tokio::test]
async fn a_head_is_told_after_so_many_entries_or_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = MemoryCatalog::new();
    let mut heads = heads(folder.path(), "head_file = \"heads\"");
    assert_eq!(heads.tell_if_due(&catalog, at(0)).await.unwrap(), None, "there is none");
    for (happened, second, told) in [
        (1, 0, Some(1)),
        (0, 9999, None),
        (2, 10, None),
        (1, 20, Some(4)),
        (1, 30, None),
        (0, 3620, Some(5)),
        // A clock that was set back keeps nothing from being told.
        (1, 5, Some(6)),
    ] {
        happen(&catalog, happened).await;
        assert_eq!(heads.tell_if_due(&catalog, at(second)).await.unwrap(), told, "at {second}");
    }
    // Another process goes by the file.
    let mut other = self::heads(folder.path(), "head_file = \"heads\"");
    happen(&catalog, 1).await;
    assert_eq!(other.tell_if_due(&catalog, at(15)).await.unwrap(), None);
    let text = std::fs::read_to_string(folder.path().join("heads")).unwrap();
    let head = catalog.history(6, 1).await.unwrap().remove(0);
    assert_eq!(text.lines().last().unwrap(), format!("{} 6 {} dmz-1", at(5), head.digest));
    assert_eq!(text.lines().count(), 4);
}

#[tokio::test]
async fn an_operators_word_is_told_at_once_and_so_is_what_an_older_copy_lacks_s40() {
    let folder = tempfile::tempdir().unwrap();
    let own = MemoryCatalog::new();
    let mut run = heads(folder.path(), "head_file = \"heads\"");
    happen(&own, 1).await;
    assert_eq!(run.tell_if_due(&own, at(0)).await.unwrap(), Some(1));
    happened(&own, EntryKind::Act, 1).await;
    assert_eq!(run.tell_if_due(&own, at(1)).await.unwrap(), Some(2));
    happen(&own, 1).await;
    assert_eq!(run.tell_if_due(&own, at(2)).await.unwrap(), None, "it is told once");
    let copy = own.fork().await;
    happen(&own, 1).await;
    let newest = own.chain_head().await.unwrap();
    for second in [3, 4] {
        run.tell_seen(&newest, at(second)).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("heads")).unwrap().lines().count(), 3);
    // Whoever begins on the copy knows that something is lacking, and whoever has it again goes on.
    let mut next = heads(folder.path(), "head_file = \"heads\"");
    happened(&copy, EntryKind::Upkeep, 5).await;
    let errors = next.tell_if_due(&copy, at(5)).await.unwrap_err();
    assert!(matches!(errors[..], [HeadError::Differs { seq: 4, .. }]), "{errors:?}");
    assert_eq!(run.tell_if_due(&own, at(5)).await.unwrap(), None);
}

#[tokio::test]
async fn a_line_that_a_crash_cut_is_ended_and_a_file_that_cannot_be_written_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/heads");
    let catalog = MemoryCatalog::new();
    happen(&catalog, 1).await;
    let mut heads = heads(folder.path(), "head_file = \"sub/heads\"");
    for _ in 0..2 {
        let errors = heads.tell_if_due(&catalog, at(0)).await.unwrap_err();
        assert!(matches!(&errors[..], [HeadError::File { path: named, .. }] if *named == path), "{errors:?}");
        assert_eq!(errors[0].reason(), Reason::HeadFailed);
    }
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(&path, "2026-01-01T00:00:00Z 3 abc").unwrap();
    assert_eq!(heads.tell_if_due(&catalog, at(0)).await.unwrap(), Some(1));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("2026-01-01T00:00:00Z 3 abc\n2027-") && text.ends_with(" dmz-1\n"), "{text}");
}

#[tokio::test]
async fn another_catalog_in_the_place_of_the_first_is_noticed_where_no_file_keeps_heads() {
    let folder = tempfile::tempdir().unwrap();
    let mut heads = heads(folder.path(), "");
    let (catalog, other) = (MemoryCatalog::new(), MemoryCatalog::new());
    happen(&catalog, 5).await;
    heads.tell_if_due(&catalog, at(0)).await.unwrap();
    happen(&catalog, 2).await;
    heads.tell_if_due(&catalog, at(5)).await.unwrap();
    // Shorter, then longer, but never the one that was seen.
    for more in [3, 9] {
        let entry = NewEntry {
            at: at(1),
            actor: Actor::new(0, 2, "other"),
            kind: EntryKind::Check,
            subject: "y".to_owned(),
            data: json!({}),
        };
        other.apply(Batch { history: vec![entry; more], ..Batch::default() }).await.unwrap();
        let errors = heads.tell_if_due(&other, at(10)).await.unwrap_err();
        assert!(matches!(&errors[..], [HeadError::Replaced { seq: 7 }]), "{errors:?}");
        assert!(errors[0].is_broken());
    }
    // The right one is back.
    heads.tell_if_due(&catalog, at(15)).await.unwrap();
}

#[tokio::test]
async fn an_older_copy_is_noticed_though_the_file_of_heads_lags_behind_it_s40() {
    let folder = tempfile::tempdir().unwrap();
    let mut heads = heads(folder.path(), "head_file = \"heads\"");
    let (catalog, copy) = (MemoryCatalog::new(), MemoryCatalog::new());
    for of in [&catalog, &copy] {
        happen(of, 5).await;
    }
    heads.tell_if_due(&catalog, at(0)).await.unwrap();
    happen(&catalog, 2).await;
    assert_eq!(heads.tell_if_due(&catalog, at(5)).await.unwrap(), None, "no head is due yet");
    let errors = heads.tell_if_due(&copy, at(10)).await.unwrap_err();
    assert!(matches!(&errors[..], [HeadError::Replaced { seq: 7 }]) && errors[0].is_broken(), "{errors:?}");
    // The operator has seen it.
    let path = folder.path().join("heads");
    std::fs::rename(&path, folder.path().join("heads.seen")).unwrap();
    assert_eq!(heads.tell_if_due(&copy, at(15)).await.unwrap(), Some(5));
}

#[test]
fn no_word_of_a_head_is_broken_up_by_the_source() {
    let (path, was, site) = ("/heads".into(), "old".to_owned(), "new".to_owned());
    let text = HeadError::Former { path, was, site, seq: 9 }.to_string();
    assert!(!text.contains("  "), "{text}");
}

#[tokio::test]
async fn a_history_that_does_not_fit_what_was_told_is_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = heads(folder.path(), "head_file = \"heads\"");
    let catalog = MemoryCatalog::new();
    happen(&catalog, 9).await;
    first.tell_if_due(&catalog, at(0)).await.unwrap();
    let shorter = MemoryCatalog::new();
    happen(&shorter, 5).await;
    let mut second = heads(folder.path(), "head_file = \"heads\"");
    let state = HeadState::default();
    for second_later in [9, 99_999] {
        // As long as it stands, however often and late is looked.
        let errors = second.tell_if_due(&shorter, at(second_later)).await.unwrap_err();
        assert!(
            matches!(errors[..], [HeadError::Differs { seq: 9, .. }]) && errors[0].reason() == Reason::HistoryBroken
        );
        state.set(&errors, at(second_later));
    }
    let conditions = state.conditions();
    assert_eq!((conditions[0].reason(), conditions[0].level()), (Reason::HistoryBroken, model::Level::Fail));
    assert_eq!((conditions.len(), conditions[0].since()), (1, at(9)));
    let path = folder.path().join("heads");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1, "it goes on naming what is missing");
    // The operator has seen it.
    std::fs::rename(&path, folder.path().join("heads.broken")).unwrap();
    assert_eq!(second.tell_if_due(&shorter, at(100_000)).await.unwrap(), Some(5));
    state.set(&[], at(100_000));
    assert!(state.conditions().is_empty());
}

/// Lets all entries go up to `seq`, without a word or with an anchor that says so.
async fn let_go(catalog: &MemoryCatalog, seq: u64, kind: EntryKind) {
    let last = catalog.history(seq, 1).await.unwrap().remove(0);
    let through = catalog::Anchor { seq, digest: last.digest };
    let told = NewEntry {
        at: at(0),
        actor: Actor::new(0, 1, "test"),
        kind,
        subject: "history".to_owned(),
        data: json!({ "through": through }),
    };
    let prune = catalog::Prune { through, releases: Vec::new(), publications_until: at(0) };
    catalog.apply(Batch { history: vec![told], prune: Some(prune), ..Batch::default() }).await.unwrap();
}

#[tokio::test]
async fn a_history_that_begins_behind_the_last_head_is_another_one_a21() {
    let folder = tempfile::tempdir().unwrap();
    let genuine = MemoryCatalog::new();
    happen(&genuine, 9).await;
    heads(folder.path(), "head_file = \"heads\"").tell_if_due(&genuine, at(0)).await.unwrap();
    // The same entries under other numbers, behind entries that are said to have been let go.
    let forged = MemoryCatalog::new();
    happen(&forged, 1009).await;
    let_go(&forged, 1000, EntryKind::Pruned).await;
    let errors = heads(folder.path(), "head_file = \"heads\"").tell_if_due(&forged, at(9999)).await.unwrap_err();
    assert!(matches!(errors[..], [HeadError::Differs { seq: 9, .. }]), "{errors:?}");
    // The last that was let go itself is known to be the same.
    let_go(&genuine, 9, EntryKind::Pruned).await;
    let mut later = heads(folder.path(), "head_file = \"heads\"");
    // And yet it is too young to have gone.
    let errors = later.tell_if_due(&genuine, at(9999)).await.unwrap_err();
    assert!(matches!(errors[..], [HeadError::Differs { seq: 9, .. }]), "{errors:?}");
    assert!(later.tell_if_due(&genuine, at(31 * 86_400)).await.is_ok());
}

fn log_at(path: &Path) -> std::os::unix::net::UnixDatagram {
    let log = std::os::unix::net::UnixDatagram::bind(path).unwrap();
    log.set_nonblocking(true).unwrap();
    log
}

#[tokio::test]
async fn a_file_that_cannot_be_read_ends_no_doubt_and_lets_no_head_out_a21() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("heads"), folder.path().join("log"));
    let more = format!("head_file = \"heads\"\nhead_syslog = \"unix:{}\"", socket.display());
    let log = log_at(&socket);
    let mut record = [0; 2048];
    let genuine = MemoryCatalog::new();
    happen(&genuine, 9).await;
    let mut honest = heads(folder.path(), &more);
    assert_eq!(honest.tell_if_due(&genuine, at(0)).await.unwrap(), Some(9));
    assert!(log.recv(&mut record).is_ok() && log.recv(&mut record).is_err());

    let forged = MemoryCatalog::new();
    happen(&forged, 5).await;
    let (mut watching, state) = (heads(folder.path(), &more), HeadState::default());
    assert!(state.is_blind(), "nothing was looked at yet");
    let away = folder.path().join("away");
    for unreadable in [false, true, true] {
        if unreadable && file.is_file() {
            std::fs::rename(&file, &away).unwrap();
            std::fs::create_dir(&file).unwrap();
        }
        let errors = watching.tell_if_due(&forged, at(99_999)).await.unwrap_err();
        assert!(matches!(errors[0], HeadError::Differs { seq: 9, .. }), "{errors:?}");
        state.set(&errors, at(99_999));
        assert_eq!(state.is_blind(), unreadable);
        assert_eq!(broken(&state), Some(at(99_999)));
    }
    // A catalog that fails meanwhile ends nothing either, nor does who never saw the file.
    state.set(&[HeadError::Catalog(catalog::CatalogError::Unfinished)], at(100_000));
    assert!(state.is_blind() && broken(&state).is_some());
    let errors = heads(folder.path(), &more).tell_if_due(&forged, at(100_000)).await.unwrap_err();
    assert!(matches!(errors[..], [HeadError::Unread { .. }]), "{errors:?}");
    state.set(&errors, at(100_000));
    let conditions = state.conditions();
    assert_eq!(
        conditions.iter().map(Condition::reason).collect::<Vec<_>>(),
        [Reason::HeadFailed, Reason::HistoryBroken]
    );
    assert!(log.recv(&mut record).is_err(), "no head of it got out");

    // Who knows that the history is the one that was told goes on to tell it where that can be done.
    happen(&genuine, 3).await;
    let errors = honest.tell_if_due(&genuine, at(100_000)).await.unwrap_err();
    assert!(matches!(errors[..], [HeadError::Unread { .. }]), "{errors:?}");
    assert!(log.recv(&mut record).is_ok());
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&away, &file).unwrap();
    assert_eq!(honest.tell_if_due(&genuine, at(100_001)).await.unwrap(), Some(12));
    state.set(&[], at(100_001));
    assert!(!state.is_blind() && state.conditions().is_empty());
}

#[tokio::test]
async fn every_head_of_the_file_is_compared_when_the_chain_is_proven_a21() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads");
    let catalog = MemoryCatalog::new();
    happen(&catalog, 9).await;
    let known = catalog.history(1, 9).await.unwrap();
    let line = |seq: u64, digest: model::Digest| format!("{} {seq} {digest} dmz-1\n", at(seq));
    let newest = line(9, known[8].digest);
    let shared: Arc<dyn Catalog> = Arc::new(catalog);
    let (mut proof, kept) = (Proof::default(), Some((path.as_path(), "dmz-1")));
    std::fs::write(&path, line(3, model::Digest::of(b"another")) + &newest).unwrap();
    let error = proof.broken(&shared, kept, (at(99), Duration::ZERO)).await.unwrap();
    assert!(matches!(&error, HeadError::Another { why, .. } if why.starts_with("entry 3 is not the one")), "{error}");
    assert_eq!(error.reason(), Reason::HistoryBroken);
    assert!(proof.broken(&shared, kept, (at(99), Duration::from_secs(5))).await.is_some(), "it stands");
    // The newest alone would say nothing; and the operator who moves the file away has seen it.
    std::fs::rename(&path, folder.path().join("seen")).unwrap();
    assert!(proof.broken(&shared, kept, (at(99), Duration::from_secs(10))).await.is_none());
    std::fs::write(&path, line(3, known[2].digest) + &newest).unwrap();
    assert!(Proof::default().broken(&shared, kept, (at(99), Duration::ZERO)).await.is_none());
}

#[tokio::test]
async fn an_old_entry_that_is_gone_is_seen_when_the_chain_is_proven_a21() {
    let catalog = Arc::new(MemoryCatalog::new());
    happen(&catalog, 9).await;
    let shared: Arc<dyn Catalog> = catalog.clone();
    let (mut proof, day) = (Proof::default(), Duration::from_secs(86_400));
    assert!(proof.broken(&shared, None, (at(0), Duration::ZERO)).await.is_none());
    assert!(proof.is_known());
    let_go(&catalog, 3, EntryKind::Check).await;
    assert!(proof.broken(&shared, None, (at(0), day / 2)).await.is_none(), "it is proven once a day");
    let mut seen = None;
    for _ in 0..1000 {
        seen = proof.broken(&shared, None, (at(0), day)).await;
        if seen.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let seen = seen.unwrap().to_string();
    assert!(
        seen.starts_with("the history is not whole at entry 1: it is missing, though later entries are there"),
        "{seen}"
    );
}

#[tokio::test]
async fn what_the_file_got_is_still_owed_to_a_syslog_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = MemoryCatalog::new();
    happen(&catalog, 2).await;
    // A folder that is not there holds no socket.
    let socket = folder.path().join("sub/log");
    let more = format!("head_file = \"heads\"\nhead_syslog = \"unix:{}\"", socket.display());
    let mut heads = heads(folder.path(), &more);
    for _ in 0..2 {
        let errors = heads.tell_if_due(&catalog, at(0)).await.unwrap_err();
        assert!(matches!(errors[..], [HeadError::Syslog(_)]), "{errors:?}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("heads")).unwrap().lines().count(), 1);
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let log = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    assert_eq!(heads.tell_if_due(&catalog, at(0)).await.unwrap(), Some(2));
    let mut record = [0; 2048];
    let length = log.recv(&mut record).unwrap();
    assert!(String::from_utf8_lossy(&record[..length]).ends_with(" dmz-1"));
    assert_eq!(heads.tell_if_due(&catalog, at(1)).await.unwrap(), None);
    // A mismatch is told as such, whatever the syslog does.
    drop(log);
    std::fs::remove_file(&socket).unwrap();
    let errors = heads.tell_if_due(&MemoryCatalog::new(), at(2)).await.unwrap_err();
    assert!(matches!(errors[..], [HeadError::Differs { seq: 2, .. }]), "{errors:?}");
}

#[test]
fn a_head_is_found_behind_what_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads");
    let digest = model::Digest::of(b"x");
    let line = |seq: u64, site: &str| format!("{} {seq} {digest} {site}\n", at(seq));
    let others: String = (0..3000).map(|seq| line(seq, "dmz-2")).collect();
    let long = "x".repeat(200_000);
    for behind in [String::new(), others.clone(), format!("{long}\n"), format!("{others}{long}")] {
        std::fs::write(&path, format!("{others}{}{}{behind}", line(1, "dmz-1"), line(7, "dmz-1"))).unwrap();
        let last = file::last_of(&path, "dmz-1").unwrap();
        assert_eq!(last.told().map(|told| told.seq), Some(7), "{} bytes", behind.len());
        assert_eq!(file::last_of(&path, "dmz-3").unwrap(), Last::Others);
    }
    std::fs::write(&path, line(1, "dmz-1") + &others).unwrap();
    let last = file::last_of(&path, "dmz-1").unwrap();
    assert_eq!(last.told().map(|told| told.seq), Some(1), "the first line of all");
}

#[tokio::test]
async fn a_head_goes_to_a_syslog() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let catalog = MemoryCatalog::new();
    happen(&catalog, 2).await;
    let mut heads = heads(folder.path(), &format!("head_syslog = \"udp://127.0.0.1:{port}\""));
    assert_eq!(heads.tell_if_due(&catalog, at(0)).await.unwrap(), Some(2));
    let mut record = [0; 2048];
    let length = socket.recv(&mut record).await.unwrap();
    let record = String::from_utf8_lossy(&record[..length]).into_owned();
    let digest = catalog.chain_head().await.unwrap().digest;
    assert!(record.starts_with("<85>1 ") && record.ends_with(&format!(" 2 {digest} dmz-1")), "{record}");
}

#[tokio::test]
async fn what_is_no_regular_file_holds_nobody_and_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads");
    let catalog = MemoryCatalog::new();
    happen(&catalog, 1).await;
    type Plant = fn(&Path);
    let plants: [(Plant, &str); 4] = [
        (|path| std::fs::create_dir(path).unwrap(), "it is a folder"),
        (|path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(), "it is a pipe"),
        (|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()), "it is a socket"),
        (|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(), "it is a device"),
    ];
    for (plant, what) in plants {
        plant(&path);
        let mut heads = heads(folder.path(), "head_file = \"heads\"");
        let errors = heads.tell_if_due(&catalog, at(0)).await.unwrap_err();
        assert!(
            matches!(&errors[..], [HeadError::Unread { source, .. }] if source.to_string().contains(what)),
            "{errors:?}"
        );
        assert!(heads.tell_after_act(&catalog, at(0)).await.is_err_and(|error| !error.is_broken()), "{what}");
        assert!(append(&path, "line").unwrap_err().to_string().contains(what));
        assert!(read_kept(&path, "dmz-1", &mut KeptHeads::default()).is_err());
        if path.is_dir() { std::fs::remove_dir(&path).unwrap() } else { std::fs::remove_file(&path).unwrap() }
    }
}

#[tokio::test]
async fn a_file_without_one_head_is_not_written_below() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads");
    let catalog = MemoryCatalog::new();
    happen(&catalog, 1).await;
    for garbage in ["lunch\n", "\n", "\0\0\0\0", "2026-01-01T00:00:00Z 3 abc\nx\n", "2026-01-01T00:00:00Z three"] {
        std::fs::write(&path, garbage).unwrap();
        let errors = heads(folder.path(), "head_file = \"heads\"").tell_if_due(&catalog, at(0)).await.unwrap_err();
        assert!(matches!(errors[..], [HeadError::Unread { .. }]), "{garbage:?}: {errors:?}");
        assert_eq!(errors[0].reason(), Reason::HeadFailed);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), garbage);
        assert!(read_kept(&path, "dmz-1", &mut KeptHeads::default()).is_err());
    }
    // Nothing was told yet, or a crash cut the first line.
    for (begun, kept) in [("", Kept::Nobody), ("2026-01-01T0", Kept::Begun), ("2026-01-01T00:00:00Z 3 ab", Kept::Begun)]
    {
        std::fs::write(&path, begun).unwrap();
        assert_eq!(read_kept(&path, "dmz-1", &mut KeptHeads::default()).unwrap(), kept);
        let told = heads(folder.path(), "head_file = \"heads\"").tell_if_due(&catalog, at(0)).await;
        assert_eq!(told.unwrap(), Some(1), "{begun:?}");
    }
}

#[tokio::test]
async fn a_site_that_was_renamed_is_said_to_be_and_loses_nothing_by_it_a21() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads");
    let more = "head_file = \"heads\"";
    let catalog = MemoryCatalog::new();
    for _ in 0..2 {
        happen(&catalog, 3).await;
        heads(folder.path(), more).tell_if_due(&catalog, at(0)).await.unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(before.lines().count(), 2);
    // What was told under the name before is gone, and a name that nobody knows hides nothing.
    let shorter = MemoryCatalog::new();
    happen(&shorter, 5).await;
    let mut renamed = named("hq", folder.path(), more);
    let errors = renamed.tell_if_due(&shorter, at(9)).await.unwrap_err();
    assert!(matches!(&errors[..], [HeadError::Former { was, seq: 6, .. }] if was == "dmz-1"), "{errors:?}");
    assert!(errors[0].is_broken());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "no head is told on top of it");
    // The whole history: it is told once, and goes on.
    let errors = renamed.tell_if_due(&catalog, at(9)).await.unwrap_err();
    assert!(matches!(&errors[..], [HeadError::Renamed { was, seq: 6, .. }] if was == "dmz-1"), "{errors:?}");
    let state = HeadState::default();
    state.set(&errors, at(9));
    assert!(state.conditions().is_empty() && !state.is_blind());
    let news = state.take_news();
    assert!(news[0].condition.detail().contains("under the name dmz-1") && state.take_news().is_empty(), "{news:?}");
    assert_eq!(renamed.tell_if_due(&catalog, at(10)).await.unwrap(), None);
    assert!(std::fs::read_to_string(&path).unwrap().ends_with(" hq\n"));
    // A site of its own beside others has nothing to do with them.
    let stranger = MemoryCatalog::new();
    happen(&stranger, 1).await;
    let_go(&stranger, 1, EntryKind::Pruned).await;
    assert_eq!(named("branch", folder.path(), more).tell_if_due(&stranger, at(9)).await.unwrap(), Some(2));
}
