//! `waystation status`.

mod clocks;
mod gone;
mod page;
mod past;

pub(crate) use gone::{folder_fault, lacking, not_anew, not_left_alone};
pub(crate) use page::{nothing_followed, outcome, trouble};

use app::Purpose;
use clap::Args;
use config::Config;
use model::Level;

use crate::commands::history::doubt;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::Moment;
use crate::show;

/// Shows how everything stands: feeds, releases, trust, freshness, what is wrong and what to do
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation status --json

Times in --json are microseconds since 1970 in UTC. Exit code 4 speaks of now alone, and is never one of --at.

Exit codes:
  0  told
  1  the data folder cannot be read, or its catalog is gone though history.head_file, tree.folder,
     a living `waystation run` or what one left knows of it, or history.head_file cannot be read, so
     that nobody knows; or, with --at, the history is not what was written, or not the one that a
     living `waystation run` knows, or history.head_file cannot be read: that heads the page
  2  wrong usage or configuration
  4  freshness beyond policy: a feed was not checked with success, what is held is old, or a ring is
     behind, for longer than [freshness] lets pass; or the ring is not what was published last, or
     paths of it answer 503; or the history is not what was written, or history.head_file cannot be
     read; or there is no catalog, and nothing tells whether there ever was one; or `waystation run`
     lives and does not work on what stands here, or sees anything else that fails (a schedule that
     does not turn, a certificate that ended); the page names which, the reason and what to do")]
pub(crate) struct Status {
    /// As everything was then, from the history alone: 2026-08-15, 2026-08-15T12:00:00Z, '2h ago'
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Status, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let left = app::left_without(&config).await;
    let absent = gone::gone(&config, left.as_ref(), context.clock.now())?;
    let engine = context.engine(&config, "status", Purpose::Look).await?;
    if let Some(at) = args.at {
        return past::run(at.end(context.clock.now()), &engine, args.json, context).await;
    }
    let mut status = engine.status().await.map_err(|error| Failure::engine("status", &error))?;
    let doubt = doubt(engine.ports().catalog.as_ref(), context).await?;
    // Whatever stands here: a `run` that was left without its folder serves something else.
    let left_behind = left.as_ref().map(|left| folder_fault(left.reason, show::clean(&left.in_words()), status.at));
    let said = absent.into_iter().chain(left_behind).chain(doubt.iter().flat_map(|doubt| doubt.faults(status.at)));
    status.faults.splice(0..0, said);
    let seen = super::alarm::seen_by_run(&config, left.as_ref(), (&status.faults, status.at));
    status.faults.extend(seen);
    status.notices.extend(behind(&config, status.ring.generation));
    status.notices.extend(app::asked_for_still(&config, &engine).await);
    if args.json {
        context.out.json(&status)?;
    } else {
        page::write(&status, &engine.settings().freshness, &config, &mut context.out)?;
        context.out.line("")?;
        context.out.line(super::alarm::in_short(&config, left.as_ref(), context.clock.now()))?;
    }
    Ok(if status.level() == Level::Fail { Exit::STALE } else { Exit::DONE })
}

/// What the drop-in downloader keeps from this state, where that does not show what is published: its next run brings it.
fn behind(config: &Config, generation: u64) -> Option<String> {
    let (folder, shows) = compat::kept_from(config)?;
    (shows != Some(generation)).then(|| {
        let folder = show::clean(&folder.display().to_string());
        format!("{folder} does not show generation {generation}: run `waystation compat defender-downloader` now")
    })
}
