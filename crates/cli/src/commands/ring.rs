//! `waystation ring list|show`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use mirror::{Engine, Past, PastRing};
use model::{FeedId, RingName, ServedFeed, Timestamp};
use serde::Serialize;

use crate::arguments::TWO_ENDS;
use crate::commands::history::Doubt;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::Moment;
use crate::show;
use crate::table::{Align, Table};

/// Shows what rings serve, or served
#[derive(Debug, Subcommand)]
#[command(after_help = format!("Example:\n  waystation ring show broad --at 2026-08-15T12:00:00Z\n\n{TWO_ENDS}"))]
pub(crate) enum Ring {
    List(List),
    Show(Show),
}

/// Lists the rings
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation ring list\n\n{TWO_ENDS}"))]
pub(crate) struct List {
    /// As it was then, from the history alone: 2026-08-15, 2026-08-15T12:00:00Z, '2h ago'
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// One JSON line per ring
    #[arg(long)]
    json: bool,
}

/// Shows the release of each feed that a ring serves
#[derive(Debug, Args)]
#[command(after_help = format!("\
Example:
  waystation ring show broad --at '30d ago'

A time before the first entry of the history, or before what is kept of it, is an error.

{TWO_ENDS}"))]
pub(crate) struct Show {
    /// Its name
    ring: RingName,
    /// As it was then, from the history alone: 2026-08-15, 2026-08-15T12:00:00Z, '2h ago'
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// A ring, now or then.
#[derive(Serialize)]
struct Told {
    /// The moment that was asked for.
    at: Timestamp,
    ring: RingName,
    generation: u64,
    since: Option<Timestamp>,
    /// The entry of the history that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
    /// A generation that was being published at that moment, and since when it may have been served.
    #[serde(skip_serializing_if = "Option::is_none")]
    perhaps: Option<(u64, Timestamp)>,
    feeds: Vec<Served>,
}

#[derive(Serialize)]
struct Served {
    feed: FeedId,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(flatten)]
    served: ServedFeed,
}

pub(crate) async fn run(verb: &Ring, context: &mut Context) -> Result<Exit, Failure> {
    let engine = context.looking("ring").await?;
    match verb {
        Ring::List(args) => {
            let (told, doubt) = told(args.at, &engine, context).await?;
            head(doubt.as_ref(), args.json, context)?;
            list(&told, args.json, context)?;
            Doubt::end(doubt).map(|()| Exit::DONE)
        }
        Ring::Show(args) => {
            let (told, doubt) = told(args.at, &engine, context).await?;
            head(doubt.as_ref(), args.json, context)?;
            let Some(found) = told.iter().find(|told| told.ring == args.ring) else {
                let known: Vec<&str> = told.iter().map(|told| told.ring.as_str()).collect();
                let text = if known.is_empty() {
                    format!("ring {} served nothing yet", args.ring)
                } else {
                    format!("there is no ring {}; known: {}", args.ring, known.join(", "))
                };
                return Doubt::end(doubt).and(Err(Failure::usage(text)));
            };
            show_one(found, args.json, context)?;
            Doubt::end(doubt).map(|()| Exit::DONE)
        }
    }
}

/// A history that is not what was written heads the page; programs read it from the exit code and stderr.
fn head(doubt: Option<&Doubt>, json: bool, context: &mut Context) -> Result<(), Failure> {
    doubt.filter(|_| !json).map_or(Ok(()), |doubt| doubt.write(&mut context.out))
}

async fn told(at: Option<Moment>, engine: &Engine, context: &Context) -> Result<(Vec<Told>, Option<Doubt>), Failure> {
    let now = context.clock.now();
    match at {
        Some(at) => {
            let at = at.end(now);
            let (past, doubt) = crate::past::past("ring", at, engine, context).await?;
            Ok((past.rings.values().map(|ring| then(at, ring, &past)).collect(), doubt))
        }
        None => {
            let told = present(now, engine).await?;
            Ok((vec![told], Doubt::of_run(&context.config()?, now).await))
        }
    }
}

fn then(at: Timestamp, ring: &PastRing, past: &Past) -> Told {
    let feeds = ring.feeds.iter().map(|(feed, served)| Served {
        feed: feed.clone(),
        number: past.release(&served.release).and_then(|release| release.number),
        served: served.clone(),
    });
    Told {
        at,
        ring: ring.ring.clone(),
        generation: ring.generation,
        since: Some(ring.since),
        entry: Some(ring.entry),
        perhaps: ring.perhaps,
        feeds: feeds.collect(),
    }
}

async fn present(now: Timestamp, engine: &Engine) -> Result<Told, Failure> {
    let ring = &engine.settings().ring;
    let current = engine.ports().rings.current(ring).await.map_err(|error| Failure::engine("ring", &error.into()))?;
    let (generation, since, served) = match current.map(|current| current.generation) {
        Some(generation) => (generation.number, Some(generation.at), generation.feeds),
        None => (0, None, BTreeMap::new()),
    };
    let mut feeds = Vec::new();
    for (feed, served) in served {
        let known = engine.ports().catalog.release(&served.release).await;
        let known = known.map_err(|error| Failure::new("ring", &error))?;
        // As the history tells it: what the ring remembers of releases, `release show` tells.
        let served = ServedFeed { remembers: Vec::new(), ..served };
        feeds.push(Served { feed, number: known.map(|known| known.number), served });
    }
    Ok(Told { at: now, ring: ring.clone(), generation, since, entry: None, perhaps: None, feeds })
}

fn list(told: &[Told], json: bool, context: &mut Context) -> Result<(), Failure> {
    if json {
        return told.iter().try_for_each(|told| context.out.json(told));
    }
    let mut table = Table::new([
        ("RING", Align::Left),
        ("GENERATION", Align::Right),
        ("SINCE", Align::Left),
        ("FEEDS", Align::Right),
    ]);
    for told in told {
        table.push([
            told.ring.to_string(),
            told.generation.to_string(),
            told.since.map_or_else(show::dash, |since| since.to_string()),
            told.feeds.len().to_string(),
        ]);
    }
    table.write(&mut context.out)?;
    if told.is_empty() {
        context.out.line("no ring served anything yet")?;
    }
    Ok(())
}

fn show_one(told: &Told, json: bool, context: &mut Context) -> Result<(), Failure> {
    if json { context.out.json(told) } else { write(told, &mut context.out) }
}

fn write(told: &Told, out: &mut crate::out::Out) -> Result<(), Failure> {
    if told.generation == 0 {
        return out.line(format!("ring {}: nothing was published yet", told.ring));
    }
    let said = told.entry.map(|entry| format!(", as entry {entry} of the history says")).unwrap_or_default();
    let since = show::at(told.at, told.since);
    out.line(format!("ring {} at {}: generation {}, since {since}{said}", told.ring, told.at, told.generation))?;
    if let Some((generation, since)) = told.perhaps {
        out.line(format!(
            "  generation {generation} was being published from {since} on, and was found done later: it may have been served"
        ))?;
    }
    feeds(&told.feeds, out)
}

fn feeds(feeds: &[Served], out: &mut crate::out::Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("RELEASE", Align::Right),
        ("ID", Align::Left),
        ("VENDOR VERSION", Align::Left),
        ("SERVED SINCE", Align::Left),
        ("BACK", Align::Left),
    ]);
    for served in feeds {
        table.push([
            served.feed.to_string(),
            served.number.map_or_else(show::dash, |number| number.to_string()),
            served.served.release.short(),
            served.served.vendor_version.to_string(),
            served.served.since.to_string(),
            served.served.back.map_or_else(show::dash, |back| back.short()),
        ]);
    }
    table.write(out)
}

/// What a past ring served, for other pages.
pub(crate) fn write_past(
    at: Timestamp,
    ring: &PastRing,
    past: &Past,
    out: &mut crate::out::Out,
) -> Result<(), Failure> {
    write(&then(at, ring, past), out)
}
