//! Each report against what rings offer.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Bound, FeedId, Level, RingName, Timestamp, Version};
use serde::Serialize;
use settings::defender::Address;

use super::place::{Candidates, is_back};
use super::{Fault, Health, Mirror};
use crate::offers::Offer;

/// How an endpoint's definitions stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// They are what its ring offers.
    Equal,
    /// They are older.
    Behind,
    /// They are newer: from the cloud, or from another ring.
    Ahead,
    /// They are older than what one processor or system is offered and newer than what another is: which is its own is not
    /// known.
    Between,
    /// It does not say, nothing is offered to hold them against, or it is not known what should be.
    Unknown,
}

impl State {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Between => "between",
            Self::Unknown => "unknown",
        }
    }
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name: that of its file.
    pub host: String,
    /// Its agent's version.
    pub agent_version: Option<String>,
    /// The ring that it is held against, where its address says which.
    pub ring: Option<RingName>,
    /// The feed that it is held against, where no other may be meant.
    pub feed: Option<FeedId>,
    /// Its definitions.
    pub definitions: Option<Version>,
    /// Its engine.
    pub engine: Option<Version>,
    /// What its ring offers; where several feeds may be meant, the one that its state was told by.
    pub offered: Option<Version>,
    /// Where its definitions came from.
    pub source: Option<String>,
    /// Where they should come from.
    pub configured: Option<String>,
    /// How its definitions stand.
    pub state: State,
    /// Why its definitions stand so, where that is not plain.
    pub why: Option<String>,
    /// How bad all of it is.
    pub level: Level,
    /// Whether it is behind for longer than its freshness policy lets pass.
    pub beyond_policy: bool,
    /// How many minutes before the report its definitions were updated.
    pub updated_minutes_ago: Option<u64>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    /// What it says itself of its last update.
    pub fail_reason: Option<String>,
}

/// Holds a report against what the mirror offers on the ring that the endpoint's own address names. What may be the
/// endpoint's is more than one offer where its report leaves open which system, processor or ring it has: it is equal
/// where one of them fits, and behind or ahead where all of them say so.
pub fn judge(host: &str, health: &Health, mirror: &Mirror<'_>, now: Timestamp) -> Row {
    let source = health.get("definitions_update_source_uri");
    let configured = health.get("offline_definition_url_configured");
    let definitions = health.definitions();
    let places = Places { source: source.map(Address::read), configured: configured.map(Address::read) };
    let address = places.configured.as_ref().or(places.source.as_ref().filter(|source| !source.is_of_vendor()));
    // What it took its definitions from may say which processor it has, where nobody said that.
    let arch = mirror.arch.or_else(|| places.source.as_ref().and_then(Address::processor));
    let Candidates { ring, offers: offered, rejected, rejected_of_all } = mirror.candidates(address, arch);
    let held: Vec<(&FeedId, &Offer)> = match &definitions {
        Some(own) => offered.iter().filter(|(_, offer)| offer.version.version == *own).copied().collect(),
        None => Vec::new(),
    };
    let (state, shown) = stand(definitions.as_ref(), &offered);
    let mut faults = faults(health, &places, mirror);
    let engine = health.engine();
    let drifts = |offer: &Offer| engine.is_some() && offer.version.engine.is_some() && engine != offer.version.engine;
    // Several may have the same definitions: an engine that one of them has is none that drifted.
    if !held.is_empty() && held.iter().all(|(_, offer)| drifts(offer)) {
        faults.push(Fault::EngineDrift);
    }
    let is_among = |versions: &BTreeSet<&Version>| definitions.as_ref().is_some_and(|own| versions.contains(own));
    if is_among(&rejected_of_all) {
        faults.push(Fault::RejectedDefinitions);
    }
    let may_be_rejected = is_among(&rejected) && !is_among(&rejected_of_all);
    let own_age = health.updated_minutes_ago().map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let (lacking, why) = match (state, &definitions) {
        // The mildest of what may be meant: who is beyond policy is so for certain.
        (State::Behind, Some(own)) => {
            let each = offered.iter().map(|(_, offer)| (offer.lacking(own, now, own_age), offer));
            match each.min_by_key(|((level, lag), _)| (*level, *lag)) {
                Some(((level, lag), offer)) => (
                    level,
                    lag.map(|lag| overdue(lag, offer.lacking_since(own).map(|since| now.since(since)), offer.bound)),
                ),
                None => (Level::Warn, None),
            }
        }
        (State::Between, Some(own)) => (Level::Warn, Some(between(own, &offered))),
        (State::Unknown, own) => unknown(own.is_some(), &faults, own_age, mirror),
        (State::Ahead, _) if address.is_some_and(is_back) => (
            Level::Warn,
            Some(
                "it is pointed at the release before, and has not gone back to it: its definitions are newer"
                    .to_owned(),
            ),
        ),
        (State::Ahead | State::Between, _) => (Level::Warn, None),
        _ => (Level::Fine, None),
    };
    let (lacking, why) = match may_be_rejected {
        true => (lacking.max(Level::Warn), Some(perhaps_rejected(why))),
        false => (lacking, why),
    };
    let level = faults.iter().map(|fault| fault.level()).max().unwrap_or_default().max(lacking);
    let feed = match (held.as_slice(), offered.as_slice()) {
        ([(feed, _)], _) | ([], [(feed, _)]) if address.is_some() => Some((*feed).clone()),
        _ => None,
    };
    Row {
        host: model::shown(host, 200),
        agent_version: health.get("app_version").map(str::to_owned),
        ring: ring.cloned(),
        feed,
        definitions,
        engine,
        offered: shown,
        source: source.map(str::to_owned),
        configured: configured.map(str::to_owned),
        state,
        why,
        level,
        beyond_policy: lacking == Level::Fail,
        updated_minutes_ago: health.updated_minutes_ago(),
        faults,
        fail_reason: health.get("definitions_update_fail_reason").map(str::to_owned),
    }
}

/// Of one processor or system its definitions were rejected, and of another not: which is its own is not known.
fn perhaps_rejected(why: Option<String>) -> String {
    let told = "its definitions were rejected for one processor or system and not for another: reports name no processor; \
                --arch says it where all of them have one";
    why.map_or_else(|| told.to_owned(), |why| format!("{why}; {told}"))
}

/// How definitions stand towards all that may be theirs, and which version that was told by.
fn stand(own: Option<&Version>, offered: &[(&FeedId, &Offer)]) -> (State, Option<Version>) {
    let mut versions: Vec<&Version> = offered.iter().map(|(_, offer)| &offer.version.version).collect();
    versions.sort();
    versions.dedup();
    let one = |version: &Version| Some(version.clone());
    match (own, versions.as_slice()) {
        (_, []) => (State::Unknown, None),
        (None, [only]) => (State::Unknown, one(only)),
        (None, _) => (State::Unknown, None),
        (Some(own), versions) if versions.contains(&own) => (State::Equal, one(own)),
        (Some(own), [least, ..]) if own < least => (State::Behind, one(least)),
        (Some(own), [.., most]) if own > most => (State::Ahead, one(most)),
        // Older than one and newer than another: which of them is its own is not known.
        (Some(_), _) => (State::Between, None),
    }
}

/// For how long it has been behind, in whose words, and for how long it may be; `held` is for how long the mirror has had
/// something newer, where that is known.
fn overdue(lag: Duration, held: Option<Duration>, bound: Bound) -> String {
    let (lag_told, most) = (span(lag), span(bound.fail));
    match held {
        Some(held) if held >= lag => format!("the mirror has held newer definitions for {lag_told} (policy: {most})"),
        None if bound.level(lag) == Level::Fine => format!(
            "updated {lag_told} ago in its own words, to less than the mirror has now; since when the mirror has had more is \
             not known here"
        ),
        _ => format!("without an update for {lag_told} in its own words (policy: {most})"),
    }
}

/// How bad it is that an endpoint cannot be judged, and why it cannot. Its own words count all the same: who has had no
/// update for longer than the policy lets pass is beyond it, whatever it should have; and so is who can have none.
fn unknown(has_own: bool, faults: &[Fault], own_age: Option<Duration>, mirror: &Mirror<'_>) -> (Level, Option<String>) {
    let why = if !has_own {
        "its report says no definitions_version"
    } else if faults.contains(&Fault::WrongMirror) {
        "it is pointed at another mirror, and what that serves is not known here"
    } else if faults.contains(&Fault::UnknownRing) {
        "the mirror has no such ring"
    } else if faults.contains(&Fault::Unserved) {
        return (Level::Fail, Some("the mirror serves nothing at its address, so it cannot update".to_owned()));
    } else {
        "nothing is offered that its definitions could be held against"
    };
    match own_age.filter(|age| *age > mirror.bound.warn) {
        Some(age) => {
            let told = format!("without an update for {} in its own words", span(age));
            (mirror.bound.level(age), Some(format!("{why}; {told} (policy: {})", span(mirror.bound.fail))))
        }
        None => (Level::Warn, Some(why.to_owned())),
    }
}

/// What it is between, and what would tell which is its own.
fn between(own: &Version, offered: &[(&FeedId, &Offer)]) -> String {
    let (older, newer): (Vec<_>, Vec<_>) = offered.iter().partition(|(_, offer)| offer.version.version > *own);
    let named = |offers: &[&(&FeedId, &Offer)]| {
        let mut each: Vec<String> =
            offers.iter().map(|(feed, offer)| format!("{} of {feed}", offer.version.version)).collect();
        each.sort();
        each.dedup();
        each.join(", ")
    };
    format!(
        "older than {}, newer than {}: reports name no processor; --arch says it where all of them have one",
        named(&older),
        named(&newer)
    )
}

fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Where a report says that definitions came from, and where they should.
struct Places {
    source: Option<Address>,
    configured: Option<Address>,
}

fn faults(health: &Health, places: &Places, mirror: &Mirror<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (source, configured) = (places.source.as_ref(), places.configured.as_ref());
    if health.contradicts {
        faults.push(Fault::SeveralReports);
    }
    let offline = health.get("offline_definition_update");
    let is_on = offline == Some("enabled");
    let from_cloud = source.is_some_and(Address::is_of_vendor);
    match offline {
        Some("enabled") if configured.is_none() => faults.push(Fault::NoAddress),
        Some("enabled") | None => {}
        Some(_) => faults.push(Fault::NotOffline),
    }
    if is_on && from_cloud && configured.is_some_and(|configured| !configured.is_of_vendor()) {
        faults.push(Fault::CloudFallback);
    } else if let (true, Some(source), Some(configured)) = (is_on, source, configured)
        // Whether an agent names what it was given, or the file that it asked for, is not published.
        && !configured.leads_to(source)
    {
        faults.push(if source.is_beside(configured) { Fault::OtherRing } else { Fault::OtherSource });
    }
    if let Some(configured) = configured {
        faults.extend(mirror.faults(configured));
        if health.values.get("offline_definition_url_configured").is_some_and(|setting| !setting.managed) {
            faults.push(Fault::NotManaged);
        }
    }
    if matches!(health.get("engine_load_status"), Some(status) if status != "Engine load succeeded") {
        faults.push(Fault::EngineDown);
    }
    if health.get("definitions_update_fail_reason").is_some() {
        faults.push(Fault::UpdateFailed);
    }
    // `could_be_older` and others were only seen at third parties: what is no known good word is told.
    if matches!(health.get("definitions_status"), Some(status) if !matches!(status, "up_to_date" | "updating" | "unavailable"))
    {
        faults.push(Fault::OutOfDate);
    }
    let idle = health.flag("automatic_definition_update_enabled") == Some(false)
        || health.flag("passive_mode_enabled") == Some(true)
        || matches!(health.get("antivirus_enforcement_level"), Some("passive" | "on_demand"));
    if idle {
        faults.push(Fault::NotAutomatic);
    }
    if is_on && health.flag("offline_definition_update_fallback_to_cloud") == Some(true) {
        faults.push(Fault::FallbackAllowed);
    }
    let unverified = health.get("offline_definition_update_verify_sig") == Some("disabled")
        && health.get("engine_signature_verification") != Some("enabled");
    if unverified {
        faults.push(Fault::SignatureOff);
    }
    if health.unlicensed || health.flag("licensed") == Some(false) {
        faults.push(Fault::Unlicensed);
    }
    if health.definitions().is_none() || health.get("definitions_status") == Some("unavailable") {
        faults.push(Fault::NoDefinitions);
    }
    faults
}

#[cfg(test)]
mod tests;
