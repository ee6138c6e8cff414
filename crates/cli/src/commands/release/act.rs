//! `waystation release admit|reject`.

use clap::Args;
use mirror::ActReport;
use model::Outcome;

use crate::arguments::reason;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Ends a quarantine, a rejection or a path conflict in a release's favour, and publishes it
///
/// The mark that regressions are measured against is set to it, even backwards.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation release admit 7 --reason \"the vendor announced the step back\"

Exit codes:
  0  published
  1  failed, or it could not be published; the message says why
  2  wrong usage or configuration")]
pub(crate) struct Admit {
    /// Its number, or the first 8 digits of its id or more
    release: String,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Ends a quarantine against a release: it is never served
///
/// The mark that regressions are measured against stays where it was.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation release reject 7 --reason \"bytes changed under a version; asked the vendor\"

Exit codes:
  0  done
  1  failed: it is served, or the data folder cannot be written
  2  wrong usage or configuration")]
pub(crate) struct Reject {
    /// Its number, or the first 8 digits of its id or more
    release: String,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn admit(args: &Admit, context: &mut Context) -> Result<Exit, Failure> {
    let engine = context.acting("release admit").await?;
    let done = engine.admit(&args.release, &args.reason).await;
    let report = done.map_err(|error| Failure::engine("release admit", &error))?;
    tell(&report, &format!("admitted release {}", report.release.short()), args.json, context)?;
    let served = matches!(report.outcome, Outcome::Published | Outcome::Current);
    Ok(if served { Exit::DONE } else { Exit::FAILED })
}

pub(super) async fn reject(args: &Reject, context: &mut Context) -> Result<Exit, Failure> {
    let engine = context.acting("release reject").await?;
    let done = engine.reject(&args.release, &args.reason).await;
    let report = done.map_err(|error| Failure::engine("release reject", &error))?;
    tell(&report, &format!("rejected release {}: it is never served", report.release.short()), args.json, context)?;
    Ok(Exit::DONE)
}

fn tell(report: &ActReport, did: &str, json: bool, context: &mut Context) -> Result<(), Failure> {
    let out = &mut context.out;
    if json {
        return out.json(report);
    }
    out.line(format!("{did}, for feed {}; its outcome is now: {}", report.feed, report.outcome))?;
    if let Some(detail) = &report.detail {
        out.line(format!("  {detail}"))?;
    }
    match report.generation {
        Some(number) => out.line(format!("  published as generation {number}")),
        None => Ok(()),
    }
}
