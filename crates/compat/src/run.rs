//! One run, as the script has it: from settings to an exit code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::{BuildError, Purpose, Stops};
use blob_store::StoreError;
use config::{Config, ConfigError};
use mirror::{Engine, EngineError, FeedReport, Silent, SyncReport, SyncRequest};
use model::{Clock, FeedId, Outcome as FeedOutcome, Reason, error_chain};
use platform::fs::{FsError, Mode};
use tree::{Claim, Depth, Report, Tree, TreeError};

use crate::alone::{Alone, alone};
use crate::derive::overruling;
use crate::keeping::Keeper;
use crate::shown::Words;
use crate::takeover::Judged;
use crate::teller::{Back, Teller};
use crate::voice::{Said, Voice};
use crate::{Derived, Settings, place, takeover};

/// The file in the state folder that other commands can read.
pub(crate) const CONFIG: &str = "waystation.toml";
/// The engine's data folder in the state folder, as the derived configuration has it.
pub(crate) const DATA: &str = "data";
/// What the process is called in locks and in the history.
pub(crate) const VERB: &str = "defender-downloader";

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
    #[error("the environment does not fit")]
    Config(#[from] ConfigError),
    /// The state would be shared.
    #[error("the state in {} and downloadFolder {} must not lie in each other: choose another with --state, or another downloadFolder", state.display(), folder.display())]
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
    /// The state's folder is something else.
    #[error(
        "{} is no state of this program's: it holds another installation's {name}, and nothing in it is touched; leave --state \
         and WAYSTATION_STATE away, or name another folder",
        state.display()
    )]
    Occupied {
        /// The state's folder.
        state: PathBuf,
        /// What in it.
        name: String,
    },
    /// The state is that of another shared folder.
    #[error(
        "the state in {} is that of {}, not of {}: each downloadFolder has a state of its own, so leave --state and \
         WAYSTATION_STATE away or name another (where {} was moved or given up, it must be gone)",
        state.display(), other.display(), folder.display(), other.display()
    )]
    Filled {
        /// The state's folder.
        state: PathBuf,
        /// The folder that it fills.
        other: PathBuf,
        /// The folder that it was to fill.
        folder: PathBuf,
    },
    /// The environment says what only the settings say.
    #[error(
        "{name} is set, and what is fetched is for settings.json to say: unset it here (a daemon beside it may have it)"
    )]
    Overruled {
        /// The variable.
        name: String,
    },
    /// Another run fills the folder.
    #[error("another run is filling {}{}; this one does nothing", folder.display(), named(*by))]
    Busy {
        /// The folder.
        folder: PathBuf,
        /// Its process, where the system tells.
        by: Option<u32>,
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
    /// What the folder remembers does not read.
    #[error(
        "{} remembers which releases were ruled out, and cannot be read: nothing is brought into the folder before it can be. \
         Make it readable for this user; to begin anew without it, remove it, and see that what the state serves was not \
         rejected since",
        path.display()
    )]
    Shown {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A task of this program failed.
    #[error("a task of this program failed: {0}")]
    Task(String),
}

fn named(by: Option<u32>) -> String {
    by.map_or_else(String::new, |pid| format!(": process {pid}"))
}

impl CompatError {
    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Config(_) | Self::Nested { .. } | Self::Elsewhere { .. } | Self::Overruled { .. } => {
                Reason::NotFollowed
            }
            Self::Occupied { .. } | Self::Filled { .. } => Reason::NotFollowed,
            Self::Busy { .. } => Reason::Locked,
            Self::Fs(error) => error.reason(),
            Self::Build(error) => error.reason().unwrap_or(Reason::StoreFailed),
            Self::Engine(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Tree(error) => error.reason(),
            Self::Shown { .. } => Reason::StoreFailed,
            Self::Task(_) => Reason::Internal,
        }
    }

    /// Whether what was given is what must be changed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Nested { .. }
            | Self::Elsewhere { .. }
            | Self::Occupied { .. }
            | Self::Filled { .. }
            | Self::Overruled { .. } => true,
            Self::Build(error) => error.is_configuration(),
            _ => false,
        }
    }
}

/// Carries out what a `settings.json` asks for; `people` get what the script would print. Every byte in the folder is read
/// once a day, and at each run where `depth` asks for it.
///
/// # Errors
/// [`CompatError`] when the run could not take place; what fails for one feed is in the outcome.
pub async fn run(
    settings: &Settings,
    state: &Path,
    (clock, environment): (Arc<dyn Clock>, &[(String, String)]),
    depth: Depth,
    people: &mut (dyn FnMut(Said<'_>) + Send),
) -> Result<Outcome, CompatError> {
    let mut voice = Voice::new(settings, &clock, people);
    voice.note("Script started.");
    let ended = fill(settings, state, (Arc::clone(&clock), environment), depth, &mut voice).await;
    voice.settle(settings, &clock);
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
    depth: Depth,
    voice: &mut Voice<'_>,
) -> Result<Outcome, CompatError> {
    if let Some(name) = overruling(environment) {
        return Err(CompatError::Overruled { name: name.to_owned() });
    }
    let derived = Derived::of(settings, state, environment)?;
    if derived.config.data_dir != state.join(DATA) {
        return Err(CompatError::Elsewhere { given: derived.config.data_dir });
    }
    // Nothing is made, neither here nor there, before it is known that the two belong together.
    place::judged(state, &settings.folder)?;
    Tree::fits(&settings.folder, Claim::TakeOver)?;
    let folder = place::shared(&settings.folder)?;
    voice.settle(settings, &clock);
    let private = place::prepared(state)?;
    let _mine = place::alone_in(&private, &folder, clock.now())?;
    let one = alone(&folder)?;
    private.write_atomic(CONFIG, derived.text.as_bytes(), Mode::FILE)?;
    voice.say(&format!("Using download folder: {}; state: {}", folder.display(), state.display()));
    if let Some(from) = place::moved_from(state, &folder) {
        voice.say(&format!("the state filled {} before: that was moved here, or given up", from.display()));
    }
    match one {
        Alone::Held(_) => {}
        Alone::NoLocks => {
            voice.say("the file system of the download folder locks no folders: fill it from one state alone");
        }
        Alone::Stranger { pid, user } => voice.complain(&format!(
            "Warning: process {pid} of user {user} has the download folder locked, and could not fill it: this run goes on; \
             see why it does that"
        )),
    }
    for unknown in &settings.unknown {
        voice.say(&format!("the settings: {unknown} means nothing here and is passed by"));
    }
    for field in &settings.twice {
        voice.complain(&format!("Warning: the settings: {field} stands twice, and the last one counts"));
    }
    let config = &derived.config;
    let engine = app::engine(config, VERB, Purpose::Act, Arc::clone(&clock)).await?;
    app::note_configuration(&engine, config, "start of defender-downloader").await?;
    let keeper = Keeper::new(&folder, config, &engine, &clock)?;
    // A folder that would be refused in the end is told before anything is fetched for it.
    keeper.probe().await?;
    match keeper.given_back().await? {
        0 => {}
        count => voice.complain(&format!(
            "Warning: the state had lost {count} of the files that it serves, and took them from the folder, which has them \
             whole; look after the state's disk"
        )),
    }
    let words = Words::of(&folder, &engine).await?;
    let heard = words.hear(&keeper, &engine).await?;
    let began = takeover::serving(&engine).await?.map(|serving| serving.feeds).unwrap_or_default();
    let stops = Stops::listen().map_err(|error| CompatError::Task(error.to_string()))?;
    let Judged { spare, ahead, .. } = take_over(&folder, config, &engine, (&clock, voice)).await?;
    let report = fetched(&engine, &spare, &stops).await?;
    let mut teller = Teller { engine: &engine, config, state, voice };
    for feed in &report.feeds {
        teller.failure(feed).await?;
        teller.notes(feed).await?;
    }
    let back = if settings.back { Back::Kept } else { Back::Not };
    let (left, lost) = teller.ahead(&ahead, back).await?;
    // What is no longer kept goes before the folder needs the room.
    if let Err(error) = engine.collect().await {
        teller.voice.complain(&format!("Error: what is no longer kept could not be let go: {}", error_chain(&error)));
    }
    let emptied = keeper.emptied()?;
    let tree = keeper.keep((settings, &left, &words), &private, depth, teller.voice).await?;
    if emptied {
        teller.emptied(&folder);
    }
    let strays = keeper.strays(&left).await?;
    let stepped = match back {
        Back::Kept => teller.stepped(&began, takeover::serving(&engine).await?.as_ref()).await?,
        Back::Not => false,
    };
    teller.heard(&heard, &words).await?;
    let odd = [teller.strays(&strays), teller.odd(back).await?, lost, emptied, stepped, !heard.is_empty()];
    let doubtful = odd.contains(&true) || !left.is_empty();
    let behind = teller.ending(&report.feeds, (&spare, &left), (tree.as_ref(), &strays));
    let all = behind == report.feeds.len() + spare.len();
    let ended = match report.exit_code() {
        _ if tree.as_ref().is_some_and(|tree| !tree.is_whole()) => {
            if all {
                Ended::Failed
            } else {
                Ended::Part
            }
        }
        0 if doubtful => Ended::Part,
        0 => Ended::Done,
        1 if spare.is_empty() => Ended::Failed,
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

/// Takes over what lies in the folder and is right; answers the feeds of which there is nothing to fetch, and those of which
/// the folder may know more than the state.
async fn take_over(
    folder: &Path,
    config: &Config,
    engine: &Engine,
    (clock, voice): (&Arc<dyn Clock>, &mut Voice<'_>),
) -> Result<Judged, CompatError> {
    let outbound = app::client(config, Arc::clone(clock))?;
    let mut told = Vec::new();
    let mut judged = takeover::judged(folder, config, (engine, outbound.as_ref()), &mut told).await?;
    told.iter().for_each(|why| voice.say(why));
    if judged.take.is_empty() {
        return Ok(judged);
    }
    let (feeds, from) = (judged.take.clone(), Some(folder.to_owned()));
    let request = SyncRequest { feeds, from, wait: true, ..SyncRequest::default() };
    for feed in engine.sync(&request, Arc::new(Silent)).await?.feeds {
        match (&feed.vendor_version, feed.outcome) {
            (Some(version), FeedOutcome::Published | FeedOutcome::Current) => {
                voice.say(&format!("{}: {version} is taken over from the folder", feed.feed));
            }
            _ => {
                let detail = feed.detail.unwrap_or_default();
                voice.say(&format!("{}: what is in the folder is not taken over: {detail}", feed.feed));
                judged.spare.retain(|spared| *spared != feed.feed);
            }
        }
    }
    Ok(judged)
}
