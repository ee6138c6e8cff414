//! `waystation demo`: the whole program against simulated vendors, from the first sync to a bad day.
//!
//! The vendors are simulated; everything else is what `sync` and `run` use: the engine out of a configuration
//! file, the content server, the admin listener, HTTP over loopback.
//!
//! # Invariants
//! - Every line that is marked as checked was checked by the code that prints it; one that does not hold is
//!   marked so and makes the exit code 1.
//! - Nothing is written outside of the demo's own folder, and no host but loopback is asked anything.

mod chapters;
mod client;
mod defender_endpoint;
mod elastic_endpoint;
mod error;
mod faults;
mod fleet;
mod ledger;
mod recovery;
mod serving;
mod setup;
mod story;
mod summary;
mod sync;
mod text;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use mirror::Observer;
use model::Clock;

pub(crate) use error::DemoError;
use fleet::Update;
use ledger::Ledger;
pub(crate) use setup::feeds;
pub(crate) use story::Look;
use story::Story;
use world::World;

/// What the demo is told.
pub(crate) struct Wishes {
    /// Where to keep everything; a temporary folder when none.
    pub(crate) keep: Option<PathBuf>,
    /// How it looks.
    pub(crate) look: Look,
    /// What follows the summary.
    pub(crate) afterwards: Afterwards,
    /// Who watches the first sync.
    pub(crate) watching: Watching,
    /// The program as it was called, for commands to copy.
    pub(crate) program: String,
    /// Tells the time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Who watches the first sync, the one that takes a while.
pub(crate) struct Watching {
    /// The one who is told.
    pub(crate) observer: Arc<dyn Observer>,
    /// Whether that one shows how each feed ended.
    pub(crate) shows_outcomes: bool,
}

/// What follows the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// Nothing.
    End,
    /// The mirror serves on, with new releases, until the person ends it.
    Serve,
}

/// How a demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything that was claimed held.
    Right,
    /// So many claims did not hold.
    Wrong(usize),
    /// The person ended it before the summary.
    Interrupted,
}

/// A demo under way.
struct Demo {
    story: Story,
    world: World,
    ledger: Ledger,
    /// What the endpoints run: the last good content they got.
    running: Vec<Update>,
    watching: Watching,
    program: String,
}

/// Tells the whole story, and serves on where that is wished.
pub(crate) async fn run(wishes: Wishes) -> Result<Ending, DemoError> {
    let afterwards = wishes.afterwards;
    let mut demo = tokio::select! {
        told = Demo::tell(wishes) => told?,
        () = serving::interrupted() => return Ok(Ending::Interrupted),
    };
    if afterwards == Afterwards::Serve && demo.story.wrong() == 0 {
        demo.serve_on().await?;
    }
    let wrong = demo.story.wrong();
    demo.world.end().await;
    Ok(if wrong == 0 { Ending::Right } else { Ending::Wrong(wrong) })
}

impl Demo {
    /// The story from the first chapter to the summary.
    async fn tell(wishes: Wishes) -> Result<Self, DemoError> {
        let mut story = Story::new(wishes.look);
        story.title(
            "Waystation: between the endpoint-security vendors and your fleet",
            "In this demo both vendors are simulated on this machine. The engine, the store and the server are \
             the real ones and speak HTTP on loopback. What has a mark was checked right before it was printed.",
        );
        story.chapter("Two vendors, and a mirror that is empty").await;
        let world = World::start(wishes.keep.as_deref(), wishes.clock).await?;
        let (ledger, running) = (Ledger::default(), Vec::new());
        let mut demo = Self { story, world, ledger, running, watching: wishes.watching, program: wishes.program };
        demo.opening().await;
        demo.first_sync().await?;
        demo.endpoints_update().await;
        demo.new_releases().await?;
        demo.bad_day().await?;
        demo.recovery().await?;
        demo.summary().await?;
        Ok(demo)
    }
}
