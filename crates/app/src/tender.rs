//! Looks after the data folder while `run` lives: whether it is still there, whether the ring's pointer is whole, and
//! whether the bytes held are what they were.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alarm::Life;
use blob_store::reader::{BlobFiles, RingReader};
use mirror::Engine;
use mirror::scrub::{Place, place_at};
use model::{Timestamp, error_chain};
use platform::fs::{EntryKind, Folder, Owners};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::build::{CATALOG_FILE, CATALOG_FOLDER};
use crate::place::Stands;
use crate::pulse::Pulse;
use crate::scheduler::{Timetable, apart};
use crate::signals::Ask;
use crate::upkeep::Regain;

/// How often it looks whether the data folder is in place, and reads blobs again.
const LOOK: Duration = Duration::from_secs(5);
/// How many looks pass between two at the ring's pointer.
const POINTER_LOOKS: u32 = 6;

/// What the tender works with.
#[derive(Clone)]
pub(crate) struct Charge {
    pub(crate) timetable: watch::Receiver<Timetable>,
    pub(crate) data_dir: PathBuf,
    /// Where it shows what it saw of the folder.
    pub(crate) pulse: Arc<Pulse>,
    /// Where it asks for a new engine.
    pub(crate) asks: mpsc::Sender<Ask>,
    /// Gets back what it finds damaged.
    pub(crate) regain: Regain,
}

/// Looks after the data folder.
pub(crate) struct Tender {
    charge: Charge,
    looks: u32,
    /// The data folder was not in place at the last look.
    gone: bool,
    /// Everything is to be fetched since the data folder is back.
    late: bool,
    /// Up to where blobs were read again; none before the first time.
    scrubbed: Option<Place>,
    /// Bytes that were read ahead of their time.
    ahead: u64,
    /// It was told that reading falls behind.
    told_behind: bool,
}

impl Tender {
    pub(crate) fn new(charge: Charge) -> Self {
        Self { charge, looks: 0, gone: false, late: false, scrubbed: None, ahead: 0, told_behind: false }
    }

    pub(crate) async fn run(mut self, end: CancellationToken) {
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = self.turn() => {}
            }
        }
    }

    async fn turn(&mut self) {
        tokio::time::sleep(LOOK).await;
        self.looks = self.looks.wrapping_add(1);
        let Some(engine) = self.charge.regain.engine.borrow().clone() else { return };
        if !self.in_place(&engine).await {
            return;
        }
        if self.looks.is_multiple_of(POINTER_LOOKS) {
            mend(Arc::clone(&engine)).await;
        }
        self.scrub(engine).await;
    }

    /// Whether the data folder is where it was; where another stands there that was ours, asks for a new engine.
    async fn in_place(&mut self, engine: &Engine) -> bool {
        self.charge.pulse.lineage().look(&engine.ports().catalog).await;
        match engine.in_place() {
            Ok(()) => {
                self.charge.pulse.place().back();
                if std::mem::take(&mut self.gone) {
                    tracing::info!("the data folder is back");
                    renew_life(&self.charge.data_dir, self.charge.regain.clock.now());
                    self.late = true;
                }
                if self.charge.pulse.place().owes() {
                    // Fetched is what the configuration says that is worked by next.
                    let _ = self.charge.asks.send(Ask::Reopen).await;
                } else if std::mem::take(&mut self.late) {
                    self.charge.regain.hurry.send_modify(|count| *count += 1);
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.gone, true) {
                    let reason = error.reason();
                    tracing::error!(reason = reason.code(), error = %error_chain(&error), remedy = reason.remedy(), "nothing is written");
                }
                self.charge.pulse.place().gone(&error);
                let data = self.charge.data_dir.clone();
                let may_open = tokio::task::spawn_blocking(move || is_used(&data) && holds_what_it_serves(&data)).await;
                if may_open.unwrap_or(false) {
                    // When nobody takes it the process ends.
                    let _ = self.charge.asks.send(Ask::Reopen).await;
                } else {
                    self.charge.pulse.place().found(Stands::Nothing);
                }
                false
            }
        }
    }

    /// Reads what is due by now, no faster than is allowed.
    async fn scrub(&mut self, engine: Arc<Engine>) {
        let (period, rate) = self.charge.timetable.borrow().scrub;
        let Some(due) = place_at(self.charge.regain.clock.now(), period) else {
            self.scrubbed = None;
            return;
        };
        let from = *self.scrubbed.get_or_insert(due);
        let allowed = rate.saturating_mul(LOOK.as_secs());
        let Some(budget) = allowed.checked_sub(self.ahead).filter(|budget| *budget > 0) else {
            self.ahead = self.ahead.saturating_sub(allowed);
            return;
        };
        let done = match apart(async move { engine.scrub(from, due, budget).await }).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return tracing::error!(error = %error_chain(&error), "blobs could not be read again"),
            Err(error) => return tracing::error!(error, "blobs could not be read again"),
        };
        self.ahead = done.report.bytes.saturating_sub(budget);
        self.scrubbed = Some(done.reached);
        if let Some(first) = done.report.unread.first() {
            let (blobs, reason) = (done.report.unread.len(), first.reason.code());
            let error = first.error.as_deref().unwrap_or_default();
            tracing::error!(blobs, digest = %first.digest, reason, error, "cannot be used now; left where they are");
        }
        self.charge.regain.fetch_again(&done.report).await;
        // A quarter of the way around behind: the next time around would come before this one is done.
        let behind = due.wrapping_sub(done.reached) > Place::MAX / 4;
        if behind && !std::mem::replace(&mut self.told_behind, true) {
            tracing::warn!("reading blobs again falls behind: raise limits.scrub_rate or limits.scrub");
        }
        self.told_behind &= behind;
    }
}

/// Shows at once that this process lives: what stands in the folder that is back is as old as its going away.
fn renew_life(data_dir: &Path, now: Timestamp) {
    let Some(life) = Life::read(data_dir).filter(|life| life.pid == platform::pid()) else { return };
    if let Err(error) = (Life { at: now, ended: false, ..life }).keep(data_dir) {
        tracing::warn!(error = %error_chain(&error), "it cannot be shown at once that this process works on it");
    }
}

async fn mend(engine: Arc<Engine>) {
    match apart(async move { engine.mend_ring().await }).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(error = %error_chain(&error), "the ring's pointer could not be looked after"),
        Err(error) => tracing::error!(error, "the ring's pointer could not be looked after"),
    }
}

/// Whether a folder was a data folder before. A bare mount point is none, and is left alone.
fn is_used(path: &Path) -> bool {
    let look = || -> Result<bool, platform::fs::FsError> {
        let root = Folder::open(path)?;
        let catalog = root.folder(CATALOG_FOLDER)?.look(CATALOG_FILE, Owners::us())?;
        let rings = root.look("rings", Owners::us())?;
        Ok(catalog.is_some_and(|file| file.kind == EntryKind::File && file.size > 0)
            && rings.is_some_and(|rings| rings.kind == EntryKind::Folder))
    };
    look().unwrap_or(false)
}

/// Whether a data folder holds all that its rings serve. One that is being put back file by file, or whose blobs are on a
/// volume that is not mounted, lacks for the moment what is good: it would be fetched again, and `_back` would go on without.
fn holds_what_it_serves(path: &Path) -> bool {
    let look = || -> Result<(), blob_store::StoreError> {
        let (rings, blobs) = (RingReader::open(path)?, BlobFiles::open(path)?);
        for ring in rings.rings()? {
            let Some(current) = rings.load(&ring)? else { continue };
            let routes = current.generation.routes.values().map(|route| (route.digest, route.size));
            for (digest, size) in routes.collect::<BTreeSet<_>>() {
                blobs.open_blob(digest, size)?;
            }
        }
        Ok(())
    };
    look().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_folder_is_back_is_seen_to_live_at_once_s42() {
        let dir = tempfile::tempdir().unwrap();
        crate::prepare_data_folder(dir.path()).unwrap();
        assert!(Life::mend(dir.path(), || true).unwrap());
        let at = |seconds: i64| Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000);
        let life = Life { pid: platform::pid(), since: at(0), at: at(1), ended: false, asked: None };
        life.keep(dir.path()).unwrap();
        renew_life(dir.path(), at(600));
        assert_eq!(Life::read(dir.path()), Some(Life { at: at(600), ..life }));
        // Another's sign is nobody else's to renew.
        let other = Life { pid: platform::pid() + 1, ..life };
        other.keep(dir.path()).unwrap();
        renew_life(dir.path(), at(900));
        assert_eq!(Life::read(dir.path()), Some(other));
    }

    #[test]
    fn a_bare_mount_point_is_no_data_folder_s42() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_used(dir.path()) && !is_used(&dir.path().join("absent")));
        crate::prepare_data_folder(dir.path()).unwrap();
        assert!(!is_used(dir.path()), "a folder that was only begun holds nothing");
        std::fs::write(dir.path().join(CATALOG_FOLDER).join(CATALOG_FILE), "rows").unwrap();
        std::fs::create_dir(dir.path().join("rings")).unwrap();
        assert!(is_used(dir.path()));
    }
}
