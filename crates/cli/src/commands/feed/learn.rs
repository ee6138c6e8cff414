//! `waystation feed learn|forget`.

use app::Purpose;
use clap::Args;
use config::{Config, VersionPattern};
use mirror::Engine;
use model::{FeedId, Reason};
use proxy::Why;

use super::check::named;
use super::dates::{broken, never};
use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;

/// Follows feeds beside those that the configuration names
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation feed learn 9.1.2 && waystation sync\n\n{TWO_ENDS}"))]
pub(crate) struct Learn {
    /// Versions of Elastic Defend, or names of feeds
    #[arg(value_name = "FEED", required = true)]
    feeds: Vec<String>,
}

/// Follows a feed no longer that was learned; it leaves its rings when its grace ends
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation feed forget elastic/9.1.2\n\n{TWO_ENDS}"))]
pub(crate) struct Forget {
    /// Versions of Elastic Defend, or names of feeds
    #[arg(value_name = "FEED", required = true)]
    feeds: Vec<String>,
}

pub(crate) async fn learn(args: &Learn, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let Some(elastic) = &config.elastic else {
        return Err(Failure::usage("feed learn: there is no [elastic] section, so nothing of Elastic is fetched")
            .with_next("add one; it needs no version in it"));
    };
    let feeds: Vec<_> = args.feeds.iter().map(|text| named(text)).collect::<Result<_, _>>()?;
    for feed in &feeds {
        if let Some(never) = never(feed, context)? {
            let text = format!("feed learn: nobody has {feed}: {never}");
            return Err(
                Failure::usage(text).with_next("`waystation feed check-date` applies the vendor's rules for dates")
            );
        }
    }
    let engine = context.engine(&config, "feed learn", Purpose::Act).await?;
    let book = app::book(&config);
    for feed in feeds {
        if config.feeds().contains(&feed) {
            context.out.line(format!("{feed} is followed: the configuration names it"))?;
            continue;
        }
        if vendors::elastic::is_forwarded(&feed) {
            let text = format!("feed learn: {feed} is no feed of the vendor's: what no manifest names is in it");
            return Err(Failure::usage(text).with_next("elastic.unknown_paths says whether there is such a thing"));
        }
        if feed.vendor() != model::Vendor::Elastic {
            let text = format!("feed learn: {feed} is not learned: the configuration alone names such feeds");
            return Err(Failure::usage(text).with_next("add it to the section of its vendor"));
        }
        let learned = book.learn(&feed, Why::Operator, context.clock.now(), elastic.demand.learned_feeds);
        let news = learned.map_err(|error| Failure::new("feed learn", &error))?;
        if news {
            let recorded = engine.record_learning(&feed, "learn", Why::Operator.as_str()).await;
            recorded.map_err(|error| Failure::engine("feed learn", &error))?;
        }
        if let Some(broken) = broken(&feed, context)? {
            tracing::warn!(%feed, "endpoints cannot be pinned to it: {broken}");
        }
        context.out.line(if news {
            format!(
                "{feed} is followed from now on; a `waystation run` that is up fetches it within seconds, else \
                 `waystation sync {feed}` does"
            )
        } else {
            format!("{feed} was learned before")
        })?;
    }
    Ok(Exit::DONE)
}

pub(crate) async fn forget(args: &Forget, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let feeds: Vec<_> = args.feeds.iter().map(|text| named(text)).collect::<Result<_, _>>()?;
    let engine = context.engine(&config, "feed forget", Purpose::Act).await?;
    let book = app::book(&config);
    for feed in feeds {
        if vendors::elastic::is_forwarded(&feed) {
            unforward(&config, context).await?;
            // An earlier version could be told to learn it.
            book.forget(&feed).map_err(|error| Failure::new("feed forget", &error))?;
            continue;
        }
        if let Some(pattern) = pattern_of(&config, &feed)
            && !is_retired(&engine, &feed).await?
        {
            let text = format!("feed forget: {feed} is one of {pattern}, which the configuration names");
            return Err(Failure::usage(text).with_next("take the pattern out of elastic.versions first"));
        }
        let forgotten = book.forget(&feed).map_err(|error| Failure::new("feed forget", &error))?;
        if !forgotten {
            let next = "`waystation feed list` shows what is followed; what the configuration names is removed there";
            return Err(Failure::usage(format!("feed forget: {feed} was not learned")).with_next(next));
        }
        let recorded = engine.record_learning(&feed, "forget", "the operator's word").await;
        recorded.map_err(|error| Failure::engine("feed forget", &error))?;
        let again = match &config.elastic {
            Some(elastic) if elastic.demand.learns() => "; an endpoint that asks for it has it followed again",
            _ => "",
        };
        context.out.line(format!("{feed} is followed no longer; `waystation gc` lets it leave its rings{again}"))?;
    }
    Ok(Exit::DONE)
}

/// The pattern in the configuration that stands for a feed.
pub(super) fn pattern_of<'a>(config: &'a Config, feed: &FeedId) -> Option<&'a VersionPattern> {
    let version = feed.as_str().strip_prefix("elastic/")?;
    config.elastic.as_ref()?.patterns.iter().find(|pattern| pattern.matches(version))
}

/// Whether the vendor said at the last look that it has no such feed: no pattern brings that back.
async fn is_retired(engine: &Engine, feed: &FeedId) -> Result<bool, Failure> {
    let status = engine.status().await.map_err(|error| Failure::engine("feed forget", &error))?;
    Ok(status.feeds.iter().any(|known| known.feed == *feed && known.reason == Some(Reason::NotFound)))
}

/// What was forwarded has no grace: nothing but the way it came speaks for it.
async fn unforward(config: &Config, context: &mut Context) -> Result<(), Failure> {
    let engine = context.engine(config, "feed forget", Purpose::Act).await?;
    let paths = app::stop_forwarding(config, engine).await;
    let paths = paths.map_err(|error| Failure::new("feed forget", &error))?;
    let again = match (paths, app::forwards(config)) {
        (0, _) => return context.out.line("elastic/forwarded: nothing was forwarded"),
        (_, true) => "; whoever asks again gets them again: elastic.unknown_paths = \"refuse\" ends that",
        (_, false) => "",
    };
    context.out.line(format!("elastic/forwarded: {} served no longer{again}", show::count(paths, "path")))
}
