//! Each endpoint against what a ring offers for its version.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Bound, FeedId, Level, Timestamp, Vendor, Version};
use serde::Serialize;

use super::{PolicyResponse, Unread};
use crate::elasticsearch::Fleet;
use crate::offers::{Offer, Offers};

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has what the ring offers for its version.
    Equal,
    /// It has less.
    Behind,
    /// It has more: it reached the vendor, another ring, or takes candidates.
    Ahead,
    /// It has what the operator rejected or went back from.
    Rejected,
    /// It is pinned to a date.
    Dated,
    /// Its last download did not end well.
    Failing,
    /// It has not reported for long.
    Silent,
    /// The ring offers nothing for its version.
    Unmirrored,
    /// Its report cannot be read.
    Unread,
}

impl State {
    /// Every state, in the order of tables.
    pub const ALL: [Self; 9] = [
        Self::Equal,
        Self::Behind,
        Self::Ahead,
        Self::Rejected,
        Self::Dated,
        Self::Failing,
        Self::Silent,
        Self::Unmirrored,
        Self::Unread,
    ];

    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Rejected => "rejected",
            Self::Dated => "dated",
            Self::Failing => "failing",
            Self::Silent => "silent",
            Self::Unmirrored => "unmirrored",
            Self::Unread => "unread",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Equal => "",
            Self::Behind => {
                "on the endpoint `elastic-endpoint test output` shows the address that it asks; look for it in the mirror's log"
            }
            Self::Ahead => {
                "check that its policy sets artifacts.global.base_url and channel stable, and that it cannot reach elastic.co"
            }
            Self::Rejected => {
                "it goes back when it next asks this mirror; if it does not, it asks elsewhere: look at base_url in its policy"
            }
            Self::Dated => "set the policy's protection updates to latest, or mirror the date ([elastic] dated)",
            Self::Failing => "its message says why; `waystation doctor URL` plays its requests against the mirror",
            Self::Silent => "check that the agent runs and is enrolled",
            Self::Unmirrored => "add its version to [elastic] versions, and do so before agents are upgraded",
            Self::Unread => "the document is not as documented: look at it in Discover",
        }
    }
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name, where it says one.
    pub host: Option<String>,
    /// Its agent's id.
    pub agent: String,
    /// Its system.
    pub system: Option<String>,
    /// Its agent's version.
    pub agent_version: Option<Version>,
    /// The feed that it is held against.
    pub feed: Option<FeedId>,
    /// What it has applied.
    pub applied: Option<Version>,
    /// What the ring offers.
    pub offered: Option<Version>,
    /// How it stands.
    pub state: State,
    /// How bad that is.
    pub level: Level,
    /// When it reported.
    pub reported_at: Option<Timestamp>,
    /// Since how many seconds it lacks what is offered, where that is known.
    pub lag_seconds: Option<u64>,
    /// For how many days it has not been current, in its own words.
    pub update_age_days: Option<u64>,
    /// Its channel.
    pub channel: Option<String>,
    /// The kind of manifest that it has.
    pub manifest_type: Option<String>,
    /// The date that it is pinned to.
    pub date: Option<String>,
    /// Why it stands so, in words; empty where all is well.
    pub why: String,
}

/// The endpoints of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The version; none for those that do not say it.
    pub agent_version: Option<Version>,
    /// What the ring offers for it.
    pub offered: Option<Version>,
    /// The oldest that is applied.
    pub oldest: Option<Version>,
    /// How many there are.
    pub endpoints: usize,
    /// How many stand how.
    pub states: BTreeMap<State, usize>,
    /// The worst of their levels.
    pub level: Level,
}

const DAY: u64 = 86_400;
/// Without it nobody knows what the endpoint asks for.
const NO_VERSION: &str = "the report has no 'agent.version' that says what it asks for";

/// Holds every endpoint against what a ring offers; worst first, those in order last, then by version and name. An endpoint is silent when
/// its last report is older than `silent_after`.
pub fn compare(fleet: &Fleet, offers: &Offers, silent_after: Duration, now: Timestamp) -> Vec<Row> {
    let judge = Judge { offers, silent_after, now };
    let read = fleet.endpoints.iter().map(|endpoint| judge.row(endpoint));
    let mut rows: Vec<Row> = read.chain(fleet.unread.iter().map(unread)).collect();
    let key = |row: &Row| (std::cmp::Reverse(row.level), row.state == State::Equal);
    rows.sort_by(|a, b| {
        let by_name = (&a.agent_version, &a.host, &a.agent).cmp(&(&b.agent_version, &b.host, &b.agent));
        key(a).cmp(&key(b)).then(by_name)
    });
    rows
}

/// The rows by version.
pub fn summary(rows: &[Row]) -> Vec<Summary> {
    let mut by_version: BTreeMap<Option<Version>, Summary> = BTreeMap::new();
    for row in rows {
        let version = row.agent_version.clone();
        let summary = by_version.entry(version.clone()).or_insert_with(|| Summary {
            agent_version: version,
            offered: None,
            oldest: None,
            endpoints: 0,
            states: BTreeMap::new(),
            level: Level::Fine,
        });
        // Dated endpoints are held against another feed.
        if row.date.is_none() && row.feed.as_ref().is_some_and(|feed| feed.segments().count() == 1) {
            summary.offered = summary.offered.take().or_else(|| row.offered.clone());
        }
        summary.oldest = match (summary.oldest.take(), row.applied.clone()) {
            (Some(known), Some(other)) => Some(known.min(other)),
            (known, other) => known.or(other),
        };
        summary.endpoints += 1;
        *summary.states.entry(row.state).or_default() += 1;
        summary.level = summary.level.max(row.level);
    }
    by_version.into_values().collect()
}

struct Judge<'a> {
    offers: &'a Offers,
    silent_after: Duration,
    now: Timestamp,
}

/// What came of one endpoint.
struct Verdict {
    state: State,
    level: Level,
    lag: Option<Duration>,
    why: String,
}

impl Verdict {
    fn new(state: State, level: Level, why: impl Into<String>) -> Self {
        Self { state, level, lag: None, why: why.into() }
    }
}

impl Judge<'_> {
    fn row(&self, endpoint: &PolicyResponse) -> Row {
        let date = endpoint.date().map(str::to_owned);
        let (feed, offer) = match self.offer(endpoint, date.as_deref()) {
            Some((feed, offer)) => (Some(feed), Some(offer)),
            None => (None, None),
        };
        let verdict = self.verdict(endpoint, date.as_deref(), offer);
        let mut why = verdict.why;
        for odd in &endpoint.odd {
            why.push_str(if why.is_empty() { "" } else { "; " });
            why.push_str(odd);
        }
        Row {
            host: endpoint.host.clone(),
            agent: endpoint.agent.clone(),
            system: endpoint.system.clone(),
            agent_version: endpoint.agent_version.clone(),
            feed: feed.cloned(),
            applied: endpoint.applied.clone(),
            offered: offer.map(|offer| offer.version.version.clone()),
            state: verdict.state,
            level: verdict.level,
            reported_at: Some(endpoint.at),
            lag_seconds: verdict.lag.map(|lag| lag.as_secs()),
            update_age_days: endpoint.update_age_days,
            channel: endpoint.channel.clone(),
            manifest_type: endpoint.manifest_type.clone(),
            date,
            why,
        }
    }

    /// What the ring offers for an endpoint: the dated feed of a pinned one, candidates where it has one and the ring
    /// offers them, else its version's own.
    fn offer(&self, endpoint: &PolicyResponse, date: Option<&str>) -> Option<(&FeedId, &Offer)> {
        let version = endpoint.agent_version.as_ref()?.as_str();
        let released = endpoint.released()?;
        let find = |name: String| {
            let feed: FeedId = name.parse().ok()?;
            self.offers.feeds.get_key_value(&feed)
        };
        for version in [version, released] {
            let found = match date {
                Some(date) => find(format!("elastic/{version}@{date}")),
                None => {
                    let candidate = endpoint.manifest_type.as_deref() == Some("candidate");
                    let candidates = candidate.then(|| find(format!("elastic/{version}/candidate"))).flatten();
                    candidates.or_else(|| find(format!("elastic/{version}")))
                }
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Whether what it has was rejected, or gone back from.
    fn is_rejected(&self, endpoint: &PolicyResponse, applied: &Version) -> bool {
        let rejected = self.offer(endpoint, None).and_then(|(feed, _)| self.offers.rejected.get(feed));
        rejected.is_some_and(|rejected| rejected.contains(applied))
    }

    /// Whether nobody was asked for that kind of manifest of its version.
    fn unasked(&self, endpoint: &PolicyResponse, kind: &str) -> bool {
        let version = endpoint.released().unwrap_or_default();
        format!("elastic/{version}{kind}").parse().is_ok_and(|feed| self.offers.unasked.contains(&feed))
    }

    /// The limits that count where the ring offers nothing for an endpoint.
    fn bound(&self, offer: Option<&Offer>) -> Bound {
        let any = || self.offers.of(Vendor::Elastic).map(|(_, offer)| offer.bound).next();
        let week = Bound { warn: Duration::from_secs(5 * DAY), fail: Duration::from_secs(7 * DAY) };
        offer.map(|offer| offer.bound).or_else(any).unwrap_or(week)
    }

    fn verdict(&self, endpoint: &PolicyResponse, date: Option<&str>, offer: Option<&Offer>) -> Verdict {
        let bound = self.bound(offer);
        let age = self.now.since(endpoint.at);
        // Whatever else it says, it gets nothing, and no other remedy helps.
        if let (None, None, Some(version)) = (date, offer, &endpoint.agent_version) {
            return self.unmirrored(endpoint, version, age);
        }
        if age > self.silent_after {
            let why = format!("last report {}", days(age));
            return Verdict { lag: Some(age), ..Verdict::new(State::Silent, bound.level(age).max(Level::Warn), why) };
        }
        if let Some(date) = date {
            return self.dated(endpoint, date, offer);
        }
        let own_age = endpoint.update_age_days.map(|days| Duration::from_secs(days.saturating_mul(DAY)));
        if let Some(download) = endpoint.download.as_ref().filter(|download| download.status != "success") {
            let lag = own_age.unwrap_or(age);
            let why = format!("{}: {}", download.status, download.message);
            return Verdict { lag: own_age, ..Verdict::new(State::Failing, bound.level(lag).max(Level::Warn), why) };
        }
        let Some(offer) = offer else {
            return Verdict::new(State::Unread, Level::Warn, NO_VERSION);
        };
        match &endpoint.applied {
            None => Verdict::new(State::Behind, Level::Warn, "it does not say what it has applied"),
            Some(applied) if *applied == offer.version.version => Verdict::new(State::Equal, Level::Fine, ""),
            Some(applied) if *applied < offer.version.version => {
                let (level, lag) = offer.lacking(applied, self.now, own_age);
                let held = offer.lacking_since(applied).map(|since| self.now.since(since));
                let why = match (lag, held) {
                    (Some(lag), Some(held)) if held >= lag => format!("a newer one was held {}", days(lag)),
                    (Some(lag), _) => format!("last current {}, in its own words", days(lag)),
                    (None, _) => "since when is not known".to_owned(),
                };
                Verdict { lag, ..Verdict::new(State::Behind, level, why) }
            }
            Some(applied) if self.is_rejected(endpoint, applied) => {
                Verdict::new(State::Rejected, Level::Warn, "the operator rejected it, or went back from it")
            }
            Some(_) => {
                let why = match endpoint.manifest_type.as_deref() {
                    Some("candidate") if self.unasked(endpoint, "/candidate") => {
                        "it takes candidates, which were not asked for: where they lie is not known here"
                    }
                    Some("candidate") => "it takes candidates",
                    _ => "it has it from elsewhere than this ring",
                };
                Verdict::new(State::Ahead, Level::Warn, why)
            }
        }
    }

    /// Nothing is offered for its version; what it says itself stands beside.
    fn unmirrored(&self, endpoint: &PolicyResponse, version: &Version, age: Duration) -> Verdict {
        let mut why = format!("the ring offers nothing for {version}");
        if age > self.silent_after {
            why.push_str(&format!("; last report {}", days(age)));
        }
        if let Some(download) = endpoint.download.as_ref().filter(|download| download.status != "success") {
            why.push_str(&format!("; {}: {}", download.status, download.message));
        }
        Verdict::new(State::Unmirrored, Level::Fail, why)
    }

    fn dated(&self, endpoint: &PolicyResponse, date: &str, offer: Option<&Offer>) -> Verdict {
        let mut why = Vec::new();
        let mut level = Level::Fine;
        if endpoint.built.as_deref().is_some_and(|built| date <= built) {
            level = Level::Fail;
            let built = endpoint.built.as_deref().unwrap_or_default();
            why.push(format!("pinned to {date}, and built on {built}: no vendor has a manifest from before the build"));
        }
        match (offer, &endpoint.applied) {
            (None, _) if endpoint.agent_version.is_none() => {
                level = level.max(Level::Warn);
                why.push(NO_VERSION.to_owned());
            }
            (None, _) if self.unasked(endpoint, &format!("@{date}")) => {
                level = level.max(Level::Warn);
                why.push(format!("the manifest of {date} was not asked for: where it lies is not known here"));
            }
            (None, _) => {
                level = level.max(Level::Warn);
                why.push(format!("the ring has no manifest of {date} for its version"));
            }
            (Some(offer), Some(applied)) if *applied != offer.version.version => {
                level = level.max(Level::Warn);
                why.push(format!("the mirror's manifest of {date} is {}", offer.version.version));
            }
            _ => {}
        }
        if let Some(download) = endpoint.download.as_ref().filter(|download| download.status != "success") {
            level = level.max(Level::Warn);
            why.push(format!("{}: {}", download.status, download.message));
        }
        Verdict::new(State::Dated, level, why.join("; "))
    }
}

fn unread(unread: &Unread) -> Row {
    Row {
        host: None,
        agent: unread.agent.clone(),
        system: None,
        agent_version: None,
        feed: None,
        applied: None,
        offered: None,
        state: State::Unread,
        level: Level::Warn,
        reported_at: None,
        lag_seconds: None,
        update_age_days: None,
        channel: None,
        manifest_type: None,
        date: None,
        why: unread.what.clone(),
    }
}

/// So long ago, in the largest unit that fits.
fn days(age: Duration) -> String {
    match age.as_secs() {
        seconds if seconds >= 2 * DAY => format!("{} d ago", seconds / DAY),
        seconds if seconds >= 3600 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} min ago", seconds / 60),
    }
}

#[cfg(test)]
mod tests;
