//! `waystation feed list|show|wanted|check|check-date|learn|forget`.

mod check;
mod dates;
mod learn;
mod wanted;

use clap::{Args, Subcommand};
use mirror::{FeedStatus, Status};
use model::FeedId;

use crate::arguments::TWO_ENDS;
use crate::commands::status::{feeds, trouble};
use crate::context::{Context, feed};
use crate::failure::{Exit, Failure};
use crate::show;

/// Shows and checks feeds, and what endpoints ask for
#[derive(Debug, Subcommand)]
#[command(after_help = format!("Example:\n  waystation feed show elastic/9.0.0\n\n{TWO_ENDS}"))]
pub(crate) enum Feed {
    List(List),
    Show(Show),
    Wanted(wanted::Wanted),
    Check(check::Check),
    CheckDate(dates::CheckDate),
    Learn(learn::Learn),
    Forget(learn::Forget),
}

/// Lists the feeds that are followed, or were
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation feed list --json\n\n{TWO_ENDS}"))]
pub(crate) struct List {
    /// One JSON line per feed
    #[arg(long)]
    json: bool,
}

/// Shows one feed
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation feed show elastic/9.0.0\n\n{TWO_ENDS}"))]
pub(crate) struct Show {
    feed: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(verb: &Feed, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Feed::List(args) => list(args, &status(context).await?, context)?,
        Feed::Show(args) => one(args, &status(context).await?, context)?,
        Feed::Wanted(args) => return wanted::run(args, context).await,
        Feed::Check(args) => return check::run(args, context).await,
        Feed::CheckDate(args) => return dates::run(args, context),
        Feed::Learn(args) => return learn::learn(args, context).await,
        Feed::Forget(args) => return learn::forget(args, context).await,
    }
    Ok(Exit::DONE)
}

async fn status(context: &mut Context) -> Result<Status, Failure> {
    let engine = context.looking("feed").await?;
    engine.status().await.map_err(|error| Failure::engine("feed", &error))
}

fn list(args: &List, status: &Status, context: &mut Context) -> Result<(), Failure> {
    if args.json {
        return status.feeds.iter().try_for_each(|feed| context.out.json(feed));
    }
    if status.feeds.is_empty() {
        return context.out.line("no feed is followed: name versions under [elastic] or add a [defender] section");
    }
    feeds(&status.feeds, status.at, &mut context.out)
}

fn one(args: &Show, status: &Status, context: &mut Context) -> Result<(), Failure> {
    let known: Vec<FeedId> = status.feeds.iter().map(|feed| feed.feed.clone()).collect();
    let wanted = feed(&args.feed, &known)?;
    let Some(found) = status.feeds.iter().find(|feed| feed.feed == wanted) else { return Ok(()) };
    if args.json { context.out.json(found) } else { page(found, status, context) }
}

fn page(feed: &FeedStatus, status: &Status, context: &mut Context) -> Result<(), Failure> {
    let (now, out) = (status.at, &mut context.out);
    out.line(format!("feed       {}{}", feed.feed, if feed.followed { "" } else { " (not followed)" }))?;
    out.line(format!("outcome    {}", feed.outcome.map_or("not checked yet", model::Outcome::as_str)))?;
    out.line(format!("offered    {}", show::version(feed.offered.as_ref())))?;
    out.line(format!("mark       {}", show::version(feed.mark.as_ref())))?;
    out.line(format!("checked    {}", show::at(now, feed.checked_at)))?;
    out.line(format!("succeeded  {}", show::at(now, feed.succeeded_at)))?;
    out.line(format!("changed    {}", show::at(now, feed.changed_at)))?;
    match &feed.served {
        None => out.line("served     nothing")?,
        Some(served) => {
            out.line(format!(
                "served     {}, release {} ({}), {}, {}",
                served.vendor_version,
                served.number,
                served.id.short(),
                show::count(served.files, "file"),
                show::bytes(served.bytes)
            ))?;
            out.line(format!("trust      {}", served.trust))?;
        }
    }
    if feed.reason.is_some() {
        out.line("")?;
    }
    trouble(feed, now, out)
}
