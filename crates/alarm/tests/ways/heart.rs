//! The sign of life: only while everything turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use alarm::{Heart, heartbeat};
use async_trait::async_trait;
use outbound::{OutboundError, Push, Pusher};
use tokio_util::sync::CancellationToken;
use url::Url;

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
    let beating = tokio::spawn(heartbeat(Arc::clone(&heart), watcher.clone(), check, end.clone()));
    let ten = || tokio::time::sleep(10 * minute - Duration::from_secs(1));
    ten().await;
    assert_eq!(watcher.heard.load(Ordering::SeqCst), 10);
    alive.store(false, Ordering::SeqCst);
    ten().await;
    assert!(watcher.heard.load(Ordering::SeqCst) <= 10);
    alive.store(true, Ordering::SeqCst);
    watcher.answer.store(500, Ordering::SeqCst);
    ten().await;
    let counts = heart.counts();
    assert_eq!(counts[0], ("sent", 10));
    assert!(counts[1].1 >= 9 && counts[2].1 >= 9, "{counts:?}");
    end.cancel();
    beating.await.unwrap();
    let error = heart.beat(watcher.as_ref()).await.unwrap_err().to_string();
    assert_eq!(error, "https://watch.test/… answered 500");
}
