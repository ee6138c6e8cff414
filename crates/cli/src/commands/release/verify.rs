//! `waystation release verify`.

use std::collections::BTreeMap;

use clap::Args;
use mirror::{BlobFault, VerifyReport};

use super::find;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::{progress, show};

/// Hashes again what is held
///
/// Damaged bytes are set aside, so that they are served no longer, and the next sync fetches them again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation release verify --all
  waystation release verify 7

Exit codes:
  0  all bytes are what they were
  1  some are damaged or missing: the report names them
  2  wrong usage or configuration")]
pub(crate) struct Verify {
    /// Their numbers, or the first 8 digits of their ids or more
    #[arg(value_name = "RELEASE", required_unless_present = "all")]
    releases: Vec<String>,
    /// Every release whose bytes are held
    #[arg(long, conflicts_with = "releases")]
    all: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Verify, context: &mut Context) -> Result<Exit, Failure> {
    context.something_held("release verify")?;
    let engine = context.acting("release verify").await?;
    let failed = |error| Failure::engine("release verify", &error);
    let mut releases = Vec::new();
    if args.all {
        releases = engine.held().await.map_err(failed)?;
    }
    for text in &args.releases {
        releases.push(find(&engine, text, "release verify").await?);
    }
    let blobs: BTreeMap<_, _> =
        releases.iter().flat_map(|found| &found.release.items).map(|item| (item.digest, item.size)).collect();
    let bar = progress::bar(context, blobs.values().fold(0, |sum: u64, size| sum.saturating_add(*size)), "verifying");
    let report = engine.verify(&releases, &|bytes| bar.inc(bytes)).await.map_err(failed)?;
    bar.finish_and_clear();
    if args.json {
        context.out.json(&report)?;
    } else {
        write(&report, &mut context.out)?;
    }
    Ok(if report.faults.is_empty() { Exit::DONE } else { Exit::FAILED })
}

fn write(report: &VerifyReport, out: &mut Out) -> Result<(), Failure> {
    for fault in &report.faults {
        told(fault, out)?;
    }
    let looked = format!("{}, {}", show::count(report.releases, "release"), show::count(report.blobs, "blob"));
    if report.faults.is_empty() {
        return out.line(format!("{looked}, {}: all good", show::bytes(report.bytes)));
    }
    let wrong = report.faults.len();
    out.line(format!(
        "{looked}: {wrong} damaged or missing; the next sync fetches what is wrong again. Check the disk."
    ))
}

fn told(fault: &BlobFault, out: &mut Out) -> Result<(), Failure> {
    match fault.actual {
        Some(actual) => out.line(format!("damaged: blob {} now hashes to {actual}; set aside", fault.digest))?,
        None => out.line(format!("missing: blob {}", fault.digest))?,
    }
    fault.routes.iter().try_for_each(|route| out.line(format!("  {route}")))
}
