//! Freshness for people: each feed's clocks with their sources, and what is beyond a limit.

use std::time::Duration;

use mirror::{FeedStatus, Status};
use model::{Finding, Level, Measure, SourcedTime};

use super::page::section;
use crate::failure::Failure;
use crate::out::Out;
use crate::show;

/// Writes the clocks of every feed that is followed, and each finding that is not fine.
pub(super) fn write(status: &Status, out: &mut Out) -> Result<(), Failure> {
    let known = |feed: &&FeedStatus| feed.followed && (feed.clocks.vendor.is_some() || feed.clocks.mirror.is_some());
    let feeds: Vec<&FeedStatus> = status.feeds.iter().filter(known).collect();
    section(out, "clocks", &feeds, |feed, out| clocks(status, feed, out))?;
    let late: Vec<&Finding> = status.freshness.iter().filter(|finding| finding.level > Level::Fine).collect();
    section(out, "freshness", &late, late_one)
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
    let (age, limit) = (span(finding.age_seconds), span(limit));
    let what = match (finding.measure, &finding.ring) {
        (Measure::Check, _) => format!("not checked with success for {age}"),
        (Measure::Age, _) => format!("what is held is {age} old"),
        (Measure::Lag, Some(ring)) => format!("ring {ring} is behind for {age}"),
        (Measure::Lag, None) => format!("behind for {age}"),
    };
    let code = finding.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    out.line(format!("  {}: {word}: {what}, limit {limit}{code}", finding.feed))?;
    out.line(format!("    counted from {}: {}", finding.since.at, finding.since.source.in_words()))?;
    let Some(reason) = finding.reason else { return Ok(()) };
    out.line(format!("    {}", reason.meaning()))?;
    out.line(format!("    {}", reason.remedy()))
}

fn span(seconds: u64) -> String {
    show::span(Duration::from_secs(seconds))
}
