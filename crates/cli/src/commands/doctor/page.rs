//! A report for people.

use doctor::{Finding, HostRow, Level, Report};

use crate::failure::Failure;
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

/// Writes all of it; what is well in one line, unless everything is wanted.
pub(super) fn write(report: &Report, everything: bool, out: &mut Out) -> Result<(), Failure> {
    out.line(format!("{}, {}", report.subject, report.at))?;
    hosts(report, out)?;
    feeds(report, out)?;
    for finding in report.troubles() {
        out.line("")?;
        trouble(finding, out)?;
    }
    out.line("")?;
    if everything {
        for finding in report.findings.iter().filter(|finding| finding.level == Level::Ok) {
            out.line(format!("ok    {}: {}: {}: {}", finding.check, places(finding), finding.asked, finding.came))?;
        }
    } else {
        well(report, out)?;
    }
    let counts = [Level::Fail, Level::Warn, Level::Ok].map(|level| format!("{} {level}", report.count(level)));
    out.line(counts.join(", "))
}

fn well(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let mut codes: Vec<&str> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.level == Level::Ok) {
        let code = finding.check.code();
        let troubled = report.troubles().any(|trouble| trouble.check == finding.check);
        if !troubled && !codes.contains(&code) {
            codes.push(code);
        }
    }
    if codes.is_empty() { Ok(()) } else { out.line(format!("as they should be: {}", codes.join(", "))) }
}

fn trouble(finding: &Finding, out: &mut Out) -> Result<(), Failure> {
    out.line(format!("{:<4}  {} on {}", finding.level.as_str(), finding.check, places(finding)))?;
    for (word, text) in [
        ("asked", finding.asked.as_str()),
        ("came", finding.came.as_str()),
        ("why", finding.why),
        ("do", finding.remedy),
    ] {
        if !text.is_empty() {
            out.line(format!("      {word:<6} {text}"))?;
        }
    }
    Ok(())
}

/// Where it was found: the first places, and how many more.
pub(super) fn places(finding: &Finding) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = finding.on.iter().take(SHOWN).map(String::as_str).collect();
    let more = finding.count.saturating_sub(shown.len());
    let mut text = shown.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What came of a host, in words.
pub(super) fn result(row: &HostRow) -> String {
    row.level.map_or_else(|| format!("not asked: {}", row.result), |level| format!("{level}: {}", row.result))
}

fn hosts(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let head = ["HOST", "PORT", "PROTOCOL", "NEEDED BY", "PURPOSE", "VIA", "RESULT"];
    let mut table = Table::new(head.map(|name| (name, if name == "PORT" { Align::Right } else { Align::Left })));
    for row in &report.hosts {
        table.push([
            row.host.clone(),
            row.port.to_string(),
            row.protocol.to_owned(),
            row.needed_by.clone(),
            row.purpose.to_owned(),
            row.via.clone(),
            result(row),
        ]);
    }
    if !report.hosts.is_empty() {
        out.line("")?;
    }
    table.write(out)
}

fn feeds(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("VENDOR VERSION", Align::Left),
        ("CHECKED", Align::Left),
        ("FILES", Align::Right),
        ("BYTES", Align::Right),
    ]);
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(show::dash);
    for feed in &report.feeds {
        table.push([
            feed.feed.to_string(),
            or_dash(&feed.vendor_version),
            or_dash(&feed.checked),
            feed.files.to_string(),
            show::bytes(feed.bytes),
        ]);
    }
    if !report.feeds.is_empty() {
        out.line("")?;
    }
    table.write(out)
}
