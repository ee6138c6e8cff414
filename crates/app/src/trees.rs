//! Rings as plain folders: kept beside HTTP after each publication, and looked after meanwhile.

mod lending;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blob_store::StoreError;
use blob_store::reader::{BlobFiles, RingReader};
use config::{Config, TreeFiles};
use content_http::ContentServer;
use mirror::{Engine, EngineError, SiteFault};
use model::{Clock, Digest, Level, Note, Reason, RingName, Route, RoutePath, Timestamp, Vendor, error_chain};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tree::{Depth, Files, Report, Rules, Standing, Tree, TreeError};

use crate::scheduler::apart;

/// The folder of the records below the data folder.
const RECORDS: &str = "trees";
/// How often it is looked whether a ring moved on.
const LOOK: Duration = Duration::from_secs(1);
/// How often every file of a tree is looked at although nothing was published, and what failed is tried again.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);
/// A tree that is behind for no longer than this may just be being written.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often a tree is brought to what was published while it was being brought to what was before.
const ROUNDS: u32 = 4;

/// Whether the data folder is the one that this process works on.
type InPlace = Arc<dyn Fn() -> bool + Send + Sync>;
/// The number and the time of the generation that endpoints are served over HTTP; none where nobody knows.
type Served = Arc<dyn Fn(&RingName) -> Option<(u64, Timestamp)> + Send + Sync>;

/// When what stands in the data folder is brought into a ring's folder.
#[derive(Clone)]
struct When {
    in_place: InPlace,
    /// Nothing older than this: an older copy of the data folder is passed by over HTTP as well.
    served: Served,
}

impl Default for When {
    fn default() -> Self {
        Self { in_place: Arc::new(|| true), served: Arc::new(|_| None) }
    }
}

/// The trees of a configuration.
#[derive(Clone)]
pub struct Trees {
    trees: Vec<Tree>,
    data_dir: PathBuf,
    when: When,
}

/// Why a tree is not what its ring serves.
#[derive(Debug, thiserror::Error)]
pub enum TreesError {
    /// The folder cannot be used.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// What the ring serves cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of this program.
    #[error("a task of this program failed: {0}")]
    Task(String),
}

impl TreesError {
    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Tree(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Task(_) => Reason::Internal,
        }
    }
}

/// How a tree stands beside its ring.
#[derive(Clone, Debug)]
pub struct TreeStanding {
    /// The ring.
    pub ring: RingName,
    /// The folder.
    pub root: PathBuf,
    /// What its records say; none before the first run.
    pub standing: Option<Standing>,
    /// The generation that the ring serves, if it serves one.
    pub serves: Option<u64>,
    /// Whether the folder shows that generation, as its records say.
    pub is_current: bool,
}

impl Trees {
    /// The trees of a configuration; none where `tree.folder` is not set.
    pub fn of(config: &Config, clock: &Arc<dyn Clock>) -> Self {
        let data_dir = config.data_dir.clone();
        let (Some(folder), Ok(source)) = (&config.tree.folder, BlobFiles::open(&data_dir)) else {
            return Self { trees: Vec::new(), data_dir, when: When::default() };
        };
        let source = Arc::new(source);
        let made = |ring: &config::Ring| {
            let (root, records) = (folder.join(ring.name.as_str()), data_dir.join(RECORDS));
            Tree::new(ring.name.clone(), &root, &records, source.clone(), Arc::clone(clock))
                .outside(&data_dir)
                .with_rules(rules(config))
        };
        Self { trees: config.rings().iter().map(made).collect(), data_dir, when: When::default() }
    }

    /// This tree alone, of the data folder's ring of that name.
    pub fn single(tree: Tree, data_dir: PathBuf) -> Self {
        Self { trees: vec![tree], data_dir, when: When::default() }
    }

    /// Brings nothing while what stands there is not what this process works on, or is older than what it serves: what was
    /// rejected may be served in it.
    fn only_when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// The rings that have one.
    pub fn rings(&self) -> impl Iterator<Item = &RingName> {
        self.trees.iter().map(Tree::ring)
    }

    /// Those of these rings alone.
    #[must_use]
    pub fn only(mut self, rings: &[RingName]) -> Self {
        self.trees.retain(|tree| rings.contains(tree.ring()));
        self
    }

    /// Makes each folder what its ring serves now. A ring that never served anything has none.
    pub async fn bring(&self, depth: Depth) -> Vec<(RingName, PathBuf, Result<Report, TreesError>)> {
        let mut ended = Vec::new();
        for tree in &self.trees {
            let (owned, data_dir, when) = (tree.clone(), self.data_dir.clone(), self.when.clone());
            let done = tokio::task::spawn_blocking(move || bring(&owned, &data_dir, depth, &when)).await;
            let done = done.unwrap_or_else(|error| Err(TreesError::Task(error.to_string())));
            if let Some(done) = done.transpose() {
                ended.push((tree.ring().clone(), tree.root().to_owned(), done));
            }
        }
        ended
    }

    /// Gives the store what the engine's ring serves and it holds no longer, as far as the ring's folder has it whole; how
    /// many files. Whoever found bytes damaged does it before anything is published, or `_back` goes on without them.
    ///
    /// # Errors
    /// [`EngineError`] when ring or store cannot answer.
    pub async fn give_back(&self, engine: &Engine) -> Result<usize, EngineError> {
        let mut given = 0;
        for tree in self.trees.iter().filter(|tree| *tree.ring() == engine.settings().ring) {
            given += lending::given_back(tree.root(), engine).await?;
        }
        Ok(given)
    }

    /// The same for what these routes name, whoever laid them out.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot answer.
    pub async fn give(&self, routes: &BTreeMap<RoutePath, Route>, engine: &Engine) -> Result<usize, EngineError> {
        let mut given = 0;
        for tree in self.trees.iter().filter(|tree| *tree.ring() == engine.settings().ring) {
            given += lending::given(tree.root(), routes, engine).await?;
        }
        Ok(given)
    }

    /// Says what [`Trees::bring`] would do, and does nothing.
    pub async fn check(&self, depth: Depth) -> Vec<(RingName, Result<Report, TreesError>)> {
        let mut ended = Vec::new();
        for tree in &self.trees {
            let (owned, data_dir) = (tree.clone(), self.data_dir.clone());
            let checked = tokio::task::spawn_blocking(move || {
                let current = RingReader::open(&data_dir)?.load(owned.ring())?;
                current.map(|current| Ok(owned.check(&current, depth)?)).transpose()
            });
            let done = checked.await.unwrap_or_else(|error| Err(TreesError::Task(error.to_string())));
            ended.extend(done.transpose().map(|done| (tree.ring().clone(), done)));
        }
        ended
    }

    /// How each stands, as its records say.
    ///
    /// # Errors
    /// [`TreesError`] when records or rings cannot be read.
    pub fn standings(&self) -> Result<Vec<TreeStanding>, TreesError> {
        let of = |tree: &Tree| {
            let standing = tree.standing()?;
            let current = RingReader::open(&self.data_dir)?.load(tree.ring())?;
            let shows = standing.as_ref().and_then(|standing| standing.digest);
            Ok(TreeStanding {
                ring: tree.ring().clone(),
                root: tree.root().to_owned(),
                standing,
                is_current: current.as_ref().map(|current| current.digest) == shows,
                serves: current.map(|current| current.generation.number),
            })
        };
        self.trees.iter().map(of).collect()
    }

    /// What is wrong with them: a tree that could not be brought to what its ring serves, or has not been for long.
    pub fn faults(&self, now: Timestamp) -> Vec<SiteFault> {
        self.trees.iter().filter_map(|tree| self.fault(tree, now)).collect()
    }

    fn fault(&self, tree: &Tree, now: Timestamp) -> Option<SiteFault> {
        let standing = match tree.standing() {
            Ok(standing) => standing,
            Err(error) => return Some(fault(tree, (now, Level::Fail), error.reason(), error_chain(&error))),
        };
        if let Some(trouble) = standing.as_ref().and_then(|standing| standing.trouble.clone()) {
            let refused = matches!(trouble.reason, Reason::TreeRefused | Reason::UnsafeFile);
            let reason = if refused { trouble.reason } else { Reason::TreeBehind };
            return Some(fault(tree, (trouble.since, Level::Fail), reason, trouble.detail));
        }
        // What cannot be read here is told of the ring itself.
        let current = RingReader::open(&self.data_dir).ok()?.load(tree.ring()).ok()??;
        let shows = standing.and_then(|standing| standing.digest);
        let late = now.since(current.generation.at) > PATIENCE;
        if shows == Some(current.digest) || !late {
            return None;
        }
        let detail = format!(
            "the ring serves generation {} since {}, and nobody brought the folder there; is `waystation run` running?",
            current.generation.number, current.generation.at
        );
        Some(fault(tree, (current.generation.at, Level::Warn), Reason::TreeBehind, detail))
    }

    fn marks(&self) -> BTreeMap<RingName, Option<blob_store::reader::Mark>> {
        let rings = RingReader::open(&self.data_dir).ok();
        let mark = |tree: &Tree| rings.as_ref().and_then(|rings| rings.current_mark(tree.ring()));
        self.trees.iter().map(|tree| (tree.ring().clone(), mark(tree))).collect()
    }
}

fn fault(tree: &Tree, (since, level): (Timestamp, Level), reason: Reason, detail: String) -> SiteFault {
    let (ring, folder) = (tree.ring(), tree.root().display());
    SiteFault {
        subject: format!("folder of ring {ring}"),
        key: format!("tree/{ring}"),
        since,
        level,
        note: Note { reason, detail: format!("{folder}: {detail}") },
    }
}

fn rules(config: &Config) -> Rules {
    Rules {
        files: match config.tree.files {
            TreeFiles::Copy => Files::Copy,
            TreeFiles::Link => Files::Link,
        },
        grace: Vendor::ALL.into_iter().map(|vendor| (vendor, config.retention_of(vendor).grace)).collect(),
        reserve: config.limits.disk_reserve,
        prove: None,
    }
}

/// Brings a tree to what its ring serves, again while that moves on; none where the ring serves nothing, or what is read
/// there is not to be shown now.
fn bring(tree: &Tree, data_dir: &Path, depth: Depth, when: &When) -> Result<Option<Report>, TreesError> {
    if !(when.in_place)() {
        return Ok(None);
    }
    let rings = RingReader::open(data_dir)?;
    let mut done: Option<Report> = None;
    for _ in 0..ROUNDS {
        let mark = rings.current_mark(tree.ring());
        let Some(current) = rings.load(tree.ring())? else { return Ok(done) };
        // What was read may have stood in a folder that was put in the place of ours meanwhile.
        let goes_back = (when.served)(tree.ring()).is_some_and(|served| current.generation.goes_back_from(served));
        if goes_back || !(when.in_place)() {
            return Ok(done);
        }
        done = Some(tree.bring(&current, depth)?);
        if rings.current_mark(tree.ring()) == mark {
            break;
        }
    }
    Ok(done)
}

/// Blobs that somebody beside the content side could not use, until upkeep looks into them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubted(Arc<Mutex<BTreeSet<Digest>>>);

impl Doubted {
    fn add(&self, digests: &[Digest]) {
        self.all().extend(digests);
    }

    pub(crate) fn take(&self) -> Vec<Digest> {
        std::mem::take(&mut *self.all()).into_iter().collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the trees of `run` at what its rings serve, whoever publishes, while the data folder is the one that its engine
/// works on, and never older than what `content` serves; blobs that cannot be used are `doubted`.
pub(crate) async fn keep(
    mut settings: watch::Receiver<Config>,
    (engine, content): (watch::Receiver<Option<Arc<Engine>>>, Arc<ContentServer>),
    clock: Arc<dyn Clock>,
    doubted: Doubted,
    end: CancellationToken,
) {
    let in_place: InPlace = Arc::new(move || {
        let engine = engine.borrow().clone();
        engine.is_some_and(|engine| engine.in_place().is_ok())
    });
    let served: Served = Arc::new(move |ring| {
        let rings = content.stats().rings;
        let served = rings.into_iter().find(|known| known.ring == *ring)?;
        Some((served.generation?, served.published?))
    });
    let when = When { in_place, served };
    let mut keeper = TreeKeeper { clock, doubted, when, done: None, next: Duration::ZERO };
    loop {
        let config = settings.borrow_and_update().clone();
        tokio::select! {
            () = end.cancelled() => return,
            changed = settings.changed() => {
                keeper.done = None;
                if changed.is_err() {
                    return;
                }
            }
            () = keeper.turns(&config) => {}
        }
    }
}

struct TreeKeeper {
    clock: Arc<dyn Clock>,
    doubted: Doubted,
    when: When,
    /// What the rings' pointers looked like when the trees were last brought to them.
    done: Option<BTreeMap<RingName, Option<blob_store::reader::Mark>>>,
    /// When all is looked at again.
    next: Duration,
}

impl TreeKeeper {
    async fn turns(&mut self, config: &Config) {
        loop {
            if config.tree.folder.is_some() && !(self.when.in_place)() {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let trees = Trees::of(config, &self.clock).only_when(self.when.clone());
            if trees.is_empty() && config.tree.folder.is_none() {
                return std::future::pending().await;
            }
            self.turn(trees).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn turn(&mut self, trees: Trees) {
        let (marks, now) = (trees.marks(), self.clock.monotonic());
        if self.done.as_ref() == Some(&marks) && now < self.next {
            return;
        }
        self.done = Some(marks);
        self.next = now.saturating_add(LOOK_AT_ALL);
        match apart(async move { trees.bring(Depth::Look).await }).await {
            Ok(ended) => {
                ended.iter().for_each(|(ring, _, done)| tell(ring, done));
                self.doubted.add(&unusable(&ended));
            }
            Err(error) => tracing::error!(error, "the rings' folders could not be looked after"),
        }
    }
}

/// The blobs that kept a folder back.
pub fn unusable(ended: &[(RingName, PathBuf, Result<Report, TreesError>)]) -> Vec<Digest> {
    let reports = ended.iter().filter_map(|(.., done)| done.as_ref().ok());
    reports.flat_map(|report| report.blobs.iter().copied()).collect()
}

/// Logs what was done to a tree.
fn tell(ring: &RingName, done: &Result<Report, TreesError>) {
    match done {
        Ok(report) if report.is_whole() => {
            if report.changes() > 0 || report.taken_over > 0 {
                tracing::info!(
                    %ring, generation = report.generation, put = report.put, replaced = report.replaced,
                    repaired = report.repaired, removed = report.removed, bytes = report.bytes_written,
                    "the ring's folder shows it"
                );
            }
        }
        Ok(report) => {
            for failed in &report.failed {
                let (reason, remedy) = (failed.reason.code(), Reason::TreeBehind.remedy());
                tracing::error!(%ring, folder = failed.folder, reason, error = failed.detail, remedy, "the ring's folder is behind");
            }
        }
        Err(error) => {
            let (reason, remedy) = (error.reason().code(), error.reason().remedy());
            tracing::error!(%ring, reason, error = %error_chain(error), remedy, "the ring's folder is behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use blob_store::{Access, FsRings, FsStore, RingStore as _};
    use model::Generation;

    use super::*;

    #[tokio::test]
    async fn a_folder_shows_nothing_of_what_stands_in_the_place_of_ours_s42() {
        let site = tempfile::tempdir().unwrap();
        let text = "data_dir = \"data\"\n[elastic]\nversions = [\"9.0.0\"]\n[tree]\nfolder = \"shown\"\n";
        let config = Config::parse(text, &site.path().join("waystation.toml"), &[]).unwrap();
        crate::prepare_data_folder(&config.data_dir).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(platform::SystemClock::new());
        let engine = crate::engine(&config, "test", crate::Purpose::Act, Arc::clone(&clock)).await.unwrap();
        // No ring can be read from it: whoever looks into it fails.
        let ring = config.data_dir.join("rings/broad");
        std::fs::create_dir_all(config.data_dir.join("rings")).unwrap();
        std::fs::write(ring, "no folder").unwrap();
        drop(engine);
        let ours = Arc::new(AtomicBool::new(true));
        let place = Arc::clone(&ours);
        let in_place: InPlace = Arc::new(move || place.load(Ordering::SeqCst));
        let trees = Trees::of(&config, &clock).only_when(When { in_place, ..When::default() });
        assert!(!trees.is_empty());
        let looked_into = trees.bring(Depth::Look).await.len();
        ours.store(false, Ordering::SeqCst);
        assert!(trees.bring(Depth::Look).await.is_empty());
        assert!(!config.data_dir.join(RECORDS).exists());
        assert_eq!(looked_into, 1, "it is looked into while it is ours");
    }

    #[tokio::test]
    async fn a_folder_never_shows_what_is_older_than_what_is_served_s40() {
        let site = tempfile::tempdir().unwrap();
        let text = "data_dir = \"data\"\n[elastic]\nversions = [\"9.0.0\"]\n[tree]\nfolder = \"shown\"\n";
        let config = Config::parse(text, &site.path().join("waystation.toml"), &[]).unwrap();
        crate::prepare_data_folder(&config.data_dir).unwrap();
        std::fs::create_dir(site.path().join("shown")).unwrap();
        let rings = FsRings::open(&config.data_dir, Access::ReadWrite).unwrap();
        FsStore::open(&config.data_dir, Access::ReadWrite).unwrap();
        let at = Timestamp::from_micros(1_800_000_000_000_000);
        let (minute, ring) = (Duration::from_secs(60), RingName::broad());
        let backup = Generation { number: 3, ..Generation::empty(ring.clone(), at) };
        let backup_digest = rings.publish(&backup, None).await.unwrap().digest;
        let clock: Arc<dyn Clock> = Arc::new(platform::SystemClock::new());
        let shown = |served: Option<(u64, Timestamp)>| {
            let served: Served = Arc::new(move |_| served);
            let trees = Trees::of(&config, &clock).only_when(When { served, ..When::default() });
            async move { trees.bring(Depth::Look).await.len() }
        };
        let newer = Some((5, at.after(minute)));
        assert_eq!(shown(newer).await, 0, "HTTP passes by it as well");
        // What is published on top of the backup is newer than both.
        let next = Generation { number: 4, ..Generation::empty(ring, at.after(2 * minute)) };
        rings.publish(&next, Some(backup_digest)).await.unwrap();
        assert_eq!((shown(newer).await, shown(None).await), (1, 1));
    }
}
