//! The sign of life: only while everything turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use alarm::{Book, Damping, Heart, Ledger, Quiet, Sight, heartbeat};
use async_trait::async_trait;
use model::{Reason, Timestamp};
use outbound::{OutboundError, Push, Pusher};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::bench::Still;

struct Watcher {
    heard: AtomicUsize,
    answer: AtomicU16,
}

#[async_trait]
impl Pusher for Watcher {
    async fn push(&self, _: Push) -> Result<u16, OutboundError> {
        self.heard.fetch_add(1, Ordering::SeqCst);
        Ok(self.answer.load(Ordering::SeqCst))
    }
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_something_of_us_does_not_turn_p02() {
    let watcher = Arc::new(Watcher { heard: AtomicUsize::new(0), answer: AtomicU16::new(200) });
    let push = Push::get(Url::parse("https://watch.test/hunter2").unwrap());
    let minute = Duration::from_secs(60);
    let heart = Arc::new(Heart::new(push, "https://watch.test/…".to_owned(), minute, Duration::from_secs(10)));
    let alive = Arc::new(AtomicBool::new(true));
    let (asked, end) = (Arc::clone(&alive), CancellationToken::new());
    let check = move || if asked.load(Ordering::SeqCst) { Ok(()) } else { Err("a schedule hangs".to_owned()) };
    let book = Arc::new(Book::new(Ledger::default(), Still::new()));
    let damping = Damping { settle: Duration::ZERO, remind: Duration::from_secs(86_400) };
    let set = || book.set(Vec::new(), &["heartbeat"], (Quiet::never(), damping));
    set();
    let (beats, told) = (("heartbeat", Arc::clone(&heart)), Arc::clone(&book));
    let beating = tokio::spawn(heartbeat(beats, watcher.clone(), told, check, end.clone()));
    let ten = || tokio::time::sleep(10 * minute - Duration::from_secs(1));
    ten().await;
    assert_eq!(watcher.heard.load(Ordering::SeqCst), 10);
    alive.store(false, Ordering::SeqCst);
    ten().await;
    assert!(watcher.heard.load(Ordering::SeqCst) <= 10);
    alive.store(true, Ordering::SeqCst);
    watcher.answer.store(500, Ordering::SeqCst);
    ten().await;
    let at = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
    book.observe(Sight::clear(at));
    let ledger = book.ledger();
    let [failed] = ledger.standing()[..] else { panic!("{ledger:?}") };
    assert_eq!((failed.reason, failed.subject.as_str()), (Reason::AlarmFailed, "heartbeat"));
    assert_eq!(failed.detail, "https://watch.test/… answered 500");
    // A configuration that is read again, or a restart, ends nothing.
    set();
    book.observe(Sight::clear(at.after(minute)));
    assert_eq!(book.ledger().standing().len(), 1, "it fails as before");
    assert!(book.ways()[0].failed >= 9, "{:?}", book.ways());
    let counts = heart.counts();
    assert_eq!(counts[0], ("sent", 10));
    assert!(counts[1].1 >= 9 && counts[2].1 >= 9, "{counts:?}");
    end.cancel();
    beating.await.unwrap();
    let error = heart.beat(watcher.as_ref()).await.unwrap_err().to_string();
    assert_eq!(error, "https://watch.test/… answered 500");
}
