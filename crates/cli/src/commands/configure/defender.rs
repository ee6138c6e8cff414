//! `waystation configure defender`.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use model::{RingName, Version};
use serde::Serialize;
use serde_json::Value;
use settings::defender::{Address, Context as Known, Fallback, Merged, Platform, Track, Wanted, ansible, lint, portal};
use settings::{Check, Document, DocumentError, Finding, Format, Level};

use super::{address, findings};
use crate::console;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// The largest file that is read from standard input.
const INPUT: u64 = 8 << 20;

/// Microsoft Defender's managed settings for a ring
///
/// Prints mdatp_managed.json for Linux or a configuration profile for macOS; --merge keeps everything else of a file.
/// What was changed and what is worth knowing goes to standard error. --check looks for what is known to break.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation configure defender --url https://mirror.example --enforcement real_time
  waystation configure defender --url https://mirror.example --merge mdatp_managed.json > new.json
  waystation configure defender --url https://mirror.example --platform mac > defender.mobileconfig
  waystation configure defender --check mdatp_managed.json --agent 101.26062.0007

Exit codes:
  0  printed; with --check: nothing that breaks
  1  failed; with --check: something that breaks, or with --strict anything worth a warning
  2  wrong usage or configuration, an address known to break, a file that cannot be read here")]
pub(crate) struct Defender {
    /// The mirror's address, as endpoints reach it
    #[arg(long, value_name = "URL", required_unless_present = "check")]
    url: Option<String>,
    /// The ring; without it the one at the mirror's root
    #[arg(long, value_name = "NAME")]
    ring: Option<RingName>,
    /// The endpoints' system: linux or mac; with --check else that of the file's form
    #[arg(long, value_name = "SYSTEM", hide_possible_values = true)]
    platform: Option<System>,
    /// The flavour of definitions: production or preview
    #[arg(long, value_name = "TRACK", default_value = "production", hide_possible_values = true)]
    track: Flavour,
    /// How often endpoints ask; Microsoft publishes every three to four hours
    #[arg(long, value_name = "SECONDS", default_value_t = 14_400)]
    #[arg(value_parser = clap::value_parser!(u64).range(60..=86_400))]
    interval: u64,
    /// What endpoints do when the mirror fails: never or cloud (past rings and holds)
    #[arg(long, value_name = "WHAT", default_value = "never", hide_possible_values = true)]
    fallback: When,
    /// Sets the enforcement level too: real_time, on_demand, passive; else it stays as it is
    #[arg(long, value_name = "LEVEL", value_parser = ["real_time", "on_demand", "passive"])]
    #[arg(hide_possible_values = true)]
    enforcement: Option<String>,
    /// The oldest agent among the endpoints, such as 101.26062.0007
    #[arg(long, value_name = "VERSION")]
    agent: Option<Version>,
    /// Puts the settings into this file's; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    merge: Option<PathBuf>,
    /// How it is printed: json, plist, profile, ansible, portal (names, Linux); else json for linux, profile for mac
    #[arg(long, value_name = "FORM", hide_possible_values = true, conflicts_with_all = ["check", "merge"])]
    form: Option<Form>,
    /// Looks for what is known to break in this file; - for standard input
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Accepts a finding of this code; may be repeated
    #[arg(long, value_name = "CODE", requires = "check")]
    allow: Vec<String>,
    /// Warnings end with exit code 1 too
    #[arg(long, requires = "check")]
    strict: bool,
    /// Plain HTTP is meant
    #[arg(long)]
    allow_plain_http: bool,
    /// The findings as one JSON object
    #[arg(long, requires = "check")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum System {
    Linux,
    Mac,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Flavour {
    Production,
    Preview,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Never,
    Cloud,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Plist,
    Profile,
    Ansible,
    Portal,
}

/// What `--check --json` shows.
#[derive(Serialize)]
struct Told<'a> {
    file: String,
    platform: Platform,
    level: Option<Level>,
    findings: &'a [Finding],
    allowed: &'a [String],
}

pub(crate) fn run(args: &Defender, context: &mut Context) -> Result<Exit, Failure> {
    let wanted = match &args.url {
        Some(url) => Some(wanted(args, url, context)?),
        None => None,
    };
    match (&args.check, &wanted) {
        (Some(file), wanted) => check(args, file, wanted.as_ref(), context),
        (None, Some(wanted)) => make(args, wanted, context),
        (None, None) => Err(Failure::usage("name the mirror's address with --url")),
    }
}

fn wanted(args: &Defender, url: &str, context: &Context) -> Result<Wanted, Failure> {
    let config = address::configuration(context)?;
    if let (Some(ring), None) = (&args.ring, &config) {
        let text = "no configuration is at hand, so nobody looked whether the mirror has such a ring: where it does not, every \
                    endpoint gets 404; without --ring the address is that of the ring at the root";
        beside(context, &format!("ring {ring}: {text}"));
    }
    let plain = console::plain(args.allow_plain_http || args.check.is_some());
    let mirror = address::of_ring(url, args.ring.as_ref(), plain, config.as_ref())?;
    if Address::read(&mirror.text()).is_of_vendor() {
        let failure =
            Failure::usage(format!("{} is one of Microsoft's own: no mirror's layout is there", mirror.text()));
        return Err(
            failure.with_next("give the mirror's address; endpoints that are to ask the cloud need no such settings")
        );
    }
    let platform = match (args.platform, args.form) {
        (Some(System::Linux), _) | (None, None | Some(Form::Json | Form::Ansible | Form::Portal)) => Platform::Linux,
        (Some(System::Mac), _) | (None, Some(Form::Plist | Form::Profile)) => Platform::Mac,
    };
    Ok(Wanted {
        platform,
        track: match args.track {
            Flavour::Production => Track::Production,
            Flavour::Preview => Track::Preview,
        },
        mirror,
        interval: args.interval,
        fallback: match args.fallback {
            When::Never => Fallback::Never,
            When::Cloud => Fallback::Cloud,
        },
        enforcement: args.enforcement.clone(),
        agent: args.agent.clone(),
    })
}

fn make(args: &Defender, wanted: &Wanted, context: &mut Context) -> Result<Exit, Failure> {
    if let Some(file) = &args.merge {
        return merge(args, file, wanted, context);
    }
    let form = args.form.unwrap_or(if wanted.platform == Platform::Mac { Form::Profile } else { Form::Json });
    let linux_alone = matches!(form, Form::Json | Form::Ansible);
    if linux_alone != (wanted.platform == Platform::Linux) && form != Form::Portal {
        let text = "json and ansible are for Linux, plist and profile for macOS: --platform says which is meant";
        return Err(Failure::usage(text));
    }
    let format = match form {
        Form::Json => Format::Json,
        Form::Plist => Format::Plist,
        Form::Profile => Format::Profile,
        Form::Ansible => {
            context.out.text(&ansible(wanted))?;
            return remarks(&fresh(wanted, Format::Json)?, wanted, context);
        }
        Form::Portal => return names(wanted, context),
    };
    let merged = fresh(wanted, format)?;
    context.out.text(&merged.document.write())?;
    remarks(&merged, wanted, context)
}

fn fresh(wanted: &Wanted, format: Format) -> Result<Merged, Failure> {
    wanted.fresh(format).map_err(|error| Failure::new("configure defender", &error))
}

fn merge(args: &Defender, file: &Path, wanted: &Wanted, context: &mut Context) -> Result<Exit, Failure> {
    let refused = |error: settings::DocumentError| {
        let next = format!("`waystation configure defender --check {}` tells what is wrong with it", file.display());
        Failure::new(&format!("{} cannot be merged", file.display()), &error).with_next(next)
    };
    let document = Document::read(&input(file)?).map_err(refused)?;
    let of_file = platform_of(&document);
    if args.platform.is_some() && of_file != wanted.platform {
        let text = format!("{} has the form of the other system: leave --platform out", file.display());
        return Err(Failure::usage(text));
    }
    let wanted = Wanted { platform: of_file, ..wanted.clone() };
    let merged = wanted.merge(document).map_err(refused)?;
    context.out.text(&merged.document.write())?;
    for change in &merged.changes {
        let before = change.before.as_ref().map_or_else(|| "(not set)".to_owned(), Value::to_string);
        beside(context, &format!("{}: {before} -> {}", change.at, change.after));
    }
    if merged.changes.is_empty() {
        beside(context, "nothing had to be changed");
    }
    if merged.document.comments() > 0 {
        beside(context, &format!("{} not kept", show::count(merged.document.comments(), "comment")));
    }
    remarks(&merged, &wanted, context)
}

/// What is worth knowing of what was printed.
fn remarks(merged: &Merged, wanted: &Wanted, context: &Context) -> Result<Exit, Failure> {
    let known = Known { platform: wanted.platform, agent: wanted.agent.clone(), url: Some(wanted.url()) };
    findings::lines(&lint(&merged.document, &known)).iter().for_each(|line| beside(context, line));
    Ok(Exit::DONE)
}

/// Tells on stderr: the file alone is on stdout.
fn beside(context: &Context, line: &str) {
    if !context.globals.quiet {
        // A closed stderr ends nothing.
        let _ = writeln!(io::stderr(), "{}", show::clean(line));
    }
}

fn names(wanted: &Wanted, context: &mut Context) -> Result<Exit, Failure> {
    if wanted.platform == Platform::Mac {
        let text = "Intune's and the portal's names of these settings are published for Linux alone";
        let next = "on macOS give Intune what --form profile prints, as a custom configuration profile";
        return Err(Failure::usage(text).with_next(next));
    }
    let mut table = Table::new([
        ("SETTING", Align::Left),
        ("VALUE", Align::Left),
        ("INTUNE, DEFENDER PORTAL", Align::Left),
        ("GRAPH, DSC", Align::Left),
    ]);
    for [key, portal, graph, value] in portal(wanted) {
        table.push([key, value, portal, graph]);
    }
    context.out.line("Endpoint security > Antivirus > Linux > Microsoft Defender Antivirus:")?;
    context.out.line("")?;
    table.write(&mut context.out)?;
    Ok(Exit::DONE)
}

fn check(args: &Defender, file: &Path, wanted: Option<&Wanted>, context: &mut Context) -> Result<Exit, Failure> {
    if let Some(unknown) = args.allow.iter().find(|code| Check::ALL.iter().all(|check| check.code() != code.as_str())) {
        let next = "docs/configure-endpoints.md lists the codes";
        return Err(Failure::usage(format!("'{unknown}' is no finding's code")).with_next(next));
    }
    let named = args.platform.map(|system| if system == System::Mac { Platform::Mac } else { Platform::Linux });
    let (platform, findings) = match Document::read(&input(file)?) {
        Err(error @ DocumentError::NotHere(_)) => {
            let text = format!("{} cannot be looked into here: {error}", file.display());
            return Err(Failure::usage(text));
        }
        Err(error) => (named.unwrap_or(Platform::Linux), vec![error.finding()]),
        Ok(document) => {
            let platform = named.unwrap_or_else(|| platform_of(&document));
            let url = wanted.map(|wanted| Wanted { platform, ..wanted.clone() }.url());
            (platform, lint(&document, &Known { platform, agent: args.agent.clone(), url }))
        }
    };
    let is_allowed = |finding: &Finding| args.allow.iter().any(|code| code == finding.check.code());
    let level = findings.iter().filter(|finding| !is_allowed(finding)).map(|finding| finding.level).max();
    if args.json {
        let file = file.display().to_string();
        context.out.json(&Told { file, platform, level, findings: &findings, allowed: &args.allow })?;
    } else {
        let (allowed, counted): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(is_allowed);
        findings::lines(&counted).iter().try_for_each(|line| context.out.line(line))?;
        for finding in &allowed {
            let at = if finding.at.is_empty() { String::new() } else { format!(" at {}", finding.at) };
            context.out.line(format!("allowed  {}{at}", finding.check))?;
        }
        let rest = if allowed.is_empty() { String::new() } else { format!(", {} allowed", allowed.len()) };
        context.out.line(format!("{}: {}{rest}", file.display(), findings::counts(&counted)))?;
    }
    Ok(match level {
        Some(Level::Error) => Exit::FAILED,
        Some(Level::Warn) if args.strict => Exit::FAILED,
        _ => Exit::DONE,
    })
}

fn platform_of(document: &Document) -> Platform {
    match document.format() {
        Format::Json => Platform::Linux,
        Format::Plist | Format::Profile => Platform::Mac,
    }
}

fn input(file: &Path) -> Result<Vec<u8>, Failure> {
    if file != Path::new("-") {
        return console::read(file);
    }
    let mut bytes = Vec::new();
    let read = io::stdin().take(INPUT).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new("cannot read standard input", &error).with_exit(Exit::USAGE))?;
    Ok(bytes)
}
