//! `waystation release verify`.

use std::collections::BTreeMap;

use clap::Args;
use mirror::{BlobFault, CheckProgress, Depth, Engine, StoreReport, VerifyReport};
use model::Reason;
use serde::Serialize;

use super::find;
use crate::commands::tree::give_back;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::{progress, show};

const VERB: &str = "release verify";

/// Hashes again what is held
///
/// Damaged bytes are set aside, so that they are served no longer, and the next sync fetches them again.
///
/// --store checks the whole data folder instead: that each ring's pointer and generations are whole, that the catalog
/// agrees with them, that the history's chain is whole, that every blob is there with its size, owner and mode; and
/// lists what is left over. It changes nothing, and works beside a running `run`, on a read-only mount too. With --all
/// it reads every byte as well; only what is damaged then is set aside, after the check.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation release verify --all
  waystation release verify 7
  waystation release verify --store
  waystation release verify --all --store

Exit codes:
  0  all bytes are what they were; with --store, all is as it should be: leftovers do no harm
  1  something is damaged, missing or wrong: the report names it
  2  wrong usage or configuration")]
pub(crate) struct Verify {
    /// Their numbers, or the first 8 digits of their ids or more
    #[arg(value_name = "RELEASE", required_unless_present_any = ["all", "store"])]
    releases: Vec<String>,
    /// Every release whose bytes are held
    #[arg(long, conflicts_with = "releases")]
    all: bool,
    /// The whole data folder: rings, catalog, history, blobs and what is left over
    #[arg(long, conflicts_with = "releases")]
    store: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Verify, context: &mut Context) -> Result<Exit, Failure> {
    if args.store {
        return store(args, context).await;
    }
    context.something_held(VERB)?;
    let engine = context.acting(VERB).await?;
    let failed = |error| Failure::engine(VERB, &error);
    let mut releases = Vec::new();
    if args.all {
        releases = engine.held().await.map_err(failed)?;
    }
    for text in &args.releases {
        releases.push(find(&engine, text, VERB).await?);
    }
    let blobs: BTreeMap<_, _> =
        releases.iter().flat_map(|found| &found.release.items).map(|item| (item.digest, item.size)).collect();
    let bar = progress::bar(context, blobs.values().fold(0, |sum: u64, size| sum.saturating_add(*size)), "verifying");
    let report = engine.verify(&releases, &|bytes| bar.inc(bytes)).await.map_err(failed)?;
    bar.finish_and_clear();
    let given = regained(&report, &engine, context).await;
    if args.json {
        context.out.json(&report)?;
    } else {
        write((&report, given), &mut context.out)?;
    }
    Ok(if report.faults.is_empty() && report.unread.is_empty() { Exit::DONE } else { Exit::FAILED })
}

/// What was set aside and a ring's folder still has whole, before anybody publishes without it; how many files.
async fn regained(report: &VerifyReport, engine: &Engine, context: &Context) -> usize {
    if report.faults.is_empty() { 0 } else { give_back(engine, context).await }
}

fn came_back(given: usize, out: &mut Out) -> Result<(), Failure> {
    if given == 0 {
        return Ok(());
    }
    out.line(format!("{} came back out of the ring's folder, which had them whole", show::count(given, "file")))
}

fn write((report, given): (&VerifyReport, usize), out: &mut Out) -> Result<(), Failure> {
    for fault in &report.faults {
        told(fault, out)?;
    }
    for unread in &report.unread {
        let why = unread.error.as_deref().unwrap_or_default();
        out.line(format!("{}: blob {}, left where it is: {why}", unread.reason, unread.digest))?;
    }
    let looked = format!("{}, {}", show::count(report.releases, "release"), show::count(report.blobs, "blob"));
    if report.faults.is_empty() && report.unread.is_empty() {
        return out.line(format!("{looked}, {}: all good", show::bytes(report.bytes)));
    }
    let open = report.unread.iter().filter(|one| one.reason == Reason::UnsafeFile).count();
    if open > 0 {
        out.line(format!("{open} not served, and not set aside: {}", Reason::UnsafeFile.remedy()))?;
    }
    let unread = report.unread.len().saturating_sub(open);
    if unread > 0 {
        out.line(format!(
            "{unread} cannot be read now: mend permissions or free descriptors and memory, then try again"
        ))?;
    }
    if report.faults.is_empty() {
        return Ok(());
    }
    let wrong = report.faults.len();
    out.line(format!(
        "{looked}: {wrong} damaged or missing; the next sync fetches again what the vendor still offers. Check the disk."
    ))?;
    came_back(given, out)
}

fn told(fault: &BlobFault, out: &mut Out) -> Result<(), Failure> {
    match (fault.actual, &fault.error) {
        (Some(actual), None) => {
            out.line(format!("damaged: blob {} now hashes to {actual}; set aside", fault.digest))?
        }
        (_, Some(error)) => out.line(format!("damaged: blob {}: {}", fault.digest, show::clean(error)))?,
        (None, None) => out.line(format!("missing: blob {}", fault.digest))?,
    }
    fault.routes.iter().try_for_each(|route| out.line(format!("  {route}")))
}

/// What a check of the whole data folder tells.
#[derive(Serialize)]
struct Store {
    #[serde(flatten)]
    found: StoreReport,
    /// What was set aside afterwards; none where nothing was to be changed.
    set_aside: Option<VerifyReport>,
}

async fn store(args: &Verify, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    if matches!(config.data_dir.try_exists(), Ok(false)) {
        let text = format!("{VERB}: there is no data folder {}", config.data_dir.display());
        let next = "check data_dir, or run `waystation sync` first";
        return Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next));
    }
    let engine = context.looking(VERB).await?;
    let found = check(&engine, args, context).await;
    let mut given = 0;
    let set_aside = match found.damaged.as_slice() {
        damaged if args.all && !damaged.is_empty() => {
            let engine = context.acting(VERB).await?;
            let report = engine.recheck(damaged).await.map_err(|error| Failure::engine(VERB, &error))?;
            given = regained(&report, &engine, context).await;
            Some(report)
        }
        _ => None,
    };
    let exit = if found.is_good() { Exit::DONE } else { Exit::FAILED };
    let told = Store { found, set_aside };
    if args.json {
        context.out.json(&told)?;
    } else {
        write_store(&told, &mut context.out)?;
        came_back(given, &mut context.out)?;
    }
    Ok(exit)
}

async fn check(engine: &Engine, args: &Verify, context: &Context) -> StoreReport {
    let depth = if args.all { Depth::Rehash } else { Depth::Look };
    let bar = progress::bar(context, 0, "checking");
    let each = |progress| match progress {
        CheckProgress::Expected(bytes) => bar.inc_length(bytes),
        CheckProgress::Read(bytes) => bar.inc(bytes),
    };
    let report = engine.check_store(depth, &each).await;
    bar.finish_and_clear();
    report
}

fn write_store(told: &Store, out: &mut Out) -> Result<(), Failure> {
    let found = &told.found;
    for fault in &found.faults {
        out.line(format!("{}: {}: {}", fault.reason, fault.subject, fault.detail))?;
        out.line(format!("  {}", fault.remedy))?;
    }
    for left in &found.leftovers {
        out.line(format!("left over: {} {}, {}", left.count, left.kind.as_str(), show::bytes(left.bytes)))?;
        for name in &left.names {
            out.line(format!("  {name}"))?;
        }
    }
    if let Some(aside) = &told.set_aside {
        out.line(format!(
            "set aside: {}; the next sync fetches again what the vendor still offers",
            show::count(aside.faults.len(), "blob")
        ))?;
    }
    let how = if found.depth == Depth::Rehash { "read again" } else { "looked at" };
    let looked = format!(
        "{}, {}, {} held, history to entry {}; {} blobs, {}, {how}",
        show::count(found.rings, "ring"),
        show::count(found.routes, "route"),
        show::count(usize::try_from(found.releases).unwrap_or(usize::MAX), "release"),
        found.entries,
        found.blobs,
        show::bytes(found.bytes)
    );
    let wrong = (found.faults.len() as u64).saturating_add(found.more_faults);
    match wrong {
        0 => out.line(format!("{looked}: all good")),
        wrong => out.line(format!("{looked}: {wrong} wrong")),
    }
}
