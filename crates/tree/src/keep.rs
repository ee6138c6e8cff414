//! Brings a folder to what a generation says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blob_store::Current;
use model::{Clock, Reason, RingName, RoutePath, Vendor, error_chain};
use platform::fs::{Folder, Mode, create_folder};
use platform::lock::FileLock;
use platform::unique_name;

use crate::TreeError;
use crate::act::{Hook, Worker};
use crate::case::{Case, Strangers, Waiting, failed, lenders, strange};
use crate::error::FolderError;
use crate::laid_out::laid_out;
use crate::make::{Files, Maker, Source};
use crate::open::{at_root, opened};
use crate::place::{self, Claim};
use crate::plan::{Act, act};
use crate::records::{Records, Retired, Shown, Standing, Trouble, Wrote};
use crate::report::Report;
use crate::retired;
use crate::survey::{Asked, Judge, asked, below, joined};

/// How closely a folder is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A file that looks as it did when it was written is believed.
    Look,
    /// Every byte is read, and nothing else is another than at a look.
    Prove,
    /// Every byte is read; records that were lost, and a folder that was emptied, are made anew.
    Rebuild,
}

/// How a tree is kept.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How files get there.
    pub files: Files,
    /// How long a folder that was replaced is kept for those who have it open, by vendor.
    pub grace: BTreeMap<Vendor, Duration>,
    /// Bytes that stay free on the disk.
    pub reserve: u64,
    /// How old the last reading of every byte may be: a look reads them all again then. None: only who asks for it does.
    pub prove: Option<Duration>,
}

/// A ring's folder.
#[derive(Clone)]
pub struct Tree {
    ring: RingName,
    root: PathBuf,
    records: PathBuf,
    claim: Claim,
    rules: Rules,
    source: Arc<dyn Source>,
    clock: Arc<dyn Clock>,
    /// A folder whose content is nobody else's, and of which the tree must be no part.
    private: Option<PathBuf>,
    pub(crate) hook: Arc<Hook>,
}

impl Tree {
    /// The folder `root` of a ring; what was written into it is recorded in the folder `records`, which is made where
    /// only its last part is missing and must not lie in a folder that others read.
    pub fn new(ring: RingName, root: &Path, records: &Path, source: Arc<dyn Source>, clock: Arc<dyn Clock>) -> Self {
        let rules = Rules { files: Files::Copy, grace: BTreeMap::new(), reserve: 0, prove: None };
        Self {
            ring,
            root: root.to_owned(),
            records: records.to_owned(),
            claim: Claim::Mark,
            rules,
            source,
            clock,
            private: None,
            hook: Arc::default(),
        }
    }

    /// Never in this folder, however either is written: all that lies in the data folder is this program's alone.
    #[must_use]
    pub fn outside(self, data: &Path) -> Self {
        Self { private: Some(data.to_owned()), ..self }
    }

    /// With another way to become ours.
    #[must_use]
    pub fn with_claim(self, claim: Claim) -> Self {
        Self { claim, ..self }
    }

    /// With these rules.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// The ring.
    pub fn ring(&self) -> &RingName {
        &self.ring
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How it stands, as the records say; none before the first run.
    ///
    /// # Errors
    /// [`TreeError`] when they cannot be read.
    pub fn standing(&self) -> Result<Option<Standing>, TreeError> {
        let folder = match Folder::open(&self.records) {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        Ok(Records::read(&folder, &self.ring)?.map(|records| records.standing_of(&self.root)))
    }

    /// Sees that a folder could be kept, as far as that shows before it is made; makes nothing.
    ///
    /// # Errors
    /// [`TreeError`] when it could not be kept.
    pub fn fits(root: &Path, claim: Claim) -> Result<(), TreeError> {
        place::fits(root, claim)
    }

    /// Sees that something else may lie there: in no ring's folder, and in no data folder.
    ///
    /// # Errors
    /// [`TreeError`] when it is, or lies in, one of these.
    pub fn lies_apart(path: &Path) -> Result<(), TreeError> {
        place::not_within(path)
    }

    /// Sees that the folder is there or can be made, that it is safe, and that something can be made in it.
    ///
    /// # Errors
    /// [`TreeError`] when the folder could not be kept.
    pub fn probe(&self) -> Result<(), TreeError> {
        let root = place::open(&self.root, self.claim, None, Depth::Look)?;
        for left in root.every_name()?.iter().filter(|name| place::is_of_a_probe(name)) {
            // By one that was killed in between. There is never anything in it.
            root.remove_folder(left)?;
        }
        let name = unique_name(place::PROBE);
        root.make_folder(&name, Mode::PRIVATE_FOLDER)?;
        root.remove_folder(&name)?;
        Ok(())
    }

    /// How the folder stands that the records in a folder speak of, where anything was ever written into it.
    ///
    /// # Errors
    /// [`TreeError`] when they cannot be read.
    pub fn filled(records: &Path, ring: &RingName) -> Result<Option<Standing>, TreeError> {
        let folder = match Folder::open(records) {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let records = Records::read(&folder, ring)?.filter(|records| place::is_known(Some(records)));
        Ok(records.map(|records| records.standing_of(&records.root)))
    }

    /// The paths that were, or may have been, written into the folder, as the records say.
    ///
    /// # Errors
    /// [`TreeError`] when they cannot be read.
    pub fn written(&self) -> Result<BTreeSet<RoutePath>, TreeError> {
        let folder = match Folder::open(&self.records) {
            Err(error) if error.is_missing() => return Ok(BTreeSet::new()),
            other => other?,
        };
        let records = Records::read(&folder, &self.ring)?.filter(|records| records.root == self.root);
        Ok(records.map(|records| records.files.into_keys().collect()).unwrap_or_default())
    }

    /// The same of whatever folder the records in a folder speak of.
    ///
    /// # Errors
    /// [`TreeError`] when they cannot be read.
    pub fn written_by(records: &Path, ring: &RingName) -> Result<BTreeSet<RoutePath>, TreeError> {
        let records = Records::read(&Folder::open(records)?, ring)?;
        Ok(records.map(|records| records.files.into_keys().collect()).unwrap_or_default())
    }

    /// Says what [`Tree::bring`] would do, and does nothing.
    ///
    /// # Errors
    /// [`TreeError`] when the folder is not ours to change.
    pub fn check(&self, current: &Current, depth: Depth) -> Result<Report, TreeError> {
        let mut report = Report { generation: current.generation.number, ..Report::default() };
        let records = match Folder::open(&self.records) {
            Err(error) if error.is_missing() => None,
            other => self.read(&other?, depth)?,
        };
        if !matches!(self.root.try_exists(), Ok(true)) {
            if depth != Depth::Rebuild && self.claim == Claim::Mark && place::is_known(records.as_ref()) {
                return Err(TreeError::Emptied { root: self.root.clone() });
            }
            report.put = laid_out(&current.generation).count() as u64;
            return Ok(report);
        }
        let root = place::open(&self.root, self.claim, records.as_ref(), depth)?;
        let known = records.map(|records| records.files).unwrap_or_default();
        let folders = asked(&current.generation, &known);
        let cases = self.survey(&root, folders, depth, (&mut report, &mut Waiting::default()));
        report.failed.extend(strange(&cases));
        Ok(report)
    }

    /// Makes the folder what the generation says. Waits for another keeper to end, for about a minute.
    ///
    /// # Errors
    /// [`TreeError`] when the folder is not ours to change, or the records cannot be kept; what fails in one folder of it
    /// is in the report, and the others are brought to their end.
    pub fn bring(&self, current: &Current, depth: Depth) -> Result<Report, TreeError> {
        let folder = create_folder(&self.records, Mode::PRIVATE_FOLDER)?;
        place::apart(&self.root, &self.records, self.private.as_deref())?;
        let _lock = FileLock::acquire_blocking_in(&folder, &format!("{}.lock", self.ring))?;
        let records = self.read(&folder, depth)?;
        let depth = if depth == Depth::Look && self.is_due(records.as_ref()) { Depth::Prove } else { depth };
        match place::open(&self.root, self.claim, records.as_ref(), depth) {
            Ok(root) => self.bring_locked(&root, (&folder, records), current, depth),
            Err(error) => {
                // Records of another folder stay that folder's: this one was not taken, and may be named by mistake.
                let other = if records.is_none() { Records::read(&folder, &self.ring).ok().flatten() } else { None };
                let mut records = records.or(other).unwrap_or_else(|| self.fresh());
                records.trouble = Some(self.trouble(&records, error.reason(), error_chain(&error)));
                records.save(&folder)?;
                Err(error)
            }
        }
    }

    /// Whether every byte is to be read again.
    fn is_due(&self, records: Option<&Records>) -> bool {
        let (Some(every), Some(records)) = (self.rules.prove, records) else { return false };
        let now = self.clock.now();
        // A clock that went back since puts nothing off.
        records.proven.is_none_or(|proven| now < proven || now.since(proven) >= every)
    }

    /// The records, where they are of this folder.
    fn read(&self, folder: &Folder, depth: Depth) -> Result<Option<Records>, TreeError> {
        let records = match Records::read(folder, &self.ring) {
            Err(TreeError::Records { .. }) if depth == Depth::Rebuild => None,
            other => other?,
        };
        let Some(records) = records else { return Ok(None) };
        if records.root == self.root {
            return Ok(Some(records));
        }
        // The folder may have been moved, with its mark in it.
        let moved = match Folder::open(&self.root) {
            Ok(root) => place::mark(&root)?.is_some_and(|mark| mark == records.token),
            Err(_) => false,
        };
        Ok(moved.then(|| Records { root: self.root.clone(), ..records }))
    }

    fn fresh(&self) -> Records {
        Records::new(self.ring.clone(), self.root.clone(), unique_name("tree-"))
    }

    fn bring_locked(
        &self,
        root: &Folder,
        (folder, records): (&Folder, Option<Records>),
        current: &Current,
        depth: Depth,
    ) -> Result<Report, TreeError> {
        let before = records.clone();
        let mut records = records.unwrap_or_else(|| self.fresh());
        let generation = &current.generation;
        let mut report = Report { generation: generation.number, ..Report::default() };
        let folders = asked(generation, &records.files);
        if self.claim == Claim::Mark && place::mark(root)?.as_ref() != Some(&records.token) {
            records.save(folder)?;
            place::write_mark(root, &records)?;
        }
        if records.shows.is_none() || depth == Depth::Rebuild {
            let longest = self.rules.grace.values().max().copied().unwrap_or_default();
            let tidied = retired::tidy(root, &folders, &below(folders.keys()), &self.hook)
                .and_then(|()| retired::adopt(root, &folders, &mut records, self.clock.now().after(longest)));
            tidied.unwrap_or_else(|error| report.failed.push(failed("", &error)));
        }
        let mut waiting = Waiting { all: !report.failed.is_empty(), ..Waiting::default() };
        let above: Vec<String> = below(folders.keys()).into_keys().collect();
        let mut cases = self.survey(root, folders, depth, (&mut report, &mut waiting));
        let now = self.clock.now();
        if cases.iter().any(|case| case.act != Act::Keep) {
            self.intend(&mut records, &mut cases);
            records.save(folder)?;
        }
        let mut worker = Worker {
            root,
            maker: Maker {
                files: self.rules.files,
                source: self.source.as_ref(),
                reserve: self.rules.reserve,
                hook: &self.hook,
            },
            lenders: lenders(&cases),
            written: 0,
        };
        self.carry_out(&mut worker, &cases, &mut records, (&mut report, waiting));
        report.failed.extend(strange(&cases));
        opened(root, &above, &mut report);
        report.bytes_written = worker.written;
        let over = |retired: &Retired| retired.is_over(generation, now);
        let let_go = retired::let_go(root, &mut records, &self.hook, over);
        let_go.map(|_| ()).unwrap_or_else(|error| report.failed.push(failed(place::WORK, &error)));
        if !self.hook.goes_on() {
            return Ok(report);
        }
        self.conclude(&mut records, current, &report);
        // What a first run finds or makes, it reads.
        if report.is_whole() && (depth != Depth::Look || before.is_none()) {
            records.proven = Some(now);
        }
        if before.as_ref() != Some(&records) {
            records.save(folder)?;
        }
        Ok(report)
    }

    /// Looks into every folder, and tells what is to be done.
    fn survey(
        &self,
        root: &Folder,
        folders: BTreeMap<String, Asked>,
        depth: Depth,
        (report, waiting): (&mut Report, &mut Waiting),
    ) -> Vec<Case> {
        let judge = Judge { depth, claim: self.claim, files: self.rules.files, source: self.source.as_ref() };
        let all = below(folders.keys());
        if depth == Depth::Rebuild {
            Strangers { root, folders: &folders, below: &all }.tell("", report);
        }
        for folder in all.keys().map(String::as_str).chain(folders.keys().map(String::as_str)).collect::<BTreeSet<_>>()
        {
            // What cannot be looked at is told by the look at its files.
            let look = place::at(root, folder).and_then(|at| at.look_here());
            report.opened += u64::from(look.is_ok_and(|look| !place::is_open(&look)));
        }
        let mut cases = Vec::new();
        for (folder, asked) in folders {
            let here = all.get(&folder).cloned().unwrap_or_default();
            match judge.look(root, &folder, &asked, &here) {
                Ok(seen) => {
                    let act = act(&asked, &seen, !here.is_empty());
                    let case = Case { folder, asked, seen, act, retired: None };
                    case.count(report);
                    cases.push(case);
                }
                Err(error) => {
                    waiting.failed(&asked);
                    report.failed.push(failed(&folder, &error));
                }
            }
        }
        cases.sort_by(|a, b| a.act.cmp(&b.act).then_with(|| b.folder.cmp(&a.folder)));
        cases
    }

    /// Records what is about to be written and set aside.
    fn intend(&self, records: &mut Records, cases: &mut [Case]) {
        records.shows = None;
        for case in cases {
            let replaced = case.seen.replace.iter().map(|(name, (route, _))| (name, route));
            for (name, route) in case.seen.put.iter().chain(replaced) {
                let intended = Wrote::intended(route.digest, route.size, case.asked.known.get(name));
                if let Some(path) = joined(&case.folder, name) {
                    records.files.insert(path, intended);
                }
            }
            if matches!(case.act, Act::Mend | Act::Swap | Act::Retire) {
                let name = unique_name("");
                records.retired.insert(name.clone(), self.retiring(case, records));
                case.retired = Some(name);
            }
        }
    }

    fn retiring(&self, case: &Case, records: &Records) -> Retired {
        let now = self.clock.now();
        let feeds = case.asked.feeds();
        let grace = feeds.iter().filter_map(|feed| self.rules.grace.get(&feed.vendor())).max();
        let until = match (case.act, grace) {
            (Act::Swap, Some(grace)) => now.after(*grace),
            // What was altered is for nobody, and what goes for good has had its grace.
            _ => now,
        };
        let held = records.versions.iter().filter(|(feed, _)| feeds.contains(*feed));
        let ours = case.asked.known.keys().filter(|name| !case.seen.strange.contains(*name));
        Retired {
            folder: case.folder.clone(),
            until,
            names: ours.chain(case.asked.want.keys()).cloned().collect(),
            held: held.map(|(feed, version)| (feed.clone(), version.clone())).collect(),
        }
    }

    fn carry_out(
        &self,
        worker: &mut Worker<'_>,
        cases: &[Case],
        records: &mut Records,
        (report, mut waiting): (&mut Report, Waiting),
    ) {
        for case in cases {
            let mut done = waiting.may_come(case).and_then(|()| case.come(worker));
            if done.as_ref().is_err_and(FolderError::is_room) && !records.retired.is_empty() && self.hook.goes_on() {
                // Those who still read what was replaced come after those who want what is new.
                let freed = retired::let_go(worker.root, records, &self.hook, |_| true);
                done = freed.and_then(|_| case.come(worker));
            }
            match done {
                Ok(made) => case.record(made, records),
                Err(error) => {
                    waiting.failed(&case.asked);
                    case.uncount(report);
                    report.blobs.extend(error.blob());
                    report.failed.push(failed(&case.folder, &error));
                }
            }
        }
        let stayed: BTreeSet<String> = report.failed.iter().map(|failed| failed.folder.clone()).collect();
        let going = cases.iter().filter(|case| case.has_to_go() && !stayed.contains(&case.folder));
        report.removed = 0;
        for case in going.filter(|_| waiting.may_go()) {
            match case.go(worker) {
                Ok(()) => {
                    report.removed += case.seen.drop.len() as u64;
                    case.forget(records);
                }
                Err(error) => report.failed.push(failed(&case.folder, &error)),
            }
        }
    }

    fn conclude(&self, records: &mut Records, current: &Current, report: &Report) {
        let generation = &current.generation;
        match report.failed.first() {
            None => {
                let is_new = records.shows.is_none_or(|shows| shows.digest != current.digest);
                if is_new {
                    let at = self.clock.now();
                    records.shows = Some(Shown { generation: generation.number, digest: current.digest, at });
                }
                let feeds = generation.feeds.iter();
                records.versions =
                    feeds.map(|(feed, served)| (feed.clone(), served.vendor_version.version.clone())).collect();
                records.trouble = None;
            }
            Some(first) => {
                records.shows = None;
                let place = at_root(&first.folder);
                let more = match report.failed.len() - 1 {
                    0 => String::new(),
                    more => format!("; and {more} more"),
                };
                let detail = format!("{place}: {}{more}", first.detail);
                records.trouble = Some(self.trouble(records, first.reason, detail));
            }
        }
    }

    fn trouble(&self, records: &Records, reason: Reason, detail: String) -> Trouble {
        let since = records.trouble.as_ref().map_or_else(|| self.clock.now(), |trouble| trouble.since);
        Trouble { since, reason, detail }
    }
}
