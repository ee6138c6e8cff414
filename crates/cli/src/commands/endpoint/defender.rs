//! `waystation endpoint defender update|scan|health|connectivity|run`.

mod page;
mod player;
mod timer;

use clap::{Args, Subcommand};
use endpoint::defender::{Facts, Health, Prelude, Scan, connectivity};
use jiff::tz::TimeZone;

use crate::arguments::TWO_ENDS;
use crate::commands::endpoint::state;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use player::Player;

/// Plays Microsoft Defender's agent (mdatp)
#[derive(Debug, Subcommand)]
#[command(after_help = format!(
    "Example:\n  waystation endpoint defender health --details definitions --state ep --settings mdatp_managed.json\n\n{TWO_ENDS}"
))]
pub(crate) enum Defender {
    Update(Update),
    Scan(ScanArgs),
    Health(HealthArgs),
    Connectivity(Connectivity),
    Run(Run),
}

/// Updates the definitions once, as `mdatp definitions update`
///
/// Reads the managed settings, pulls updates.zip from the mirror or folder that they name, proves it, unpacks it beside
/// the set in use and switches. Whatever fails or ends it, one whole set stays in use.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation endpoint defender update --state ep --settings mdatp_managed.json
  waystation endpoint defender update --state ep --settings m.json --arch arm64 --agent 101.25042.0001

Exit codes:
  0  the definitions are what the source has
  1  the update failed, and the set in use stays; health says why
  2  wrong usage, or settings that cannot be read")]
pub(crate) struct Update {
    #[command(flatten)]
    player: Player,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Does what comes before a scan, which may be an update; scans nothing
///
/// Where nothing is pulled on a timer (enforcement level passive, the default on Linux, or on_demand) definitions are
/// updated before every scan. In real_time only a scheduled scan may ask for it, by scheduledScan.checkForDefinitionsUpdate.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation endpoint defender scan --state ep --settings mdatp_managed.json
  waystation endpoint defender scan --scheduled --state ep --settings mdatp_managed.json

Exit codes:
  0  the definitions are what the source has, or nothing is updated before this scan
  1  the update failed: the scan has the set in use, if there is one
  2  wrong usage, or settings that cannot be read")]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    player: Player,
    /// A scan that stands in the settings, in place of one that somebody asks for
    #[arg(long)]
    scheduled: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Says what mdatp health would say
///
/// Text has the vendor's lines and columns, dates in local time. JSON has the vendor's keys; its form for --details
/// definitions is not published and is made by the same rules.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation endpoint defender health --details definitions --state ep --settings mdatp_managed.json
  waystation endpoint defender health --field definitions_status --state ep --settings mdatp_managed.json

Exit codes:
  0  told, whatever it says
  1  the state cannot be read
  2  wrong usage, or settings that cannot be read")]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    player: Player,
    /// The lines about a topic: definitions
    #[arg(long, value_name = "TOPIC", value_parser = ["definitions"], hide_possible_values = true)]
    details: Option<String>,
    /// The value of one field alone
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["json", "output"])]
    field: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// json: one JSON object, as the vendor's command has it
    #[arg(long, value_name = "FORM", value_parser = ["json"], hide_possible_values = true)]
    output: Option<String>,
}

/// Tries whether what updates come from can be reached, as `mdatp connectivity test`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation endpoint defender connectivity --state ep --settings mdatp_managed.json

Exit codes:
  0  all can be reached
  1  one cannot: its line says why
  2  wrong usage, or settings that cannot be read")]
pub(crate) struct Connectivity {
    #[command(flatten)]
    player: Player,
    /// As the vendor's command has it
    #[arg(value_parser = ["test"], hide = true)]
    test: Option<String>,
    /// One JSON line per place
    #[arg(long)]
    json: bool,
}

/// Updates on the timer that the settings give, until it is ended
///
/// The settings file is read again all the time: what is written there counts from the next look on. While another
/// process updates the same state it waits and tries again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation endpoint defender run --state ep --settings mdatp_managed.json

Exit codes:
  0  it was told to end
  1  the state cannot be read or written
  2  wrong usage, or settings that cannot be read at the start")]
pub(crate) struct Run {
    #[command(flatten)]
    player: Player,
    /// One JSON line per event
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(verb: &Defender, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Defender::Update(args) => update(args, context).await,
        Defender::Scan(args) => scan(args, context).await,
        Defender::Health(args) => health(args, context),
        Defender::Connectivity(args) => try_places(args, context).await,
        Defender::Run(args) => timer::run(&args.player, args.json, context).await,
    }
}

async fn update(args: &Update, context: &mut Context) -> Result<Exit, Failure> {
    let (player, managed) = args.player.play(context)?;
    let report = player.update(&managed).await.map_err(|error| state("endpoint defender update", &error))?;
    if args.json {
        context.out.json(&page::report(&report, &managed))?;
    } else {
        page::told(&report, &managed, &mut context.out)?;
    }
    Ok(if report.is_good() { Exit::DONE } else { Exit::FAILED })
}

async fn scan(args: &ScanArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (player, managed) = args.player.play(context)?;
    let which = if args.scheduled { Scan::Scheduled } else { Scan::OnDemand };
    let before = player.prepare_scan(&managed, which).await;
    let before = before.map_err(|error| state("endpoint defender scan", &error))?;
    page::before_scan(&before, &managed, args.json, &mut context.out)?;
    match before {
        Prelude::Update(report) if !report.is_good() => Ok(Exit::FAILED),
        _ => Ok(Exit::DONE),
    }
}

fn health(args: &HealthArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (player, managed) = args.player.play(context)?;
    let failed = |error| state("endpoint defender health", &error);
    let (installed, record) = (player.store.current().map_err(failed)?, player.store.record().map_err(failed)?);
    let facts = Facts {
        agent: &player.agent,
        managed: &managed,
        installed: installed.as_ref(),
        record: &record,
        damaged: &player.store.lacking().map_err(failed)?,
        is_updating: player.store.is_updating(),
        now: context.clock.now(),
    };
    let health = if args.details.is_some() { Health::definitions(&facts) } else { Health::all(&facts) };
    let zone = TimeZone::system();
    match &args.field {
        Some(name) => {
            let value = health.field(name, &zone).map_err(|error| Failure::usage(error.to_string()))?;
            context.out.line(value)?;
        }
        None if args.json || args.output.is_some() => context.out.json(&health.json())?,
        None => health.lines(&zone).iter().try_for_each(|line| context.out.line(line))?,
    }
    Ok(Exit::DONE)
}

async fn try_places(args: &Connectivity, context: &mut Context) -> Result<Exit, Failure> {
    let (player, managed) = args.player.play(context)?;
    let probes = connectivity(&player, &managed).await;
    for probe in &probes {
        page::probe(probe, args.json, &mut context.out)?;
    }
    let all = probes.iter().all(|probe| probe.result.is_ok());
    Ok(if all { Exit::DONE } else { Exit::FAILED })
}
