//! A policy in Kibana: listed, compared, changed.

use std::time::Duration;

use config::Config;
use doctor::{Depth, Examination, Level};
use fleet::{Applied, Kibana};
use model::{FeedId, Vendor};
use serde::Serialize;
use serde_json::Value;
use settings::elastic::Wanted;
use settings::{Change, Finding};

use super::findings;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// For trying the mirror.
const DEADLINE: Duration = Duration::from_secs(600);

/// What is to be done with a policy.
pub(super) struct Job<'a> {
    pub(super) id: &'a str,
    pub(super) wanted: &'a Wanted,
    pub(super) apply: bool,
    pub(super) json: bool,
}

/// What `--json` shows of a policy.
#[derive(Serialize)]
struct Told<'a> {
    policy: &'a str,
    name: &'a str,
    changes: &'a [Change],
    findings: &'a [Finding],
    applied: bool,
}

/// Lists the policies of Elastic Defend.
pub(super) async fn list(kibana: &Kibana, json: bool, context: &mut Context) -> Result<Exit, Failure> {
    let listed = kibana.list().await.map_err(|error| Failure::new("configure elastic", &error))?;
    if json {
        listed.iter().try_for_each(|policy| context.out.json(policy))?;
        return Ok(Exit::DONE);
    }
    if listed.is_empty() {
        context.out.line("no policy of Elastic Defend in this space; another one is /s/SPACE in the address")?;
        return Ok(Exit::DONE);
    }
    let mut table = Table::new([("ID", Align::Left), ("NAME", Align::Left), ("BASE URL", Align::Left)]);
    for policy in listed {
        let urls: Vec<String> = policy.base_urls.iter().map(|(system, url)| format!("{system} {url}")).collect();
        let urls = if urls.is_empty() { "Elastic's own".to_owned() } else { urls.join(", ") };
        table.push([policy.id, policy.name, urls]);
    }
    table.write(&mut context.out)?;
    Ok(Exit::DONE)
}

/// Shows what would change, and changes it where that is wanted.
pub(super) async fn change(job: &Job<'_>, kibana: &Kibana, context: &mut Context) -> Result<Exit, Failure> {
    let failed = |error: fleet::KibanaError| Failure::new("configure elastic", &error);
    let planned = kibana.plan(job.id, job.wanted).await.map_err(failed)?;
    let (name, changes, found) = (planned.name.clone(), planned.changes.clone(), planned.findings.clone());
    if !job.json {
        page(job, &name, &changes, context)?;
        findings::lines(&found).iter().try_for_each(|line| context.out.line(line))?;
    }
    let applied = if job.apply {
        // What is about to be done stands on the screen before it is done.
        context.out.flush()?;
        Some(kibana.apply(job.id, job.wanted, planned).await.map_err(failed)?)
    } else {
        None
    };
    if job.json {
        let told = Told {
            policy: job.id,
            name: &name,
            changes: &changes,
            findings: &found,
            applied: applied == Some(Applied::Written),
        };
        context.out.json(&told)?;
    } else {
        let count = show::count(changes.len(), "setting");
        context.out.line(match applied {
            _ if changes.is_empty() => "nothing to change".to_owned(),
            None => format!("{count} would change; --apply changes them"),
            Some(_) => format!("{count} changed, and read back so; endpoints follow when they check in"),
        })?;
    }
    Ok(Exit::DONE)
}

fn page(job: &Job<'_>, name: &str, changes: &[Change], context: &mut Context) -> Result<(), Failure> {
    let out = &mut context.out;
    out.line(format!("policy {name} ({})", job.id))?;
    for change in changes {
        out.line(&change.at)?;
        out.line(format!("  - {}", change.before.as_ref().map_or_else(|| "(not set)".to_owned(), shown)))?;
        out.line(format!("  + {}", shown(&change.after)))?;
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.lines().count() {
        0 | 1 => text,
        lines => format!("{} … ({lines} lines)", text.lines().next().unwrap_or_default()),
    }
}

/// Asks the mirror for what endpoints will ask it for.
pub(super) async fn try_mirror(
    wanted: &Wanted,
    versions: &[String],
    config: Option<&Config>,
    context: &Context,
) -> Result<(), Failure> {
    let mut feeds = Vec::new();
    for version in versions {
        let feed: FeedId = format!("elastic/{version}")
            .parse()
            .map_err(|error: model::FeedError| Failure::usage(error.to_string()))?;
        feeds.push(feed);
    }
    if feeds.is_empty() {
        let followed = config.map(app::followed).transpose().map_err(|error| Failure::new("configure", &error))?;
        let followed = followed.into_iter().flatten();
        feeds.extend(followed.filter(|feed| feed.vendor() == Vendor::Elastic && feed.date().is_none()));
    }
    if feeds.is_empty() {
        let next = "name a version that endpoints have with --try, or apply --untried";
        return Err(
            Failure::usage("which version should the mirror be asked for before it is applied?").with_next(next)
        );
    }
    let settings = match config {
        Some(config) => app::learned_settings(config).map_err(|error| Failure::build("configure", &error))?,
        None => vendors::Settings::default(),
    };
    let examination = Examination {
        url: wanted.mirror.url().clone(),
        feeds,
        settings,
        ca_pem: wanted.ca.as_ref().map(|ca| ca.pem().as_bytes().to_vec()),
        depth: Depth::Quick,
        deadline: DEADLINE,
        clock: std::sync::Arc::clone(&context.clock),
    };
    let report = doctor::examine(&examination, &doctor::Quietly).await;
    let report = report.map_err(|error| Failure::usage(model::error_chain(&error)))?;
    let mut bad = report.findings.iter().filter(|finding| finding.level == Level::Fail).peekable();
    if bad.peek().is_none() {
        return Ok(());
    }
    let told: Vec<String> =
        bad.map(|finding| format!("{} on {}: {}", finding.check, finding.on.join(", "), finding.came)).collect();
    let text =
        format!("the mirror does not give endpoints what they ask for; nothing was changed\n{}", told.join("\n"));
    let next = format!("`waystation doctor {}` says what to do; --untried applies all the same", wanted.mirror.text());
    Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next))
}
