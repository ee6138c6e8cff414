//! `waystation endpoint elastic update|status`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use endpoint::defender::ClockRef;
use endpoint::elastic::{Assumptions, Document, Endpoint, Outcome, Policy, Quirks, Report, Store};
use endpoint::{Network, ProxyUse, Unwatched};
use settings::elastic::System;

use crate::arguments::TWO_ENDS;
use crate::commands::endpoint::{keys, read, state};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;

/// Plays Elastic Endpoint (Elastic Defend)
#[derive(Debug, Subcommand)]
#[command(after_help = format!(
    "Example:\n  waystation endpoint elastic update --state ep --version 9.0.0 --base-url http://mirror:8080\n\n{TWO_ENDS}"
))]
pub(crate) enum Elastic {
    Update(Update),
    Status(Status),
}

/// Polls once: manifest, artifacts of its system, all applied or none; writes the policy response
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation endpoint elastic update --state ep --version 9.0.0 --base-url http://mirror:8080 --public-key vendor.pem
  waystation endpoint elastic update --state ep --version 9.0.0 --policy policy.json --os windows --json

Exit codes:
  0  what is applied is what the mirror has
  1  the poll failed, and what is applied stays
  2  wrong usage, or a policy that cannot be read")]
pub(crate) struct Update {
    #[command(flatten)]
    player: Player,
    /// The policy response, one JSON object
    #[arg(long)]
    json: bool,
}

/// Says what is applied, and what the last poll came to; asks nobody
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation endpoint elastic status --state ep

Exit codes:
  0  told, whatever it says
  1  the state cannot be read
  2  wrong usage")]
pub(crate) struct Status {
    /// The folder that keeps the endpoint's state
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// The last policy response, one JSON object
    #[arg(long)]
    json: bool,
}

/// Which endpoint is played.
#[derive(Clone, Debug, Args)]
struct Player {
    /// The folder that keeps the endpoint's state; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// The version of Elastic Endpoint that is played
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// The system that is played: linux, mac or windows
    #[arg(long, value_name = "SYSTEM", default_value = "linux")]
    os: System,
    /// The policy, as Kibana's API gives it, or its settings alone
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The mirror, as artifacts.global.base_url has it; instead of a policy, or over the policy's own
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// A public key (PEM) that manifests may be signed with; else the policy's, else the built-in one; may be repeated
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,
    /// Roots beside the public ones, the system's and the policy's, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// With the bug of versions that refuse an ETag with a dash in it
    #[arg(long)]
    quirks: bool,
    /// The day that the Endpoint was built, as 2026-03-01, for its document
    #[arg(long, value_name = "DATE", value_parser = day)]
    built: Option<String>,
    /// The host's name, for its document
    #[arg(long, value_name = "NAME", default_value = "reference-endpoint")]
    host: String,
    /// What to assume where the vendor says nothing, such as asking=plain; docs/reference-endpoint.md lists them
    #[arg(long, value_name = "WHAT")]
    assume: Vec<String>,
}

/// A day of the calendar, as it is written into the document.
fn day(text: &str) -> Result<String, String> {
    let day = text.parse::<jiff::civil::Date>().ok().filter(|day| day.to_string() == text);
    day.map(|day| day.to_string()).ok_or_else(|| "a day is meant, such as 2026-03-01".to_owned())
}

pub(crate) async fn run(verb: &Elastic, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Elastic::Update(args) => update(args, context).await,
        Elastic::Status(args) => status(args, context),
    }
}

async fn update(args: &Update, context: &mut Context) -> Result<Exit, Failure> {
    let endpoint = args.player.play(context)?;
    let report = endpoint.poll().await.map_err(|error| state("endpoint elastic update", &error))?;
    if args.json {
        let Document(document) = &report.document;
        context.out.json(document)?;
    } else {
        tell(&report, context)?;
    }
    Ok(if report.result.is_ok() { Exit::DONE } else { Exit::FAILED })
}

fn tell(report: &Report, context: &mut Context) -> Result<(), Failure> {
    let url = &report.url;
    let line = match &report.result {
        Ok(Outcome::Current { version }) => format!("{url}: nothing newer than {version}"),
        Ok(Outcome::Applied { from, to, fetched, kept, bytes }) => {
            let before = from.as_ref().map(|from| format!("{from} -> ")).unwrap_or_default();
            let (fetched, bytes) = (show::count(*fetched, "artifact"), show::bytes(*bytes));
            format!("{url}: {before}{to}, {fetched} fetched ({bytes}), {kept} kept")
        }
        // The detail names the URL, where it is about one.
        Err(fail) => format!("failed: {fail}"),
    };
    context.out.line(line)?;
    if report.result.as_ref().is_err_and(|fail| fail.code == model::Reason::SignatureUnverified.code()) {
        context.out.line("next: where the mirror's content is signed with another key, name it: --public-key FILE")?;
    }
    for note in &report.notes {
        context.out.line(format!("note: {note}"))?;
    }
    context.out.line(match &report.result {
        Ok(_) => "Global artifacts are available for use",
        Err(_) if has_any(&report.document) => "The artifacts could not be updated; those in use stay as they are",
        Err(_) => "The artifacts could not be updated; there are none in use",
    })
}

/// Whether artifacts are in use, as the policy response says.
fn has_any(Document(document): &Document) -> bool {
    document.pointer("/Endpoint/policy/applied/artifacts/global/version").is_some_and(|version| !version.is_null())
}

fn status(args: &Status, context: &mut Context) -> Result<Exit, Failure> {
    let missing = || {
        let failure = Failure::usage(format!("there is no endpoint's state in {}", args.state.display()));
        failure.with_exit(Exit::FAILED).with_next("`waystation endpoint elastic update` makes one")
    };
    if !args.state.join("state.json").is_file() {
        return Err(missing());
    }
    let failed = |error| state("endpoint elastic status", &error);
    let store = Store::open(&args.state, Arc::new(Unwatched)).map_err(failed)?;
    if args.json {
        let document = store.response().map_err(failed)?.ok_or_else(missing)?;
        context.out.json(&document)?;
        return Ok(Exit::DONE);
    }
    let (applied, record) = (store.applied().map_err(failed)?, store.record().map_err(failed)?);
    let now = context.clock.now();
    let mut lines = vec![("agent id", record.agent.clone())];
    if let Some(applied) = &applied {
        let signed =
            applied.key.as_ref().map_or_else(|| "by no key that is known".to_owned(), |key| format!("by key {key}"));
        lines.extend([
            ("applied", format!("{} ({}, {})", applied.version, applied.snapshot, applied.manifest_type)),
            ("system", applied.system.map_or_else(show::dash, |system| system.to_string())),
            ("from", applied.url.clone()),
            ("signed", signed),
            ("artifacts", applied.identifiers.len().to_string()),
            ("since", show::at(now, Some(applied.at))),
        ]);
    } else {
        lines.push(("applied", "nothing".to_owned()));
    }
    lines.push(("newest as of", show::at(now, record.current)));
    lines.push(("polled", show::at(now, record.polled)));
    lines.extend(record.fail.as_ref().map(|fail| ("failed", fail.to_string())));
    lines.iter().try_for_each(|(name, value)| context.out.line(format!("{name:<13} {value}")))?;
    Ok(Exit::DONE)
}

impl Player {
    fn play(&self, context: &Context) -> Result<Endpoint, Failure> {
        let usage = |error: &dyn std::error::Error| Failure::usage(model::error_chain(error));
        let feed: model::FeedId =
            format!("elastic/{}", self.version).parse().map_err(|error: model::FeedError| usage(&error))?;
        vendors::registry(feed.vendor()).supports(&feed).map_err(Failure::usage)?;
        let mut assumptions = Assumptions::default();
        for text in &self.assume {
            assumptions.assume(text).map_err(|error| Failure::usage(format!("--assume: {error}")))?;
        }
        let policy = self.policy()?;
        let mut ca_pem = self.ca_file.as_ref().map(|path| read(path)).transpose()?;
        if let Some(own) = &policy.ca_cert {
            let all = ca_pem.get_or_insert_default();
            all.push(b'\n');
            all.extend_from_slice(own.as_bytes());
        }
        let network = Network {
            ca_pem,
            cloud: None,
            cloud_hosts: Vec::new(),
            proxy_use: ProxyUse::Everything,
            clock: Arc::clone(&context.clock),
        };
        let opened = Store::open(&self.state, Arc::new(Unwatched));
        Ok(Endpoint {
            os: self.os,
            version: self.version.clone(),
            built: self.built.clone(),
            host: self.host.clone(),
            policy,
            keys: keys(&self.public_key)?,
            assumptions,
            quirks: if self.quirks { Quirks::Dash } else { Quirks::Mended },
            store: opened.map_err(|error| state("endpoint elastic", &error))?,
            dial: Arc::new(network),
            clock: ClockRef(Arc::clone(&context.clock)),
        })
    }

    fn policy(&self) -> Result<Policy, Failure> {
        let refused = |error: endpoint::elastic::PolicyError| Failure::usage(model::error_chain(&error));
        let own = match (&self.policy, &self.base_url) {
            (Some(path), _) => Policy::read(&read(path)?, self.os)
                .map_err(|error| Failure::new(&path.display().to_string(), &error).with_exit(Exit::USAGE))?,
            (None, Some(url)) => return Policy::plain(url, self.os).map_err(refused),
            (None, None) => {
                return Err(Failure::usage(
                    "which mirror? name it with --base-url URL, or the policy with --policy FILE",
                ));
            }
        };
        match &self.base_url {
            None => Ok(own),
            Some(url) => own.at(url, self.os).map_err(refused),
        }
    }
}
