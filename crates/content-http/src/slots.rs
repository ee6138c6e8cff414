//! A worker's connections: what each waits for and until when.
//!
//! No connection holds a timer. Each writes its deadline into its slot, and the worker looks over all slots a few
//! times a second and ends what is overdue.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::crowd::ClientKey;
use crate::queues::Line;

/// How long a newcomer may be silent before it makes room for others: no first byte is that long on its way for long.
const SILENCE: Duration = Duration::from_millis(250);
/// After which part of its time a head that is not whole makes room for others.
const DAWDLING: u32 = 5;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has said nothing yet.
    New,
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
    /// What is known of its line, once an answer had to wait.
    line: RefCell<Option<Box<Line>>>,
}

/// What connections are weighed by when one has to make room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighed {
    pub(crate) now: Duration,
    pub(crate) head_timeout: Duration,
    pub(crate) stall_timeout: Duration,
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

    /// Notes that its first bytes are there. It gets no more time by that.
    pub(crate) fn speaks(&self) {
        if self.phase.get() == Phase::New {
            self.phase.set(Phase::Head);
        }
    }

    /// Notes that an answer has to wait on this line.
    pub(crate) fn waits_on(&self, line: Option<Line>) {
        *self.line.borrow_mut() = line.map(Box::new);
    }

    pub(crate) fn line(&self) -> RefMut<'_, Option<Box<Line>>> {
        self.line.borrow_mut()
    }

    /// Whether it was ended from outside while an answer was on its way.
    pub(crate) fn was_cut_off(&self) -> bool {
        self.phase.get() == Phase::Send && self.is_ended()
    }

    fn is_ended(&self) -> bool {
        self.deadline.get() == Duration::MAX
    }

    /// Whether nobody misses anything when it ends.
    pub(crate) fn is_spare(&self, weighed: &Weighed) -> bool {
        self.phase.get() != Phase::Send && self.gives_way(weighed).is_some()
    }

    /// How gladly it is ended for another's sake, the least first: the silent, the idle, those who have not said for
    /// long what they want, and those who for long take nothing of their answer. None of those that are at work.
    pub(crate) fn gives_way(&self, weighed: &Weighed) -> Option<u8> {
        if self.is_ended() {
            return None;
        }
        let begun = self.deadline.get().saturating_sub(weighed.head_timeout);
        let since = weighed.now.saturating_sub(begun);
        match self.phase.get() {
            Phase::New => (since >= SILENCE).then_some(0),
            Phase::Idle => Some(1),
            Phase::Head => (since >= weighed.head_timeout / DAWDLING).then_some(2),
            Phase::Send => {
                let line = self.line.borrow();
                let stands = line.as_deref().is_some_and(|line| line.stands_still(weighed.now, weighed.stall_timeout));
                stands.then_some(3)
            }
            Phase::Linger => None,
        }
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
    /// Where the search for a connection that makes room goes on.
    hand: usize,
}

impl Slots {
    /// A place for a new connection, and its number.
    pub(crate) fn add(&mut self, phase: Phase, deadline: Duration, client: ClientKey) -> (usize, Rc<Slot>) {
        let (phase, deadline, client) = (Cell::new(phase), Cell::new(deadline), Cell::new(client));
        let slot = Rc::new(Slot { phase, deadline, client, line: RefCell::default() });
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

    /// Ends every connection that is picked, and tells what each was doing.
    pub(crate) fn end(&self, mut pick: impl FnMut(&Slot) -> bool) -> Vec<Phase> {
        let mut ended = Vec::new();
        for place in self.places.iter().flatten() {
            if place.slot.is_ended() || !pick(&place.slot) {
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

    /// Ends a connection to make room: of the next few the one that gives way most gladly, and of those the one that has
    /// waited longest. False when none of them does.
    pub(crate) fn evict(&mut self, weighed: &Weighed) -> bool {
        const SAMPLE: usize = 64;
        self.evict_among(SAMPLE, weighed, |_| true)
    }

    /// The same among the connections of one client, which may be few of many.
    pub(crate) fn evict_of(&mut self, client: ClientKey, weighed: &Weighed) -> bool {
        const SAMPLE: usize = 512;
        self.evict_among(SAMPLE, weighed, |slot| slot.client() == client)
    }

    fn evict_among(&mut self, sample: usize, weighed: &Weighed, wanted: impl Fn(&Slot) -> bool) -> bool {
        let mut first: Option<((u8, Duration), &Place)> = None;
        for _ in 0..sample.min(self.places.len()) {
            self.hand = (self.hand + 1) % self.places.len();
            let Some(Some(place)) = self.places.get(self.hand) else { continue };
            let Some(gladly) = place.slot.gives_way(weighed).filter(|_| wanted(&place.slot)) else { continue };
            let order = (gladly, place.slot.deadline());
            if first.as_ref().is_none_or(|(best, _)| order < *best) {
                first = Some((order, place));
            }
        }
        let Some((_, place)) = first else { return false };
        place.slot.deadline.set(Duration::MAX);
        place.task.as_ref().is_some_and(|task| {
            task.abort();
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(15);
    const NOW: Duration = Duration::from_secs(100);

    /// In the phase so long ago.
    fn slot(phase: Phase, ago: Duration) -> Slot {
        let time = if phase == Phase::Idle { Duration::from_secs(75) } else { HEAD };
        let deadline = Cell::new(NOW.saturating_sub(ago).saturating_add(time));
        Slot { phase: Cell::new(phase), deadline, client: Cell::new(ClientKey::NOBODY), line: RefCell::default() }
    }

    #[test]
    fn the_silent_make_room_before_the_idle_and_nobody_at_work_does_v12() {
        let weighed = Weighed { now: NOW, head_timeout: HEAD, stall_timeout: HEAD };
        let gives_way = |phase, millis| slot(phase, Duration::from_millis(millis)).gives_way(&weighed);
        assert_eq!((gives_way(Phase::New, 100), gives_way(Phase::New, 300)), (None, Some(0)));
        assert_eq!(gives_way(Phase::Idle, 0), Some(1));
        assert_eq!((gives_way(Phase::Head, 2_900), gives_way(Phase::Head, 3_000)), (None, Some(2)));
        assert_eq!((gives_way(Phase::Send, 10_000), gives_way(Phase::Linger, 10_000)), (None, None));
        let ended = slot(Phase::Idle, Duration::ZERO);
        ended.deadline.set(Duration::MAX);
        assert_eq!(ended.gives_way(&weighed), None, "twice is no room");
    }

    #[test]
    fn first_bytes_give_no_more_time_v08() {
        let new = slot(Phase::New, Duration::ZERO);
        let until = new.deadline();
        new.speaks();
        assert_eq!((new.phase(), new.deadline()), (Phase::Head, until));
    }
}
