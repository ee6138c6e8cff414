//! The status for people.

use config::Config;
use mirror::{FeedStatus, ReleaseStatus, Status};
use model::{FreshnessPolicy, Outcome, Reason, Timestamp};

use super::clocks;
use crate::failure::Failure;
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

/// Writes all of it.
pub(super) fn write(status: &Status, policy: &FreshnessPolicy, config: &Config, out: &mut Out) -> Result<(), Failure> {
    head(status, config, out)?;
    feeds(&status.feeds, status.at, out)?;
    let trusted: Vec<&FeedStatus> = status.feeds.iter().filter(|feed| feed.served.is_some()).collect();
    section(out, "trust", &trusted, |feed, out| trust(feed, out))?;
    let unwell: Vec<&FeedStatus> = status.feeds.iter().filter(|feed| is_unwell(feed)).collect();
    section(out, "not well", &by_reason(&unwell, |feed| feed.reason), |feeds, out| ill(feeds, status.at, out))?;
    let waiting: Vec<&ReleaseStatus> = status.quarantined.iter().collect();
    section(out, "quarantined", &waiting, |release, out| quarantined(release, status.at, out))?;
    clocks::write(status, policy, out)?;
    let waits: Vec<_> = status.host_waits.iter().collect();
    section(out, "hosts that asked to be left alone", &waits, |(host, until), out| {
        out.line(format!("  {host}: until {until}"))
    })?;
    let notices: Vec<&String> = status.notices.iter().collect();
    section(out, "note", &notices, |notice, out| out.line(format!("  {notice}")))
}

/// A title, and each item below it; nothing where there is none.
pub(super) fn section<T>(
    out: &mut Out,
    title: &str,
    items: &[T],
    each: impl Fn(&T, &mut Out) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if items.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line(title)?;
    items.iter().try_for_each(|item| each(item, out))
}

/// Items with one reason together, in the order in which each reason comes first.
pub(super) fn by_reason<'a, T>(items: &[&'a T], reason: impl Fn(&T) -> Option<Reason>) -> Vec<Vec<&'a T>> {
    let mut groups: Vec<Vec<&T>> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| reason(first) == reason(item))) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups
}

/// What a reason means and what to do.
pub(super) fn advice(reason: Option<Reason>, out: &mut Out) -> Result<(), Failure> {
    let Some(reason) = reason else { return Ok(()) };
    out.line(format!("    {}", reason.meaning()))?;
    out.line(format!("    {}", reason.remedy()))
}

fn head(status: &Status, config: &Config, out: &mut Out) -> Result<(), Failure> {
    let ring = &status.ring;
    let gone = |fault: &model::Note| matches!(fault.reason, Reason::GenerationDamaged | Reason::RingLost);
    if ring.generation == 0 {
        let lost = ring.fault.as_ref().is_some_and(gone);
        let what = if lost { "nothing of it can be served" } else { "nothing was published yet" };
        out.line(format!("ring {}: {what}", ring.ring))?;
    } else {
        out.line(format!(
            "ring {}: generation {}, since {}, {} ({} in grace)",
            ring.ring,
            ring.generation,
            show::at(status.at, ring.since),
            show::count(ring.routes, "path"),
            ring.in_grace
        ))?;
    }
    if let Some(fault) = &ring.fault {
        out.line(format!("  {}", show::note(fault)))?;
        out.line(format!("  {}", fault.reason.remedy()))?;
    }
    for fault in &status.faults {
        out.line(format!("{}: {}", fault.subject, show::note(&fault.note)))?;
        out.line(format!("  {}", fault.note.reason.remedy()))?;
    }
    if let Some(free) = status.free_bytes {
        out.line(format!("disk: {} free", show::bytes(free)))?;
    }
    if status.feeds.is_empty() {
        return out.line(nothing_followed(config));
    }
    out.line("")
}

/// What is said where no feed is followed.
pub(crate) fn nothing_followed(config: &Config) -> &'static str {
    if config.elastic.as_ref().is_some_and(|elastic| elastic.demand.learns()) {
        "nothing is followed yet: what endpoints ask for is, once one has asked and the vendor has it"
    } else {
        "no feed is followed: name versions under [elastic] or add a [defender] section"
    }
}

/// The table of feeds.
fn feeds(feeds: &[FeedStatus], now: Timestamp, out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("OUTCOME", Align::Left),
        ("SERVED", Align::Left),
        ("OFFERED", Align::Left),
        ("CHECKED", Align::Left),
        ("SUCCEEDED", Align::Left),
    ]);
    for feed in feeds {
        table.push([
            feed.feed.to_string(),
            outcome(feed),
            show::version(feed.served.as_ref().map(|served| &served.vendor_version)),
            show::version(feed.offered.as_ref()),
            show::ago(now, feed.checked_at),
            show::ago(now, feed.succeeded_at),
        ]);
    }
    table.write(out)
}

/// How a feed's last run ended, in a word.
pub(crate) fn outcome(feed: &FeedStatus) -> String {
    let word = feed.outcome.map_or("not checked yet", Outcome::as_str);
    if feed.followed { word.to_owned() } else { format!("{word}, not followed") }
}

fn trust(feed: &FeedStatus, out: &mut Out) -> Result<(), Failure> {
    let Some(served) = &feed.served else { return Ok(()) };
    out.line(format!("  {}: {}", feed.feed, served.trust))?;
    // A set of a hundred artifacts may carry a hundred notes of one kind.
    let mut told = Vec::new();
    for note in &served.notes {
        if told.contains(&note.reason) {
            continue;
        }
        told.push(note.reason);
        let more = served.notes.iter().filter(|other| other.reason == note.reason).count().saturating_sub(1);
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        out.line(format!("    {}{more}", show::note(note)))?;
    }
    Ok(())
}

fn is_unwell(feed: &FeedStatus) -> bool {
    feed.reason.is_some() || matches!(feed.outcome, Some(Outcome::Failed | Outcome::Quarantined))
}

/// What is wrong with a feed, and what to do.
pub(crate) fn trouble(feed: &FeedStatus, now: Timestamp, out: &mut Out) -> Result<(), Failure> {
    ill(&[feed], now, out)
}

/// What is wrong with feeds, all for one reason; what it means and what to do is said once.
fn ill(feeds: &[&FeedStatus], now: Timestamp, out: &mut Out) -> Result<(), Failure> {
    for feed in feeds {
        let Some(reason) = feed.reason else { continue };
        let runs = match feed.failures {
            0 => String::new(),
            1 => ", 1 run in a row".to_owned(),
            more => format!(", {more} runs in a row"),
        };
        out.line(format!("  {}: {}: {reason}{runs}", feed.feed, outcome(feed)))?;
        if let Some(detail) = &feed.detail {
            out.line(format!("    {detail}"))?;
        }
        match &feed.served {
            Some(served) => out.line(format!(
                "    served on: {}, held since {}",
                served.vendor_version,
                show::at(now, Some(served.held_since))
            ))?,
            None => out.line("    nothing of it is served")?,
        }
    }
    advice(feeds.first().and_then(|feed| feed.reason), out)
}

fn quarantined(release: &ReleaseStatus, now: Timestamp, out: &mut Out) -> Result<(), Failure> {
    let number = release.number;
    out.line(format!(
        "  release {number} ({}) of {}: {}, since {}",
        release.id.short(),
        release.feed,
        release.vendor_version,
        show::at(now, Some(release.state_since))
    ))?;
    for note in &release.reasons {
        out.line(format!("    {}", show::note(note)))?;
    }
    out.line(format!("    waystation release admit {number} --reason TEXT    serves it"))?;
    out.line(format!("    waystation release reject {number} --reason TEXT   never serves it"))
}
