//! The files beside the configuration that listeners use: looked at every few seconds, taken over when they changed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, Level, Timestamp};

use crate::credentials::Credentials;
use crate::stats::{CertificateFacts, Counters, Trouble};
use crate::tls::{Certificate, News};

/// One such file, or what belongs together.
#[derive(Clone)]
pub(crate) enum Kept {
    Certificate(Arc<Certificate>),
    Credentials(Arc<Credentials>),
}

impl Kept {
    /// What it is, for a sentence.
    fn in_words(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "a changed certificate, key, client authority or revocation list",
            Self::Credentials(_) => "a changed file of credentials",
        }
    }

    /// Takes over what changed and can be used; what there is to tell.
    fn look(&self, now: Timestamp) -> Vec<News> {
        match self {
            Self::Certificate(certificate) => certificate.look(now),
            Self::Credentials(credentials) => match credentials.look() {
                Ok(true) => vec![News::TakenOver(vec![credentials.path().to_owned()])],
                Ok(false) => Vec::new(),
                Err(error) => vec![News::Refused(model::error_chain(&error))],
            },
        }
    }

    fn facts(&self, listener: SocketAddr, now: Timestamp) -> Vec<CertificateFacts> {
        match self {
            Self::Certificate(certificate) => certificate.facts(listener, now),
            Self::Credentials(credentials) => vec![credentials.facts(listener)],
        }
    }

    /// What ends first in each file after this moment.
    fn first_after(&self, listener: SocketAddr, moment: Timestamp) -> Vec<CertificateFacts> {
        match self {
            Self::Certificate(certificate) => certificate.first_after(listener, moment),
            Self::Credentials(_) => Vec::new(),
        }
    }
}

/// How often it is told in the log until when certificates hold.
const DAILY: Duration = Duration::from_secs(86_400);

/// Those of all listeners, for whoever looks after them.
pub(crate) struct KeptFiles {
    all: Mutex<Vec<(SocketAddr, Kept)>>,
    clock: Arc<dyn Clock>,
    /// When it was last told until when they hold.
    told: Mutex<Option<Duration>>,
    /// When it was last looked whether one has ended.
    looked: Mutex<Timestamp>,
}

impl KeptFiles {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let looked = Mutex::new(clock.now());
        Self { all: Mutex::default(), clock, told: Mutex::default(), looked }
    }

    /// Looks after these from now on, each with the listener that uses it.
    pub(crate) fn replace(&self, all: Vec<(SocketAddr, Kept)>) {
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) = all;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.tell_daily();
    }

    fn all(&self) -> Vec<(SocketAddr, Kept)> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of each.
    pub(crate) fn facts(&self) -> Vec<CertificateFacts> {
        let now = self.clock.now();
        self.all().iter().flat_map(|(listener, kept)| kept.facts(*listener, now)).collect()
    }

    /// Tells the log until when each holds, once a day: also where nobody looks at metrics or alarms.
    /// Whether it was time for it.
    fn tell_daily(&self) -> bool {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.is_none_or(|told| monotonic.saturating_sub(told) >= DAILY);
        if due {
            *told = Some(monotonic);
            self.facts().iter().for_each(|facts| tell(facts, now));
        }
        due
    }

    /// Tells the log at once what ended or began since the last look: whoever is locked out by it asks why. What it told.
    fn tell_turned(&self, first_after: impl Fn(Timestamp) -> Vec<CertificateFacts>) -> usize {
        let now = self.clock.now();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let since = std::mem::replace(&mut *looked, now);
        let facts = first_after(since);
        let passed = |at: Option<Timestamp>| at.is_some_and(|at| since < at && at <= now);
        let turned = facts.iter().filter(|facts| passed(facts.not_after) || passed(facts.begins));
        turned.inspect(|facts| tell(facts, now)).count()
    }

    /// Looks at each.
    pub(crate) fn look(&self, counters: &Counters) {
        self.tell_turned(|since| {
            self.all().iter().flat_map(|(listener, kept)| kept.first_after(*listener, since)).collect()
        });
        self.tell_daily();
        for (listener, kept) in self.all() {
            for news in kept.look(self.clock.now()) {
                self.tell_news(&news, (listener, &kept), counters);
            }
        }
    }

    fn tell_news(&self, news: &News, (listener, kept): (SocketAddr, &Kept), counters: &Counters) {
        match news {
            News::TakenOver(changed) => {
                for path in changed.iter().map(|path| path.display()) {
                    tracing::info!(%path, %listener, "took over a changed file");
                }
                let now = self.clock.now();
                kept.facts(listener, now).iter().for_each(|facts| tell(facts, now));
            }
            News::WellAgain(paths) => {
                for path in paths.iter().map(|path| path.display()) {
                    tracing::info!(%path, %listener, "a file that could not be used is again as it is in use");
                }
            }
            News::Refused(error) => {
                counters.trouble(Trouble::TlsRefused);
                let what = kept.in_words();
                tracing::error!(%listener, error, "{what} cannot be used; what was in use is kept until a restart, which would not have it");
            }
        }
    }
}

/// Tells the log until when a file holds.
fn tell(facts: &CertificateFacts, now: Timestamp) {
    let Some(until) = facts.not_after else { return };
    let (kind, listener, path) = (facts.kind.as_str(), facts.listener, facts.path.display());
    // Whoever is told of an end looks at the file, which may be a good one that could not be taken over.
    let waits = facts.refused.as_deref().map(|why| format!("; what stands in the file now is not in use: {why}"));
    let (waits, after) = (waits.unwrap_or_default(), facts.kind.after_its_end());
    let (from, what) = (facts.begins.or(facts.not_before).map(tracing::field::display), facts.in_words());
    match facts.level(now, CertificateFacts::LIMITS) {
        _ if facts.begins_later(now).is_some() => {
            tracing::error!(kind, %listener, %path, from, %until, "{what} has not begun: endpoints refuse it until then; is this machine's clock right?");
        }
        _ if until <= now => {
            tracing::error!(kind, %listener, %path, %until, "{what} has ended{after}{waits}");
        }
        Level::Fine => tracing::info!(kind, %listener, %path, from, %until, "{what} holds"),
        _ => tracing::warn!(kind, %listener, %path, %until, "{what} ends soon{waits}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(0).after(self.monotonic())
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn ends_are_told_at_the_start_and_once_a_day_v23() {
        let clock = Arc::new(Hand::default());
        let files = KeptFiles::new(clock.clone());
        assert!(files.tell_daily());
        for (seconds, due) in [(1, false), (86_399, false), (86_400, true), (86_401, false), (172_800, true)] {
            clock.0.store(seconds, Ordering::SeqCst);
            assert_eq!(files.tell_daily(), due, "{seconds}");
        }
    }

    #[test]
    fn an_end_is_told_with_what_it_means_and_what_waits_v34() {
        let facts = |kind, refused: Option<&str>| CertificateFacts {
            kind,
            listener: ([127, 0, 0, 1], 1).into(),
            path: "file.pem".into(),
            not_before: None,
            begins: None,
            not_after: Some(Timestamp::from_micros(0)),
            refused: refused.map(str::to_owned),
            whose: None,
            nobody: None,
        };
        let told = |facts: &CertificateFacts| {
            let heard = crate::away::tests::Heard::default();
            tracing::subscriber::with_default(heard.clone(), || tell(facts, Timestamp::from_micros(1)));
            heard.text()
        };
        let list = told(&facts(crate::FileKind::ClientCrl, Some("cut off")));
        assert!(list.contains("has ended; what stands in the file now is not in use: cut off"), "{list}");
        let authority = told(&facts(crate::FileKind::ClientCa, None));
        assert!(authority.contains("has ended, which keeps nobody out"), "{authority}");
    }

    #[test]
    fn what_has_not_begun_is_an_error_until_it_begins_v23() {
        let clock = Arc::new(Hand::default());
        let files = KeptFiles::new(clock.clone());
        let at = |seconds| Some(Timestamp::from_micros(0).after(Duration::from_secs(seconds)));
        let facts = CertificateFacts {
            kind: crate::FileKind::Certificate,
            listener: ([127, 0, 0, 1], 1).into(),
            path: "tls.crt".into(),
            not_before: at(0),
            begins: at(100),
            not_after: at(90 * 86_400),
            refused: None,
            whose: None,
            nobody: None,
        };
        let told = |tell: &dyn Fn()| {
            let heard = crate::away::tests::Heard::default();
            tracing::subscriber::with_default(heard.clone(), tell);
            heard.text()
        };
        let early = told(&|| tell(&facts, clock.now()));
        assert!(early.contains("has not begun") && early.contains("from=1970-01-01T00:01:40Z"), "{early}");
        clock.0.store(100, Ordering::SeqCst);
        let begun = told(&|| assert_eq!(files.tell_turned(|_| vec![facts.clone()]), 1));
        assert!(begun.contains("holds"), "{begun}");
    }

    #[test]
    fn an_end_is_told_when_it_passes_and_once_v34() {
        let clock = Arc::new(Hand::default());
        let files = KeptFiles::new(clock.clone());
        let facts = CertificateFacts {
            kind: crate::FileKind::ClientCrl,
            listener: ([127, 0, 0, 1], 1).into(),
            path: "clients.crl".into(),
            not_before: None,
            begins: None,
            not_after: Some(Timestamp::from_micros(0).after(Duration::from_secs(100))),
            refused: None,
            whose: None,
            nobody: None,
        };
        for (seconds, told) in [(1, 0), (99, 0), (100, 1), (101, 0), (5000, 0)] {
            clock.0.store(seconds, Ordering::SeqCst);
            assert_eq!(files.tell_turned(|_| vec![facts.clone()]), told, "{seconds}");
        }
    }
}
