//! `waystation tree rebuild|status`.

use std::io::{self, Write as _};
use std::sync::Arc;

use app::{Purpose, TreeStanding, Trees, TreesError};
use clap::{Args, Subcommand};
use mirror::{Engine, Healed, Silent};
use model::{Digest, Outcome, Reason, RingName};
use serde::Serialize;
use tree::{Depth, Report, Standing, TreeError};

use crate::commands::status::not_left_alone;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::show;

/// How many names are shown of what is not ours.
const SHOWN: usize = 20;

/// Shows and rebuilds the rings' plain folders
///
/// `run` keeps them, and so does every command that publishes.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example:
  waystation tree status

Exit codes:
  0  done
  1  failed, or a folder is not what its ring serves
  2  wrong usage or configuration")]
pub(crate) enum Tree {
    Status(Status),
    Rebuild(Rebuild),
}

/// Shows whether each folder is what its ring serves
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation tree status --all

Changes nothing.

Exit codes:
  0  every folder is what its ring serves
  1  one is not, or it cannot be told; the page names what, the reason and what to do
  2  wrong usage or configuration")]
pub(crate) struct Status {
    /// Only these rings
    #[arg(value_name = "RING")]
    rings: Vec<RingName>,
    /// Read every byte, and tell what somebody else put there
    #[arg(long)]
    all: bool,
    /// One JSON line per ring
    #[arg(long)]
    json: bool,
}

/// Reads every byte of the folders and repairs what is altered, missing or left over
///
/// What Waystation did not write is told and left alone. A folder of this installation whose records were lost is taken
/// over, one that was emptied is filled again. A file of the data folder that turns out damaged is set aside and fetched
/// again, if the vendor still offers it. Nothing newer is taken: that is for `waystation sync`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation tree rebuild

Exit codes:
  0  every folder is what its ring serves
  1  one could not be brought there; the others were
  2  wrong usage or configuration
  3  every folder is what its ring serves, and bytes were lost for it: what is served lacks files, or `_back` went on to an
     older release, or to none")]
pub(crate) struct Rebuild {
    /// Only these rings
    #[arg(value_name = "RING")]
    rings: Vec<RingName>,
    /// One JSON line per ring
    #[arg(long)]
    json: bool,
}

/// A folder and what a look at it, or work on it, came to.
#[derive(Serialize)]
struct Line<'a> {
    ring: &'a RingName,
    folder: String,
    /// What the ring serves.
    serves: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<&'a Standing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a Report>,
    /// Why nothing could be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

pub(crate) async fn run(verb: &Tree, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Tree::Status(args) => status(args, context).await,
        Tree::Rebuild(args) => rebuild(args, context).await,
    }
}

/// The trees that are meant; the engine is opened only to see that the data folder is this user's to use.
async fn trees(rings: &[RingName], verb: &str, context: &Context) -> Result<Trees, Failure> {
    let config = context.config()?;
    if config.tree.folder.is_none() {
        let text = format!("{verb}: no folder is configured");
        return Err(
            Failure::usage(text).with_next("name one in the configuration: [tree] folder = \"/srv/waystation\"")
        );
    }
    context.something_held(verb)?;
    let _usable = context.engine(&config, verb, Purpose::Look).await?;
    let all = Trees::of(&config, &context.clock);
    if let Some(unknown) = rings.iter().find(|ring| all.rings().all(|known| known != *ring)) {
        let known: Vec<&str> = all.rings().map(RingName::as_str).collect();
        return Err(Failure::usage(format!("{verb}: there is no ring {unknown}; known: {}", known.join(", "))));
    }
    Ok(if rings.is_empty() { all } else { all.only(rings) })
}

async fn status(args: &Status, context: &mut Context) -> Result<Exit, Failure> {
    let trees = trees(&args.rings, "tree status", context).await?;
    let standings = trees.standings().map_err(|error| failure("tree status", &error))?;
    let troubled = |one: &TreeStanding| one.standing.as_ref().is_some_and(|standing| standing.trouble.is_some());
    // Whether what a run met is over shows by reading alone.
    let depth = match (args.all, standings.iter().any(troubled)) {
        (true, _) => Depth::Rebuild,
        (false, true) => Depth::Prove,
        (false, false) => Depth::Look,
    };
    let checked = trees.check(depth).await;
    let mut exit = Exit::DONE;
    for one in &standings {
        let found = checked.iter().find(|(ring, _)| *ring == one.ring).map(|(_, found)| found);
        if !(is_over(one, found) || found.is_none_or(is_right) && !troubled(one) && one.is_current) {
            exit = Exit::FAILED;
        }
        if args.json {
            context.out.json(&line(one, found))?;
        } else {
            tell(one, found, context)?;
        }
    }
    Ok(exit)
}

fn is_right(found: &Result<Report, TreesError>) -> bool {
    found.as_ref().is_ok_and(|report| report.is_whole() && report.changes() == 0)
}

/// Whether what the last run met is over: all was read, and is right. The next run writes it down.
fn is_over(one: &TreeStanding, found: Option<&Result<Report, TreesError>>) -> bool {
    one.standing.as_ref().is_some_and(|standing| standing.trouble.is_some()) && found.is_some_and(is_right)
}

async fn rebuild(args: &Rebuild, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    not_left_alone(&config, "tree rebuild").await?;
    if super::alarm::serves_newer(&config, context.clock.now()) {
        let reason = Reason::RingWentBack;
        let text = format!(
            "tree rebuild: {reason}: `waystation run` serves newer than what stands in the data folder, and keeps the folders at that"
        );
        return Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(reason.remedy()));
    }
    let trees = trees(&args.rings, "tree rebuild", context).await?;
    let mut ended = trees.bring(Depth::Rebuild).await;
    let unusable = app::unusable(&ended);
    let mut exit = Exit::DONE;
    if !unusable.is_empty() {
        let engine = context.acting("tree rebuild").await?;
        let mended = mended(&engine, Mend::Fetch, &unusable).await;
        if mended.is_news {
            ended = trees.bring(Depth::Rebuild).await;
        }
        if mended.lost {
            exit = Exit::PART;
        }
    }
    let standings = trees.standings().map_err(|error| failure("tree rebuild", &error))?;
    for one in &standings {
        let done = ended.iter().find(|(ring, ..)| *ring == one.ring).map(|(.., done)| done);
        if !done.is_none_or(|done| done.as_ref().is_ok_and(Report::is_whole)) {
            exit = Exit::FAILED;
        }
        if args.json {
            context.out.json(&line(one, done))?;
        } else {
            done_line(one, done, &mut context.out)?;
        }
    }
    Ok(exit)
}

fn line<'a>(one: &'a TreeStanding, done: Option<&'a Result<Report, TreesError>>) -> Line<'a> {
    let error = done.and_then(|done| done.as_ref().err());
    Line {
        ring: &one.ring,
        folder: one.root.display().to_string(),
        serves: one.serves,
        standing: one.standing.as_ref(),
        report: done.and_then(|done| done.as_ref().ok()),
        reason: error.map(TreesError::reason),
        detail: error.map(|error| model::error_chain(error)),
    }
}

fn tell(one: &TreeStanding, found: Option<&Result<Report, TreesError>>, context: &mut Context) -> Result<(), Failure> {
    let now = context.clock.now();
    let out = &mut context.out;
    let Some(serves) = one.serves else {
        return out.line(format!("ring {}: nothing was published yet, so there is no folder", one.ring));
    };
    // What the records say is old where nobody can look; the refusal says it all.
    if let Some(Err(error)) = found {
        let folder = one.root.display();
        out.line(format!("ring {}: serves generation {serves}; {folder} could not be looked at", one.ring))?;
        return refused(error, out);
    }
    let standing = one.standing.as_ref();
    let is_over = is_over(one, found);
    let shows = match standing.and_then(|standing| Some((standing.generation?, standing.since))) {
        _ if is_over => "shows it: what the last run met is over, and the next one writes that down".to_owned(),
        Some((generation, since)) if generation == serves => format!("shows it since {}", show::at(now, since)),
        Some((generation, _)) => format!("shows generation {generation}"),
        None => "does not show it whole".to_owned(),
    };
    out.line(format!("ring {}: serves generation {serves}; {} {shows}", one.ring, one.root.display()))?;
    if let Some(standing) = standing {
        let kept = show::count(standing.retired, "replaced folder");
        out.line(format!("  {} written here; {kept} kept for who still reads", show::count(standing.files, "file")))?;
        if let Some(trouble) = standing.trouble.as_ref().filter(|_| !is_over) {
            out.line(format!(
                "  {}: {} (since {})",
                trouble.reason,
                trouble.detail,
                show::at(now, Some(trouble.since))
            ))?;
            out.line(format!("  {}", trouble.reason.remedy()))?;
        }
    }
    match found {
        Some(Ok(report)) if report.changes() > 0 || !report.is_whole() => {
            if report.changes() > 0 {
                out.line(format!(
                    "  missing {}, with other bytes {}, left over {}, closed folders {}: `waystation tree rebuild` repairs it",
                    report.put, report.replaced, report.removed, report.opened
                ))?;
            }
            named(report, out)?;
            troubles(report, out)
        }
        Some(Ok(report)) => foreign(report, out),
        Some(Err(_)) | None => Ok(()),
    }
}

fn done_line(one: &TreeStanding, done: Option<&Result<Report, TreesError>>, out: &mut Out) -> Result<(), Failure> {
    match done {
        None => out.line(format!("ring {}: nothing was published yet, so there is no folder", one.ring)),
        Some(Err(error)) => {
            out.line(format!("ring {}: {} was not brought to what the ring serves", one.ring, one.root.display()))?;
            refused(error, out)
        }
        Some(Ok(report)) => {
            let state = if report.is_whole() { "shows" } else { "is not yet what it should be for" };
            out.line(format!(
                "ring {}: {} {state} generation {}; put {}, replaced {}, taken over {}, removed {}, opened {}, {} written",
                one.ring,
                one.root.display(),
                report.generation,
                report.put,
                report.replaced,
                report.taken_over,
                report.removed,
                report.opened,
                show::bytes(report.bytes_written),
            ))?;
            named(report, out)?;
            troubles(report, out)
        }
    }
}

/// The files that are, or were, missing or other than they should be.
fn named(report: &Report, out: &mut Out) -> Result<(), Failure> {
    for name in report.named.iter().take(SHOWN) {
        let what = if report.altered.contains(name) { "altered or removed" } else { "new here, or with other bytes" };
        out.line(format!("  {what}: {name}"))?;
    }
    let more = (report.put + report.replaced).saturating_sub(report.named.len().min(SHOWN) as u64);
    if more > 0 { out.line(format!("  and {more} more")) } else { Ok(()) }
}

fn troubles(report: &Report, out: &mut Out) -> Result<(), Failure> {
    for failed in &report.failed {
        let folder = if failed.folder.is_empty() { "the folder itself" } else { &failed.folder };
        out.line(format!("  {folder}: {}: {}", failed.reason, failed.detail))?;
    }
    foreign(report, out)
}

fn foreign(report: &Report, out: &mut Out) -> Result<(), Failure> {
    for name in report.foreign.iter().take(SHOWN) {
        out.line(format!("  not Waystation's, left alone: {name}"))?;
    }
    let more = report.foreign_count.saturating_sub(report.foreign.len().min(SHOWN) as u64);
    if more > 0 { out.line(format!("  and {more} more that are not Waystation's")) } else { Ok(()) }
}

fn refused(error: &TreesError, out: &mut Out) -> Result<(), Failure> {
    out.line(format!("  {}: {}", error.reason(), model::error_chain(error)))?;
    remedy(error).map_or(Ok(()), |remedy| out.line(format!("  {remedy}")))
}

fn failure(what: &str, error: &TreesError) -> Failure {
    let reason = error.reason();
    Failure::new(what, error)
        .with_next(remedy(error).map_or(format!("reason {reason}"), |it| format!("{it} (reason {reason})")))
}

/// What to do where the error does not say it: what the reason's words say of files in general misleads where a volume
/// is only to be mounted, or a folder to be closed.
fn remedy(error: &TreesError) -> Option<&'static str> {
    let says = matches!(
        error,
        TreesError::Tree(
            TreeError::Emptied { .. }
                | TreeError::Unsafe { .. }
                | TreeError::Replaceable { .. }
                | TreeError::Kept { .. }
                | TreeError::InData { .. }
                | TreeError::HoldsData { .. }
        )
    );
    (!says).then(|| error.reason().remedy())
}

/// What becomes of blobs that a folder could not be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// What is damaged is set aside; the next run fetches it.
    SetAside,
    /// It is fetched again now: this command asks vendors anyhow.
    Fetch,
}

/// What a look of the store into blobs that could not be used came to.
#[derive(Default)]
struct Mended {
    /// Whether the folder is worth another try.
    is_news: bool,
    /// Whether something is lost that was not fetched again.
    lost: bool,
}

/// Takes back out of the rings' folders what the store lost; how many files. That it could not be done is told.
pub(crate) async fn give_back(engine: &Engine, context: &Context) -> usize {
    let Ok(config) = context.config() else { return 0 };
    Trees::of(&config, &context.clock).give_back(engine).await.unwrap_or_else(|error| {
        let error = show::clean(&model::error_chain(&error));
        let _ = writeln!(io::stderr(), "the rings' folders could not lend what was lost: {error}");
        0
    })
}

/// Has the store look into blobs that could not be used.
async fn mended(engine: &Engine, mend: Mend, blobs: &[Digest]) -> Mended {
    let healed = match mend {
        Mend::SetAside => engine.reread(blobs).await.map(|found| Healed { found, ..Healed::default() }),
        Mend::Fetch => engine.heal(blobs, Arc::new(Silent)).await,
    };
    // Where nobody reads what is told here, it is in the history all the same.
    match healed {
        Ok(Healed { found, .. }) if found.faults.is_empty() => Mended::default(),
        Ok(Healed { found, fetched, lost_back }) => {
            let blobs = show::count(found.faults.len(), "blob");
            let what = match fetched {
                Some(_) => "set aside and fetched again, where the vendor still offers them",
                None if mend == Mend::Fetch => "set aside; the vendor does not offer them any more",
                None => "set aside; the next sync fetches them again, where the vendor still offers them",
            };
            let _ = writeln!(io::stderr(), "{blobs} had changed on the disk or were gone: {what}. Check the disk.");
            let failed = fetched.into_iter().flat_map(|fetched| fetched.feeds);
            let failed = failed.filter(|feed| feed.outcome == Outcome::Failed).map(|feed| {
                let reason = feed.reason.map_or("failed", Reason::code);
                format!("{}: {reason}: {}", feed.feed, feed.detail.unwrap_or_default())
            });
            let stepped = lost_back.into_iter().map(|lost| format!("{}: {}: {}", lost.feed, lost.reason, lost.detail));
            let lost: Vec<String> = failed.chain(stepped).collect();
            for line in &lost {
                let _ = writeln!(io::stderr(), "{}", show::clean(line));
            }
            Mended { is_news: mend == Mend::Fetch, lost: !lost.is_empty() }
        }
        Err(error) => {
            let error = show::clean(&model::error_chain(&error));
            let _ = writeln!(io::stderr(), "damaged blobs could not be looked after: {error}");
            Mended { lost: true, ..Mended::default() }
        }
    }
}

/// Brings the trees to what the rings serve after a command that may have published; `ended` is how that command ended.
pub(crate) async fn follow(ended: Result<Exit, Failure>, mend: Mend, context: &Context) -> Result<Exit, Failure> {
    let Ok(mut exit) = ended else { return ended };
    let config = context.config()?;
    if super::alarm::serves_newer(&config, context.clock.now()) {
        return ended;
    }
    let trees = Trees::of(&config, &Arc::clone(&context.clock));
    let mut brought = trees.bring(Depth::Look).await;
    let unusable = app::unusable(&brought);
    if let (false, Some((engine, _))) = (unusable.is_empty(), context.acted.get()) {
        let mended = mended(engine, mend, &unusable).await;
        if mended.is_news {
            brought = trees.bring(Depth::Look).await;
        }
        if mended.lost && exit == Exit::DONE {
            exit = Exit::PART;
        }
    }
    let failed = brought.into_iter().find_map(|(ring, root, done)| {
        let (reason, detail, next) = match done {
            Ok(report) => report.failed.first().map(|failed| {
                let folder = if failed.folder.is_empty() { String::new() } else { format!("{}: ", failed.folder) };
                (failed.reason, format!("{folder}{}", failed.detail), Some(Reason::TreeBehind.remedy()))
            })?,
            Err(error) if error.reason() == Reason::TreeRefused || remedy(&error).is_none() => {
                (error.reason(), model::error_chain(&error), remedy(&error))
            }
            Err(error) => (error.reason(), model::error_chain(&error), Some(Reason::TreeBehind.remedy())),
        };
        Some((ring, root, reason, detail, next))
    });
    let Some((ring, root, reason, detail, next)) = failed else { return Ok(exit) };
    let text = format!("the folder {} does not show yet what ring {ring} serves: {detail}", root.display());
    let exit = if exit == Exit::DONE { Exit::PART } else { exit };
    Err(Failure::usage(text)
        .with_exit(exit)
        .with_next(next.map_or(format!("reason {reason}"), |next| format!("{next} (reason {reason})"))))
}
