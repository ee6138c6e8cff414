//! What is wrong with feeds.

use std::collections::BTreeMap;

use alarm::Condition;
use mirror::{FeedStatus, Status};
use model::{Finding, Level, Outcome, Reason, Timestamp};

use super::{Rules, new};

/// How many feeds a condition names, and how many particulars of one.
const NAMED: usize = 6;
const PARTICULARS: usize = 3;

/// Runs that fail, for longer than may pass unheard.
pub(super) fn failing(status: &Status, rules: &Rules) -> Vec<Condition> {
    let mut groups: BTreeMap<String, Vec<&FeedStatus>> = BTreeMap::new();
    for feed in status.feeds.iter().filter(|feed| is_due(feed, status.at, rules)) {
        groups.entry(key_of(feed)).or_default().push(feed);
    }
    groups.into_iter().filter_map(|(key, feeds)| group(&key, &feeds)).collect()
}

fn is_due(feed: &FeedStatus, now: Timestamp, rules: &Rules) -> bool {
    if !feed.followed || feed.outcome != Some(Outcome::Failed) {
        return false;
    }
    let lasts = feed.succeeded_at.or(feed.first_checked_at).map(|since| now.since(since));
    let twice = rules.schedule_of(feed.feed.vendor()).saturating_mul(2);
    let at_once = matches!(feed.reason, Some(Reason::BlobDamaged | Reason::DiskFull));
    at_once || feed.failures >= rules.failures || lasts.is_some_and(|lasts| lasts > twice)
}

/// What keeps a vendor from being reached is one cause for all its feeds; everything else is the feed's own.
fn key_of(feed: &FeedStatus) -> String {
    let reason = feed.reason.unwrap_or(Reason::Internal);
    match reason {
        Reason::DiskFull => "disk".to_owned(),
        reason if is_network(reason) => format!("failing/{}/network", feed.feed.vendor()),
        reason => format!("failing/{}/{}", feed.feed, reason.code()),
    }
}

fn is_network(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::DnsFailed
            | Reason::ConnectFailed
            | Reason::TlsFailed
            | Reason::ProxyFailed
            | Reason::Timeout
            | Reason::Stalled
            | Reason::Deadline
            | Reason::Refused
            | Reason::RateLimited
            | Reason::ServerError
            | Reason::UnexpectedStatus
            | Reason::BadResponse
            | Reason::ShortBody
            | Reason::RedirectRefused
            | Reason::RedirectLimit
            | Reason::AddressRefused
    )
}

fn group(key: &str, feeds: &[&FeedStatus]) -> Option<Condition> {
    let first = feeds.first()?;
    // The reason that most of them have: the others' are in the detail.
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    for feed in feeds {
        *counts.entry(feed.reason.unwrap_or(Reason::Internal)).or_default() += 1;
    }
    let reason = counts.iter().max_by_key(|(_, count)| **count).map(|(reason, _)| *reason)?;
    let since = feeds.iter().filter_map(|feed| feed.succeeded_at.or(feed.first_checked_at)).min();
    let damaged = matches!(reason, Reason::BlobDamaged | Reason::DiskFull);
    let subject = match feeds {
        [one] => one.feed.to_string(),
        several => format!("{}: {} feeds", first.feed.vendor(), several.len()),
    };
    let mut details: Vec<String> = feeds.iter().take(NAMED).map(|feed| detail(feed, feeds.len() > 1)).collect();
    if feeds.len() > NAMED {
        details.push(format!("and {} more", feeds.len() - NAMED));
    }
    let condition = new(reason, key, since.unwrap_or(first.checked_at?)).on(&subject).because(&details.join("; "));
    Some(condition.at_level(if damaged { Level::Fail } else { Level::Warn }))
}

fn detail(feed: &FeedStatus, named: bool) -> String {
    let name = if named { format!("{}: ", feed.feed) } else { String::new() };
    let reason = feed.reason.map_or("", Reason::code);
    let words = feed.detail.as_deref().unwrap_or(reason);
    let words: String = words.chars().take(300).collect();
    format!("{name}{words} ({} runs in a row)", feed.failures)
}

/// What waits for the operator.
pub(super) fn waiting(status: &Status) -> Vec<Condition> {
    let quarantined = status.quarantined.iter().map(|release| {
        let reason = release.reasons.first().map_or(Reason::Internal, |note| note.reason);
        let notes: Vec<&str> = release.reasons.iter().take(PARTICULARS).map(|note| note.detail.as_str()).collect();
        let detail = format!("release {}, version {}: {}", release.number, release.vendor_version, notes.join("; "));
        let key = format!("quarantined/{}/{}", release.feed, release.id.short());
        new(reason, &key, release.state_since).on(release.feed.as_str()).because(&detail)
    });
    let held = status.feeds.iter().filter(|feed| feed.followed && feed.outcome == Some(Outcome::Held));
    let held = held.filter_map(|feed| {
        let reason = feed.reason?;
        let condition = new(reason, &format!("held/{}", feed.feed), feed.changed_at.or(feed.checked_at)?);
        Some(condition.on(feed.feed.as_str()).because(feed.detail.as_deref().unwrap_or_default()))
    });
    quarantined.chain(held).collect()
}

/// What is stale. A feed that fails or waits is stale because of that: it makes that worse and is not told again.
pub(super) fn findings(status: &Status, conditions: &mut Vec<Condition>) {
    let mut silent: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for finding in status.freshness.iter().filter(|finding| finding.level > Level::Fine) {
        let causes: Vec<usize> = conditions
            .iter()
            .enumerate()
            .filter(|(_, condition)| is_about(condition, finding, status))
            .map(|(at, _)| at)
            .collect();
        for at in &causes {
            if let Some(condition) = conditions.get_mut(*at) {
                *condition = condition.clone().at_level(condition.level().max(finding.level));
            }
        }
        if causes.is_empty() {
            silent.entry(finding_key(finding)).or_default().push(finding);
        }
    }
    conditions.extend(silent.into_iter().filter_map(|(key, findings)| stale(&key, &findings)));
}

/// Whether a condition is about the feed of a finding, by itself or as one of its vendor's.
fn is_about(condition: &Condition, finding: &Finding, status: &Status) -> bool {
    let (feed, key) = (&finding.feed, condition.key());
    let own = [format!("failing/{feed}/"), format!("quarantined/{feed}/")];
    if own.iter().any(|own| key.starts_with(own.as_str())) || key == format!("held/{feed}") {
        return true;
    }
    let failed = |reason: Option<Reason>| match reason {
        Some(Reason::DiskFull) => key == "disk",
        Some(reason) if is_network(reason) => key == format!("failing/{}/network", feed.vendor()),
        _ => false,
    };
    let mut known = status.feeds.iter().filter(|known| known.feed == *feed && known.outcome == Some(Outcome::Failed));
    known.any(|known| failed(known.reason))
}

/// That a vendor was not asked has one cause for all its feeds.
fn finding_key(finding: &Finding) -> String {
    let reason = finding.reason.unwrap_or(Reason::Internal);
    match (&finding.ring, reason) {
        (_, Reason::NotChecked) => format!("not_checked/{}", finding.feed.vendor()),
        (Some(ring), reason) => format!("{}/{}/{ring}", reason.code(), finding.feed),
        (None, reason) => format!("{}/{}", reason.code(), finding.feed),
    }
}

fn stale(key: &str, findings: &[&Finding]) -> Option<Condition> {
    let worst = findings.iter().max_by_key(|finding| (finding.level, finding.age_seconds))?;
    let ring = worst.ring.as_ref().map_or_else(String::new, |ring| format!(" in ring {ring}"));
    let subject = match findings {
        [one] => format!("{}{ring}", one.feed),
        several => format!("{}: {} feeds", worst.feed.vendor(), several.len()),
    };
    let limit = if worst.level == Level::Fail { worst.fail_seconds } else { worst.warn_seconds };
    let detail = format!(
        "{}: {} is {} old, limit {}; counted from {} ({})",
        worst.feed,
        worst.measure,
        hours(worst.age_seconds),
        hours(limit),
        worst.since.at,
        worst.since.source.in_words()
    );
    let condition = new(worst.reason.unwrap_or(Reason::Internal), key, worst.since.at);
    Some(condition.on(&subject).because(&detail).at_level(worst.level))
}

fn hours(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
