//! `waystation feed list|show|wanted|check|check-date|learn|forget`.

mod check;
mod dates;
mod learn;
mod wanted;

use clap::{Args, Subcommand};
use config::Config;
use mirror::{FeedStatus, Status};
use model::FeedId;
use serde::Serialize;

use self::learn::pattern_of;
use crate::arguments::TWO_ENDS;
use crate::commands::status::{nothing_followed, outcome, trouble};
use crate::context::{Context, feed};
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

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

/// A feed, and what it is followed for.
#[derive(Debug, Serialize)]
struct Known<'a> {
    #[serde(flatten)]
    feed: &'a FeedStatus,
    /// `configured`, `pattern`, `asked` or `operator`; none where it is not followed.
    followed_for: Option<Why>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Why {
    Named(&'static str),
    Learned(proxy::Why),
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Named(word) => word,
            Self::Learned(proxy::Why::Asked) => "asked",
            Self::Learned(proxy::Why::Pattern) => "pattern",
            Self::Learned(proxy::Why::Operator) => "operator",
        }
    }
}

fn known<'a>(feeds: &'a [FeedStatus], config: &Config) -> Result<Vec<Known<'a>>, Failure> {
    let learned = app::book(config).learned().map_err(|error| Failure::new("feed", &error))?;
    let named = config.feeds();
    let why = |feed: &FeedId| {
        if named.contains(feed) {
            return Some(Why::Named("configured"));
        }
        let known = learned.iter().find(|known| known.feed == *feed)?;
        Some(if pattern_of(config, feed).is_some() {
            Why::Learned(proxy::Why::Pattern)
        } else {
            Why::Learned(known.why)
        })
    };
    Ok(feeds.iter().map(|feed| Known { feed, followed_for: why(&feed.feed) }).collect())
}

fn list(args: &List, status: &Status, context: &mut Context) -> Result<(), Failure> {
    let config = context.config()?;
    let all = known(&status.feeds, &config)?;
    if args.json {
        return all.iter().try_for_each(|feed| context.out.json(feed));
    }
    if all.is_empty() {
        return context.out.line(nothing_followed(&config));
    }
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("FOLLOWED FOR", Align::Left),
        ("OUTCOME", Align::Left),
        ("SERVED", Align::Left),
        ("OFFERED", Align::Left),
        ("CHECKED", Align::Left),
        ("SUCCEEDED", Align::Left),
    ]);
    for Known { feed, followed_for } in &all {
        table.push([
            feed.feed.to_string(),
            followed_for.map_or_else(show::dash, |why| why.as_str().to_owned()),
            outcome(feed),
            show::version(feed.served.as_ref().map(|served| &served.vendor_version)),
            show::version(feed.offered.as_ref()),
            show::ago(status.at, feed.checked_at),
            show::ago(status.at, feed.succeeded_at),
        ]);
    }
    table.write(&mut context.out)
}

fn one(args: &Show, status: &Status, context: &mut Context) -> Result<(), Failure> {
    let ids: Vec<FeedId> = status.feeds.iter().map(|feed| feed.feed.clone()).collect();
    let wanted = feed(&args.feed, &ids)?;
    let all = known(&status.feeds, &context.config()?)?;
    let Some(found) = all.iter().find(|known| known.feed.feed == wanted) else { return Ok(()) };
    if args.json {
        return context.out.json(found);
    }
    page(found, status, context)
}

fn page(known: &Known<'_>, status: &Status, context: &mut Context) -> Result<(), Failure> {
    let (feed, now, out) = (known.feed, status.at, &mut context.out);
    out.line(format!("feed       {}{}", feed.feed, if feed.followed { "" } else { " (not followed)" }))?;
    if let Some(why) = known.followed_for {
        out.line(format!("followed   {}", why.as_str()))?;
    }
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
                if served.number == 0 { show::dash() } else { served.number.to_string() },
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
