//! A folder of the tree on its way through a run: counted, changed, recorded.

use std::collections::{BTreeMap, BTreeSet};

use model::{FeedId, RoutePath, Vendor, error_chain};
use platform::fs::Folder;

use crate::act::{Lenders, Worker};
use crate::error::FolderError;
use crate::place;
use crate::plan::Act;
use crate::records::{Records, Wrote};
use crate::report::{Failed, Report};
use crate::survey::{Asked, Names, Seen, joined};

/// A folder of the tree on its way through a run.
pub(crate) struct Case {
    pub(crate) folder: String,
    pub(crate) asked: Asked,
    pub(crate) seen: Seen,
    pub(crate) act: Act,
    /// What it is kept as, out of sight, when it is replaced.
    pub(crate) retired: Option<String>,
}

impl Case {
    pub(crate) fn count(&self, report: &mut Report) {
        let had = |name: &String, digest| {
            self.asked.known.get(name).is_some_and(|known| known.print.is_some() && known.digest == digest)
        };
        let again = self.seen.put.iter().filter(|(name, route)| had(name, route.digest)).map(|(name, _)| name);
        let mended = self.seen.replace.iter().filter(|(_, (_, had))| *had).map(|(name, _)| name);
        let altered: Vec<&String> = again.chain(mended).collect();
        let shown = |name: &&String| shown_path(&self.folder, name.as_ref());
        report.name(self.seen.put.keys().chain(self.seen.replace.keys()).map(|name| shown(&name)));
        report.name_altered(altered.iter().map(shown));
        report.put += self.seen.put.len() as u64;
        report.replaced += self.seen.replace.len() as u64;
        report.repaired += altered.len() as u64;
        report.removed += self.seen.drop.len() as u64;
        report.taken_over += self.seen.taken_over;
        for name in &self.seen.foreign {
            report.tell_foreign(|| shown_path(&self.folder, name));
        }
    }

    /// Takes back what was counted as put there, for it did not come.
    pub(crate) fn uncount(&self, report: &mut Report) {
        let mut counted = Report::default();
        self.count(&mut counted);
        report.put -= counted.put;
        report.replaced -= counted.replaced;
        report.repaired -= counted.repaired;
        report.named.retain(|name| !counted.named.contains(name));
    }

    /// Puts what comes. What goes stays until everything came.
    pub(crate) fn come(&self, worker: &mut Worker<'_>) -> Result<Names<Wrote>, FolderError> {
        let made = match self.act {
            Act::Keep | Act::Remove | Act::Retire => Names::new(),
            Act::Build => worker.build(&self.folder, &self.asked)?,
            Act::Add | Act::Replace => worker.add(&self.folder, &self.seen)?,
            Act::Mend | Act::Swap => {
                let retired = self.retired.as_deref().unwrap_or_default();
                return worker.swap(&self.folder, (&self.asked, &self.seen), retired);
            }
        };
        if self.act != Act::Retire {
            worker.keep(&self.folder, &self.seen)?;
        }
        Ok(made)
    }

    /// Lets go of what goes.
    pub(crate) fn go(&self, worker: &mut Worker<'_>) -> Result<(), FolderError> {
        match (self.act, &self.retired) {
            (Act::Retire, Some(retired)) => worker.retire(&self.folder, retired),
            _ => worker.remove(&self.folder, &self.seen),
        }
    }

    pub(crate) fn has_to_go(&self) -> bool {
        !self.seen.drop.is_empty()
    }

    /// What stands in the folder once everything came.
    pub(crate) fn record(&self, made: Names<Wrote>, records: &mut Records) {
        for name in self.asked.known.keys().chain(self.asked.want.keys()) {
            if let Some(path) = joined(&self.folder, name) {
                records.files.remove(&path);
            }
        }
        let kept = self.seen.right.iter().map(|(name, (wrote, _))| (name.clone(), wrote.clone()));
        // What is told of stays known, so that it is told until it is gone.
        let stays = |name: &String| self.seen.drop.contains(name) || self.seen.strange.contains(name);
        let goes = self.asked.known.iter().filter(|(name, _)| stays(name));
        let goes = goes.map(|(name, wrote)| (name.clone(), wrote.clone()));
        let stands: Names<Wrote> = goes.chain(kept).chain(made).collect();
        let paths = stands.into_iter().filter_map(|(name, wrote)| Some((joined(&self.folder, &name)?, wrote)));
        records.files.extend(paths.collect::<BTreeMap<RoutePath, Wrote>>());
    }

    /// What stands in the folder once everything went.
    pub(crate) fn forget(&self, records: &mut Records) {
        for path in self.seen.drop.iter().filter_map(|name| joined(&self.folder, name)) {
            records.files.remove(&path);
        }
    }
}

/// What must wait because files that it may refer to are not there.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) vendors: BTreeSet<Vendor>,
    /// All of it.
    pub(crate) all: bool,
}

impl Waiting {
    pub(crate) fn failed(&mut self, asked: &Asked) {
        // At fixed addresses nothing refers to another folder: no archive waits for the release before. Others share files.
        let feeds = asked.feeds();
        let shared = feeds.iter().map(FeedId::vendor).filter(|vendor| !vendors::registry(*vendor).fixed_addresses());
        self.vendors.extend(shared);
    }

    /// Whether what comes may come.
    pub(crate) fn may_come(&self, case: &Case) -> Result<(), FolderError> {
        let refers = matches!(case.act, Act::Swap | Act::Replace);
        let waits = |feed: &FeedId| self.vendors.contains(&feed.vendor());
        let waits = self.all || (refers && case.asked.feeds().iter().any(waits));
        if waits { Err(FolderError::Waits) } else { Ok(()) }
    }

    /// Whether what goes may go: something that stayed as it was may still refer to it.
    pub(crate) fn may_go(&self) -> bool {
        !self.all && self.vendors.is_empty()
    }
}

/// Files that can lend their bytes.
pub(crate) fn lenders(cases: &[Case]) -> Lenders {
    let mut found = Lenders::new();
    for case in cases {
        for (name, digest) in &case.seen.lends {
            found.entry(*digest).or_default().push((case.folder.clone(), name.clone()));
        }
    }
    found
}

/// What stands where we wrote and is somebody else's: endpoints may be given it, so the folder is not what it should be.
pub(crate) fn strange(cases: &[Case]) -> Vec<Failed> {
    let what = "is no longer served, and another file stands there than was written, which endpoints may be given";
    let named = |name: &String| FolderError::InTheWay { name: name.clone(), what };
    cases.iter().flat_map(|case| case.seen.strange.iter().map(|name| failed(&case.folder, &named(name)))).collect()
}

pub(crate) fn failed(folder: &str, error: &FolderError) -> Failed {
    Failed { folder: folder.to_owned(), reason: error.reason(), detail: error_chain(error) }
}

fn shown_path(folder: &str, name: &std::ffi::OsStr) -> String {
    let name = place::shown(name);
    if folder.is_empty() { name } else { format!("{folder}/{name}") }
}

/// Tells what stands beside our folders in those that only lead to them, and looks into none that is not ours. What
/// stands in a folder of files is told by the look at it.
pub(crate) struct Strangers<'a> {
    pub(crate) root: &'a Folder,
    pub(crate) folders: &'a BTreeMap<String, Asked>,
    pub(crate) below: &'a BTreeMap<String, BTreeSet<String>>,
}

impl Strangers<'_> {
    pub(crate) fn tell(&self, place: &str, report: &mut Report) {
        let (Some(ours), Ok(at)) = (self.below.get(place), place::at(self.root, place)) else { return };
        for name in at.every_name().unwrap_or_default().iter().filter(|name| !place::is_own(name)) {
            let path = shown_path(place, name);
            if name.to_str().is_some_and(|name| ours.contains(name)) {
                self.tell(&path, report);
            } else if !self.folders.contains_key(place) {
                report.tell_foreign(|| path);
            }
        }
    }
}
