//! `waystation alarm test|list`.

use alarm::{Alarm as Raised, Ledger, Life, Shelf, ShelfError};
use app::{LeftWithout, Ways};
use clap::{Args, Subcommand};
use config::Config;
use mirror::SiteFault;
use model::{Level, Reason, Timestamp};
use serde_json::{Value, json};

use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// A `waystation run` that looks renews its sign of life more often than this.
const FRESH: std::time::Duration = std::time::Duration::from_secs(120);

/// Shows what is wrong and who was told, and tries every way to tell
#[derive(Debug, Subcommand)]
#[command(after_help = format!("Example:\n  waystation alarm test\n\n{TWO_ENDS}"))]
pub(crate) enum Alarm {
    Test(Test),
    List(List),
}

/// Sends a test message in every way that the configuration names
///
/// It goes out from this very process, whether `waystation run` is running or not, and whatever the hour. The heartbeat
/// is left alone unless it is named: who waits for it would take the test for the life of `waystation run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation alarm test --to pager

Exit codes:
  0  every way took it
  1  one did not: the lines say which and why
  2  wrong usage or configuration")]
pub(crate) struct Test {
    /// In this way alone
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// One JSON line per way
    #[arg(long)]
    json: bool,
}

/// Lists what stands now, since when, and who was told
///
/// As `waystation run` left it in the data folder: within seconds of what it sees.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation alarm list --json

Exit codes:
  0  told; alarms may stand
  1  unknown: nobody looks, for `waystation run` does not run or hangs, or works on another data
     folder than the one that stands here; what stood last is listed
  2  wrong usage or configuration")]
pub(crate) struct List {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(verb: &Alarm, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Alarm::Test(args) => test(args, context).await,
        Alarm::List(args) => list(args, context).await,
    }
}

async fn test(args: &Test, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let ways = Ways::new(&config, &context.clock).map_err(|error| Failure::build("alarm test", &error))?;
    let names: Vec<String> = ways.names().map(str::to_owned).collect();
    if let Some(to) = args.to.as_ref().filter(|to| !names.contains(to)) {
        let next =
            if names.is_empty() { "none is configured".to_owned() } else { format!("known: {}", names.join(", ")) };
        return Err(Failure::usage(format!("alarm test: no way to tell is called {to}")).with_next(next));
    }
    if names.is_empty() {
        let failure = Failure::usage("alarm test: the configuration names no way to tell");
        return Err(failure.with_next("add [[alarm.email]], [[alarm.webhook]], [[alarm.syslog]] or [[alarm.command]]"));
    }
    let outcomes = ways.test(args.to.as_deref(), context.clock.as_ref()).await;
    if outcomes.is_empty() {
        let failure = Failure::usage("alarm test: the configuration names no way to tell but the heartbeat");
        return Err(failure.with_next("`waystation alarm test --to heartbeat` sends one, as if `waystation run` lived"));
    }
    let mut failed = false;
    for (name, outcome) in outcomes {
        let why = outcome.err().map(|error| error.to_string());
        failed |= why.is_some();
        if args.json {
            context.out.json(&json!({ "to": name, "told": why.is_none(), "why": why }))?;
        } else {
            let said = why.map_or_else(|| "took it".to_owned(), |why| format!("FAILED: {why}"));
            context.out.line(format!("{name}: {said}"))?;
        }
    }
    Ok(if failed { Exit::FAILED } else { Exit::DONE })
}

async fn list(args: &List, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let shelf = Shelf::new(&config.data_dir);
    let ledger = shelf.read().map_err(|error| unreadable(&error))?;
    let now = context.clock.now();
    let left = app::left_without(&config).await;
    let watch = Watch::of(&config, left.as_ref(), now);
    let ledger = ledger.unwrap_or_default();
    let exit = if watch.is_kept { Exit::DONE } else { Exit::FAILED };
    if args.json {
        context.out.json(&document(&ledger, &watch))?;
        return Ok(exit);
    }
    table(&ledger, &watch, now, context)?;
    for (name, memory) in ledger.ways() {
        if let (Some(since), Some(why)) = (memory.failing, &memory.why) {
            context.out.line(format!("{name} cannot be told since {since}: {why}"))?;
        }
    }
    match &watch.lacks {
        _ if watch.is_kept => {}
        _ if left.is_some() => left.iter().try_for_each(|left| {
            context.out.line(show::clean(&left.in_words()))?;
            context.out.line(format!("  {}", left.reason.remedy()))
        })?,
        Some(lacks) => context.out.line(format!("{lacks}: {GONE}"))?,
        None => context.out.line(format!("{}: nobody looks, and nobody is told", watch.in_words()))?,
    }
    Ok(exit)
}

/// Whether somebody looks.
struct Watch {
    life: Option<Life>,
    /// A process is there.
    is_there: bool,
    /// It looks.
    is_kept: bool,
    /// What is not there, so that nothing can be known.
    lacks: Option<String>,
    /// Who lives, and does not work on what stands here.
    left: Option<String>,
}

/// What follows where the data folder, or all that is in it, is not there.
const GONE: &str = "what stands, and whether `waystation run` looks, cannot be known without it; a `waystation run` that \
    had it open tells folder_gone";

impl Watch {
    fn of(config: &Config, left: Option<&LeftWithout>, now: Timestamp) -> Self {
        let data = config.data_dir.as_path();
        let life = Life::read(data);
        let fresh = life.is_some_and(|life| !life.ended && now.since(life.at) <= FRESH);
        // Where no lock can be asked, its last sign of life has to do.
        let is_there = Life::is_held(data).unwrap_or(fresh);
        // Where `waystation run` left something, that says more.
        let lacks = life.is_none().then(|| super::status::lacking(config)).flatten();
        let left = left.map(LeftWithout::who);
        Self { life, is_there, is_kept: is_there && fresh, lacks, left }
    }

    fn in_words(&self) -> String {
        if let Some(left) = self.left.as_ref().filter(|_| !self.is_kept) {
            return left.clone();
        }
        if let Some(lacks) = &self.lacks {
            return lacks.clone();
        }
        match (self.life, self.is_there) {
            (_, true) if self.is_kept => "`waystation run` looks".to_owned(),
            (Some(life), true) => {
                format!("`waystation run` hangs (process {}, last sign of life {})", life.pid, life.at)
            }
            (Some(life), false) => format!("`waystation run` is not running (it was last seen at {})", life.at),
            (None, _) => "`waystation run` is not running (it never ran here)".to_owned(),
        }
    }
}

/// One line on alarms: how many stand, and whether somebody looks.
pub(crate) fn in_short(config: &Config, left: Option<&LeftWithout>, now: Timestamp) -> String {
    let watch = Watch::of(config, left, now);
    let stand = match Shelf::new(&config.data_dir).read() {
        Err(error) => format!("cannot be read: {}", model::error_chain(&error)),
        Ok(ledger) => {
            let ledger = ledger.unwrap_or_default();
            let standing = ledger.standing();
            let failing = standing.iter().filter(|alarm| alarm.level == Level::Fail).count();
            match standing.len() {
                0 if watch.is_kept => "none stands".to_owned(),
                0 => "unknown".to_owned(),
                count => format!("{} ({failing} at fail); see `waystation alarm list`", stand(count)),
            }
        }
    };
    format!("alarms: {stand}; {}", watch.in_words())
}

/// What a `run` that looks at this moment sees and status does not, beside what that `said`.
pub(crate) fn seen_by_run(
    config: &Config,
    left: Option<&LeftWithout>,
    (said, now): (&[SiteFault], Timestamp),
) -> Vec<SiteFault> {
    let ledger = Shelf::new(&config.data_dir).read().ok().flatten();
    let Some(ledger) = ledger.filter(|_| Watch::of(config, left, now).is_kept) else { return Vec::new() };
    let mut faults = app::seen_by_run(&ledger, said);
    for fault in &mut faults {
        for text in [&mut fault.subject, &mut fault.note.detail] {
            *text = show::clean(text);
        }
    }
    faults
}

/// Whether a `run` that looks at this moment serves newer generations than stand here, and keeps the rings' folders at these.
pub(crate) fn serves_newer(config: &Config, now: Timestamp) -> bool {
    seen_by_run(config, None, (&[], now)).iter().any(|fault| fault.note.reason == Reason::RingWentBack)
}

fn stand(count: usize) -> String {
    if count == 1 { "1 stands".to_owned() } else { format!("{count} stand") }
}

fn unreadable(error: &ShelfError) -> Failure {
    let next =
        "run it as the user that `waystation run` has; a file that is damaged is written anew by `waystation run`";
    Failure::new("alarm list", error).with_next(next)
}

fn table(ledger: &Ledger, watch: &Watch, now: Timestamp, context: &mut Context) -> Result<(), Failure> {
    let standing = ledger.standing();
    if standing.is_empty() {
        return context.out.line(match (watch.is_kept, watch.lacks.is_some() || watch.left.is_some()) {
            (true, _) => "nothing is wrong",
            (false, true) => "unknown",
            (false, false) => "unknown: nobody looks",
        });
    }
    let mut table = Table::new([
        ("ALARM", Align::Right),
        ("LEVEL", Align::Left),
        ("REASON", Align::Left),
        ("ON", Align::Left),
        ("SINCE", Align::Left),
        ("TOLD", Align::Left),
    ]);
    for alarm in &standing {
        table.push([
            alarm.number.to_string(),
            alarm.level.to_string(),
            alarm.reason.code().to_owned(),
            alarm.subject.clone(),
            alarm.since.min(now).to_string(),
            told(ledger, alarm),
        ]);
    }
    table.write(&mut context.out)?;
    for alarm in &standing {
        context.out.line(format!("{}: {}", alarm.number, alarm.detail))?;
        context.out.line(format!("   {}", alarm.reason.remedy()))?;
    }
    Ok(())
}

fn told(ledger: &Ledger, alarm: &Raised) -> String {
    let told: Vec<String> = ledger
        .ways()
        .iter()
        .filter_map(|(name, memory)| {
            let told = memory.told.get(&alarm.key).filter(|told| !told.over)?;
            Some(format!("{name} {}", told.at))
        })
        .collect();
    if told.is_empty() { "nobody".to_owned() } else { told.join(", ") }
}

fn document(ledger: &Ledger, watch: &Watch) -> Value {
    let alarm = |alarm: &&Raised| {
        let told: serde_json::Map<String, Value> = ledger
            .ways()
            .iter()
            .filter_map(|(name, memory)| {
                let told = memory.told.get(&alarm.key).filter(|told| !told.over)?;
                Some((name.clone(), json!(told.at.to_string())))
            })
            .collect();
        json!({
            "number": alarm.number, "key": alarm.key, "reason": alarm.reason, "level": alarm.level,
            "worst": alarm.peak, "subject": alarm.subject, "detail": alarm.detail,
            "remedy": alarm.reason.remedy(), "since": alarm.since.to_string(), "told": told,
        })
    };
    let way = |(name, memory): (&String, &alarm::WayMemory)| {
        json!({
            "name": name, "failing_since": memory.failing.map(|at| at.to_string()), "why": memory.why,
            "last_told": memory.last_told.map(|at| at.to_string()),
        })
    };
    json!({
        "running": watch.is_there,
        "looking": watch.is_kept,
        "gone": watch.lacks,
        "elsewhere": watch.left,
        "seen": watch.life.map(|life| life.at.to_string()),
        "alarms": ledger.standing().iter().map(alarm).collect::<Vec<_>>(),
        "ways": ledger.ways().iter().map(way).collect::<Vec<_>>(),
        "dropped": ledger.dropped(),
    })
}
