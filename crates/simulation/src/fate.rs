//! What befalls the operations of the engine's ports: one counter over all of them, and a plan of what fails or
//! crashes at which.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Digest, Hasher};

use crate::Violation;
use crate::draw::Draw;

/// How many operations a violation shows.
const TAIL: usize = 60;

/// What befalls an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// It fails and does nothing.
    FailBefore,
    /// It does what it should and says that it failed.
    FailAfter,
    /// The process dies before it.
    CrashBefore,
    /// The process dies after it.
    CrashAfter,
}

impl Blow {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::FailBefore, Self::FailAfter, Self::CrashBefore, Self::CrashAfter];
}

/// Which operations are struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// None.
    #[default]
    Calm,
    /// The one with this number, counted from 1.
    At(u64, Blow),
    /// Each from this number on fails and does nothing, until the plan is another.
    From(u64),
    /// Any, so many out of a thousand; of those that are struck, so many out of a thousand crash.
    Storm {
        /// How many are struck.
        struck: u64,
        /// How many of them crash.
        crash: u64,
    },
}

/// Counts operations, strikes some, and remembers them all.
pub(crate) struct Fate {
    ledger: Mutex<Ledger>,
    /// How many processes hold the publication lock.
    publishers: AtomicU64,
    /// Processes that died and were not dropped yet.
    dying: AtomicU64,
}

struct Ledger {
    operations: u64,
    struck: u64,
    plan: Plan,
    draw: Draw,
    /// Up to how many times an operation lets others go first.
    waits: u64,
    tail: VecDeque<String>,
    digest: Hasher,
    violation: Option<Violation>,
}

impl Fate {
    pub(crate) fn new(draw: Draw, waits: u64) -> Self {
        let ledger = Mutex::new(Ledger {
            operations: 0,
            struck: 0,
            plan: Plan::Calm,
            draw,
            waits,
            tail: VecDeque::new(),
            digest: Hasher::new(),
            violation: None,
        });
        Self { ledger, publishers: AtomicU64::new(0), dying: AtomicU64::new(0) }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process took the publication lock: it must be the only one (I16).
    pub(crate) fn publisher_came(&self) {
        if self.publishers.fetch_add(1, Ordering::SeqCst) > 0 {
            self.violated(Violation::new("I16", "two processes hold the publication lock"));
        }
    }

    /// It gave it back, or died.
    pub(crate) fn publisher_went(&self) {
        self.publishers.fetch_sub(1, Ordering::SeqCst);
    }

    /// A process died: until it is dropped, it holds what it held.
    pub(crate) fn dies(&self) {
        self.dying.fetch_add(1, Ordering::SeqCst);
    }

    /// It was dropped.
    pub(crate) fn is_buried(&self) {
        self.dying.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether one that died may still hold something.
    pub(crate) fn is_somebody_dying(&self) -> bool {
        self.dying.load(Ordering::SeqCst) > 0
    }

    /// Sets the plan, its numbers counted from now on.
    pub(crate) fn plan(&self, plan: Plan) {
        let mut ledger = self.ledger();
        let now = ledger.operations;
        ledger.plan = match plan {
            Plan::At(number, blow) => Plan::At(now.saturating_add(number), blow),
            Plan::From(number) => Plan::From(now.saturating_add(number)),
            other => other,
        };
    }

    /// How many operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.ledger().operations
    }

    /// How many of them were struck.
    pub(crate) fn struck(&self) -> u64 {
        self.ledger().struck
    }

    /// How often the next operation lets others go first.
    pub(crate) fn waits(&self) -> u64 {
        let mut ledger = self.ledger();
        let most = ledger.waits;
        if most == 0 { 0 } else { ledger.draw.below(most + 1) }
    }

    /// Counts an operation and says what befalls it.
    pub(crate) fn next(&self, process: u64, name: &str, on: &str) -> Option<Blow> {
        let mut ledger = self.ledger();
        ledger.operations += 1;
        let number = ledger.operations;
        let blow = match ledger.plan {
            Plan::Calm => None,
            Plan::At(at, blow) => (at == number).then_some(blow),
            Plan::From(first) => (number >= first).then_some(Blow::FailBefore),
            Plan::Storm { struck, crash } => {
                let hit = ledger.draw.chance(struck);
                let late = ledger.draw.chance(500);
                let kind = match (ledger.draw.chance(crash), late) {
                    (true, true) => Blow::CrashAfter,
                    (true, false) => Blow::CrashBefore,
                    (false, true) => Blow::FailAfter,
                    (false, false) => Blow::FailBefore,
                };
                hit.then_some(kind)
            }
        };
        ledger.struck += u64::from(blow.is_some());
        match blow {
            None => ledger.tell(format!("{number:>6} p{process} {name} {on}")),
            Some(blow) => ledger.tell(format!("{number:>6} p{process} {name} {on} <- {blow:?}")),
        }
        blow
    }

    /// Adds a line to what is remembered.
    pub(crate) fn tell(&self, line: impl Into<String>) {
        self.ledger().tell(line.into());
    }

    /// Notes what did not hold; the first counts.
    pub(crate) fn violated(&self, violation: Violation) {
        let mut ledger = self.ledger();
        if ledger.violation.is_none() {
            ledger.tell(format!("       {violation}"));
            ledger.violation = Some(violation);
        }
    }

    /// What did not hold.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.ledger().violation.clone()
    }

    /// The last operations.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.ledger().tail.iter().cloned().collect()
    }

    /// The digest of everything that was told.
    pub(crate) fn digest(&self) -> Digest {
        self.ledger().digest.clone().finish()
    }
}

impl Ledger {
    fn tell(&mut self, line: String) {
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        // What comes behind a violation hides what led to it.
        if self.violation.is_some() {
            return;
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }
}
