//! What an update and a connectivity test say.

use endpoint::Fail;
use endpoint::defender::{Attempt, Managed, Outcome, Prelude, Probe, Report};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::Out;
use crate::show;

/// For people.
pub(super) fn told(report: &Report, managed: &Managed, out: &mut Out) -> Result<(), Failure> {
    for warning in &managed.warnings {
        out.line(format!("warning: {warning}"))?;
    }
    for attempt in &report.attempts {
        out.line(line(attempt))?;
    }
    for note in &report.notes {
        out.line(format!("note: {note}"))?;
    }
    out.line(if report.is_good() {
        "Security intelligence is up to date"
    } else {
        "Security intelligence could not be updated; the definitions in use stay as they are"
    })
}

/// What came before a scan.
pub(super) fn before_scan(before: &Prelude, managed: &Managed, json: bool, out: &mut Out) -> Result<(), Failure> {
    match before {
        Prelude::Update(update) if json => out.json(&json!({ "updated": true, "report": report(update, managed) })),
        Prelude::Update(update) => told(update, managed, out),
        Prelude::Nothing(why) if json => out.json(&json!({ "updated": false, "why": why.why() })),
        Prelude::Nothing(why) => {
            managed.warnings.iter().try_for_each(|warning| out.line(format!("warning: {warning}")))?;
            out.line(format!("nothing is updated before this scan: {}", why.why()))
        }
    }
}

fn line(attempt: &Attempt) -> String {
    let source = if attempt.source.is_empty() { "no source".to_owned() } else { attempt.source.clone() };
    match &attempt.result {
        Ok(Outcome::Current(version)) => format!("{source}: nothing newer than {}", show::version(version.as_ref())),
        Ok(Outcome::Updated { from: None, to, bytes }) => {
            format!("{source}: {}, {}", show::version(to.as_ref()), show::bytes(*bytes))
        }
        Ok(Outcome::Updated { from, to, bytes }) => {
            let (from, to) = (show::version(from.as_ref()), show::version(to.as_ref()));
            format!("{source}: {from} -> {to}, {}", show::bytes(*bytes))
        }
        Err(fail) if fail.detail.contains(source.as_str()) => format!("failed: {fail}"),
        Err(fail) => format!("{source}: failed: {fail}"),
    }
}

/// For programs.
pub(super) fn report(report: &Report, managed: &Managed) -> Value {
    let attempts: Vec<Value> = report.attempts.iter().map(attempt).collect();
    json!({
        "ok": report.is_good(),
        "fell_back": report.fell_back(),
        "attempts": attempts,
        "notes": report.notes,
        "warnings": managed.warnings,
    })
}

fn attempt(attempt: &Attempt) -> Value {
    let source = &attempt.source;
    match &attempt.result {
        Ok(Outcome::Current(version)) => json!({ "source": source, "outcome": "current", "version": version }),
        Ok(Outcome::Updated { from, to, bytes }) => {
            json!({ "source": source, "outcome": "updated", "from": from, "version": to, "bytes": bytes })
        }
        Err(Fail { code, detail }) => {
            json!({ "source": source, "outcome": "failed", "reason": code, "detail": detail })
        }
    }
}

/// One place, as the vendor's test prints it.
pub(super) fn probe(probe: &Probe, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        let fail = probe.result.as_ref().err();
        return out.json(&json!({
            "place": probe.place,
            "ok": fail.is_none(),
            "reason": fail.map(|fail| &fail.code),
            "detail": fail.map(|fail| &fail.detail),
        }));
    }
    match &probe.result {
        Ok(()) => out.line(format!("Testing connection with {} ... [OK]", probe.place)),
        Err(fail) => {
            out.line(format!("Testing connection with {} ... [ERROR]", probe.place))?;
            // The vendor's own tool begins the reason's line with a tab.
            out.text("\t")?;
            out.line(fail.to_string())
        }
    }
}
