//! `waystation doctor [URL]`.

mod page;
mod ticket;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use config::Config;
use doctor::{Depth, Examination, Level, Report, Surroundings, Watch};
use model::FeedId;
use url::Url;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;

/// For a mirror: what it holds may be large, and lines thin.
const MIRROR: u64 = 3600;
/// For the surroundings.
const SURROUNDINGS: u64 = 90;
/// No probe of a host takes longer.
const PROBE: Duration = Duration::from_secs(20);
/// What is looked at before there is a configuration: both vendors, as they are by default. The version stands in
/// for those that will be named, and is not asked for.
const DEFAULTS: &str = "[elastic]\nversions = [\"9.0.0\"]\n[defender]\n";

/// Says what is wrong, and what to do: with the surroundings, or with any mirror
///
/// Without a URL, and before anything is set up: asks every host that the vendors need, through the configured proxy
/// and CA, and looks at disk, clock, data folder, secrets, ports, limits, SELinux and memory. The table of hosts fits a
/// firewall ticket (--form markdown, --form csv).
///
/// With a URL: plays each vendor's client against that mirror, ours or another's: fetches everything that is named,
/// compares digests, and tries tags, ranges, HEAD, bases, TLS and more. It asks with GET and HEAD alone, straight, and
/// keeps nothing. What the mirror should hold comes from --elastic and --defender, else from the configuration; else
/// Defender's fixed addresses are tried.
///
/// Nothing is changed. docs/doctor.md lists every check with its remedy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation doctor
  waystation doctor --form csv > hosts.csv
  waystation doctor https://mirror.example:8443 --elastic 9.0.0 --ca-file corp.pem
  waystation doctor http://10.1.2.3:8000 --defender linux/production/x86_64 --quick --json

Exit codes:
  0  nothing failed; there may be warnings
  1  something failed, or, with --strict, something is worth a warning
  2  wrong usage or configuration")]
pub(crate) struct Doctor {
    /// The base URL that endpoints are given
    url: Option<String>,
    /// A version of Elastic Endpoint whose manifest the mirror should hold; may be repeated
    #[arg(long, value_name = "VERSION", requires = "url")]
    elastic: Vec<String>,
    /// A Defender feed that the mirror should hold, as platform/track/arch; may be repeated
    #[arg(long, value_name = "FEED", requires = "url")]
    defender: Vec<String>,
    /// Manifests and a few artifacts alone; of the others the length
    #[arg(long, requires = "url")]
    quick: bool,
    /// Roots beside the public ones and the system's, as PEM; else origin.ca_file
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// For everything together; else an hour for a mirror, 90 seconds for the surroundings
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    deadline: Option<u64>,
    /// Warnings end with exit code 1 too
    #[arg(long)]
    strict: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// How it is told: text, markdown, or csv (the hosts alone, for a ticket)
    #[arg(long, value_name = "FORM", default_value = "text", conflicts_with = "json")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    form: Form,
}

/// How a report is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Markdown,
    Csv,
}

pub(crate) async fn run(args: &Doctor, context: &mut Context) -> Result<Exit, Failure> {
    let (config, is_set_up) = configuration(context)?;
    let telling: Box<dyn Watch> = if context.globals.quiet { Box::new(doctor::Quietly) } else { Box::new(Telling) };
    let report = match &args.url {
        Some(url) => {
            let examination = examination(args, &parsed(url)?, (&config, is_set_up), context).await?;
            let examined = doctor::examine(&examination, telling.as_ref()).await;
            examined.map_err(|error| Failure::usage(model::error_chain(&error)))?
        }
        None => {
            let site = site(args, config, is_set_up, context)?;
            doctor::surroundings(&site, telling.as_ref()).await
        }
    };
    match args.form {
        _ if args.json => context.out.json(&report)?,
        Form::Text => page::write(&report, context.globals.verbose > 0, &mut context.out)?,
        Form::Markdown => ticket::markdown(&report, &mut context.out)?,
        Form::Csv => ticket::csv(&report, &mut context.out)?,
    }
    Ok(exit(&report, args.strict))
}

fn exit(report: &Report, strict: bool) -> Exit {
    match report.level {
        Level::Fail => Exit::FAILED,
        Level::Warn if strict => Exit::FAILED,
        Level::Warn | Level::Ok => Exit::DONE,
    }
}

/// The configuration, or what there would be by default where there is none yet; and whether there is one.
fn configuration(context: &Context) -> Result<(Config, bool), Failure> {
    let named = context.given().is_some()
        || context.environment.iter().any(|(name, value)| name == "WAYSTATION_CONFIG" && !value.is_empty());
    if named || config::find(None, &context.environment).is_ok() {
        return context.config().map(|config| (config, true));
    }
    let file = Path::new("waystation.toml");
    let assumed = Config::parse(DEFAULTS, file, &context.environment);
    assumed.map(|config| (config, false)).map_err(|error| Failure::config(&error))
}

async fn examination(
    args: &Doctor,
    url: &Url,
    (config, is_set_up): (&Config, bool),
    context: &Context,
) -> Result<Examination, Failure> {
    let mut feeds = Vec::new();
    for name in args.elastic.iter().map(|version| format!("elastic/{version}")) {
        feeds.push(feed(&name)?);
    }
    for name in args.defender.iter().map(|feed| format!("defender/{}", feed.trim_matches('/'))) {
        feeds.push(feed(&name)?);
    }
    if feeds.is_empty() && is_set_up {
        feeds = app::followed(config).map_err(|error| Failure::new("doctor", &error))?;
    }
    let settings = app::learned_settings(config).await.map_err(|error| Failure::build("doctor", &error))?;
    let ca_file = args.ca_file.as_ref().or(config.origin.ca_file.as_ref());
    let ca_pem = ca_file.map(|path| read(path)).transpose()?;
    Ok(Examination {
        url: url.clone(),
        feeds,
        settings,
        ca_pem,
        depth: if args.quick { Depth::Quick } else { Depth::Whole },
        deadline: Duration::from_secs(args.deadline.unwrap_or(MIRROR)),
        clock: Arc::clone(&context.clock),
    })
}

/// What cannot be read is not repeated: it may hold a password.
fn parsed(url: &str) -> Result<Url, Failure> {
    let explain = |error| Failure::usage(format!("what was given is no URL: {error}; it must be as http://host:port/"));
    Url::parse(url).map_err(explain)
}

/// A feed by name, if its vendor has such.
fn feed(name: &str) -> Result<FeedId, Failure> {
    let feed: FeedId = name.parse().map_err(|error: model::FeedError| Failure::usage(error.to_string()))?;
    vendors::registry(feed.vendor()).supports(&feed).map_err(Failure::usage)?;
    Ok(feed)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::new(&format!("cannot read {}", path.display()), &error))
}

fn site(args: &Doctor, config: Config, is_set_up: bool, context: &Context) -> Result<Surroundings, Failure> {
    let mut bounded = config.clone();
    let limits = &mut bounded.limits;
    limits.connect_timeout = limits.connect_timeout.min(PROBE);
    limits.head_timeout = limits.head_timeout.min(PROBE);
    limits.pause_timeout = limits.pause_timeout.min(PROBE);
    limits.attempt_deadline = limits.attempt_deadline.min(PROBE);
    let failed = |error| Failure::build("doctor", &error);
    Ok(Surroundings {
        settings: app::vendor_settings(&config).map_err(failed)?,
        outbound: app::client(&bounded, Arc::clone(&context.clock)).map_err(failed)?,
        config,
        is_set_up,
        environment: context.environment.clone(),
        clock: Arc::clone(&context.clock),
        deadline: Duration::from_secs(args.deadline.unwrap_or(SURROUNDINGS)),
    })
}

/// Tells on stderr how far it is.
struct Telling;

impl Watch for Telling {
    fn on(&self, what: &str) {
        // A closed stderr ends no examination.
        let _ = writeln!(io::stderr(), "doctor: {}", show::clean(what));
    }
}
