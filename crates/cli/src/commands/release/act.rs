//! `waystation release admit|reject`.

use clap::Args;
use mirror::ActReport;
use model::{Outcome, ReleaseState};

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
  2  wrong usage or configuration
  3  published, and `_back` went on to an older release, or to none: bytes of the one before are lost")]
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

/// Ends a quarantine against a release, or bars one that was admitted and is not served now: it is never served
///
/// The mark that regressions are measured against stays where it was. The ring remembers the rejection, also where the
/// catalog is lost: a generation is published that serves the same as before, but for `_back`, which goes on to the
/// release before where it served this one. Where the vendor went back to a release that was served before, it is the step
/// back that is declined, and the release stays admitted.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation release reject 7 --reason \"bytes changed under a version; asked the vendor\"

Exit codes:
  0  done
  1  failed: it is served, or the data folder cannot be written
  2  wrong usage or configuration
  3  done, and `_back` went on to an older release, or to none: bytes of the one before are lost")]
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
    if args.json {
        context.out.json(&report)?;
    } else {
        tell(&report, &format!("admitted release {}", report.release.short()), context)?;
        if let Some(number) = report.generation {
            context.out.line(format!("  published as generation {number}"))?;
            if let Some((folder, _)) = compat::kept_from(&context.config()?) {
                context.out.line(format!(
                    "  {} shows it after the next run of `waystation compat defender-downloader`: run it now",
                    folder.display()
                ))?;
            }
        }
    }
    let served = matches!(report.outcome, Outcome::Published | Outcome::Current);
    Ok(if served { ended(&report) } else { Exit::FAILED })
}

pub(super) async fn reject(args: &Reject, context: &mut Context) -> Result<Exit, Failure> {
    let engine = context.acting("release reject").await?;
    let done = engine.reject(&args.release, &args.reason).await;
    let report = done.map_err(|error| Failure::engine("release reject", &error))?;
    if args.json {
        context.out.json(&report)?;
        return Ok(ended(&report));
    }
    let id = report.release.short();
    let did = match report.state {
        ReleaseState::Rejected => format!("rejected release {id}: it is never served"),
        state => format!("declined to go back to release {id}: what is served stays, and the release stays {state}"),
    };
    tell(&report, &did, context)?;
    if let Some(number) = report.generation {
        context.out.line(format!("  published generation {number}, which remembers the rejection"))?;
    }
    Ok(ended(&report))
}

/// The act was done; what it met on its way is told as well.
fn ended(report: &ActReport) -> Exit {
    if report.lost_back.is_empty() { Exit::DONE } else { Exit::PART }
}

fn tell(report: &ActReport, did: &str, context: &mut Context) -> Result<(), Failure> {
    context.out.line(format!("{did}, for feed {}; its outcome is now: {}", report.feed, report.outcome))?;
    report.detail.iter().try_for_each(|detail| context.out.line(format!("  {detail}")))?;
    let told = report.detail.as_deref().unwrap_or_default();
    let lost = report.lost_back.iter().filter(|lost| !told.contains(&lost.detail));
    lost.map(|lost| format!("  {}: {}: {}", lost.feed, lost.reason, lost.detail))
        .try_for_each(|line| context.out.line(line))
}
