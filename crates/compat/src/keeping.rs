//! Brings the folder to what is published.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blob_store::Current;
use blob_store::reader::BlobFiles;
use config::Config;
use mirror::{Engine, EngineError, Silent};
use model::{Clock, Digest, FeedId, Generation, Reason, RingName, Route, RoutePath, Timestamp, Vendor};
use platform::fs::{Folder, FsError, Mode, Owners};
use tree::{Claim, Depth, Failed, Files, Report, Rules, Tree, TreeError};

use crate::archive::{self, Strays};
use crate::place::TREES;
use crate::run::CompatError;
use crate::shown::Words;
use crate::voice::Voice;
use crate::{Settings, takeover};

/// How long a folder that was replaced is kept for those who have it open.
const GRACE: Duration = Duration::from_secs(3600);
/// How often every byte in the folder is read again: a look tells altered bytes only where they changed size or time.
const PROVE: Duration = Duration::from_secs(24 * 3600);
/// How long the release before stays where it is once nobody asks for it: endpoints may still be pointed at it.
const LEAVE: Duration = Duration::from_secs(24 * 3600);
/// The file in the state folder that says until when it stays.
const LEAVES: &str = "back-leaves";
/// The longest that such a file is.
const LEAVES_BYTES: u64 = 64;

/// Keeps the folder.
pub(crate) struct Keeper<'a> {
    tree: Tree,
    data_dir: PathBuf,
    ring: RingName,
    engine: &'a Engine,
    clock: &'a Arc<dyn Clock>,
}

impl<'a> Keeper<'a> {
    pub(crate) fn new(
        folder: &Path,
        config: &Config,
        engine: &'a Engine,
        clock: &'a Arc<dyn Clock>,
    ) -> Result<Self, CompatError> {
        let ring = engine.settings().ring.clone();
        let source = Arc::new(BlobFiles::open(&config.data_dir)?);
        let rules = Rules {
            files: Files::Copy,
            grace: BTreeMap::from([(Vendor::Defender, GRACE)]),
            reserve: config.limits.disk_reserve,
            prove: Some(PROVE),
        };
        let tree = Tree::new(ring.clone(), folder, &config.data_dir.join(TREES), source, Arc::clone(clock))
            .with_claim(Claim::TakeOver)
            .with_rules(rules);
        Ok(Self { tree, data_dir: config.data_dir.clone(), ring, engine, clock })
    }

    /// Sees that the folder can be filled.
    pub(crate) async fn probe(&self) -> Result<(), CompatError> {
        let tree = self.tree.clone();
        Ok(blocking(move || tree.probe()).await??)
    }

    /// Gives the state what it serves and holds no longer, as far as the folder has it; how many files.
    pub(crate) async fn given_back(&self) -> Result<usize, CompatError> {
        Ok(self.trees().give_back(self.engine).await?)
    }

    /// Gives the state what these routes name and it does not hold, as far as the folder has it.
    pub(crate) async fn lend(&self, routes: &BTreeMap<RoutePath, Route>) -> Result<(), CompatError> {
        Ok(self.trees().give(routes, self.engine).await.map(drop)?)
    }

    fn trees(&self) -> app::Trees {
        app::Trees::single(self.tree.clone(), self.data_dir.clone())
    }

    /// Makes the folder what is published, but for the feeds in `left`, of which it stays as it is; none where nothing ever
    /// was published.
    pub(crate) async fn keep(
        &self,
        (settings, left, words): (&Settings, &[FeedId], &Words),
        state: &Folder,
        depth: Depth,
        voice: &mut Voice<'_>,
    ) -> Result<Option<Report>, CompatError> {
        let current = self.engine.ports().rings.current(&self.ring).await.map_err(EngineError::from)?;
        let Some(current) = current else { return Ok(None) };
        let leaves = if settings.back { None } else { self.leaves(&current.generation, state)? };
        let now = self.clock.now();
        let stays = leaves.is_some_and(|until| now < until);
        match leaves {
            Some(until) if stays => {
                voice.say(&format!("_back stays until {until}: backupPreviousUpdates is false now"));
            }
            Some(_) => voice.say("_back leaves the folder: backupPreviousUpdates has been false for a day"),
            None => drop(state.remove(LEAVES)?),
        }
        let back = settings.back || stays;
        let mut shows = current.clone();
        let wanted = laid_out(current.generation, back, left);
        let mut routes = wanted.generation.routes.clone();
        let (followed, before) = (&self.engine.settings().feeds, self.tree.written()?);
        for (at, until) in leaving(&wanted.generation, followed) {
            // Where runs are rare it stays for longer than that.
            let how_long = if now < until {
                format!("until {until}, or longer where runs are rare")
            } else {
                "for some more runs".to_owned()
            };
            voice.say(&format!("{at} is not asked for any more: it stays {how_long}, and then leaves the folder"));
        }
        let gone = left_behind(&before, &wanted.generation, followed);
        let first = digests(&wanted.generation);
        let mut report = self.bring(wanted, depth).await?;
        if !report.blobs.is_empty() {
            self.heal(&report.blobs, voice).await?;
            if let Some(current) = self.engine.ports().rings.current(&self.ring).await.map_err(EngineError::from)? {
                shows = current.clone();
                let wanted = laid_out(current.generation, back, left);
                routes.clone_from(&wanted.generation.routes);
                let then = digests(&wanted.generation);
                let altered = std::mem::take(&mut report.altered);
                report = self.bring(wanted, depth).await?;
                lost(&mut report, &altered, |path| !then.contains_key(path));
                let again = |path: &String| first.get(path) == then.get(path) && !report.altered.contains(path);
                let again: Vec<String> = altered.into_iter().filter(again).collect();
                report.altered.extend(again);
            }
        }
        for at in gone.iter().filter(|at| report.failed.iter().all(|failed| failed.folder != **at)) {
            voice.say(&format!("{at}, which is not asked for any more, has left the folder"));
        }
        // Of what failed nobody knows what it shows.
        let failed = self.engine.settings().feeds.iter().filter(|feed| is_behind(feed, &report)).cloned();
        let left: Vec<FeedId> = left.iter().cloned().chain(failed).collect();
        words.remember(self.tree.root(), (&shows, &routes), &left, now)?;
        Ok(Some(report))
    }

    /// Has the state look into what the folder could not be made of, and fetch it again.
    async fn heal(&self, blobs: &[Digest], voice: &mut Voice<'_>) -> Result<(), CompatError> {
        let faults = self.engine.heal(blobs, Arc::new(Silent)).await?.found.faults;
        let wrong: Vec<Digest> = faults.iter().map(|fault| fault.digest).collect();
        let held = self.engine.ports().blobs.find_all(&wrong).await.map_err(EngineError::from)?;
        let became = match (held.iter().flatten().count(), wrong.len()) {
            (_, 0) => return Ok(()),
            (0, _) => {
                "could not be fetched again: the vendor does not offer them any more, or cannot be asked".to_owned()
            }
            (again, all) if again == all => "fetched again".to_owned(),
            (again, all) => {
                format!("{again} of {all} were fetched again: the vendor does not offer the others any more")
            }
        };
        voice.complain(&format!(
            "Warning: {} in the state had other bytes than they should, or were gone: they were set aside and {became}; look \
             after that disk",
            if wrong.len() == 1 { "1 file".to_owned() } else { format!("{} files", wrong.len()) }
        ));
        Ok(())
    }

    /// Whether nothing is left of what the folder showed: somebody emptied it, or its volume is not mounted.
    pub(crate) fn emptied(&self) -> Result<bool, CompatError> {
        let shows = self.tree.standing()?.is_some_and(|standing| standing.generation.is_some());
        let written = self.tree.written()?;
        let is_gone = |path: &RoutePath| self.tree.root().join(below(path)).symlink_metadata().is_err();
        Ok(shows && !written.is_empty() && written.iter().all(is_gone))
    }

    async fn bring(&self, wanted: Current, depth: Depth) -> Result<Report, CompatError> {
        let tree = self.tree.clone();
        Ok(blocking(move || tree.bring(&wanted, depth)).await??)
    }

    /// Reads what lies where endpoints look and was put there by somebody else, and takes what is no archive out of their
    /// reach. What is in `left` is known to be whole.
    pub(crate) async fn strays(&self, left: &[FeedId]) -> Result<Strays, CompatError> {
        let settings = self.engine.vendor_settings().defender;
        let mut ours: BTreeSet<String> = self.tree.written()?.iter().map(below).collect();
        let left = left.iter().filter_map(|feed| takeover::place(feed)?.to_str().map(str::to_owned));
        ours.extend(left.map(|at| format!("{at}/{}", archive::ARCHIVE)));
        let root = self.tree.root().to_owned();
        let read = move || archive::strays(&root, |path| ours.contains(path), &settings).map_err(TreeError::from);
        Ok(blocking(read).await??)
    }

    /// Until when the release before stays, where it stands in the folder by this program's hand.
    fn leaves(&self, generation: &Generation, state: &Folder) -> Result<Option<Timestamp>, CompatError> {
        let bases = bases(generation);
        if !self.tree.written()?.iter().any(|path| is_back(path, &bases)) {
            return Ok(None);
        }
        let latest = self.clock.now().after(LEAVE);
        // A clock that was wrong makes it no longer than a day.
        if let Some(known) = noted(state)?.filter(|known| *known <= latest) {
            return Ok(Some(known));
        }
        state.write_atomic(LEAVES, format!("{latest}\n").as_bytes(), Mode::PRIVATE_FILE)?;
        Ok(Some(latest))
    }
}

fn noted(state: &Folder) -> Result<Option<Timestamp>, FsError> {
    let (file, _) = match state.open_plain(LEAVES, Owners::us()) {
        Err(error) if error.is_missing() => return Ok(None),
        other => other?,
    };
    let mut text = String::new();
    let read = file.take(LEAVES_BYTES).read_to_string(&mut text);
    read.map_err(|source| FsError::Io { act: "read", path: state.path().join(LEAVES), source })?;
    Ok(Timestamp::parse(text.trim()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TreeError> + Send + 'static,
) -> Result<Result<T, TreeError>, CompatError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| CompatError::Task(error.to_string()))
}

/// Where the releases before stand.
fn bases(generation: &Generation) -> Vec<String> {
    let feeds = generation.feeds.keys();
    feeds
        .flat_map(|feed| vendors::registry(feed.vendor()).back_bases(feed))
        .map(|base| base.as_str().to_owned())
        .collect()
}

fn is_back(path: &RoutePath, bases: &[String]) -> bool {
    bases.iter().any(|base| path.is_under(base))
}

/// What stands behind each path, as the folder has it.
fn digests(generation: &Generation) -> BTreeMap<String, Digest> {
    generation.routes.iter().map(|(path, route)| (below(path), route.digest)).collect()
}

/// Tells what had been altered and is served no longer: nobody has its bytes any more, so it left the folder.
fn lost(report: &mut Report, altered: &[String], is_gone: impl Fn(&String) -> bool) {
    let gone: BTreeSet<&str> =
        altered.iter().filter(|path| is_gone(path)).filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
    let detail =
        "what stood there had been altered, its bytes are gone in the state as well, and it has left the folder";
    let failed = |at: &str| Failed { folder: at.to_owned(), reason: Reason::BlobDamaged, detail: detail.to_owned() };
    report.failed.extend(gone.into_iter().map(failed));
}

/// A path as the folder has it.
fn below(path: &RoutePath) -> String {
    path.as_str().trim_start_matches('/').to_owned()
}

/// The folder of a file that belongs to none of these feeds.
fn strange(path: &RoutePath, followed: &[FeedId]) -> Option<String> {
    let path = below(path);
    let (at, _) = path.rsplit_once('/')?;
    let is_of = |feed: &FeedId| {
        let parts = takeover::place(feed).and_then(|place| Some(place.to_str()?.to_owned()));
        parts.is_some_and(|place| at.replacen("_back/", "/", 1) == place)
    };
    (!followed.iter().any(is_of)).then(|| at.to_owned())
}

/// The folders of what is followed no longer, and until when each stays at least.
fn leaving(generation: &Generation, followed: &[FeedId]) -> BTreeMap<String, Timestamp> {
    let mut found = BTreeMap::new();
    for (path, route) in &generation.routes {
        if let (Some(at), Some(until)) = (strange(path, followed), route.until) {
            let latest = found.entry(at).or_insert(until);
            *latest = until.max(*latest);
        }
    }
    found
}

/// The folders of what is followed no longer that were written, and that nothing stands in from now on.
fn left_behind(before: &BTreeSet<RoutePath>, generation: &Generation, followed: &[FeedId]) -> BTreeSet<String> {
    let stays: BTreeSet<String> = generation.routes.keys().filter_map(|path| strange(path, followed)).collect();
    before.iter().filter_map(|path| strange(path, followed)).filter(|at| !stays.contains(at)).collect()
}

/// Whether a feed did not come into the folder: a failure of a folder above it, or of the whole, is its as well.
pub(crate) fn is_behind(feed: &FeedId, tree: &Report) -> bool {
    let Some(place) = takeover::place(feed) else { return false };
    tree.failed.iter().any(|failed| place.starts_with(&failed.folder))
}

/// What the folder shows of a generation: the release before only where it is wanted, and nothing of what stays as it is.
fn laid_out(mut generation: Generation, back: bool, left: &[FeedId]) -> Current {
    if !back {
        let bases = bases(&generation);
        generation.routes.retain(|path, _| !is_back(path, &bases));
    }
    generation.routes.retain(|_, route| !left.contains(&route.feed));
    Current { digest: Digest::of(&generation.encode()), generation }
}
