//! Who watches a run.

use model::FeedId;
use vendors::Offered;

use crate::FeedReport;

/// What happens during a run.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Another process fetches; this run waits for it.
    Waiting {
        /// Who holds the lock, in words.
        holder: String,
    },
    /// A feed's run begins.
    Started(FeedId),
    /// What the vendor offers is known.
    Offered(FeedId, Offered),
    /// So many files of so many declared bytes are wanted; sizes that are not declared count as zero.
    Wanted {
        /// Whose.
        feed: FeedId,
        /// How many files.
        files: usize,
        /// How many bytes they were declared with.
        bytes: u64,
    },
    /// Bytes arrived.
    Received {
        /// For which feed.
        feed: FeedId,
        /// How many.
        bytes: u64,
    },
    /// A wanted file is held.
    Held {
        /// For which feed.
        feed: FeedId,
        /// Its size.
        bytes: u64,
        /// Whether it was fetched now or held already.
        fetched: bool,
    },
    /// Held bytes are being looked into.
    Inspecting {
        /// For which feed.
        feed: FeedId,
        /// How many files.
        files: usize,
    },
    /// A feed's run ended.
    Settled(FeedReport),
}

/// Watches a run. Called from many threads; must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on(&self, progress: Progress);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&self, _: Progress) {}
}
