//! `waystation demo`: the whole program against simulated vendors, from the first sync to a bad day.
//!
//! The vendors are simulated; everything else is what `sync` and `run` use: the engine out of a configuration
//! file, the content server, the admin listener, HTTP over loopback.
//!
//! # Invariants
//! - Every line that is marked as checked was checked by the code that prints it; one that does not hold is
//!   marked so and makes the exit code 1.
//! - Nothing is written outside of the demo's own folder, and nothing is asked of any host but loopback.

mod chapters;
mod client;
mod defender_endpoint;
mod elastic_endpoint;
mod error;
mod faults;
mod fleet;
mod ledger;
mod serving;
mod setup;
mod story;
mod sync;
mod text;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use model::Clock;

pub(crate) use error::DemoError;
use fleet::Update;
use ledger::Ledger;
pub(crate) use story::Look;
use story::Story;
use world::World;

/// What the demo is told.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// Where to keep everything; a temporary folder when none.
    pub(crate) keep: Option<PathBuf>,
    /// How it looks.
    pub(crate) look: Look,
    /// Whether it goes on serving after the summary.
    pub(crate) afterwards: Afterwards,
}

/// What follows the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// Nothing.
    End,
    /// The mirror serves on, with new releases, until the person ends it.
    Serve,
}

/// A demo under way.
struct Demo {
    story: Story,
    world: World,
    ledger: Ledger,
    /// What the endpoints run: the last good content they got.
    running: Vec<Update>,
}

/// Tells the whole story; answers how many of its claims did not hold.
pub(crate) async fn run(wishes: Wishes, clock: Arc<dyn Clock>) -> Result<usize, DemoError> {
    let mut story = Story::new(wishes.look);
    story.title(
        "Waystation demo: between the vendors and your fleet",
        "Both vendors are simulated on this machine. Engine, store and server are the real ones and speak real \
         HTTP on loopback. Each line with a mark was checked just before it was printed.",
    );
    story.chapter("Two vendors, an empty mirror").await;
    let world = World::start(wishes.keep.as_deref(), clock).await?;
    let mut demo = Demo { story, world, ledger: Ledger::default(), running: Vec::new() };
    demo.opening();
    demo.first_sync().await?;
    demo.endpoints_update().await;
    demo.new_releases().await?;
    demo.bad_day().await?;
    demo.recovery().await?;
    demo.summary().await?;
    let wrong = demo.story.wrong();
    match wishes.afterwards {
        Afterwards::Serve if wrong == 0 => demo.serve_on().await?,
        Afterwards::Serve | Afterwards::End => {}
    }
    demo.world.end().await;
    Ok(wrong)
}
