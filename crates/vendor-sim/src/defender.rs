//! Microsoft's chain: feeds, their versions, the info document and the archive.

mod archive;
mod feed;
mod info;

use model::Timestamp;

use crate::content::{Body, Member};
use crate::elastic::Step;
use crate::settings::Settings;

pub(crate) use archive::faulty_archive;
pub(crate) use feed::Query;
pub use feed::{Architecture, DefenderFeed, DefenderTarget, FeedTextError, Platform, Track};
pub(crate) use info::faulty_info;

/// What a new Defender release changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefenderChange {
    /// How the definitions' version moves.
    pub step: Step,
    /// A new engine too.
    pub engine: bool,
    /// Another size of the archive, from now on.
    pub size: Option<u64>,
}

impl DefenderChange {
    /// An ordinary release whose version moves by `step`.
    pub fn step(step: Step) -> Self {
        Self { step, ..Self::default() }
    }

    /// An archive of another size (U52).
    pub fn size(bytes: u64) -> Self {
        Self { size: Some(bytes), ..Self::default() }
    }
}

/// One release as it was published.
#[derive(Clone, Debug)]
pub struct DefenderRelease {
    /// Whose it is.
    pub feed: DefenderFeed,
    /// `1.459.N.0`.
    pub definitions: String,
    /// `1.1.YYMMN.n`.
    pub engine: String,
    /// When it was published.
    pub published: Timestamp,
    /// Path and query of the archive, the last hop of its chain.
    pub content_target: String,
    /// The info document.
    pub info: String,
    /// The archive.
    pub archive: Body,
    pub(crate) members: Vec<Member>,
}

/// One feed's life.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) feed: DefenderFeed,
    number: u64,
    engine: u64,
    edition: u64,
    size: u64,
}

/// The monthly base of the definitions: `1.459.*`.
const REVISION: u64 = 459;

impl Stream {
    pub(crate) fn new(feed: DefenderFeed, settings: &Settings) -> Self {
        let number = match feed.track {
            Track::Production => 553,
            Track::Preview => 560,
        };
        Self { feed, number, engine: 3, edition: 0, size: settings.defender.archive_size }
    }

    pub(crate) fn apply(&mut self, change: &DefenderChange) {
        self.number = change.step.from(self.number);
        self.engine += u64::from(change.engine);
        self.size = change.size.unwrap_or(self.size);
        self.edition += 1;
    }

    /// Engines differ between platforms and tracks, as the vendor's do.
    fn engine_version(&self) -> String {
        let month = match (self.feed.platform, self.feed.track) {
            (Platform::Linux, Track::Production) => 26_080,
            (Platform::Linux, Track::Preview) => 26_090,
            (Platform::Mac, Track::Production) => 25_100,
            (Platform::Mac, Track::Preview) => 25_110,
        };
        format!("1.1.{month}.{}", self.engine)
    }

    pub(crate) fn release(&self, settings: &Settings, published: Timestamp) -> DefenderRelease {
        let (engine, definitions) = (self.engine_version(), format!("1.{REVISION}.{}.0", self.number));
        let recipe = archive::Recipe {
            seed: settings.seed,
            feed: self.feed,
            engine: &engine,
            base: REVISION,
            // The edition tells two contents under one version apart.
            delta: format!("{definitions}/{}", self.edition),
            size: self.size,
        };
        let members = recipe.members();
        let content_target = format!(
            "/packages/content/{}-updates.zip?packageType=Signatures&packageVersion={definitions}&arch={}&engineVersion={engine}",
            self.feed.platform, self.feed.architecture,
        );
        DefenderRelease {
            feed: self.feed,
            info: info::info(&engine, &definitions, published),
            archive: crate::content::archive(&members),
            definitions,
            engine,
            published,
            content_target,
            members,
        }
    }
}
