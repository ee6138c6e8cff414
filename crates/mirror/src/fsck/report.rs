//! What a check of the data folder found.

use std::collections::BTreeMap;

use blob_store::{Found, LeftoverKind};
use model::{Digest, Reason};
use serde::Serialize;

/// How many faults are told one by one; the rest are counted.
const FAULTS: usize = 1000;
/// How many leftovers of a kind are named.
const NAMED: usize = 10;

/// How closely blobs are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Whether they are there, and their size, owner and mode.
    Look,
    /// Every byte as well.
    Rehash,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckProgress {
    /// So many more bytes will be read.
    Expected(u64),
    /// So many more bytes were read.
    Read(u64),
}

/// What a check of the data folder found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// How closely blobs were looked at.
    pub depth: Depth,
    /// Rings that were looked at.
    pub rings: usize,
    /// Their generation files.
    pub generations: usize,
    /// Paths that they serve now.
    pub routes: usize,
    /// Releases that should be held.
    pub releases: u64,
    /// The history's entries.
    pub entries: u64,
    /// Blobs that something refers to.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong.
    pub faults: Vec<StoreFault>,
    /// How many more things are wrong.
    pub more_faults: u64,
    /// The blobs among them whose bytes changed.
    pub damaged: Vec<Digest>,
    /// What is left over and harms nothing.
    pub leftovers: Vec<LeftoverCount>,
}

impl StoreReport {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct StoreFault {
    /// Why.
    pub reason: Reason,
    /// On what: a path in the data folder, a feed, the history.
    pub subject: String,
    /// What exactly, in words.
    pub detail: String,
    /// What the operator can do.
    pub remedy: &'static str,
}

/// Leftovers of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftoverCount {
    /// Which kind.
    pub kind: LeftoverOf,
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first few, by name.
    pub names: Vec<String>,
}

/// Where a leftover comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftoverOf {
    /// An unfinished download: the next run goes on with it, and gc lets it go after a week.
    Partial,
    /// A file that was about to be renamed: the next publication removes it.
    Temporary,
    /// A blob whose bytes changed, set aside for a look: remove it when you have looked.
    Damaged,
    /// A blob that nothing refers to: gc lets it go.
    Unreferenced,
    /// A generation that was prepared and never served: the next publication takes its place.
    Unpublished,
    /// A publication that was intended and not closed: the next one closes it.
    OpenPublication,
    /// A feed's record that is older than what is served: its next sync brings it up to date.
    RecordBehind,
    /// Something that Waystation did not put there: it is never touched.
    Foreign,
}

impl LeftoverOf {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Temporary => "temporary",
            Self::Damaged => "damaged",
            Self::Unreferenced => "unreferenced",
            Self::Unpublished => "unpublished",
            Self::OpenPublication => "open-publication",
            Self::RecordBehind => "record-behind",
            Self::Foreign => "foreign",
        }
    }
}

impl From<LeftoverKind> for LeftoverOf {
    fn from(kind: LeftoverKind) -> Self {
        match kind {
            LeftoverKind::Partial => Self::Partial,
            LeftoverKind::Temporary => Self::Temporary,
            LeftoverKind::Damaged => Self::Damaged,
            LeftoverKind::Unpublished => Self::Unpublished,
            LeftoverKind::Foreign => Self::Foreign,
        }
    }
}

/// A report that is being put together, bounded whatever is found.
pub(super) struct Findings {
    pub(super) report: StoreReport,
    leftovers: BTreeMap<LeftoverOf, LeftoverCount>,
}

impl Findings {
    pub(super) fn new(depth: Depth) -> Self {
        let report = StoreReport {
            depth,
            rings: 0,
            generations: 0,
            routes: 0,
            releases: 0,
            entries: 0,
            blobs: 0,
            bytes: 0,
            faults: Vec::new(),
            more_faults: 0,
            damaged: Vec::new(),
            leftovers: Vec::new(),
        };
        Self { report, leftovers: BTreeMap::new() }
    }

    pub(super) fn fault(&mut self, reason: Reason, subject: impl Into<String>, detail: impl Into<String>) {
        if self.report.faults.len() >= FAULTS {
            self.report.more_faults += 1;
            return;
        }
        let remedy = reason.remedy();
        self.report.faults.push(StoreFault { reason, subject: subject.into(), detail: detail.into(), remedy });
    }

    pub(super) fn left(&mut self, kind: LeftoverOf, bytes: u64, name: impl FnOnce() -> String) {
        let new = || LeftoverCount { kind, count: 0, bytes: 0, names: Vec::new() };
        let known = self.leftovers.entry(kind).or_insert_with(new);
        known.count += 1;
        known.bytes = known.bytes.saturating_add(bytes);
        if known.names.len() < NAMED {
            known.names.push(name());
        }
    }

    /// Takes what a store showed; blobs are the caller's.
    pub(super) fn found(&mut self, found: Found) {
        match found {
            Found::Blob { .. } => {}
            Found::Left(left) => self.left(left.kind.into(), left.size, || left.path),
            Found::Unsafe { path, what } => self.fault(Reason::UnsafeFile, path, what),
        }
    }

    /// Findings of a part that may have to be looked at again.
    pub(super) fn branch(&self) -> Self {
        Self::new(self.report.depth)
    }

    /// Takes a part's findings in.
    pub(super) fn merge(&mut self, part: Self) {
        let (mine, other) = (&mut self.report, part.report);
        mine.rings += other.rings;
        mine.generations += other.generations;
        mine.routes += other.routes;
        mine.more_faults += other.more_faults;
        for fault in other.faults {
            self.fault(fault.reason, fault.subject, fault.detail);
        }
        for (kind, found) in part.leftovers {
            let new = || LeftoverCount { kind, count: 0, bytes: 0, names: Vec::new() };
            let known = self.leftovers.entry(kind).or_insert_with(new);
            known.count += found.count;
            known.bytes = known.bytes.saturating_add(found.bytes);
            known.names.extend(found.names);
            known.names.truncate(NAMED);
        }
    }

    pub(super) fn finish(mut self) -> StoreReport {
        self.report.leftovers = self.leftovers.into_values().collect();
        self.report
    }
}
