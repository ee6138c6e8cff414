//! What is left on a disk is mounted again, and looked at.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fault_lab::{Cut, Disk, DiskFolder, Kept, Mounted, Player, sh};

use super::recorded::{Kind, RETENTION, Recorded};
use crate::bench::Bench;
use crate::scenario::sections;
use crate::tree::Tree;

/// What was seen on the disks that cuts left.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) disks: usize,
    /// Of them, those after the first cut that were not as promised.
    pub(super) bad: usize,
    pub(super) again: usize,
    pub(super) synced: usize,
    pub(super) breaches: Vec<String>,
}

/// A place where disks are mounted again, one after the other.
struct Workshop {
    bench: Bench,
    // Taken down before the bench that it stands on.
    disks: Option<DiskFolder>,
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.disks = None;
    }
}

impl Workshop {
    fn new(recorded: &Recorded) -> Self {
        let bench = Bench::new(&sections(&recorded.vendor, RETENTION));
        bench.put("data", None);
        let shown = bench.folder().join("disks");
        std::fs::create_dir(&shown).unwrap();
        let disks = DiskFolder::mount(&shown).unwrap();
        Self { bench, disks: Some(disks) }
    }

    /// Mounts a disk, does something with it, and takes it down.
    fn with<T>(
        &self,
        kind: Kind,
        disk: &Arc<Disk>,
        act: impl FnOnce(&Bench) -> Result<T, String>,
    ) -> Result<T, String> {
        let disks = self.disks.as_ref().unwrap();
        let file = disks.show("cut.img", disk);
        let file = file.to_str().unwrap();
        if let Some((program, arguments)) = kind.check.split_first() {
            // It says whether it had something to mend, which is no failure.
            let arguments: Vec<&str> = arguments.iter().copied().chain([file]).collect();
            let _ = sh(program, &arguments);
        }
        let mounted = Mounted::new(kind.system, file, &self.bench.data(), kind.options);
        let done = mounted.map_err(|error| format!("it cannot be mounted: {error}")).and_then(|mounted| {
            let done = act(&self.bench);
            mounted.unmount()?;
            done
        });
        disks.hide("cut.img");
        done
    }

    fn judge(&self, recorded: &Recorded, disk: &Arc<Disk>, cut: Cut, thorough: bool) -> Result<(), String> {
        let allowed = recorded.allowed(cut.at);
        self.with(recorded.kind, disk, |bench| {
            let served = Tree::walk(&bench.data())?;
            served.is_among(&allowed)?;
            if thorough { recovers(bench, recorded, cut) } else { Ok(()) }
        })
    }
}

/// After the cut, everything is found in order, and the next run leads where the vendor is.
fn recovers(bench: &Bench, recorded: &Recorded, cut: Cut) -> Result<(), String> {
    let status = bench.act(&["status", "--json"]);
    if !matches!(status.code, Some(0 | 3 | 4)) {
        return Err(format!("status: {}", status.text()));
    }
    if let Some(entry) = &recorded.told[recorded.told(cut.at)].entry {
        let history = bench.act(&["history", "verify", "--expect", entry]);
        if history.code != Some(0) {
            return Err(format!("the history forgot what was told: {}", history.text()));
        }
    }
    let synced = bench.act(&["sync", "--json"]);
    if synced.code != Some(0) {
        return Err(format!("the next sync: {}", synced.text()));
    }
    let verified = bench.act(&["release", "verify", "--all", "--store"]);
    if verified.code != Some(0) {
        return Err(format!("verify: {}", verified.text()));
    }
    let last = recorded.told.last().unwrap().tree.without_back();
    let now = Tree::walk(&bench.data())?.without_back();
    if now == last { Ok(()) } else { Err(format!("the next sync leads elsewhere: {now:?}\nnot: {last:?}")) }
}

/// Cuts the power of a recorded run, and looks at every disk that is left. On each of so many the program is started,
/// and another one loses power again while it recovers.
pub(super) fn examine(recorded: &Recorded, cuts: &[Cut], every: usize) -> Seen {
    let seen = Mutex::new(Seen::default());
    let turn = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..recorded.kind.copies {
            scope.spawn(|| {
                let workshop = Workshop::new(recorded);
                let mut player = Player::new(&recorded.base, &recorded.log);
                loop {
                    let index = turn.fetch_add(1, Ordering::Relaxed);
                    let Some(cut) = cuts.get(index) else { return };
                    let disk = player.cut(*cut);
                    let before = disk.copied();
                    let thorough = index.is_multiple_of(every);
                    let first = workshop.judge(recorded, &disk, *cut, thorough);
                    let bad = usize::from(first.is_err());
                    let mut judged = vec![(*cut, first)];
                    let mut again = 0;
                    if index % every == 1 {
                        let second = cut_again(&workshop, recorded, &before, *cut);
                        again = second.len();
                        judged.extend(second.into_iter().map(|outcome| (*cut, outcome)));
                    }
                    let mut seen = seen.lock().unwrap();
                    seen.disks += 1;
                    seen.bad += bad;
                    seen.again += again;
                    seen.synced += usize::from(thorough);
                    seen.breaches.extend(judged.into_iter().filter_map(|(cut, outcome)| {
                        outcome.err().map(|breach| format!("{}, {cut:?}: {breach}", recorded.kind.name))
                    }));
                }
            });
        }
    });
    seen.into_inner().unwrap()
}

/// The power goes again while the file system recovers from the first time.
fn cut_again(workshop: &Workshop, recorded: &Recorded, disk: &Arc<Disk>, cut: Cut) -> Vec<Result<(), String>> {
    let recovering = disk.copied();
    if let Err(error) = workshop.with(recorded.kind, &recovering, |_| Ok(())) {
        return vec![Err(error)];
    }
    let log = recovering.log();
    let mut player = Player::new(disk, &log);
    let mut outcomes = Vec::new();
    for part in 1..=3 {
        let at = log.len() * part / 4;
        let left = player.cut(Cut { at, kept: Kept::Some(part as u64) });
        outcomes.push(workshop.judge(recorded, &left, cut, false));
    }
    outcomes
}
