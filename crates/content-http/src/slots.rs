//! A worker's connections: what each waits for and until when.
//!
//! No connection holds a timer. Each writes its deadline into its slot, and the worker looks over all slots a few
//! times a second and ends what is overdue.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::crowd::ClientKey;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It reads a request's head, or shakes hands.
    Head,
    /// It waits for a request.
    Idle,
    /// It sends an answer.
    Send,
    /// It waits for the client to take an answer in before it closes.
    Linger,
}

/// One connection's place.
#[derive(Debug)]
pub(crate) struct Slot {
    phase: Cell<Phase>,
    deadline: Cell<Duration>,
    /// Whose connection it is, as far as that counts.
    client: Cell<ClientKey>,
}

impl Slot {
    /// Notes what the connection does now, and by when it must be done.
    pub(crate) fn enter(&self, phase: Phase, deadline: Duration) {
        self.phase.set(phase);
        self.deadline.set(deadline);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// By when what the connection does now must be done.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline.get()
    }

    pub(crate) fn client(&self) -> ClientKey {
        self.client.get()
    }

    /// Notes whose connection it turned out to be.
    pub(crate) fn belongs_to(&self, client: ClientKey) {
        self.client.set(client);
    }
}

#[derive(Debug)]
struct Place {
    slot: Rc<Slot>,
    task: Option<AbortHandle>,
}

/// All connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    places: Vec<Option<Place>>,
    free: Vec<usize>,
    /// Where the search for an idle connection goes on.
    hand: usize,
}

impl Slots {
    /// A place for a new connection, and its number.
    pub(crate) fn add(&mut self, phase: Phase, deadline: Duration, client: ClientKey) -> (usize, Rc<Slot>) {
        let (phase, deadline, client) = (Cell::new(phase), Cell::new(deadline), Cell::new(client));
        let slot = Rc::new(Slot { phase, deadline, client });
        let place = Some(Place { slot: Rc::clone(&slot), task: None });
        let free = self.free.pop();
        match free.and_then(|at| self.places.get_mut(at).map(|empty| (at, empty))) {
            Some((at, empty)) => {
                *empty = place;
                (at, slot)
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1, slot)
            }
        }
    }

    /// Notes how the connection at `at` is ended.
    pub(crate) fn started(&mut self, at: usize, task: AbortHandle) {
        if let Some(Some(place)) = self.places.get_mut(at) {
            place.task = Some(task);
        }
    }

    /// Gives a place back.
    pub(crate) fn remove(&mut self, at: usize) {
        if self.places.get_mut(at).and_then(Option::take).is_some() {
            self.free.push(at);
        }
        if self.free.len() == self.places.len() {
            *self = Self::default();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Ends every connection that `overdue` picks, and tells what each was doing.
    pub(crate) fn end(&self, mut pick: impl FnMut(Phase, Duration) -> bool) -> Vec<Phase> {
        let mut ended = Vec::new();
        for place in self.places.iter().flatten() {
            if !pick(place.slot.phase.get(), place.slot.deadline.get()) {
                continue;
            }
            if let Some(task) = &place.task {
                // Overdue once is enough: the task ends soon, and must not be counted twice.
                place.slot.deadline.set(Duration::MAX);
                task.abort();
                ended.push(place.slot.phase.get());
            }
        }
        ended
    }

    /// Ends an idle connection to make room: the one that has waited longest among the next few. False when none
    /// of them is idle.
    pub(crate) fn evict(&mut self) -> bool {
        const SAMPLE: usize = 64;
        self.evict_among(SAMPLE, |_| true)
    }

    /// The same among the connections of one client, which may be few of many.
    pub(crate) fn evict_of(&mut self, client: ClientKey) -> bool {
        const SAMPLE: usize = 512;
        self.evict_among(SAMPLE, |slot| slot.client() == client)
    }

    fn evict_among(&mut self, sample: usize, wanted: impl Fn(&Slot) -> bool) -> bool {
        let mut oldest: Option<&Place> = None;
        for _ in 0..sample.min(self.places.len()) {
            self.hand = (self.hand + 1) % self.places.len();
            let Some(Some(place)) = self.places.get(self.hand) else { continue };
            let idle = place.slot.phase.get() == Phase::Idle && place.slot.deadline.get() != Duration::MAX;
            if idle && wanted(&place.slot) && oldest.is_none_or(|oldest| place.slot.deadline < oldest.slot.deadline) {
                oldest = Some(place);
            }
        }
        let Some(place) = oldest else { return false };
        place.slot.deadline.set(Duration::MAX);
        place.task.as_ref().is_some_and(|task| {
            task.abort();
            true
        })
    }
}
