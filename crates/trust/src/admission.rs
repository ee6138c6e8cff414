//! Weighing a proven set against what was held before.

use std::collections::BTreeSet;
use std::fmt;

use model::{
    Attestation, Checked, FeedId, Held, ItemKind, Note, Provenance, Reason, Release, ReleaseId, ReleaseItem,
    ReleaseState, RoutePath, Timestamp, Trust, VendorVersion, Verdict, Version,
};

/// A complete set of one feed, every byte of it held and proven as far as the vendor makes it provable, not
/// yet weighed against what was held before.
#[derive(Clone, Debug)]
pub struct Proposal {
    feed: FeedId,
    vendor_version: VendorVersion,
    vendor_time: Option<Timestamp>,
    checked: Checked,
    items: Vec<ReleaseItem>,
    bases: Vec<RoutePath>,
    notes: Vec<Note>,
    bounded: bool,
}

impl Proposal {
    /// A set that has no items yet.
    pub fn new(feed: FeedId, vendor_version: VendorVersion, checked: Checked) -> Self {
        Self {
            feed,
            vendor_version,
            vendor_time: None,
            checked,
            items: Vec::new(),
            bases: Vec::new(),
            notes: Vec::new(),
            bounded: true,
        }
    }

    /// For files that have nothing to do with each other: how many there are, and how large, says nothing.
    #[must_use]
    pub fn without_bounds(mut self) -> Self {
        self.bounded = false;
        self
    }

    /// The date that comes with it.
    #[must_use]
    pub fn vendor_time(mut self, time: Option<Timestamp>) -> Self {
        self.vendor_time = time;
        self
    }

    /// Adds a file that is held. Two items on one route with the same bytes are one.
    #[must_use]
    pub fn item(mut self, route: RoutePath, held: Held, kind: ItemKind) -> Self {
        let item = ReleaseItem { route, digest: held.digest(), size: held.size(), kind };
        if !self.items.contains(&item) {
            self.items.push(item);
        }
        self
    }

    /// Adds a path that endpoints' self-tests knock at.
    #[must_use]
    pub fn base(mut self, route: RoutePath) -> Self {
        self.bases.push(route);
        self
    }

    /// Adds something that weakens it without stopping it.
    #[must_use]
    pub fn notes(mut self, notes: impl IntoIterator<Item = Note>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The id that it will have.
    pub fn id(&self) -> ReleaseId {
        ReleaseId::of(&self.feed, &self.items)
    }

    /// What the vendor calls it.
    pub fn vendor_version(&self) -> &VendorVersion {
        &self.vendor_version
    }

    /// Its files.
    pub fn items(&self) -> &[ReleaseItem] {
        &self.items
    }

    /// Whether it consists of the very bytes of these files, wherever they lie.
    pub fn has_the_bytes_of(&self, items: &[ReleaseItem]) -> bool {
        let bytes = |items: &[ReleaseItem]| items.iter().map(|item| item.digest).collect::<BTreeSet<_>>();
        bytes(&self.items) == bytes(items)
    }

    /// Lays it out as well where another one of the very same bytes lies; whether it was one.
    pub fn join(&mut self, other: &Self) -> bool {
        let same = self.has_the_bytes_of(&other.items);
        if same {
            let new = other.items.iter().filter(|item| !self.items.contains(item)).cloned();
            self.items.extend(new.collect::<Vec<_>>());
        }
        same
    }

    /// How far its bytes were checked.
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.size).fold(0, u64::saturating_add)
    }
}

/// How much a set holds.
struct Extent {
    artifacts: u64,
    /// Of the artifacts; what lists them is not content.
    bytes: u64,
}

impl Extent {
    fn of(items: &[ReleaseItem]) -> Self {
        let artifacts = items.iter().filter(|item| item.kind == ItemKind::Artifact);
        artifacts.fold(Self { artifacts: 0, bytes: 0 }, |sum, item| Self {
            artifacts: sum.artifacts + 1,
            bytes: sum.bytes.saturating_add(item.size),
        })
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.artifacts == 1 { "" } else { "s" };
        write!(f, "{} artifact{plural} of {} bytes", self.artifacts, self.bytes)
    }
}

/// How far a release may differ from the one before it without a person looking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The fewest artifacts, and the fewest bytes of them, in percent of the release before; the bytes of sets
    /// that were below 32 KiB are not looked at.
    pub shrink_to_percent: u64,
    /// The most bytes, in percent of the release before; sets below 16 MiB are exempt.
    pub grow_to_percent: u64,
    /// How far one number of the version may run ahead in one step.
    pub leap: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { shrink_to_percent: 50, grow_to_percent: 400, leap: 10_000 }
    }
}

/// Sets smaller than this may grow at will.
const SMALL: u64 = 16 << 20;

/// Of sets that were smaller than this the bytes may shrink at will: a small honest change is much of them.
const TINY: u64 = 32 << 10;

/// What was held before.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The newest version ever admitted.
    pub mark: Option<VendorVersion>,
    /// The files of the newest admitted release; of one that is not on record, as far as it is known what is served of
    /// it.
    pub last: Option<Vec<ReleaseItem>>,
    /// Releases with the same vendor version that were admitted once, whatever became of them.
    pub same_version: Vec<ReleaseId>,
    /// What is served under the same version where this very release would go back from it.
    pub served_instead: Option<ReleaseId>,
    /// The state of this very release, if it is recorded. One whose bytes were let go while nothing spoke for it
    /// counts as unknown: retention never admits.
    pub known: Option<ReleaseState>,
    /// Why this very release was quarantined before, if it still is: that ends by the operator's word alone.
    pub standing: Vec<Note>,
    /// How far a release may differ.
    pub bounds: Bounds,
}

/// What was decided about a proposal.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Good to serve.
    Admitted(Admitted),
    /// Kept, never served, until the operator decides; its verdict says why.
    Quarantined(Release),
    /// The operator rejected this very release before.
    RejectedBefore(Release),
}

/// A release that may be served. Made by [`decide`], by the operator's word, or from a record that says
/// that one of the two was; by nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted(Release);

impl Admitted {
    /// The release.
    pub fn release(&self) -> &Release {
        &self.0
    }

    /// The release, given away.
    pub fn into_release(self) -> Release {
        self.0
    }

    /// From a record, if the record says that it was admitted.
    pub fn restore(release: Release, state: ReleaseState) -> Option<Self> {
        (state == ReleaseState::Admitted).then_some(Self(release))
    }

    /// By the operator's word, out of quarantine or after a rejection; not if its bytes were let go.
    pub fn by_operator(release: Release, state: ReleaseState) -> Option<Self> {
        (state != ReleaseState::Expired).then_some(Self(release))
    }
}

/// Weighs a proposal against what was held before.
pub fn decide(
    proposal: Proposal,
    attested_by: Attestation,
    provenance: Provenance,
    context: &Context,
    now: Timestamp,
) -> Decision {
    let id = proposal.id();
    let reasons = match context.known {
        // What was weighed once and admitted stays admitted: the vendor came back to it, or a run was repeated.
        // Going back behind the mark is still a regression, and so is going back under one version: an edge that is
        // behind would undo what was let in since.
        Some(ReleaseState::Admitted | ReleaseState::Expired) => {
            [regression(&proposal, context), return_under_version(&proposal, context, &id)]
                .into_iter()
                .flatten()
                .collect()
        }
        Some(ReleaseState::Quarantined) => standing(objections(&proposal, context, &id), &context.standing),
        _ => objections(&proposal, context, &id),
    };
    let Proposal { feed, vendor_version, vendor_time, checked, mut items, bases, notes, bounded: _ } = proposal;
    items.sort_by(|a, b| a.route.cmp(&b.route));
    let quarantine = !reasons.is_empty();
    let verdict = Verdict { reasons, notes, trust: Trust { checked, attested_by } };
    let release = Release { id, feed, vendor_version, vendor_time, items, bases, verdict, provenance, held_since: now };
    match (context.known, quarantine) {
        (Some(ReleaseState::Rejected), _) => Decision::RejectedBefore(release),
        (_, true) => Decision::Quarantined(release),
        (_, false) => Decision::Admitted(Admitted(release)),
    }
}

/// A quarantine does not end because what was compared with is another now.
fn standing(objections: Vec<Note>, before: &[Note]) -> Vec<Note> {
    if objections.is_empty() { before.to_vec() } else { objections }
}

fn objections(proposal: &Proposal, context: &Context, id: &ReleaseId) -> Vec<Note> {
    [
        regression(proposal, context),
        equivocation(proposal, context, id),
        leap(proposal, context),
        proposal.bounded.then(|| shrunk(proposal, context)).flatten(),
        proposal.bounded.then(|| grown(proposal, context)).flatten(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn regression(proposal: &Proposal, context: &Context) -> Option<Note> {
    let mark = context.mark.as_ref()?;
    (proposal.vendor_version.version < mark.version).then(|| Note {
        reason: Reason::VersionRegression,
        detail: format!("{} is offered, {mark} was admitted before", proposal.vendor_version),
    })
}

fn equivocation(proposal: &Proposal, context: &Context, id: &ReleaseId) -> Option<Note> {
    let other = context.same_version.iter().find(|known| *known != id)?;
    Some(Note {
        reason: Reason::SameVersionOtherBytes,
        detail: format!("{} was held as {other}, now it is {id}", proposal.vendor_version),
    })
}

fn return_under_version(proposal: &Proposal, context: &Context, id: &ReleaseId) -> Option<Note> {
    let served = context.served_instead.filter(|served| served != id)?;
    let version = &proposal.vendor_version;
    Some(Note {
        reason: Reason::SameVersionOtherBytes,
        detail: format!("{version} is offered as {id} again, and {served} of that version is served since"),
    })
}

fn leap(proposal: &Proposal, context: &Context) -> Option<Note> {
    let mark = context.mark.as_ref()?;
    let step = furthest_step(&mark.version, &proposal.vendor_version.version)?;
    (step > context.bounds.leap)
        .then(|| Note { reason: Reason::VersionLeap, detail: format!("{} follows {mark}", proposal.vendor_version) })
}

/// How far ahead the new version runs: the first number that differs by its step, and every number behind it,
/// which starts anew, by its value. None when nothing differs; without end where parts are not numbers.
fn furthest_step(old: &Version, new: &Version) -> Option<u64> {
    let number = |part: &str| part.parse::<u64>().ok();
    let mut before = old.as_str().split('.');
    let mut furthest: Option<u64> = None;
    for part in new.as_str().split('.') {
        let was = before.next().unwrap_or("0");
        if furthest.is_none() && part == was {
            continue;
        }
        let step = match (number(part), number(was)) {
            (Some(now), Some(was)) if furthest.is_none() => now.saturating_sub(was),
            (Some(now), _) => now,
            (None, _) => u64::MAX,
        };
        furthest = Some(furthest.map_or(step, |known| known.max(step)));
    }
    furthest
}

/// Both counts: a set of many may lose most of them, and a set of one archive may lose what is in it.
fn shrunk(proposal: &Proposal, context: &Context) -> Option<Note> {
    let now = Extent::of(&proposal.items);
    if now.artifacts == 0 {
        return Some(Note { reason: Reason::SetShrank, detail: "the set holds no artifact at all".to_owned() });
    }
    let before = Extent::of(context.last.as_ref()?);
    let floor = |before: u64| before.saturating_mul(context.bounds.shrink_to_percent) / 100;
    let fewer = now.artifacts < floor(before.artifacts);
    let smaller = before.bytes >= TINY && now.bytes < floor(before.bytes);
    (fewer || smaller).then(|| Note { reason: Reason::SetShrank, detail: format!("{now}, {before} before") })
}

fn grown(proposal: &Proposal, context: &Context) -> Option<Note> {
    let before = context.last.as_ref()?.iter().map(|item| item.size).fold(0, u64::saturating_add);
    let now = proposal.bytes();
    let ceiling = before.saturating_mul(context.bounds.grow_to_percent) / 100;
    (now > ceiling && now > SMALL)
        .then(|| Note { reason: Reason::SetGrew, detail: format!("{now} bytes, {before} before") })
}

#[cfg(test)]
mod tests;
