//! How fresh everything is: facts, limits and `now` in, findings out. Pure: `status`, metrics, API, alarms and looks
//! back in time show these findings and nothing of their own.
//!
//! # Decided here
//! - A feed that never succeeded ages from its first check: it must not look fresh because nothing of it ever worked.
//!   One that was never tried ages from when the configuration, as it stands in the history, was recorded; where there
//!   is no history, from when the configuration's file was written, and as a warning from the beginning.
//! - A vendor's date is believed between 2010 and two days after its content was first offered here (clocks differ);
//!   any other is noted, and the age counts from the first offer, which can only be older than it looks.
//! - A dated feed never changes, so its content has no age. It is checked like any other: a vendor that no longer
//!   offers it is worth knowing.
//! - A time ahead of `now` is no age of zero: the clock was ahead then or is behind now. That is a warning of its own
//!   (`clock_jumped`), and a failure once what is surely known is older than the limit for it. The next check in order
//!   ends it for the check; what the vendor offers stays doubtful until it offers something else, or the clock is where
//!   it was.

use std::time::Duration;

use catalog::{FeedRecord, ReleaseRecord};
use model::{
    Bound, Clocks, FeedId, Finding, FreshnessPolicy, Level, Measure, Note, Outcome, Reason, RingName, SourcedTime,
    TimeSource, Timestamp, Vendor, VendorVersion,
};

/// How far ahead of the clock a recorded time may lie before the clock is said to have jumped: what a time server
/// sets right without anybody noticing.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// How far a vendor's date may lie behind its content's arrival here: their clock or ours may be off, and zones mixed up.
const AHEAD: Duration = Duration::from_secs(2 * 86_400);
/// 2010-01-01: no content served today is older, so a date before it is a default, not a date.
const EARLIEST: Timestamp = Timestamp::from_micros(1_262_304_000_000_000);

/// What is known of a release, as far as freshness goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the vendor calls it.
    pub vendor_version: VendorVersion,
    /// The date that came with it; what it is worth depends on the vendor.
    pub vendor_time: Option<Timestamp>,
    /// When it was first held whole.
    pub held_since: Timestamp,
    /// Since when it has the state that it has.
    pub state_since: Timestamp,
}

impl From<&ReleaseRecord> for Content {
    fn from(record: &ReleaseRecord) -> Self {
        Self {
            vendor_version: record.release.vendor_version.clone(),
            vendor_time: record.release.vendor_time,
            held_since: record.release.held_since,
            state_since: record.state_since,
        }
    }
}

/// What a ring serves of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InRing {
    /// Which ring.
    pub ring: RingName,
    /// How long a release stays in the ring before it until it is due here.
    pub soak: Duration,
    /// What it serves; none where nothing of the feed.
    pub served: Option<Content>,
}

/// What is known of one feed, as far as freshness goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedFacts {
    /// Its record.
    pub record: FeedRecord,
    /// The release that the vendor offered when it was last seen, where it is recorded.
    pub offered: Option<Content>,
    /// The newest release that was admitted and stands.
    pub newest: Option<Content>,
    /// What each ring serves of it, in the order of the chain: the last is the default ring.
    pub rings: Vec<InRing>,
}

/// What the facts come to: for each feed the time since its last check, the age of what is held, and how far each
/// ring is behind, also where all is fine.
pub fn evaluate<'f>(
    facts: impl IntoIterator<Item = &'f FeedFacts>,
    policy: &FreshnessPolicy,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for facts in facts {
        let look = Look { facts, policy, now };
        let check = look.check();
        let asked = check.reason;
        findings.push(check);
        findings.extend(look.age(asked));
        findings.extend(facts.rings.iter().filter_map(|ring| look.lag(ring)));
    }
    findings
}

/// A finding of a site of which nothing is on record: that nothing was ever checked is a warning from the beginning.
pub(crate) fn never_checked(mut finding: Finding) -> Finding {
    if finding.measure == Measure::Check {
        finding.level = finding.level.max(Level::Warn);
        finding.reason = finding.reason.or(Some(Reason::NotChecked));
    }
    finding
}

/// A feed's clocks, and what is odd about them.
pub fn clocks(facts: &FeedFacts, now: Timestamp) -> (Clocks, Vec<Note>) {
    let record = &facts.record;
    let published = facts.offered.as_ref().map(|content| facts.published(content, now));
    let unseen = || record.changed_at.map(|at| sourced(at, TimeSource::FirstOffered));
    let served = facts.rings.last().and_then(|ring| ring.served.as_ref());
    let clocks = Clocks {
        vendor: published.or_else(unseen),
        inside: facts.offered.as_ref().and_then(|content| facts.inside(content)),
        mirror: served.map(|content| sourced(content.held_since, TimeSource::Held)),
        endpoint: None,
    };
    let newest = facts.newest.as_ref().filter(|newest| facts.offered.as_ref() != Some(*newest));
    let notes = facts.offered.iter().chain(newest).filter_map(|content| facts.doubt(content, now)).collect();
    (clocks, notes)
}

/// Where the clock was set back since the last check, moves the last success back with it: what was stale stays as
/// stale, until a check in order tells anew. What the vendor offers cannot be told anew, so the step is kept.
pub(crate) fn keep_ages(record: &mut FeedRecord, now: Timestamp) {
    if record.checked_at > now.after(TOLERANCE) {
        let step = record.checked_at.since(now);
        record.set_back_from = record.set_back_from.max(Some(record.checked_at));
        record.succeeded_at = record.succeeded_at.map(|at| at.before(step));
        record.first_checked_at = record.first_checked_at.before(step);
    }
    record.set_back_from = record.set_back_from.filter(|from| *from > now);
}

const fn sourced(at: Timestamp, source: TimeSource) -> SourcedTime {
    SourcedTime { at, source }
}

impl FeedFacts {
    fn feed(&self) -> &FeedId {
        &self.record.feed
    }

    /// When the vendor published this, as far as that can be told.
    fn published(&self, content: &Content, now: Timestamp) -> SourcedTime {
        match self.vendor_date(content) {
            Some(date) if self.is_believed(content, date, now) => sourced(date, TimeSource::VendorDate),
            _ => sourced(self.first_offered(content), TimeSource::FirstOffered),
        }
    }

    /// What the age of this counts from: nothing was published after it was offered here, whatever its date says.
    fn age_from(&self, content: &Content, now: Timestamp) -> SourcedTime {
        let published = self.published(content, now);
        let offered = self.first_offered(content);
        if offered < published.at { sourced(offered, TimeSource::FirstOffered) } else { published }
    }

    /// The vendor's own word on when it published this. Elastic gives none.
    fn vendor_date(&self, content: &Content) -> Option<Timestamp> {
        content.vendor_time.filter(|_| self.feed().vendor() == Vendor::Defender)
    }

    /// A date inside, which is nobody's word.
    fn inside(&self, content: &Content) -> Option<SourcedTime> {
        let elastic = self.feed().vendor() == Vendor::Elastic;
        // Zips made to be the same each time have a date of 1980.
        let date = content.vendor_time.filter(|date| elastic && *date >= EARLIEST)?;
        Some(sourced(date, TimeSource::InsideDate))
    }

    fn is_believed(&self, content: &Content, date: Timestamp, now: Timestamp) -> bool {
        (EARLIEST..=self.first_offered(content).after(AHEAD)).contains(&date) && date <= now.after(AHEAD)
    }

    fn doubt(&self, content: &Content, now: Timestamp) -> Option<Note> {
        let date = self.vendor_date(content).filter(|date| !self.is_believed(content, *date, now))?;
        let offered = self.first_offered(content);
        let detail = format!(
            "{} is dated {date} by the vendor, and was first offered here at {offered}: the age counts from then",
            content.vendor_version
        );
        Some(Note { reason: Reason::DateNotBelieved, detail })
    }

    /// When this was first offered here. What was offered before it was held is as old as the offer.
    fn first_offered(&self, content: &Content) -> Timestamp {
        let offered = self.record.offered.as_ref() == Some(&content.vendor_version);
        let changed = self.record.changed_at.filter(|_| offered);
        changed.map_or(content.held_since, |changed| changed.min(content.held_since))
    }

    /// Why what is held is old although the vendor was asked.
    fn why_old(&self) -> Reason {
        let held = self.newest.as_ref().map(|content| &content.vendor_version.version);
        let offered = self.record.offered.as_ref().map(|offered| &offered.version);
        match (offered, held) {
            (Some(offered), Some(held)) if offered < held => Reason::VendorSilent,
            (Some(offered), Some(held)) if offered == held && self.record.outcome != Outcome::Quarantined => {
                Reason::VendorSilent
            }
            _ => Reason::ContentOld,
        }
    }
}

/// One feed, looked at.
struct Look<'f> {
    facts: &'f FeedFacts,
    policy: &'f FreshnessPolicy,
    now: Timestamp,
}

impl Look<'_> {
    fn is_ahead(&self, at: Timestamp) -> bool {
        at > self.now.after(TOLERANCE)
    }

    fn check(&self) -> Finding {
        let record = &self.facts.record;
        let bound = self.limits(Measure::Check);
        let success = record.succeeded_at.map(|at| sourced(at, TimeSource::LastSuccess));
        let since = success.unwrap_or(sourced(record.first_checked_at, TimeSource::FirstCheck));
        if self.is_ahead(record.checked_at) || self.is_ahead(since.at) {
            return self.jumped(Measure::Check, bound, self.known());
        }
        let mut finding = self.finding(Measure::Check, bound, since);
        // A vendor whose offer waits for a person was asked: it is the content that does not move.
        let asked = bound.level(self.now.since(record.checked_at)) == Level::Fine;
        let waits = asked && record.outcome == Outcome::Quarantined;
        finding.reason = finding.reason.map(|_| if waits { self.facts.why_old() } else { Reason::NotChecked });
        finding
    }

    /// `asked` is what the check was found to suffer from.
    fn age(&self, asked: Option<Reason>) -> Option<Finding> {
        let feed = self.facts.feed();
        // Neither a day's content nor files that no manifest names are expected to move.
        if feed.date().is_some() || vendors::registry(feed.vendor()).makes_room(feed) {
            return None;
        }
        let bound = self.limits(Measure::Age);
        let record = &self.facts.record;
        let first = sourced(record.first_checked_at, TimeSource::FirstCheck);
        let since = self.facts.newest.as_ref().map_or(first, |content| self.facts.age_from(content, self.now));
        if self.is_ahead(since.at) || record.set_back_from.is_some_and(|from| self.is_ahead(from)) {
            return Some(self.jumped(Measure::Age, bound, since));
        }
        let mut finding = self.finding(Measure::Age, bound, since);
        finding.reason = finding.reason.map(|_| asked.unwrap_or_else(|| self.facts.why_old()));
        Some(finding)
    }

    /// None where nothing was ever admitted.
    fn lag(&self, ring: &InRing) -> Option<Finding> {
        let newest = self.facts.newest.as_ref()?;
        let bound = self.policy.lag(self.facts.feed(), &ring.ring);
        let is_behind =
            ring.served.as_ref().is_none_or(|served| served.vendor_version.version < newest.vendor_version.version);
        let since = sourced(newest.state_since, TimeSource::Admitted);
        let mut finding = if is_behind && self.is_ahead(since.at) {
            self.jumped(Measure::Lag, bound, since)
        } else {
            // Its soak is no lag.
            let due = if is_behind { since.at.after(ring.soak) } else { self.now };
            let mut finding = self.finding(Measure::Lag, bound, sourced(due, TimeSource::Admitted));
            finding.since = since;
            finding.reason = finding.reason.map(|_| Reason::RingBehind);
            finding
        };
        finding.ring = Some(ring.ring.clone());
        Some(finding)
    }

    fn limits(&self, measure: Measure) -> Bound {
        self.policy.of(self.facts.feed()).of(measure)
    }

    /// The latest time on record that is not ahead: nothing that was in order is known to be later.
    fn known(&self) -> SourcedTime {
        let record = &self.facts.record;
        let held = self.facts.newest.as_ref().map(|content| sourced(content.held_since, TimeSource::Held));
        let success = record.succeeded_at.map(|at| sourced(at, TimeSource::LastSuccess));
        let first = sourced(record.first_checked_at, TimeSource::FirstCheck);
        let candidates = [success, held, Some(first)];
        let sure = candidates.into_iter().flatten().filter(|time| !self.is_ahead(time.at));
        sure.max_by_key(|time| time.at).or(success).unwrap_or(first)
    }

    fn jumped(&self, measure: Measure, bound: Bound, since: SourcedTime) -> Finding {
        let mut finding = self.finding(measure, bound, since);
        finding.level = finding.level.max(Level::Warn);
        finding.reason = Some(Reason::ClockJumped);
        finding
    }

    /// The age from `since`, judged; its reason, where it has one, is the caller's to say.
    fn finding(&self, measure: Measure, bound: Bound, since: SourcedTime) -> Finding {
        let age = self.now.since(since.at);
        let level = bound.level(age);
        Finding {
            feed: self.facts.feed().clone(),
            ring: None,
            measure,
            level,
            since,
            age_seconds: age.as_secs(),
            warn_seconds: bound.warn.as_secs(),
            fail_seconds: bound.fail.as_secs(),
            reason: (level > Level::Fine).then_some(Reason::NotChecked),
        }
    }
}

#[cfg(test)]
mod tests;
