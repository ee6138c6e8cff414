//! A rehearsal's report, for people.

use endpoint::swarm::{Arrived, Report};

use crate::failure::Failure;
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

pub(super) fn write(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let hours = show::span(std::time::Duration::from_secs(report.length));
    out.line(format!(
        "{} endpoints against {}: {hours} of their time in {:.1} s ({} times as fast)",
        report.endpoints, report.target, report.lasted, report.speed
    ))?;
    out.line(format!(
        "{:.0} answers a second, {} in all, {} connections ({} at once), {} restarts",
        report.answers_per_second,
        show::bytes(report.bytes),
        report.connections,
        report.most_connections,
        report.restarts
    ))?;
    let connect = report.connect;
    out.line(format!(
        "a connection stood after {} ms (99 of 100: {}, the most: {}){}",
        ms(connect.p50),
        ms(connect.p99),
        ms(connect.max),
        if report.target.starts_with("https") { ", each with a whole TLS handshake" } else { "" }
    ))?;
    requests(report, out)?;
    feeds(report, out)?;
    let statuses: Vec<String> = report.statuses.iter().map(|(status, count)| format!("{count} of {status}")).collect();
    out.line(format!("\nanswers: {}", statuses.join(", ")).trim_start())?;
    for (what, count) in &report.errors {
        let first = report.first_at.get(what).map(|path| format!(", first at {path}")).unwrap_or_default();
        out.line(format!("wrong: {count} of {what}{first}"))?;
    }
    if report.errors.is_empty() {
        out.line("wrong: nothing")?;
    }
    if report.waited.count > 0 {
        out.line(format!(
            "{} connections waited up to {:.0} ms for this swarm's own sockets: raise `ulimit -n`, or more will be at the \
             mirror at once than were here",
            report.waited.count, report.waited.max
        ))?;
    }
    // Beyond this the figures are the swarm's own as much as the mirror's.
    let verdict = if report.late.p99 > 100.0 { "; this machine was at its limit, so the times say little" } else { "" };
    out.line(format!(
        "endpoints woke up to {:.0} ms late (99 of 100: {:.0} ms){verdict}",
        report.late.max, report.late.p99
    ))
}

fn requests(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("ASKED FOR", Align::Left),
        ("COUNT", Align::Right),
        ("BYTES", Align::Right),
        ("HEAD P50", Align::Right),
        ("P99", Align::Right),
        ("MAX ms", Align::Right),
        ("END P50", Align::Right),
        ("P99", Align::Right),
        ("MAX ms", Align::Right),
    ]);
    for kind in &report.requests {
        let [head, end] = [kind.head, kind.end].map(|times: Arrived| [times.p50, times.p99, times.max].map(ms));
        let [head_p50, head_p99, head_max] = head;
        let [end_p50, end_p99, end_max] = end;
        table.push([
            kind.kind.to_owned(),
            kind.end.count.to_string(),
            show::bytes(kind.bytes),
            head_p50,
            head_p99,
            head_max,
            end_p50,
            end_p99,
            end_max,
        ]);
    }
    table.write(out)
}

fn feeds(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("ENDPOINTS", Align::Right),
        ("NEWEST", Align::Right),
        ("BEHIND", Align::Right),
        ("NOTHING", Align::Right),
        ("NEVER ASKED", Align::Right),
        ("RELEASES", Align::Right),
        ("CAUGHT UP P50", Align::Right),
        ("P99", Align::Right),
        ("MAX s", Align::Right),
    ]);
    for feed in &report.feeds {
        let caught = |value: f64| if feed.caught_up.count == 0 { show::dash() } else { format!("{value:.0}") };
        table.push([
            feed.feed.clone(),
            feed.endpoints.to_string(),
            feed.newest.to_string(),
            feed.behind.to_string(),
            feed.empty.to_string(),
            feed.silent.to_string(),
            feed.releases.to_string(),
            caught(feed.caught_up.p50),
            caught(feed.caught_up.p99),
            caught(feed.caught_up.max),
        ]);
    }
    table.write(out)
}

fn ms(value: f64) -> String {
    format!("{value:.1}")
}
