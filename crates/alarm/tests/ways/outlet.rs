//! Ways that fail, hang and fall over, beside ways that work. Time is the runtime's and stands still but for waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alarm::{Book, Damping, Ledger, Message, Quiet, Sight, Sink, SinkError, Way};
use async_trait::async_trait;
use model::{Clock as _, Level, Reason};
use tokio_util::sync::CancellationToken;

use crate::bench::{Still, condition};

/// What a way does, attempt by attempt; the last for ever.
#[derive(Clone, Copy)]
enum Act {
    Take,
    Fail,
    Hang,
    Fall,
}

struct Played {
    acts: Vec<Act>,
    attempts: AtomicUsize,
    taken: Mutex<Vec<String>>,
}

impl Played {
    fn new(acts: &[Act]) -> Arc<Self> {
        Arc::new(Self { acts: acts.to_vec(), attempts: AtomicUsize::new(0), taken: Mutex::default() })
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

struct Shared(Arc<Played>);

#[async_trait]
impl Sink for Shared {
    async fn tell(&self, message: &Message) -> Result<(), SinkError> {
        let attempt = self.0.attempts.fetch_add(1, Ordering::SeqCst);
        match self.0.acts[attempt.min(self.0.acts.len() - 1)] {
            Act::Take => {
                self.0.taken.lock().unwrap().push(message.subject());
                Ok(())
            }
            Act::Fail => Err(SinkError::new("500\r\n\u{1b}[2J")),
            Act::Hang => std::future::pending().await,
            Act::Fall => panic!("a defect"),
        }
    }
}

struct Bench {
    book: Arc<Book>,
    clock: Arc<Still>,
    end: CancellationToken,
}

impl Bench {
    fn new(ways: &[(&str, &Arc<Played>)]) -> Self {
        let clock = Still::new();
        let book = Arc::new(Book::new(Ledger::default(), clock.clone()));
        let damping = Damping { settle: Duration::ZERO, remind: Duration::from_secs(86_400) };
        book.set(ways.iter().map(|(name, _)| Way::new(*name)).collect(), &[], (Quiet::never(), damping));
        let end = CancellationToken::new();
        for (name, played) in ways {
            let outlet = alarm::Outlet {
                way: Way::new(*name),
                sink: Arc::new(Shared(Arc::clone(played))),
                timeout: Duration::from_secs(10),
                site: None,
            };
            tokio::spawn(alarm::outlet(Arc::clone(&book), outlet, end.clone()));
        }
        Self { book, clock, end }
    }

    /// Looks each quarter of a minute for so long.
    async fn look_for(&self, span: Duration, wrong: bool) {
        let rounds = span.as_secs() / 15;
        for _ in 0..rounds {
            let conditions = if wrong { vec![condition("k", "elastic/9.0.0", "gone")] } else { Vec::new() };
            self.book.observe(Sight { conditions, ..Sight::clear(self.clock.now()) });
            tokio::time::sleep(Duration::from_secs(15)).await;
            self.clock.pass(Duration::from_secs(15));
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_way_that_fails_is_tried_again_and_the_others_tell_r24() {
    let (bad, good) = (Played::new(&[Act::Fail]), Played::new(&[Act::Take]));
    let bench = Bench::new(&[("bad", &bad), ("good", &good)]);
    bench.look_for(MINUTE, true).await;
    let told = good.taken();
    assert_eq!(told, ["[waystation] WARN connect_failed: elastic/9.0.0", "[waystation] WARN alarm_failed: bad"]);
    assert!(bad.attempts.load(Ordering::SeqCst) >= 3);
    let facts = bench.book.ways();
    assert!(facts[0].failing && facts[0].failed >= 3 && facts[0].told == 0, "{facts:?}");
    assert_eq!((facts[1].told, facts[1].failing), (2, false));
    assert_eq!(bench.book.standing()[&(Reason::AlarmFailed, Level::Warn)], 1);
    let why = bench.book.ledger().ways()["bad"].why.clone().unwrap();
    assert_eq!(why, "500\\r\\n\\u{1b}[2J");
    bench.end.cancel();
}

/// A minute is what a look counts for at the most: two reminders of a minute would come of two hours that nobody lived.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_adds_nothing_to_what_is_told_again_s28() {
    let good = Played::new(&[Act::Take]);
    let bench = Bench::new(&[("good", &good)]);
    let damping = Damping { settle: Duration::ZERO, remind: 2 * MINUTE };
    bench.book.set(vec![Way::new("good")], &[], (Quiet::never(), damping));
    for _ in 0..6 {
        bench.look_for(Duration::from_secs(15), true).await;
        bench.clock.set_forward(60 * MINUTE);
    }
    assert_eq!(good.taken().len(), 1, "{:?}", good.taken());
    bench.look_for(MINUTE, true).await;
    assert_eq!(good.taken().len(), 2, "{:?}", good.taken());
    bench.end.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_way_that_works_again_learns_all_and_that_is_told_r24() {
    let (bad, good) =
        (Played::new(&[Act::Fail, Act::Fail, Act::Fail, Act::Fail, Act::Take]), Played::new(&[Act::Take]));
    let bench = Bench::new(&[("bad", &bad), ("good", &good)]);
    bench.look_for(2 * MINUTE, true).await;
    bench.look_for(2 * MINUTE, false).await;
    assert_eq!(
        bad.taken(),
        ["[waystation] WARN connect_failed: elastic/9.0.0", "[waystation] recovered connect_failed: elastic/9.0.0"]
    );
    let good = good.taken();
    assert!(good.contains(&"[waystation] recovered alarm_failed: bad".to_owned()), "{good:?}");
    assert_eq!(good.len(), 4, "{good:?}");
}

#[tokio::test(start_paused = true)]
async fn a_way_that_hangs_or_falls_over_keeps_nobody_waiting_r24_p01() {
    for act in [Act::Hang, Act::Fall] {
        let (bad, good) = (Played::new(&[act, act, Act::Take]), Played::new(&[Act::Take]));
        let bench = Bench::new(&[("bad", &bad), ("good", &good)]);
        bench.look_for(MINUTE, true).await;
        assert_eq!(good.taken()[0], "[waystation] WARN connect_failed: elastic/9.0.0");
        assert_eq!(bad.taken().len(), 1, "{:?}", bad.taken());
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_end_at_five_minutes_i6() {
    let bad = Played::new(&[Act::Fail]);
    let bench = Bench::new(&[("bad", &bad)]);
    bench.look_for(60 * MINUTE, true).await;
    let attempts = bad.attempts.load(Ordering::SeqCst);
    // 2, 4, 8, … 256 s are 8 attempts in the first eight and a half minutes; then one in five minutes.
    assert!((15..=21).contains(&attempts), "{attempts}");
}
