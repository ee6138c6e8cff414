//! One run, as the script has it: from settings to an exit code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::{BuildError, Purpose, Stops};
use blob_store::reader::BlobFiles;
use blob_store::{Current, StoreError};
use config::{Config, ConfigError};
use mirror::{Engine, EngineError, FeedReport, Silent, SyncReport, SyncRequest};
use model::{Clock, Digest, FeedId, Generation, Outcome as FeedOutcome, Reason, Vendor, error_chain};
use platform::fs::{FsError, Mode};
use tree::{Claim, Depth, Files, Report, Rules, Tree, TreeError};

use crate::place::{alone, prepared, shared};
use crate::takeover::Judged;
use crate::voice::{Said, Voice};
use crate::{Derived, Log, Settings, takeover};

/// How long a folder that was replaced is kept for those who have it open.
const GRACE: Duration = Duration::from_secs(3600);
/// How often every byte in the folder is read again: a look tells altered bytes only where they changed size or time.
const PROVE: Duration = Duration::from_secs(24 * 3600);
/// The file in the state folder that other commands can read.
const CONFIG: &str = "waystation.toml";
/// The engine's data folder in the state folder, as the derived configuration has it.
const DATA: &str = "data";
/// What the process is called in locks and in the history.
const VERB: &str = "defender-downloader";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that the settings ask for is in the folder, and current.
    Done,
    /// Nothing was brought.
    Failed,
    /// Some of it failed or waits for a person.
    Part,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// What the run did for each feed.
    pub feeds: Vec<FeedReport>,
    /// What it did to the folder; none where nothing was ever published.
    pub tree: Option<Report>,
}

/// Why a run could not take place.
#[derive(Debug, thiserror::Error)]
pub enum CompatError {
    /// The environment makes no configuration.
    #[error("the environment does not fit: {0}")]
    Config(#[from] ConfigError),
    /// The state would be shared.
    #[error("the state in {} and downloadFolder {} must not lie in each other: choose another with --state", state.display(), folder.display())]
    Nested {
        /// The state's folder.
        state: PathBuf,
        /// The shared folder.
        folder: PathBuf,
    },
    /// The environment puts the engine's data elsewhere than into the state.
    #[error(
        "WAYSTATION__DATA_DIR is set to {}, which is another installation's, or would be shared: unset it here, and name the \
         state with --state",
        given.display()
    )]
    Elsewhere {
        /// Where.
        given: PathBuf,
    },
    /// Another run fills the folder.
    #[error("another run is filling {}; this one does nothing", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder cannot be used.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The engine cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The engine failed as a whole.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What is held cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder cannot be kept.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A task of this program failed.
    #[error("a task of this program failed: {0}")]
    Task(String),
}

impl CompatError {
    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Config(_) | Self::Nested { .. } | Self::Elsewhere { .. } => Reason::NotFollowed,
            Self::Busy { .. } => Reason::Locked,
            Self::Fs(error) => error.reason(),
            Self::Build(error) => error.reason().unwrap_or(Reason::StoreFailed),
            Self::Engine(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Tree(error) => error.reason(),
            Self::Task(_) => Reason::Internal,
        }
    }

    /// Whether what was given is what must be changed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) | Self::Nested { .. } | Self::Elsewhere { .. } => true,
            Self::Build(error) => error.is_configuration(),
            _ => false,
        }
    }
}

/// Carries out what a `settings.json` asks for; `people` get what the script would print.
///
/// # Errors
/// [`CompatError`] when the run could not take place; what fails for one feed is in the outcome.
pub async fn run(
    settings: &Settings,
    state: &Path,
    (clock, environment): (Arc<dyn Clock>, &[(String, String)]),
    people: &mut (dyn FnMut(Said<'_>) + Send),
) -> Result<Outcome, CompatError> {
    let (log, refused) = match Log::open(&settings.log, Arc::clone(&clock)) {
        Ok(log) => (Some(log), None),
        Err(error) => (None, Some(error_chain(&error))),
    };
    let mut voice = Voice { log, people, lost: refused.is_some() };
    if let Some(refused) = refused {
        voice
            .complain(&format!("Error: the log cannot be used, and what is told here is told nowhere else: {refused}"));
    }
    voice.note("Script started.");
    let ended = fill(settings, state, (clock, environment), &mut voice).await;
    match &ended {
        Ok(outcome) if outcome.ended == Ended::Done => voice.note("Script completed."),
        Ok(_) => voice.complain("Script completed with errors: see above for what failed and why."),
        Err(error) => voice.note(&format!("Error: {} (reason {})\nScript failed.", error_chain(error), error.reason())),
    }
    ended.map(|outcome| match outcome.ended {
        Ended::Done if voice.lost => Outcome { ended: Ended::Part, ..outcome },
        _ => outcome,
    })
}

async fn fill(
    settings: &Settings,
    state: &Path,
    (clock, environment): (Arc<dyn Clock>, &[(String, String)]),
    voice: &mut Voice<'_>,
) -> Result<Outcome, CompatError> {
    let derived = Derived::of(settings, state, environment)?;
    if derived.config.data_dir != state.join(DATA) {
        return Err(CompatError::Elsewhere { given: derived.config.data_dir });
    }
    let folder = shared(&settings.folder)?;
    let one = alone(&folder)?;
    prepared(state, &folder)?.write_atomic(CONFIG, derived.text.as_bytes(), Mode::FILE)?;
    voice.say(&format!("Using download folder: {}; state: {}", folder.display(), state.display()));
    if one.is_none() {
        voice.say("the file system of the download folder locks no folders: fill it from one state alone");
    }
    for unknown in &settings.unknown {
        voice.say(&format!("settings.json: {unknown} means nothing here and is passed by"));
    }
    let config = &derived.config;
    let engine = app::engine(config, VERB, Purpose::Act, Arc::clone(&clock)).await?;
    app::note_configuration(&engine, config, "start of defender-downloader").await?;
    let stops = Stops::listen().map_err(|error| CompatError::Task(error.to_string()))?;
    let spared = take_over(&folder, config, &engine, (&clock, voice)).await?;
    spared.iter().for_each(|feed| voice.say(&format!("{feed}: No new update available")));
    let report = fetched(&engine, &spared, &stops).await?;
    let mut doubtful = false;
    for feed in &report.feeds {
        tell(feed, voice);
        doubtful |= doubts(feed, &engine, voice).await?;
    }
    // What is no longer kept goes before the folder needs the room.
    if let Err(error) = engine.collect().await {
        voice.complain(&format!("Error: what is no longer kept could not be let go: {}", error_chain(&error)));
    }
    let tree = kept(settings, &folder, config, (&engine, &clock)).await?;
    for failed in tree.iter().flat_map(|tree| &tree.failed) {
        voice.complain(&format!("Error: {}: {} (reason {})", failed.folder, failed.detail, failed.reason));
    }
    for foreign in tree.iter().flat_map(|tree| &tree.foreign) {
        voice.say(&format!("{foreign} is not ours and is left alone"));
    }
    let ended = match report.exit_code() {
        _ if tree.as_ref().is_some_and(|tree| !tree.is_whole()) => Ended::Part,
        0 if doubtful => Ended::Part,
        0 => Ended::Done,
        1 if spared.is_empty() => Ended::Failed,
        _ => Ended::Part,
    };
    Ok(Outcome { ended, feeds: report.feeds, tree })
}

/// Has the engine fetch all but what need not be.
async fn fetched(engine: &Engine, spared: &[FeedId], stops: &Stops) -> Result<SyncReport, EngineError> {
    let feeds: Vec<FeedId> = engine.settings().feeds.iter().filter(|feed| !spared.contains(feed)).cloned().collect();
    if feeds.is_empty() {
        return Ok(SyncReport::default());
    }
    let request = SyncRequest { feeds, wait: true, ..SyncRequest::default() };
    tokio::select! {
        report = engine.sync_until(&request, Arc::new(Silent), stops.asked(1)) => report,
        () = stops.asked(2) => Err(EngineError::Interrupted),
    }
}

/// Takes over what lies in the folder and is right; answers the feeds of which there is nothing to fetch.
async fn take_over(
    folder: &Path,
    config: &Config,
    engine: &Engine,
    (clock, voice): (&Arc<dyn Clock>, &mut Voice<'_>),
) -> Result<Vec<FeedId>, CompatError> {
    let outbound = app::client(config, Arc::clone(clock))?;
    let mut told = Vec::new();
    let Judged { take, mut spare } = takeover::judged(folder, config, (engine, outbound.as_ref()), &mut told).await?;
    told.iter().for_each(|why| voice.say(why));
    if take.is_empty() {
        return Ok(spare);
    }
    let request = SyncRequest { feeds: take, from: Some(folder.to_owned()), wait: true, ..SyncRequest::default() };
    for feed in engine.sync(&request, Arc::new(Silent)).await?.feeds {
        match (&feed.vendor_version, feed.outcome) {
            (Some(version), FeedOutcome::Published | FeedOutcome::Current) => {
                voice.say(&format!("{}: {version} is taken over from the folder", feed.feed));
            }
            _ => {
                let detail = feed.detail.unwrap_or_default();
                voice.say(&format!("{}: what is in the folder is not taken over: {detail}", feed.feed));
                spare.retain(|spared| *spared != feed.feed);
            }
        }
    }
    Ok(spare)
}

/// Tells what weakens a release that was published; whether somebody has to look at it.
async fn doubts(feed: &FeedReport, engine: &Engine, voice: &mut Voice<'_>) -> Result<bool, CompatError> {
    let Some(id) = feed.release.as_ref().filter(|_| feed.outcome == FeedOutcome::Published) else { return Ok(false) };
    let record = engine.ports().catalog.release(id).await.map_err(EngineError::from)?;
    let mut doubtful = false;
    for note in record.iter().flat_map(|record| &record.release.verdict.notes) {
        let text = format!("{}: {} (reason {}: {})", feed.feed, note.detail, note.reason, note.reason.remedy());
        if note.reason == Reason::UnexpectedMembers {
            voice.complain(&format!("Warning: {text}"));
            doubtful = true;
        } else {
            voice.say(&text);
        }
    }
    Ok(doubtful)
}

/// What the script would say of one target.
fn tell(feed: &FeedReport, voice: &mut Voice<'_>) {
    let name = &feed.feed;
    match (feed.outcome, &feed.vendor_version) {
        (FeedOutcome::Current, _) => match (feed.reason, &feed.detail) {
            (Some(reason), Some(detail)) => voice.say(&format!("{name}: No new update: {detail} (reason {reason})")),
            (Some(reason), None) => {
                voice.say(&format!("{name}: No new update (reason {reason}: {})", reason.remedy()));
            }
            (None, _) => voice.say(&format!("{name}: No new update available")),
        },
        (FeedOutcome::Published, Some(version)) => {
            if let Some(engine) = &version.engine {
                voice.say(&format!("{name}: Engine version: {engine}"));
            }
            voice.say(&format!("{name}: Definition version: {}.", version.version));
        }
        (outcome, _) => {
            let detail = feed.detail.as_deref().unwrap_or("no particulars");
            let reason =
                feed.reason.map_or_else(String::new, |reason| format!(" (reason {reason}: {})", reason.remedy()));
            voice.complain(&format!("Error: {name} {}: {detail}{reason}", outcome.as_str()));
        }
    }
}

/// Brings the folder to what is published.
async fn kept(
    settings: &Settings,
    folder: &Path,
    config: &Config,
    (engine, clock): (&Engine, &Arc<dyn Clock>),
) -> Result<Option<Report>, CompatError> {
    let ring = engine.settings().ring.clone();
    let Some(current) = engine.ports().rings.current(&ring).await? else { return Ok(None) };
    let wanted = laid_out(current.generation, settings.back);
    let source = Arc::new(BlobFiles::open(&config.data_dir)?);
    let rules = Rules {
        files: Files::Copy,
        grace: BTreeMap::from([(Vendor::Defender, GRACE)]),
        reserve: config.limits.disk_reserve,
        prove: Some(PROVE),
    };
    let records = config.data_dir.join("trees");
    let tree =
        Tree::new(ring, folder, &records, source, Arc::clone(clock)).with_claim(Claim::TakeOver).with_rules(rules);
    let brought = tokio::task::spawn_blocking(move || tree.bring(&wanted, Depth::Look)).await;
    Ok(Some(brought.map_err(|error| CompatError::Task(error.to_string()))??))
}

/// What the folder shows of a generation: the release before only where the settings ask for it.
fn laid_out(mut generation: Generation, back: bool) -> Current {
    if !back {
        let served: Vec<_> = generation.feeds.keys().cloned().collect();
        let bases: Vec<_> = served.iter().flat_map(|feed| vendors::registry(feed.vendor()).back_bases(feed)).collect();
        generation.routes.retain(|path, _| !bases.iter().any(|base| path.is_under(base.as_str())));
    }
    Current { digest: Digest::of(&generation.encode()), generation }
}
