//! The oracle: a client that walks everything served after every operation that can change it, and knows nothing of
//! the engine but what the ports were told.

mod back;
mod bytes;
mod grace;
mod leap;
mod recorded;
mod spoken;
mod walk;
mod worn;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blob_store::Current;
use model::{Digest, FeedId, ReleaseId, ReleaseState, RingName, RoutePath, Version};

use crate::clock::SimClock;
use crate::fate::Fate;
use crate::stores::View;
use crate::upstream::Upstream;
use crate::violation::{Holds, Violation};

use back::Made;
use bytes::Named;
use grace::Left;
pub(crate) use recorded::Recorded;
use worn::Done;

/// What an operation can change of what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Nothing.
    Nothing,
    /// Which blobs there are.
    Blobs,
    /// What the ring serves.
    Pointer,
}

/// What holds just now for what is served.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The feeds that some engine follows.
    pub(crate) followed: BTreeSet<FeedId>,
    /// How long superseded routes stay.
    pub(crate) grace: Duration,
    /// How long releases are kept; none where bytes decide, too.
    pub(crate) age: Option<Duration>,
    /// Whether paths change their bytes by the vendor's choice.
    pub(crate) fixed: bool,
}

/// What was seen so far.
#[derive(Clone)]
pub(crate) struct Seen {
    current: Option<Current>,
    /// The highest number of a generation that was ever served.
    top: u64,
    /// What was served when a publication was last called done.
    done: Option<Done>,
    /// Whether the disk took away what `current` says.
    worn: bool,
    /// Blobs whose bytes were hashed.
    proven: HashSet<Digest>,
    manifests: HashMap<Digest, Arc<Named>>,
    /// Blobs that the disk damaged.
    rotten: BTreeSet<Digest>,
    /// The newest version that each feed served.
    newest: BTreeMap<FeedId, Version>,
    /// Releases that the operator let in.
    words: BTreeSet<String>,
    /// Of them, those that counted since a publication was last called done.
    spent: BTreeSet<String>,
    /// Each release as it was recorded.
    made: HashMap<ReleaseId, Made>,
    /// The releases that the ring served of each feed, `_back` with them, as far as anything of ours can know.
    served: BTreeMap<FeedId, BTreeSet<ReleaseId>>,
    /// Each release by its id: its feed, and the number in its version that the vendor moves.
    numbers: HashMap<String, (FeedId, u64)>,
    /// The furthest number of each feed that the operator let in.
    reach: BTreeMap<FeedId, u64>,
    /// Releases that the operator left or turned down, and did not let in again.
    rejected: BTreeSet<ReleaseId>,
    /// Of them, those that no generation which is left may serve.
    forgotten: BTreeSet<ReleaseId>,
    /// Of each feed, the release that a person let in last.
    spoken: BTreeMap<FeedId, ReleaseId>,
    /// Of each feed, the release whose coming back a person declined last, and what was served then.
    declined: BTreeMap<FeedId, (ReleaseId, ReleaseId)>,
    /// Whether a catalog was lost.
    bereft: bool,
    /// Whether the disk ever damaged a blob.
    damaged: bool,
    /// What each release is, by what was recorded.
    states: HashMap<ReleaseId, ReleaseState>,
    /// Superseded artifacts that a client may still ask for.
    left: BTreeMap<RoutePath, Left>,
    /// How much time had truly passed when each release was first held.
    held: BTreeMap<ReleaseId, Duration>,
    /// The newest generation that was acknowledged.
    acknowledged: u64,
    /// Whether the operator let one feed take another's path.
    taken: bool,
    terms: Terms,
}

impl Seen {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            current: None,
            top: 0,
            done: None,
            worn: false,
            proven: HashSet::new(),
            manifests: HashMap::new(),
            rotten: BTreeSet::new(),
            newest: BTreeMap::new(),
            words: BTreeSet::new(),
            spent: BTreeSet::new(),
            made: HashMap::new(),
            served: BTreeMap::new(),
            numbers: HashMap::new(),
            reach: BTreeMap::new(),
            rejected: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            spoken: BTreeMap::new(),
            declined: BTreeMap::new(),
            bereft: false,
            damaged: false,
            states: HashMap::new(),
            left: BTreeMap::new(),
            held: BTreeMap::new(),
            acknowledged: 0,
            taken: false,
            terms,
        }
    }
}

/// Looks at what is served.
pub(crate) struct Oracle {
    ring: RingName,
    view: Mutex<Arc<dyn View>>,
    upstream: Arc<Upstream>,
    clock: Arc<SimClock>,
    fate: Arc<Fate>,
    seen: Mutex<Seen>,
}

impl Oracle {
    pub(crate) fn new(
        view: Arc<dyn View>,
        upstream: Arc<Upstream>,
        clock: Arc<SimClock>,
        fate: Arc<Fate>,
        seen: Seen,
    ) -> Arc<Self> {
        let (view, seen) = (Mutex::new(view), Mutex::new(seen));
        Arc::new(Self { ring: RingName::broad(), view, upstream, clock, fate, seen })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> Arc<dyn View> {
        Arc::clone(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was seen, for another oracle that goes on from here.
    pub(crate) fn memory(&self) -> Seen {
        self.seen().clone()
    }

    /// The store was opened anew.
    pub(crate) fn reopened(&self, view: Arc<dyn View>) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// Other terms hold from now on.
    pub(crate) fn agree(&self, terms: Terms) {
        let mut seen = self.seen();
        for left in seen.left.values_mut() {
            left.grace = left.grace.min(terms.grace);
        }
        seen.terms = terms;
    }

    /// A store that lies keeps other bytes; nobody is told.
    pub(crate) fn spoil(&self, digest: Digest) {
        self.view().spoil(digest);
    }

    /// The disk changed or lost these bytes.
    pub(crate) fn rotted(&self, digest: Digest) {
        let mut seen = self.seen();
        seen.rotten.insert(digest);
        seen.damaged = true;
        seen.proven.remove(&digest);
    }

    /// All bytes that the disk damaged.
    pub(crate) fn all_rotten(&self) -> Vec<Digest> {
        self.seen().rotten.iter().copied().collect()
    }

    /// Whether the disk damaged these bytes and nobody has mended them.
    pub(crate) fn is_rotten(&self, digest: &Digest) -> bool {
        self.seen().rotten.contains(digest)
    }

    /// Somebody was told that this generation is published (I8).
    pub(crate) fn acknowledged(&self, number: u64) {
        let mut seen = self.seen();
        seen.acknowledged = seen.acknowledged.max(number);
    }

    /// How much time has truly passed. Not to be asked from within work on files: their runtime has another clock.
    pub(crate) fn truly(&self) -> Duration {
        self.clock.truly()
    }

    /// A batch was recorded.
    pub(crate) fn recorded(&self, recorded: Recorded) {
        let held = self.note(recorded);
        self.judge(held);
    }

    /// Looks at what an operation may have changed.
    pub(crate) fn look(&self, touch: Touch) {
        let held = match touch {
            Touch::Nothing => Ok(()),
            Touch::Blobs => self.presence(),
            Touch::Pointer => self.walk(),
        };
        self.judge(held);
    }

    /// Looks at everything, whatever changed.
    pub(crate) fn look_at_all(&self) -> Holds {
        self.walk()?;
        self.presence()
    }

    /// Nothing that the operator left or turned down is served (I3): what holds once no act is half done.
    pub(crate) fn rejected_is_gone(&self) -> Holds {
        let Some(current) = self.current()? else { return Ok(()) };
        let seen = self.seen();
        let mut all = current.generation.feeds.iter();
        all.try_for_each(|(feed, served)| walk::turned_down(&seen, feed, served, None))
    }

    fn judge(&self, held: Holds) {
        if let Err(violation) = held {
            self.fate.violated(violation);
        }
    }

    /// What the ring serves, read as the content side reads it; nothing where the disk left nothing that is whole.
    pub(crate) fn current(&self) -> Result<Option<Current>, Violation> {
        match self.view().current(&self.ring) {
            Ok(current) => Ok(current),
            Err(_) if self.is_worn() => Ok(None),
            Err(error) => Err(Violation::new("I1", format!("the ring cannot be read: {error}"))),
        }
    }
}
