//! `waystation configure elastic`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use config::Config;
use model::RingName;
use serde::Serialize;
use serde_json::Value;
use settings::elastic::{CaCertificate, CaFile, Channel, System, Wanted};
use settings::{Check, Finding};

use super::{address, findings, policy, trial};
use crate::console;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// The advanced settings of an Elastic Defend policy for a ring
///
/// Prints them as lines, as nested JSON, as a script of curl and jq, or for Terraform. With --kibana and --policy shows
/// what would change in that policy, and with --apply changes it, behind the policy's own lock.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation configure elastic --url https://mirror.example:8443
  waystation configure elastic --url https://mirror.example:8443 --kibana https://kibana.example:5601 \\
      --policy 4c9c9cb3 --api-key-file key --apply
  waystation configure elastic --kibana https://kibana.example:5601 --api-key-file key --list

The key is read from --api-key-file or WAYSTATION_KIBANA_API_KEY: id:key, or that in base64.

Exit codes:
  0  printed, shown, or applied
  1  failed: Kibana refuses, or endpoints of this policy would get nothing from the mirror
  2  wrong usage or configuration, or an address that is known to break")]
pub(crate) struct Elastic {
    /// The mirror's address, as endpoints reach it
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    url: Option<String>,
    /// The ring; without it the one at the mirror's root
    #[arg(long, value_name = "NAME")]
    ring: Option<RingName>,
    /// For these systems: windows, mac, linux; may be repeated, all without it
    #[arg(long, value_name = "SYSTEM", hide_possible_values = true)]
    os: Vec<Os>,
    /// Which manifests hosts from 8.18 on ask for: stable, default, rapid, or keep what is set
    #[arg(long, value_name = "CHANNEL", default_value = "stable", hide_possible_values = true)]
    channel: Chosen,
    /// How often hosts ask; what is set stays without it
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(60..=86_400))]
    interval: Option<u64>,
    /// The CA of the mirror's certificate, as PEM: goes into the settings
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Hosts ask the mirror past any proxy of theirs
    #[arg(long)]
    past_proxies: bool,
    /// Plain HTTP is meant, for the mirror and for Kibana
    #[arg(long)]
    allow_plain_http: bool,
    /// How it is printed: text, json (nested, as in a policy), script (curl and jq), terraform
    #[arg(long, value_name = "FORM", default_value = "text", hide_possible_values = true, conflicts_with = "json")]
    form: Form,
    /// One JSON object with everything
    #[arg(long)]
    json: bool,
    /// Kibana's address, with /s/SPACE for another space
    #[arg(long, value_name = "URL")]
    kibana: Option<String>,
    /// The policy's id
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// The file of Kibana's API key
    #[arg(long, value_name = "FILE", requires = "kibana")]
    api_key_file: Option<PathBuf>,
    /// The CA of Kibana's certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "kibana")]
    kibana_ca_file: Option<PathBuf>,
    /// Changes the policy
    #[arg(long, requires = "kibana", requires = "policy")]
    apply: bool,
    /// A version whose manifest the mirror is asked for before --apply, as of the policy's date where it has one; else
    /// those that are followed, of that date
    #[arg(long = "try", value_name = "VERSION", requires = "apply")]
    tried: Vec<String>,
    /// Applies without asking the mirror first
    #[arg(long, requires = "apply", conflicts_with = "tried")]
    untried: bool,
    /// Applies although this was found: cloud_features, foreign_key or ca_out_of_date, with which hosts most likely take
    /// nothing
    #[arg(long, value_name = "CODE", requires = "apply", hide_possible_values = true)]
    allow: Vec<Allowed>,
    /// Lists the policies of Elastic Defend
    #[arg(long, requires = "kibana", conflicts_with_all = ["url", "policy", "apply"])]
    list: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Os {
    Windows,
    Mac,
    Linux,
}

/// What is refused unless it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Allowed {
    #[value(name = "cloud_features")]
    CloudFeatures,
    #[value(name = "foreign_key")]
    ForeignKey,
    #[value(name = "ca_out_of_date")]
    CaOutOfDate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Chosen {
    Stable,
    Default,
    Rapid,
    Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Script,
    Terraform,
}

/// What `--json` shows.
#[derive(Serialize)]
struct Told<'a> {
    base_url: String,
    ring: Option<&'a RingName>,
    settings: Vec<Line>,
    nested: Value,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    value: String,
}

pub(crate) async fn run(args: &Elastic, context: &mut Context) -> Result<Exit, Failure> {
    if args.list {
        return policy::list(&kibana(args, context)?, args.json, context).await;
    }
    let config = address::configuration(context)?;
    let url = args.url.as_deref().unwrap_or_default();
    let plain = console::plain(args.allow_plain_http);
    let mirror = address::of_ring(url, args.ring.as_ref(), plain, config.as_ref())?;
    let (ca, of_ca) = ca(args, context)?;
    let mut systems: Vec<System> = args.os.iter().map(|os| os.system()).collect();
    if systems.is_empty() {
        systems = System::ALL.to_vec();
    }
    systems.sort();
    systems.dedup();
    let channel = args.channel.channel();
    let wanted = Wanted { mirror, systems, channel, interval: args.interval, ca, past_proxies: args.past_proxies };
    match (&args.kibana, &args.policy) {
        (Some(_), Some(id)) if args.form == Form::Text => {
            let allowed: Vec<Check> = args.allow.iter().map(|one| one.check()).collect();
            let trial =
                trial::Trial { wanted: &wanted, versions: &args.tried, config: config.as_ref(), untried: args.untried };
            let apply = args.apply.then_some(policy::Terms { allowed: &allowed, trial });
            let job = policy::Job { id, wanted: &wanted, of_ca: &of_ca, apply, json: args.json };
            policy::change(&job, &kibana(args, context)?, context).await
        }
        (Some(_), None) if args.form == Form::Text => {
            let next = "--list shows the policies there are";
            Err(Failure::usage("which policy? name it with --policy ID").with_next(next))
        }
        _ => print(args, (&wanted, &of_ca), config.as_ref(), context),
    }
}

fn kibana(args: &Elastic, context: &Context) -> Result<fleet::Kibana, Failure> {
    let given = console::Given {
        url: args.kibana.as_deref().unwrap_or_default(),
        key_file: args.api_key_file.as_deref(),
        key_variable: "WAYSTATION_KIBANA_API_KEY",
        ca_file: args.kibana_ca_file.as_deref(),
        plain: console::plain(args.allow_plain_http),
    };
    Ok(fleet::Kibana::new(console::access(&given, context)?))
}

/// The CA that endpoints are to be given, and what keeps them from trusting a mirror by it.
fn ca(args: &Elastic, context: &Context) -> Result<(Option<CaFile>, Vec<Finding>), Failure> {
    let Some(file) = &args.ca_file else { return Ok((None, Vec::new())) };
    let bad = |error: &dyn std::error::Error| {
        Failure::usage(format!("{} cannot be given to endpoints: {error}", file.display()))
    };
    let text = String::from_utf8_lossy(&console::read(file)?).into_owned();
    let ca = CaFile::read(&text).map_err(|error| bad(&error))?;
    let anchors = doctor::anchors(ca.pem().as_bytes()).map_err(|error| bad(&error))?;
    let told: Vec<CaCertificate> = anchors
        .into_iter()
        .map(|one| CaCertificate { name: one.name, from: one.from, until: one.until, is_ca: one.is_ca })
        .collect();
    Ok((Some(ca), CaCertificate::look(&told, context.clock.now())))
}

impl Os {
    fn system(self) -> System {
        match self {
            Self::Windows => System::Windows,
            Self::Mac => System::Mac,
            Self::Linux => System::Linux,
        }
    }
}

impl Allowed {
    fn check(self) -> Check {
        match self {
            Self::CloudFeatures => Check::CloudFeatures,
            Self::ForeignKey => Check::ForeignKey,
            Self::CaOutOfDate => Check::CaOutOfDate,
        }
    }
}

impl Chosen {
    fn channel(self) -> Option<Channel> {
        match self {
            Self::Stable => Some(Channel::Stable),
            Self::Default => Some(Channel::Default),
            Self::Rapid => Some(Channel::Rapid),
            Self::Keep => None,
        }
    }
}

fn print(
    args: &Elastic,
    (wanted, of_ca): (&Wanted, &[Finding]),
    config: Option<&Config>,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let findings = || [wanted.mirror.findings(), of_ca.to_vec()].concat();
    let out = &mut context.out;
    if args.json {
        let settings = wanted.lines().into_iter().map(|(name, value)| Line { name, value }).collect();
        out.json(&Told {
            base_url: wanted.mirror.text(),
            ring: args.ring.as_ref(),
            settings,
            nested: wanted.nested(),
            findings: findings(),
        })?;
        return Ok(Exit::DONE);
    }
    match args.form {
        Form::Text => {
            text(args, (wanted, &findings()), context)?;
            if let (Some(ring), None) = (&args.ring, config) {
                let doctor = format!("`waystation doctor {}`", wanted.mirror.text());
                let line = format!("note   no configuration says that the mirror has a ring {ring}; {doctor} looks");
                context.out.line(line)?;
            }
        }
        Form::Json => {
            let nested = serde_json::to_string_pretty(&wanted.nested());
            let nested = nested.map_err(|error| Failure::new("cannot write JSON", &error))?;
            out.text(&format!("{nested}\n"))?;
        }
        Form::Script => {
            let kibana = args.kibana.as_deref().unwrap_or("https://KIBANA:5601");
            let policy = args.policy.as_deref().unwrap_or("POLICY-ID");
            out.text(&wanted.script(kibana, policy))?;
        }
        Form::Terraform => {
            out.text("# a part of a resource \"elasticstack_fleet_elastic_defend_integration_policy\"\n")?;
            out.text(&wanted.terraform())?;
        }
    }
    Ok(Exit::DONE)
}

fn text(args: &Elastic, (wanted, found): (&Wanted, &[Finding]), context: &mut Context) -> Result<(), Failure> {
    let out = &mut context.out;
    out.line("Kibana > Security > Manage > Policies > (policy) > Show advanced settings:")?;
    out.line("")?;
    for (name, value) in wanted.lines() {
        if value.starts_with("-----BEGIN") {
            out.line(format!("{name} ="))?;
            out.text(&value)?;
        } else {
            out.line(format!("{name} = {value}"))?;
        }
    }
    if let Some(file) = &args.ca_file {
        let name = file.file_name().map_or_else(|| "ca.pem".to_owned(), |name| name.to_string_lossy().into_owned());
        out.line("")?;
        out.line(format!(
            "Endpoint trusts the CA by ca_cert alone; for everything else on a host, with {name} there:"
        ))?;
        for system in &wanted.systems {
            out.line(format!("{}:", system.as_str()))?;
            CaFile::install(*system, &name).iter().try_for_each(|line| out.line(format!("  {line}")))?;
        }
    }
    for line in findings::lines(found) {
        out.line(line)?;
    }
    Ok(())
}
