//! Freshness for people: each feed's clocks with their sources, and what is beyond a limit.

use std::time::Duration;

use mirror::{FeedStatus, Status};
use model::{Finding, FreshnessPolicy, Level, Measure, Preset, SourcedTime, TimeSource};

use super::page::{advice, by_reason, section};
use crate::failure::Failure;
use crate::out::Out;
use crate::show;

/// Writes the clocks of every feed that is followed, and each finding that is not fine; or that all are.
pub(super) fn write(status: &Status, policy: &FreshnessPolicy, out: &mut Out) -> Result<(), Failure> {
    let known = |feed: &&FeedStatus| feed.followed && (feed.clocks.vendor.is_some() || feed.clocks.mirror.is_some());
    let feeds: Vec<&FeedStatus> = status.feeds.iter().filter(known).collect();
    section(out, "clocks", &feeds, |feed, out| clocks(status, feed, out))?;
    let late: Vec<&Finding> = status.freshness.iter().filter(|finding| finding.level > Level::Fine).collect();
    if late.is_empty() && !status.freshness.is_empty() {
        out.line("")?;
        return out.line(format!("freshness: all is within {}", limits(policy)));
    }
    section(out, "freshness", &by_reason(&late, |finding| finding.reason), late_ones)
}

/// Whose limits they are.
fn limits(policy: &FreshnessPolicy) -> String {
    let preset = Preset::ALL.into_iter().find(|preset| FreshnessPolicy::preset(*preset) == *policy);
    match preset {
        Some(preset) => format!("the limits of preset {}", preset.as_str()),
        None => "the limits that [freshness] sets".to_owned(),
    }
}

/// What is late for one reason; what it means and what to do is said once.
fn late_ones(findings: &Vec<&Finding>, out: &mut Out) -> Result<(), Failure> {
    findings.iter().try_for_each(|finding| late_one(finding, out))?;
    advice(findings.first().and_then(|finding| finding.reason), out)
}

fn clocks(status: &Status, feed: &FeedStatus, out: &mut Out) -> Result<(), Failure> {
    out.line(format!("  {}", feed.feed))?;
    let clocks = &feed.clocks;
    let rows = [
        ("vendor published", clocks.vendor),
        ("a date inside", clocks.inside),
        ("mirror holds since", clocks.mirror),
        ("endpoint reported", clocks.endpoint),
    ];
    for (what, time) in rows {
        let Some(SourcedTime { at, source }) = time else { continue };
        out.line(format!("    {what} {}: {}", show::at(status.at, Some(at)), source.in_words()))?;
    }
    feed.notes.iter().try_for_each(|note| out.line(format!("    {}", show::note(note))))
}

fn late_one(finding: &Finding, out: &mut Out) -> Result<(), Failure> {
    let beyond = finding.level == Level::Fail;
    let word = if beyond { "beyond policy" } else { "warning" };
    let limit = if beyond { finding.fail_seconds } else { finding.warn_seconds };
    // What never was in order is told before any limit is passed.
    let limit = if finding.age_seconds > limit { format!(", limit {}", span(limit)) } else { String::new() };
    let age = span(finding.age_seconds);
    let what = match (finding.measure, &finding.ring) {
        (Measure::Check, _) if finding.since.source == TimeSource::FirstCheck => {
            "never checked with success".to_owned()
        }
        (Measure::Check, _) => format!("not checked with success for {age}"),
        (Measure::Age, _) => format!("what is held is {age} old"),
        (Measure::Lag, Some(ring)) => format!("ring {ring} is behind for {age}"),
        (Measure::Lag, None) => format!("behind for {age}"),
    };
    let code = finding.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    out.line(format!("  {}: {word}: {what}{limit}{code}", finding.feed))?;
    out.line(format!("    counted from {}: {}", finding.since.at, finding.since.source.in_words()))
}

fn span(seconds: u64) -> String {
    show::span(Duration::from_secs(seconds))
}
