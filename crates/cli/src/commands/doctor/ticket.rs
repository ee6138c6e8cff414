//! A report as others' programs take it: Markdown, and CSV for spreadsheets.

use doctor::Report;

use super::page::{places, result};
use crate::csv;
use crate::failure::Failure;
use crate::out::Out;
use crate::show;

const HOSTS: [&str; 7] = ["host", "port", "protocol", "purpose", "needed by", "via", "result"];

fn host_rows(report: &Report) -> impl Iterator<Item = [String; 7]> {
    report.hosts.iter().map(|row| {
        [
            row.host.clone(),
            row.port.to_string(),
            row.protocol.to_owned(),
            row.purpose.to_owned(),
            row.needed_by.clone(),
            row.via.clone(),
            result(row),
        ]
    })
}

/// The hosts and the findings as Markdown tables.
pub(super) fn markdown(report: &Report, out: &mut Out) -> Result<(), Failure> {
    out.line(format!("# {}, {}", cell(&report.subject), report.at))?;
    if !report.hosts.is_empty() {
        table(out, &HOSTS, host_rows(report))?;
    }
    let findings = report.findings.iter().map(|finding| {
        let (level, check) = (finding.level.to_string(), finding.check.to_string());
        [level, check, places(finding), finding.asked.clone(), finding.came.clone(), finding.remedy.to_owned()]
    });
    table(out, &["level", "check", "on", "asked", "came", "what to do"], findings)
}

fn table<const N: usize>(
    out: &mut Out,
    head: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), Failure> {
    out.line("")?;
    out.line(format!("| {} |", head.join(" | ")))?;
    out.line(format!("|{}", "---|".repeat(N)))?;
    for row in rows {
        out.line(format!("| {} |", row.map(|text| cell(&text)).join(" | ")))?;
    }
    Ok(())
}

/// What a cell may hold: no bar, no tag, no link of others' making.
fn cell(text: &str) -> String {
    let mut shown = String::new();
    for c in show::clean(text).chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '|' | '[' | ']' | '`' => shown.extend(['\\', c]),
            c => shown.push(c),
        }
    }
    shown
}

/// The hosts as CSV (RFC 4180); the findings where there are no hosts.
pub(super) fn csv(report: &Report, out: &mut Out) -> Result<(), Failure> {
    if report.hosts.is_empty() {
        csv::line(out, ["level", "check", "on", "came", "what to do"])?;
        return report.findings.iter().try_for_each(|finding| {
            let (level, check) = (finding.level.to_string(), finding.check.to_string());
            csv::line(out, [level, check, places(finding), finding.came.clone(), finding.remedy.to_owned()])
        });
    }
    csv::line(out, HOSTS)?;
    host_rows(report).try_for_each(|row| csv::line(out, row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::quoted;

    #[test]
    fn cells_are_inert_c36() {
        assert_eq!(quoted("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(quoted("*.example.com"), "\"*.example.com\"");
        assert_eq!(cell("a|b<img onerror>`[x](y)\n"), "a\\|b&lt;img onerror>\\`\\[x\\](y)\\n");
    }
}
