//! `waystation gc`.

use app::Purpose;
use clap::Args;
use mirror::{GcPlan, GcReport, PruneReport};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

/// Lets go what retention no longer keeps and nothing refers to
///
/// Never what is served, in its grace or dated; records stay.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation gc --plan

Exit codes:
  0  done
  1  failed; what is served is untouched
  2  wrong usage or configuration
  3  done, and bytes of the release in `_back` turned out to be lost: it went on to an older one, or to none")]
pub(crate) struct Gc {
    /// Print what would go, and let nothing go
    #[arg(long)]
    plan: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What was let go.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a GcReport,
    /// What went of the history, if anything did.
    history: Option<PruneReport>,
}

pub(crate) async fn run(args: &Gc, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let purpose = if args.plan { Purpose::Look } else { Purpose::Act };
    let engine = context.engine(&config, "gc", purpose).await?;
    let failed = |error| Failure::engine("gc", &error);
    let out = &mut context.out;
    if args.plan {
        let plan = engine.plan_collection().await.map_err(failed)?;
        if args.json { out.json(&plan)? } else { planned(&plan, out)? }
    } else {
        let report = engine.collect().await.map_err(failed)?;
        let pruned = engine.prune_history(config.history.keep).await.map_err(failed)?;
        if args.json {
            out.json(&Document { report: &report, history: pruned })?;
        } else {
            done(&report, out)?;
            if let Some(pruned) = pruned {
                out.line(format!("history: entries up to {} were let go", pruned.through.seq))?;
            }
        }
        if !report.lost_back.is_empty() {
            return Ok(Exit::PART);
        }
    }
    Ok(Exit::DONE)
}

fn planned(plan: &GcPlan, out: &mut Out) -> Result<(), Failure> {
    releases(plan, out)?;
    out.line(format!(
        "would go: {} of {}, {}, {}; what only these releases name follows them",
        show::count(usize::try_from(plan.blobs).unwrap_or(usize::MAX), "blob"),
        show::bytes(plan.bytes),
        show::count(plan.releases.len(), "release"),
        show::count(plan.generations.len(), "old generation file"),
    ))
}

fn done(report: &GcReport, out: &mut Out) -> Result<(), Failure> {
    releases(&report.plan, out)?;
    out.line(format!(
        "let go: {} of {} blobs, {} releases, {} of unfinished downloads",
        report.removed,
        report.removed.saturating_add(report.spared),
        report.plan.releases.len(),
        show::bytes(report.partial_bytes)
    ))?;
    report.lost_back.iter().try_for_each(|lost| out.line(format!("{}: {}: {}", lost.feed, lost.reason, lost.detail)))
}

fn releases(plan: &GcPlan, out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([("RELEASE", Align::Right), ("FEED", Align::Left), ("VENDOR VERSION", Align::Left)]);
    for release in &plan.releases {
        table.push([release.number.to_string(), release.feed.to_string(), release.vendor_version.clone()]);
    }
    table.write(out)?;
    plan.retired.iter().try_for_each(|feed| out.line(format!("{feed}: no longer followed, leaves the ring")))
}
