//! How everything stood, for people and as JSON.

use mirror::{Engine, Past, PastAct, PastFeed, PastRelease};
use model::{Finding, FreshnessPolicy, Level, ReleaseState, Timestamp};
use serde_json::{Value, json};

use crate::commands::history::Doubt;
use crate::commands::ring;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

/// Tells how everything stood at a moment.
pub(super) async fn run(at: Timestamp, engine: &Engine, json: bool, context: &mut Context) -> Result<Exit, Failure> {
    let (past, doubt) = crate::past::past("status", at, engine, context).await?;
    let policy: &FreshnessPolicy = &engine.settings().freshness;
    let findings = past.freshness(policy);
    if json {
        document(at, &past, (&findings, Doubt::json(doubt.as_ref())), context)?;
    } else {
        doubt.as_ref().map_or(Ok(()), |doubt| doubt.write(&mut context.out))?;
        page(at, &past, &findings, &mut context.out)?;
    }
    Doubt::end(doubt).map(|()| Exit::DONE)
}

fn held(past: &Past) -> impl Iterator<Item = &PastRelease> {
    let is_held = |state| matches!(state, ReleaseState::Admitted | ReleaseState::Quarantined);
    past.releases.iter().filter(move |release| is_held(release.state))
}

fn document(
    at: Timestamp,
    past: &Past,
    (findings, history): (&[Finding], Value),
    context: &mut Context,
) -> Result<(), Failure> {
    context.out.json(&json!({
        "at": at, "history": history, "entry": past.entry, "out_of_order": past.out_of_order, "configuration": past.configuration,
        "rings": past.rings.values().collect::<Vec<_>>(), "feeds": past.feeds,
        "releases": held(past).collect::<Vec<_>>(), "acts": past.acts, "freshness": findings,
    }))
}

fn page(at: Timestamp, past: &Past, findings: &[Finding], out: &mut Out) -> Result<(), Failure> {
    out.line(format!("at {at}, from the history up to entry {}", past.entry))?;
    if let Some(digest) = &past.configuration {
        out.line(format!("configuration: {}", digest.short()))?;
    }
    if past.out_of_order {
        out.line("note: entries before it carry later times: this machine's clock was ahead then, or was set back")?;
    }
    for served in past.rings.values() {
        out.line("")?;
        ring::write_past(at, served, past, out)?;
    }
    if past.rings.is_empty() {
        out.line("nothing was published yet")?;
    }
    out.line("")?;
    feeds(at, &past.feeds, out)?;
    releases(past, out)?;
    freshness(findings, out)?;
    acts(&past.acts, out)
}

fn feeds(at: Timestamp, feeds: &[PastFeed], out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("OUTCOME", Align::Left),
        ("OFFERED", Align::Left),
        ("MARK", Align::Left),
        ("CHECKED", Align::Left),
        ("SUCCEEDED", Align::Left),
        ("WHY", Align::Left),
    ]);
    for PastFeed { record, .. } in feeds {
        let detail = record.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        table.push([
            record.feed.to_string(),
            record.outcome.to_string(),
            show::version(record.offered.as_ref()),
            show::version(record.mark.as_ref()),
            show::ago(at, Some(record.checked_at)),
            show::ago(at, record.succeeded_at),
            record.reason.map(|reason| format!("{reason}{detail}")).unwrap_or_default(),
        ]);
    }
    table.write(out)
}

fn releases(past: &Past, out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("RELEASE", Align::Right),
        ("FEED", Align::Left),
        ("VENDOR VERSION", Align::Left),
        ("STATE", Align::Left),
        ("HELD SINCE", Align::Left),
        ("TRUST", Align::Left),
    ]);
    for release in held(past) {
        let why: Vec<&str> = release.reasons.iter().map(|note| note.reason.code()).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
        table.push([
            release.number.map_or_else(|| release.id.short(), |number| number.to_string()),
            release.feed.to_string(),
            release.vendor_version.to_string(),
            format!("{}{why}", release.state),
            release.held_since.to_string(),
            release.trust.to_string(),
        ]);
    }
    if held(past).next().is_none() {
        return Ok(());
    }
    out.line("")?;
    out.line("held")?;
    table.write(out)
}

fn freshness(findings: &[Finding], out: &mut Out) -> Result<(), Failure> {
    let late: Vec<&Finding> = findings.iter().filter(|finding| finding.level != Level::Fine).collect();
    if late.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line("freshness, by the limits of today's configuration")?;
    for finding in late {
        let age = show::span(std::time::Duration::from_secs(finding.age_seconds));
        let why = finding.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let source = finding.since.source.in_words();
        out.line(format!(
            "  {}: {} {}: {age}, according to {source}{why}",
            finding.feed, finding.measure, finding.level
        ))?;
    }
    Ok(())
}

fn acts(acts: &[PastAct], out: &mut Out) -> Result<(), Failure> {
    if acts.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line("acts before then, the last ones")?;
    for act in acts {
        let on = act.number.map_or_else(|| act.on.clone(), |number| format!("release {number}"));
        let who = show::person(&act.actor);
        let why = act.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let refused = act.refused.as_ref().map(|code| format!(", refused ({code})")).unwrap_or_default();
        out.line(format!("  {} entry {}: {who}: {} {on}{refused}{why}", act.at, act.entry, act.act))?;
    }
    Ok(())
}
