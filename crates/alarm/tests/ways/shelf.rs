//! What was told, kept over restarts.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alarm::{Book, Damping, Ledger, Life, Quiet, Shelf, ShelfError, Sight, Way};
use model::Clock as _;
use tokio_util::sync::CancellationToken;

use crate::bench::{Still, condition, start, until};

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.meet(vec![Way::new("w")], &[], start());
    let damping = Damping { settle: Duration::ZERO, remind: Duration::from_secs(60) };
    ledger.observe(Sight { conditions: vec![condition("k", "s", "d")], ..Sight::clear(start()) }, &damping);
    ledger
}

#[test]
fn what_is_kept_reads_back_and_is_ours_alone() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(folder.path());
    assert_eq!(shelf.read().unwrap(), None);
    assert!(shelf.keep(&ledger()).is_err(), "a folder is made once, when a data folder is begun with");
    Life::prepare(folder.path()).unwrap();
    shelf.keep(&ledger()).unwrap();
    let read = shelf.read().unwrap().unwrap();
    assert_eq!(read.standing(), ledger().standing());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&shelf.path()), mode(shelf.path().parent().unwrap())), (0o600, 0o700));
}

#[test]
fn what_is_damaged_newer_or_not_ours_is_told_and_not_believed_s41_s20() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(folder.path());
    Life::prepare(folder.path()).unwrap();
    shelf.keep(&ledger()).unwrap();
    let whole = std::fs::read(shelf.path()).unwrap();
    for length in 0..whole.len() {
        std::fs::write(shelf.path(), &whole[..length]).unwrap();
        assert!(matches!(shelf.read(), Err(ShelfError::Form { .. })), "{length}");
    }
    std::fs::write(shelf.path(), String::from_utf8(whole.clone()).unwrap().replace("\"form\":1", "\"form\":2"))
        .unwrap();
    assert!(matches!(shelf.read(), Err(ShelfError::Newer { .. })));
    std::fs::write(shelf.path(), &whole).unwrap();
    std::fs::set_permissions(shelf.path(), std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(shelf.read(), Err(ShelfError::Fs(_))));
    std::fs::remove_file(shelf.path()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", shelf.path()).unwrap();
    assert!(matches!(shelf.read(), Err(ShelfError::Fs(_))));
}

#[test]
fn what_cannot_be_used_is_set_aside_and_numbers_go_on_s41_s20() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(folder.path());
    Life::prepare(folder.path()).unwrap();
    shelf.keep(&ledger()).unwrap();
    let whole = std::fs::read(shelf.path()).unwrap();
    let newer = String::from_utf8(whole.clone()).unwrap().replace("\"form\":1", "\"form\":2").into_bytes();
    let cut = whole[..whole.len() - 3].to_vec();
    for (number, bytes) in [newer, cut, b"none of ours".to_vec()].into_iter().enumerate() {
        std::fs::write(shelf.path(), &bytes).unwrap();
        let salvage = shelf.salvage(&shelf.read().unwrap_err());
        let aside = folder.path().join(format!("alarms/state.set-aside.{}", number + 1));
        assert_eq!(std::fs::read(&aside).unwrap(), bytes, "it is there, whole");
        assert!(!shelf.path().exists() && salvage.told.contains(aside.to_str().unwrap()), "{}", salvage.told);
        let stands = usize::from(number < 2);
        assert_eq!(salvage.ledger.standing().len(), stands, "{}", salvage.told);
        // What was told is not told again, and its end is.
        let (mut ledger, way) = (salvage.ledger, Way::new("w"));
        ledger.meet(vec![way.clone()], &[], start());
        let damping = Damping { settle: Duration::ZERO, remind: Duration::from_secs(86_400) };
        assert!(ledger.next(&way, &Quiet::never(), &damping, start()).is_empty());
        ledger.observe(Sight::clear(start()), &damping);
        assert_eq!(ledger.next(&way, &Quiet::never(), &damping, start()).len(), stands);
        ledger.observe(Sight { conditions: vec![condition("l", "s", "d")], ..Sight::clear(start()) }, &damping);
        assert_eq!(ledger.standing()[0].number, 1 + u64::try_from(stands).unwrap());
    }
    // A link in its place is moved, not followed; and there is an end to what is kept.
    for _ in 0..20 {
        std::os::unix::fs::symlink("/etc/passwd", shelf.path()).unwrap();
        let salvage = shelf.salvage(&shelf.read().unwrap_err());
        assert!(salvage.ledger.standing().is_empty(), "{}", salvage.told);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("alarms")).unwrap().count(), 9);
}

#[tokio::test]
async fn each_change_is_kept_and_what_cannot_be_is_told_s10() {
    let folder = tempfile::tempdir().unwrap();
    let (shelf, clock, end) = (Shelf::new(folder.path()), Still::new(), CancellationToken::new());
    let book = Arc::new(Book::new(Ledger::default(), clock.clone()));
    let damping = Damping { settle: Duration::ZERO, remind: Duration::from_secs(60) };
    book.set(vec![Way::new("w")], &[], (Quiet::never(), damping));
    let outcomes: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let told = {
        let outcomes = Arc::clone(&outcomes);
        move |outcome| outcomes.lock().unwrap().push(outcome)
    };
    Life::prepare(folder.path()).unwrap();
    let away = Arc::new(AtomicBool::new(false));
    let in_place = {
        let away = Arc::clone(&away);
        move || !away.load(Ordering::SeqCst)
    };
    let following = tokio::spawn(shelf.clone().follow(Arc::clone(&book), (in_place, told), end.clone()));
    let stands = |shelf: &Shelf| shelf.read().ok().flatten().map_or(0, |ledger| ledger.standing().len());
    until(|| shelf.read().unwrap().is_some()).await;
    book.observe(Sight { conditions: vec![condition("k", "s", "d")], ..Sight::clear(clock.now()) });
    until(|| stands(&shelf) == 1).await;
    // Something else stands in the folder's place.
    std::fs::remove_dir_all(shelf.path().parent().unwrap()).unwrap();
    std::fs::write(shelf.path().parent().unwrap(), b"").unwrap();
    book.observe(Sight::clear(clock.now()));
    until(|| matches!(outcomes.lock().unwrap().last(), Some(Some(_)))).await;
    std::fs::remove_file(shelf.path().parent().unwrap()).unwrap();
    // The data folder went away, and with it what was wrong here: nothing is written into what stands there.
    away.store(true, Ordering::SeqCst);
    book.observe(Sight { conditions: vec![condition("l", "s", "d")], ..Sight::clear(clock.now()) });
    until(|| matches!(outcomes.lock().unwrap().last(), Some(None))).await;
    Life::prepare(folder.path()).unwrap();
    book.observe(Sight { conditions: vec![condition("m", "s", "d")], ..Sight::clear(clock.now()) });
    let before = outcomes.lock().unwrap().len();
    until(|| outcomes.lock().unwrap().len() > before).await;
    assert!(shelf.read().unwrap().is_none());
    away.store(false, Ordering::SeqCst);
    end.cancel();
    following.await.unwrap();
    assert!(shelf.read().unwrap().is_some(), "the end keeps what stands then");
}

#[test]
fn the_sign_of_life_reads_back_or_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Life::read(folder.path()), None);
    let life = Life { pid: 7, since: start(), at: start(), ended: false, asked: None };
    Life::prepare(folder.path()).unwrap();
    life.keep(folder.path()).unwrap();
    assert_eq!(Life::read(folder.path()), Some(life));
    std::fs::write(folder.path().join("alarms/alive.json"), b"{").unwrap();
    assert_eq!(Life::read(folder.path()), None);
}
