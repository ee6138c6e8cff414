//! What is wrong with feeds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alarm::Condition;
use mirror::{FeedStatus, Status};
use model::{FeedId, Finding, Level, Measure, Note, Outcome, Reason, Timestamp};

use super::{Past, Rules, new};

/// How many feeds a condition names, and how many particulars of one.
const NAMED: usize = 6;
const PARTICULARS: usize = 3;
/// The key of times that lie ahead of the clock.
const JUMPED: &str = "clock_jumped";
/// The first run after a start may take this long before it is told that a vendor was not asked.
const FIRST_RUN: Duration = Duration::from_secs(600);

/// What is lost beside what a feed has as its own word, which may wait for a person or for its vendor.
pub(super) fn beside(status: &Status) -> Vec<Condition> {
    let followed = status.feeds.iter().filter(|feed| feed.followed);
    let lost = followed.filter_map(|feed| {
        let Note { reason, detail } = feed.besides.as_ref()?;
        let condition = new(*reason, &format!("beside/{}", feed.feed), feed.checked_at?);
        Some(condition.on(feed.feed.as_str()).because(detail))
    });
    lost.collect()
}

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
    let at_once = matches!(feed.reason, Some(Reason::BlobDamaged | Reason::BlobMissing | Reason::DiskFull));
    at_once || feed.failures >= rules.failures || lasts.is_some_and(|lasts| lasts > twice)
}

/// What keeps a vendor from being reached is one cause for all its feeds; everything else is the feed's own. A feed
/// that fails for another reason than before has not recovered in between: the reason is no part of the key.
fn key_of(feed: &FeedStatus) -> String {
    let reason = feed.reason.unwrap_or(Reason::Internal);
    match reason {
        Reason::DiskFull => "disk".to_owned(),
        reason if is_network(reason) => format!("failing/{}/network", feed.feed.vendor()),
        _ => format!("failing/{}", feed.feed),
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
    let good = feed.succeeded_at.map_or_else(|| "never in order yet".to_owned(), |at| format!("last in order at {at}"));
    format!("{name}{words} ({} runs in a row; {good})", feed.failures)
}

/// What waits for the operator.
pub(super) fn waiting(status: &Status) -> Vec<Condition> {
    let followed = |feed: &model::FeedId| status.feeds.iter().any(|known| known.followed && known.feed == *feed);
    // What is no longer followed concerns nobody until it is again.
    let quarantined = status.quarantined.iter().filter(|release| followed(&release.feed)).map(|release| {
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

/// What is stale. A feed that fails or waits is stale because of that: it makes that worse and is not told again,
/// unless it was told before that cause was known, for then it has not recovered.
pub(super) fn findings(status: &Status, (rules, past): (&Rules, &Past), conditions: &mut Vec<Condition>) {
    let mut silent: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    let lasted = status.freshness.iter().map(|finding| as_lasted(finding, (rules, past)));
    for finding in lasted.filter(|finding| finding.level > Level::Fine) {
        let finding = &finding;
        let key = finding_key(finding, past);
        let stands = past.standing.contains(&key);
        let causes = conditions.iter_mut().filter(|condition| is_about(condition, finding, status));
        let mut caused = false;
        for cause in causes {
            *cause = cause.clone().at_level(cause.level().max(finding.level));
            caused = true;
        }
        if stands || !(caused || awaits(finding, status, (rules, past))) {
            silent.entry(key).or_default().push(finding.clone());
        }
    }
    conditions.extend(silent.into_iter().filter_map(|(key, findings)| match key.as_str() {
        JUMPED => jumped(&findings, status.at),
        key => stale(key, &findings),
    }));
}

/// A finding by the time that has passed: what a clock that was set forward a moment ago adds to an age is told as that,
/// and not once more as an age. Where the clock stays as it was set until the vendor was asked anew by it, it is believed:
/// a machine that slept for a month has been away for one. The time since the last check is another thing: the check is
/// made anew once its time has come by the clock as it is.
fn as_lasted(finding: &Finding, (rules, past): (&Rules, &Past)) -> Finding {
    let mut finding = finding.clone();
    if finding.measure == Measure::Check || matches!(finding.reason, Some(Reason::NotChecked | Reason::ClockJumped)) {
        return finding;
    }
    let doubted = doubted_for(&finding, rules);
    let steps = past.stepped.iter().filter(|(step, ago)| finding.since.at < step.to() && *ago <= doubted);
    let added = steps.fold(Duration::ZERO, |sum, (step, _)| sum.saturating_add(step.by()));
    if added.is_zero() {
        return finding;
    }
    let lasted = finding.age_seconds.saturating_sub(added.as_secs());
    finding.level = match lasted {
        lasted if lasted > finding.fail_seconds => finding.level,
        lasted if lasted > finding.warn_seconds => finding.level.min(Level::Warn),
        _ => Level::Fine,
    };
    finding
}

/// For how long a clock that was set forward is not believed.
fn doubted_for(finding: &Finding, rules: &Rules) -> Duration {
    rules.schedule_of(finding.feed.vendor()).saturating_add(FIRST_RUN)
}

/// Whether a feed was not asked because this process has only begun, or because the clock was set forward, and it is
/// about to be asked.
fn awaits(finding: &Finding, status: &Status, (rules, past): (&Rules, &Past)) -> bool {
    let not_asked = finding.measure == Measure::Check || finding.reason == Some(Reason::NotChecked);
    let known = status.feeds.iter().find(|known| known.feed == finding.feed);
    let checked = known.and_then(|known| known.checked_at);
    let every = rules.schedule_of(finding.feed.vendor());
    let waits = |from: Option<(Timestamp, Duration)>, longest: Duration| {
        from.is_some_and(|(from, ago)| checked.is_none_or(|asked| asked < from) && ago <= longest)
    };
    let stepped = past.stepped.last().map(|(step, ago)| (step.to(), *ago));
    not_asked && (waits(past.began, every.min(FIRST_RUN)) || waits(stepped, doubted_for(finding, rules)))
}

/// Whether a condition is about the feed of a finding, by itself or as one of its vendor's.
fn is_about(condition: &Condition, finding: &Finding, status: &Status) -> bool {
    let (feed, key) = (&finding.feed, condition.key());
    if key.starts_with(&format!("quarantined/{feed}/")) || key == format!("held/{feed}") {
        // A release that waits makes what is served old; it keeps nobody from asking the vendor.
        return finding.reason != Some(Reason::NotChecked);
    }
    if key == format!("failing/{feed}") {
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

/// By feed and measure; the reason is no part of it, for what is stale for another reason now has not recovered.
/// That a vendor was not asked has one cause for all its feeds, and makes what is held old as well: that is told
/// apart only where it was told before.
fn finding_key(finding: &Finding, past: &Past) -> String {
    let feed = &finding.feed;
    let own = match &finding.ring {
        Some(ring) => format!("{}/{feed}/{ring}", finding.measure),
        None => format!("{}/{feed}", finding.measure),
    };
    match finding.reason {
        _ if past.standing.contains(&own) => own,
        Some(Reason::NotChecked) => format!("check/{}", feed.vendor()),
        Some(Reason::ClockJumped) => JUMPED.to_owned(),
        _ => own,
    }
}

/// Times on record that lie ahead of the clock: one cause, however many feeds have such.
fn jumped(findings: &[Finding], now: Timestamp) -> Option<Condition> {
    let level = findings.iter().map(|finding| finding.level).max()?;
    let feeds: BTreeSet<&FeedId> = findings.iter().map(|finding| &finding.feed).collect();
    let first = findings.first()?;
    let more = match feeds.len() {
        1 => String::new(),
        several => format!(" and of {} more", several - 1),
    };
    let detail = format!("times on record of {}{more} lie ahead of it, so that their ages cannot be told", first.feed);
    Some(new(Reason::ClockJumped, JUMPED, now).on("this machine's clock").because(&detail).at_level(level))
}

fn stale(key: &str, findings: &[Finding]) -> Option<Condition> {
    let level = findings.iter().map(|finding| finding.level).max()?;
    // What is held is old because nobody asked: when that was is what counts, and not the age of the content.
    let worst = |finding: &&Finding| (finding.measure == Measure::Check, finding.level, finding.age_seconds);
    let worst = findings.iter().max_by_key(worst)?;
    let feeds: BTreeSet<&FeedId> = findings.iter().map(|finding| &finding.feed).collect();
    let ring = worst.ring.as_ref().map_or_else(String::new, |ring| format!(" in ring {ring}"));
    let subject = match feeds.len() {
        1 => format!("{}{ring}", worst.feed),
        several => format!("{}: {several} feeds", worst.feed.vendor()),
    };
    let limit = if worst.level == Level::Fail { worst.fail_seconds } else { worst.warn_seconds };
    let age = hours(worst.age_seconds);
    let what = match worst.measure {
        Measure::Check => format!("not checked with success for {age}"),
        Measure::Age => format!("what is held is {age} old"),
        Measure::Lag => format!("behind what was admitted for {age}"),
    };
    let (at, source) = (worst.since.at, worst.since.source.in_words());
    let detail = format!("{}: {what}, limit {}; counted from {at} ({source})", worst.feed, hours(limit));
    let condition = new(worst.reason.unwrap_or(Reason::Internal), key, worst.since.at);
    Some(condition.on(&subject).because(&detail).at_level(level))
}

fn hours(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
