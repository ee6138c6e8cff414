//! `waystation sync`.

mod again;
mod discover;
mod numbered;
mod plan;
mod report;
mod wanted;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use app::{Purpose, Stops};
use clap::Args;
use config::Config;
use mirror::{Engine, EngineError, FeedReport, Silent, SyncRequest};
use model::{FeedId, Outcome, Reason};

use self::discover::Asked;
use crate::commands::status::nothing_followed;
use crate::context::{Context, feed};
use crate::failure::{Exit, Failure};
use crate::{progress, show};

const NOTHING_OF_PATTERNS: &str = "nothing is followed: the vendor has nothing of what patterns in elastic.versions stand \
                                   for, or could not be asked";
const NOTHING_READ: &str = "nothing is followed while what was learned does not read: what patterns in elastic.versions stand \
                            for is not served, and the vendor was not asked for it";

/// Fetches what is new, proves it and publishes it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation sync
  waystation sync elastic/9.0.0 --plan
  waystation sync --from /media/usb/mirror
  waystation sync --wanted /media/usb/wanted.json

Exit codes:
  0  every feed is published, current or held
  1  failed: every feed, or the run as a whole (reason locked: another run fetches); or there is no
     data folder or catalog, and something knows that there was one, or history.head_file cannot be
     read, so that nobody knows: nothing is begun anew
  2  wrong usage or configuration
  3  done in part: some feeds failed or are quarantined, the vendor could not be asked what
     endpoints or patterns in versions want of it, or a ring's folder is behind; the report
     names them; or the list of what endpoints want, or what was learned from it, cannot be
     read, and what is configured was fetched all the same; or the newest entries of the
     history are not what was written, or not what history.head_file knows, or that cannot be
     read: no head was told

SIGINT (Ctrl-C) and SIGTERM stop it: feeds that are done are published, the others fail with
reason interrupted, and the exit code is 1 or 3 as above. A second signal ends it at once, with 1.
Nothing is lost: what is served stays whole, and the next run goes on with what was fetched.")]
pub(crate) struct Sync {
    /// Only these feeds; all that are followed when none is named
    #[arg(value_name = "FEED")]
    feeds: Vec<String>,
    /// Print what would be fetched, and fetch, record and publish nothing
    #[arg(long)]
    plan: bool,
    /// Take the feeds from a folder instead of the vendors; no network is touched
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Follow and fetch what a list asks for that `feed wanted --export` wrote elsewhere
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "from", "feeds"])]
    wanted: Option<PathBuf>,
    /// Wait for another fetch run to end rather than fail
    #[arg(long, conflicts_with = "plan")]
    wait: bool,
    /// One JSON line per feed; with --from one more where the folder lacks feeds, or holds others
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Sync, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let brought = match &args.wanted {
        Some(path) => match wanted::bring((path, args.json), &config, context).await? {
            None => return Ok(Exit::DONE),
            Some(brought) if brought.feeds.is_empty() => {
                return wanted::tell_rest(&brought, (None, args.json), &config, context).await;
            }
            brought => brought,
        },
        None => None,
    };
    // Who names feeds, a list or a folder means these alone; and a plan changes nothing.
    if let Some(folder) = &args.from {
        numbered::tell(folder);
    }
    let whole = args.feeds.is_empty() && args.wanted.is_none() && args.from.is_none() && !args.plan;
    let (mut asked, mut foreseen) = (Asked::All, None);
    if whole {
        asked = discover::run(&config, args.json, context).await?;
    } else if let Some(folder) = args.from.as_ref().filter(|_| args.feeds.is_empty() && !args.plan) {
        asked = discover::from_folder(&config, (folder, args.json), context).await?;
    } else if args.plan && args.feeds.is_empty() && args.from.is_none() {
        let (engine, all) = discover::foresee(&config, args.json, context).await?;
        (asked, foreseen) = (all, Some(engine));
    }
    let (followed, read) = match &foreseen {
        Some(engine) => (engine.feeds(), Asked::All),
        None => discover::followed(&config, context).await?,
    };
    asked = asked.and(read);
    if followed.is_empty() && (whole || args.plan && args.feeds.is_empty()) && discover::may_follow(&config) {
        // What endpoints will ask for is no mistake yet; a pattern that stands for nothing is.
        let learns = config.elastic.as_ref().is_some_and(|elastic| elastic.demand.learns());
        if !args.json {
            context.out.line(match (learns, read) {
                (true, _) => nothing_followed(&config),
                (false, Asked::All) => NOTHING_OF_PATTERNS,
                (false, Asked::NotAll) => NOTHING_READ,
            })?;
        }
        return Ok(if learns && asked == Asked::All { Exit::DONE } else { Exit::FAILED });
    }
    if followed.is_empty() {
        return Err(Failure::engine("sync", &EngineError::NoFeeds));
    }
    let mut feeds: Vec<FeedId> = args.feeds.iter().map(|text| feed(text, &followed)).collect::<Result<_, _>>()?;
    feeds.extend(brought.iter().flat_map(|brought| brought.feeds.clone()));
    feeds.sort();
    feeds.dedup();
    let named = if feeds.is_empty() { followed } else { feeds.clone() };
    let request = SyncRequest { feeds, from: args.from.clone(), wait: args.wait, ..SyncRequest::default() };
    let ended = if args.plan {
        let engine = match foreseen {
            Some(engine) => engine,
            None => context.engine(&config, "sync", Purpose::Look).await?,
        };
        plan(args, &engine, &request, context).await?
    } else {
        fetch(args, &config, &request, context).await?
    };
    let exit = ended.map_err(|error| failed_whole(args, &named, &error, context))?;
    if let Some(brought) = &brought {
        return wanted::tell_rest(brought, (Some(exit), args.json), &config, context).await;
    }
    Ok(if exit == Exit::DONE && asked == Asked::NotAll { Exit::PART } else { exit })
}

/// A run that could not take place at all: its readers get a line per feed all the same.
fn failed_whole(args: &Sync, asked: &[FeedId], error: &EngineError, context: &mut Context) -> Failure {
    let told = if args.json {
        let detail = model::error_chain(error);
        asked.iter().try_for_each(|feed| context.out.json(&report::Line::failed(feed, error.reason(), &detail)))
    } else {
        Ok(())
    };
    told.err().unwrap_or_else(|| Failure::engine("sync", error))
}

async fn fetch(
    args: &Sync,
    config: &Config,
    request: &SyncRequest,
    context: &mut Context,
) -> Result<Result<Exit, EngineError>, Failure> {
    let engine = context.engine(config, "sync", Purpose::Act).await?;
    let watching = {
        let all = engine.feeds();
        progress::observer(context, if request.feeds.is_empty() { &all } else { &request.feeds })
    };
    let stops = Stops::listen().map_err(|error| Failure::new("sync: cannot listen for signals", &error))?;
    let due = again::due(&engine, config).await;
    let ended = tokio::select! {
        ended = engine.sync_until(request, watching, stops.asked(1)) => ended,
        () = stops.asked(2) => Err(EngineError::Interrupted),
    };
    let report = match ended {
        Ok(report) => report,
        Err(error) => return Ok(Err(error)),
    };
    if let Err(error) = app::gather_once(config, &engine) {
        tracing::warn!(error = %model::error_chain(&error), "what endpoints asked for in vain could not be gathered");
    }
    if args.json {
        report.feeds.iter().try_for_each(|feed| context.out.json(&report::Line::of(feed)))?;
        report::InFolder::of(&report).map_or(Ok(()), |folder| context.out.json(&folder))?;
    } else {
        report::write(&report, &engine.settings().ring, &mut context.out)?;
    }
    let exit = Exit::of(report.exit_code());
    // Whoever waits for the report waits for no more.
    context.out.flush()?;
    let damaged = match due {
        Some(due) => again::read(&engine, config, due, (&stops, context)).await,
        None => false,
    };
    if !damaged {
        return Ok(Ok(exit));
    }
    let report = match engine.sync_until(request, Arc::new(Silent), stops.asked(1)).await {
        Ok(report) => report,
        Err(error) => return Ok(Err(error)),
    };
    let is_told = |feed: &&FeedReport| feed.outcome == Outcome::Failed || feed.reason == Some(Reason::BlobMissing);
    for feed in report.feeds.iter().filter(is_told) {
        let (reason, detail) = (feed.reason.map_or("failed", Reason::code), feed.detail.as_deref().unwrap_or_default());
        let _ = writeln!(io::stderr(), "{}: {reason}: {}", feed.feed, show::clean(detail));
    }
    Ok(Ok(if exit == Exit::DONE && report.exit_code() != 0 { Exit::PART } else { exit }))
}

async fn plan(
    args: &Sync,
    engine: &Engine,
    request: &SyncRequest,
    context: &mut Context,
) -> Result<Result<Exit, EngineError>, Failure> {
    let plans = match engine.plan_sync(request).await {
        Ok(plans) => plans,
        Err(error) => return Ok(Err(error)),
    };
    if args.json {
        plans.iter().try_for_each(|feed| context.out.json(&plan::Line::of(feed)))?;
    } else {
        plan::write(&plans, &mut context.out)?;
    }
    let failed = plans.iter().filter(|plan| plan.reason.is_some()).count();
    Ok(Ok(Exit::share(failed, plans.len())))
}
