//! What tests share.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use alarm::{Condition, Damping, Event, Ledger, Message, Outlet, Quiet, Sight, Sink, SinkError, Source, Way};
use model::{Clock, Level, Reason, Timestamp};

/// What somebody outside might put into a name, to be read as something else.
pub(crate) const HOSTILE: &str = "x\r\nBcc: evil@example.com\n\r\n.\r\nQUIT\r\n<13>1 forged \u{1b}[2J $(touch pwned) `touch pwned` ';touch pwned;\" \u{202e}\0";

pub(crate) fn start() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

/// A clock that only tests move, or that stands still: what it shows, and by how much of that it was set.
pub(crate) struct Still(Mutex<(Timestamp, Duration)>);

impl Still {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((start(), Duration::ZERO))))
    }

    pub(crate) fn pass(&self, span: Duration) {
        let mut shown = self.0.lock().unwrap();
        shown.0 = shown.0.after(span);
    }

    pub(crate) fn set_forward(&self, span: Duration) {
        let mut shown = self.0.lock().unwrap();
        *shown = (shown.0.after(span), shown.1 + span);
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        let (now, set) = *self.0.lock().unwrap();
        now.since(start()) - set
    }
}

pub(crate) fn condition(key: &str, subject: &str, detail: &str) -> Condition {
    let since = start().before(Duration::from_secs(3720));
    Condition::new(Source::Status, key, Reason::ConnectFailed, since).on(subject).because(detail)
}

fn damping() -> Damping {
    Damping { settle: Duration::ZERO, remind: Duration::from_secs(86_400) }
}

/// The message that these conditions make.
pub(crate) fn message(site: Option<&str>, conditions: Vec<Condition>, events: Vec<Event>) -> Message {
    let mut ledger = Ledger::default();
    let way = Way::new("w");
    ledger.meet(vec![way.clone()], &[], start());
    ledger.observe(Sight { conditions, events, ..Sight::clear(start()) }, &damping());
    let items = ledger.next(&way, &Quiet::never(), &damping(), start());
    Message::new(site, start(), items)
}

pub(crate) fn one() -> Message {
    let detail = "no connection: refused (3 runs in a row)";
    message(
        Some("dmz-1"),
        vec![condition("failing/elastic/network", "elastic/9.0.0", detail).at_level(Level::Fail)],
        vec![],
    )
}

pub(crate) fn hostile() -> Message {
    message(Some("dmz-1"), vec![condition(HOSTILE, HOSTILE, HOSTILE)], vec![])
}

pub(crate) fn outlet(sink: impl Sink + 'static, timeout: Duration) -> Outlet {
    Outlet { way: Way::new("w"), sink: Arc::new(sink), timeout, site: Some("dmz-1".to_owned()) }
}

/// One attempt with a short deadline.
pub(crate) async fn within(sink: impl Sink + 'static, timeout: Duration) -> Result<(), SinkError> {
    alarm::test(&outlet(sink, timeout), Still::new().as_ref()).await
}

/// Waits for what another process or thread does.
pub(crate) async fn until(what: impl Fn() -> bool) {
    for _ in 0..2000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never happened");
}
