//! `waystation release list`.

use catalog::{ReleaseFilter, ReleaseRecord};
use clap::Args;
use mirror::{Lacks, ReleaseStatus};
use model::{FeedId, ReleaseState};
use serde::Serialize;

use super::lacking;
use crate::commands::history::{elsewhere, head, parted};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// Lists releases, newest first
///
/// One that lacks files has lost bytes that it should still have, and cannot be gone back to. Files that are unsafe are
/// there, and somebody else could change them: mend their owner or mode.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation release list --state quarantined

Exit codes:
  0  done
  1  failed, or what stands here is not what a living `waystation run` knows
  2  wrong usage or configuration")]
pub(crate) struct List {
    /// Of this feed only
    #[arg(long)]
    feed: Option<FeedId>,
    /// In this state only: admitted, quarantined, rejected, expired
    #[arg(long, value_parser = state)]
    state: Option<ReleaseState>,
    /// One JSON line per release
    #[arg(long)]
    json: bool,
}

/// A release, how many of its files are lost, and how many somebody else could change.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    status: ReleaseStatus,
    lacks: usize,
    unsafe_files: usize,
}

fn state(text: &str) -> Result<ReleaseState, String> {
    ReleaseState::from_word(text).ok_or_else(|| "states are admitted, quarantined, rejected, expired".to_owned())
}

pub(super) async fn run(args: &List, context: &mut Context) -> Result<Exit, Failure> {
    let engine = context.looking("release list").await?;
    let filter = ReleaseFilter { feed: args.feed.clone(), state: args.state, ..ReleaseFilter::default() };
    let found = engine.ports().catalog.releases(&filter).await;
    let found = found.map_err(|error| Failure::new("release list", &error))?;
    let lacking = lacking(&engine, &found, "release list").await?;
    let lacks = |record: &ReleaseRecord| lacking.get(&record.release.id).copied().unwrap_or_default();
    let elsewhere = elsewhere(&context.config()?, context.clock.now()).await;
    let ended = elsewhere.as_ref().map_or(Ok(Exit::DONE), |fault| Err(parted(fault)));
    if args.json {
        let line = |record| {
            let Lacks { lost, exposed } = lacks(record);
            context.out.json(&Line { status: ReleaseStatus::from(record), lacks: lost, unsafe_files: exposed })
        };
        found.iter().try_for_each(line)?;
        return ended;
    }
    if let Some(fault) = &elsewhere {
        head(fault, &mut context.out)?;
    }
    let mut table = Table::new([
        ("RELEASE", Align::Right),
        ("ID", Align::Left),
        ("FEED", Align::Left),
        ("VENDOR VERSION", Align::Left),
        ("STATE", Align::Left),
        ("HELD SINCE", Align::Left),
        ("FILES", Align::Right),
        ("BYTES", Align::Right),
    ]);
    for record in &found {
        let release = &record.release;
        table.push([
            record.number.to_string(),
            release.id.short(),
            release.feed.to_string(),
            release.vendor_version.to_string(),
            match in_words(lacks(record)) {
                None => record.state.to_string(),
                Some(lacks) => format!("{}, {lacks}", record.state),
            },
            release.held_since.to_string(),
            release.items.len().to_string(),
            show::bytes(release.bytes()),
        ]);
    }
    table.write(&mut context.out)?;
    if found.is_empty() {
        context.out.line("no release")?;
    }
    ended
}

/// What a release lacks, in words. What somebody else could change is there, and counts again once that is mended.
fn in_words(lacks: Lacks) -> Option<String> {
    let lost = (lacks.lost > 0).then(|| format!("lacks {}", show::count(lacks.lost, "file")));
    let exposed = (lacks.exposed > 0).then(|| format!("{} unsafe", show::count(lacks.exposed, "file")));
    lost.into_iter().chain(exposed).reduce(|lost, exposed| format!("{lost}, {exposed}"))
}
