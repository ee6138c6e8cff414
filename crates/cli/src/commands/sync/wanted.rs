//! `waystation sync --wanted`.

use std::path::Path;

use config::Config;
use mirror::SyncReport;
use model::{FeedId, Outcome, Reason};
use proxy::{Why, read_export};

use crate::context::Context;
use crate::failure::Failure;

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new("sync --wanted", error)
}

/// Follows what a list asks for; tells the feeds: none, where nothing is wanted.
pub(super) async fn learn(args: (&Path, bool), config: &Config, context: &mut Context) -> Result<Vec<FeedId>, Failure> {
    let Some(elastic) = &config.elastic else {
        return Err(
            Failure::usage("sync --wanted: nothing of Elastic is followed").with_next("add an [elastic] section")
        );
    };
    let (path, json) = args;
    let exported = read_export(path).map_err(|error| failed(&error))?;
    if exported.wanted.is_empty() {
        if !json {
            context
                .out
                .line(format!("{} is empty: nothing was wanted there, and nothing is fetched", path.display()))?;
        }
        return Ok(Vec::new());
    }
    let book = app::book(config);
    app::prepare_data_folder(&config.data_dir).map_err(|error| Failure::build("sync", &error))?;
    let mut feeds = Vec::new();
    for (feed, guess) in exported.feeds() {
        if let Some(guess) = guess {
            book.guess(&guess).map_err(|error| failed(&error))?;
        }
        if !config.feeds().contains(&feed) {
            let most = elastic.demand.learned_feeds;
            book.learn(&feed, Why::Operator, context.clock.now(), most).map_err(|error| failed(&error))?;
        }
        feeds.push(feed);
    }
    if feeds.is_empty() {
        return Err(Failure::usage(format!("sync --wanted: {} asks for no feed that is known here", path.display())));
    }
    Ok(feeds)
}

/// What the vendor does not have is followed no longer.
pub(super) fn forget_absent(config: &Config, report: &SyncReport) -> Result<(), Failure> {
    let book = app::book(config);
    let absent = |reason: Option<Reason>| {
        matches!(reason, Some(Reason::NotFound | Reason::DatedPathUnknown | Reason::PathUnknown))
    };
    for feed in report.feeds.iter().filter(|feed| feed.outcome == Outcome::Failed && absent(feed.reason)) {
        book.forget(&feed.feed).map_err(|error| failed(&error))?;
    }
    Ok(())
}
