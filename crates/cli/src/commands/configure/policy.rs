//! A policy in Kibana: listed, compared, changed.

use fleet::{Applied, Kibana};
use serde::Serialize;
use serde_json::Value;
use settings::elastic::Wanted;
use settings::{Change, Check, Finding};

use super::findings;
use super::trial::Trial;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// What is to be done with a policy.
pub(super) struct Job<'a> {
    pub(super) id: &'a str,
    pub(super) wanted: &'a Wanted,
    /// What is wrong with the CA that endpoints are to be given.
    pub(super) of_ca: &'a [Finding],
    /// None: what would change is shown, and nothing is changed.
    pub(super) apply: Option<Terms<'a>>,
    pub(super) json: bool,
}

/// What has to hold before a policy is changed.
pub(super) struct Terms<'a> {
    /// What is meant although it keeps endpoints from taking anything.
    pub(super) allowed: &'a [Check],
    pub(super) trial: Trial<'a>,
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
    let (name, changes) = (planned.name.clone(), planned.changes.clone());
    let found = [planned.findings.clone(), job.of_ca.to_vec()].concat();
    if !job.json {
        page(job, &name, &changes, context)?;
        findings::lines(&found).iter().try_for_each(|line| context.out.line(line))?;
    }
    let applied = if let Some(terms) = &job.apply {
        // What is about to be done stands on the screen before it is done.
        context.out.flush()?;
        refuse(&found, terms.allowed)?;
        terms.trial.run(&found, context).await?;
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

/// Settings with which endpoints most likely take nothing, whatever the mirror has.
fn refuse(found: &[Finding], allowed: &[Check]) -> Result<(), Failure> {
    let refused = |finding: &&Finding| {
        matches!(finding.check, Check::CloudFeatures | Check::ForeignKey | Check::CaOutOfDate)
            && !allowed.contains(&finding.check)
    };
    let refused: Vec<&Finding> = found.iter().filter(refused).collect();
    let Some(first) = refused.first() else { return Ok(()) };
    let each = |one: &&Finding| format!("{} at {}: {} {}", one.check, one.at, one.effect, one.mend);
    let each: Vec<String> = refused.iter().map(each).collect();
    let text = format!("the policy's endpoints would get nothing; nothing was changed\n{}", each.join("\n"));
    let what = if first.check == Check::CaOutOfDate { "give another CA" } else { "mend the policy" };
    let next = format!("{what}; --allow {} applies all the same", first.check);
    Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next))
}
