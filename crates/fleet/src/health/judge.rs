//! Each report against what rings offer.

use std::time::Duration;

use model::{FeedId, Level, RingName, Timestamp, Vendor, Version};
use serde::Serialize;
use url::Url;

use super::Health;
use crate::offers::{Offer, Offers};

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
    /// It does not say, or nothing is offered to hold them against.
    Unknown,
}

impl State {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Unknown => "unknown",
        }
    }
}

macro_rules! faults {
    ($($name:ident $code:literal $level:ident $what:literal $remedy:literal;)*) => {
        /// What is wrong with an endpoint.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fault {
            $(
                #[doc = $what]
                $name,
            )*
        }

        impl Fault {
            /// Every fault, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How bad it is.
            pub const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// What it means.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }

            /// What to do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

faults! {
    CloudFallback "cloud_fallback" Fail
        "Offline updates are on, and the definitions came from Microsoft's cloud: past rings and holds, without a word."
        "Find out why the mirror failed it (`mdatp connectivity test` there, `waystation doctor URL` here), then set offlineDefinitionUpdateFallbackToCloud to false.";
    OtherSource "other_source" Warn
        "The definitions came from another address than the one that is configured."
        "`mdatp definitions update` on the endpoint; if it stays so, look at what manages its settings.";
    NotOffline "not_offline" Fail
        "Offline updates are not on: the endpoint asks Microsoft's cloud."
        "Deliver the settings (`waystation configure defender`), and look at the file with --check.";
    NoAddress "no_address" Fail
        "Offline updates are on, and no address is configured."
        "Set antivirusEngine.offlineDefinitionUpdateUrl.";
    NotManaged "not_managed" Warn
        "The mirror's address was set by hand: no policy holds it."
        "Deliver it as managed settings; what is set by hand is lost with the machine.";
    WrongAddress "wrong_address" Fail
        "The configured address goes on into arch_…, or has no scheme."
        "End it with …/linux/production/, with https:// in front.";
    EngineDrift "engine_drift" Warn
        "The definitions are those of the ring, and the engine is not: it may have been refused while definitions went on."
        "On the endpoint look at engine_load_status; since 101.26062.0005 an engine whose signature fails is not loaded, without another alarm.";
    EngineDown "engine_down" Warn
        "The engine is not loaded. In passive and on-demand mode that is so except during scans."
        "Where real_time is meant, look at `mdatp health` and the agent's log.";
    UpdateFailed "update_failed" Warn
        "The agent says why its last update failed."
        "Its own words stand beside; `mdatp connectivity test` shows whether the mirror is reached.";
    OutOfDate "out_of_date" Warn
        "The agent itself calls its definitions out of date, or has none."
        "`mdatp definitions update` on the endpoint, and read what it says.";
    NotAutomatic "not_automatic" Warn
        "Nothing is updated on a timer: automatic updates are off, or the engine is passive or on demand."
        "Set enforcementLevel real_time and automaticDefinitionUpdateEnabled true, or run `mdatp definitions update` from cron.";
    FallbackAllowed "fallback_allowed" Fine
        "It may fall back to the cloud when the mirror fails."
        "Set offlineDefinitionUpdateFallbackToCloud to false where rings decide.";
    SignatureOff "signature_off" Warn
        "Definitions are loaded without their signature being verified."
        "Set features.offlineDefinitionUpdateVerifySig to enabled, or update the agent to 101.26062.0005.";
    Unlicensed "unlicensed" Warn
        "The agent has no license."
        "Onboard it.";
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name: that of its file.
    pub host: String,
    /// Its agent's version.
    pub agent_version: Option<String>,
    /// The feed that it is held against.
    pub feed: Option<FeedId>,
    /// Its definitions.
    pub definitions: Option<Version>,
    /// Its engine.
    pub engine: Option<Version>,
    /// What its ring offers.
    pub offered: Option<Version>,
    /// Where its definitions came from.
    pub source: Option<String>,
    /// Where they should come from.
    pub configured: Option<String>,
    /// How its definitions stand.
    pub state: State,
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

/// Hosts of the vendor's cloud.
const VENDOR: [&str; 2] = ["microsoft.com", "windows.com"];

/// Holds a report against what rings offer; the ring is taken from the address that the endpoint has, where one of
/// `rings` has that name, and else is the last of them, the one at the root.
pub fn judge(host: &str, health: &Health, rings: &[Offers], now: Timestamp) -> Row {
    let source = health.get("definitions_update_source_uri");
    let configured = health.get("offline_definition_url_configured");
    let definitions = health.definitions();
    let address = configured.or(source).unwrap_or_default();
    let offered = ring_of(address, rings).map(|ring| candidates(address, ring)).unwrap_or_default();
    let held = offered.iter().find(|(_, offer)| Some(&offer.version.version) == definitions.as_ref());
    let newest = offered.iter().max_by(|a, b| a.1.version.version.cmp(&b.1.version.version));
    let against = held.or(newest).copied();
    let state = match (&definitions, against) {
        (Some(own), Some((_, offer))) if *own == offer.version.version => State::Equal,
        (Some(own), Some((_, offer))) if *own < offer.version.version => State::Behind,
        (Some(_), Some(_)) => State::Ahead,
        _ => State::Unknown,
    };
    let mut faults = faults(health, source, configured);
    let engine = health.engine();
    let drifts = |offer: &Offer| engine.is_some() && offer.version.engine.is_some() && engine != offer.version.engine;
    // Both architectures may have the same definitions: an engine that one of them has is none that drifted.
    let same = offered.iter().filter(|(_, offer)| Some(&offer.version.version) == definitions.as_ref());
    if state == State::Equal && same.clone().next().is_some() && same.clone().all(|(_, offer)| drifts(offer)) {
        faults.push(Fault::EngineDrift);
    }
    let own_age = health.updated_minutes_ago().map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let lacking = match (state, against, &definitions) {
        (State::Behind, Some((_, offer)), Some(own)) => offer.lacking(own, now, own_age).0,
        (State::Ahead | State::Unknown, ..) => Level::Warn,
        _ => Level::Fine,
    };
    let level = faults.iter().map(|fault| fault.level()).max().unwrap_or_default().max(lacking);
    Row {
        host: model::shown(host, 200),
        agent_version: health.get("app_version").map(str::to_owned),
        feed: against.map(|(feed, _)| feed.clone()),
        definitions,
        engine,
        offered: against.map(|(_, offer)| offer.version.version.clone()),
        source: source.map(str::to_owned),
        configured: configured.map(str::to_owned),
        state,
        level,
        beyond_policy: lacking == Level::Fail,
        updated_minutes_ago: health.updated_minutes_ago(),
        faults,
        fail_reason: health.get("definitions_update_fail_reason").map(str::to_owned),
    }
}

/// A URL names its ring behind `rings`; a folder is that of its ring, so that the ring's name stands before the layout.
fn ring_of<'a>(address: &str, rings: &'a [Offers]) -> Option<&'a Offers> {
    let parts: Vec<&str> = address.split('/').collect();
    let name = if address.starts_with('/') {
        parts.windows(2).find_map(|pair| match pair {
            [ring, "linux" | "mac"] => Some(*ring),
            _ => None,
        })
    } else {
        parts.windows(2).find_map(|pair| match pair {
            ["rings", ring] => Some(*ring),
            _ => None,
        })
    };
    let is_named = |offers: &&Offers| offers.ring.as_ref().map(RingName::as_str) == name && name.is_some();
    rings.iter().find(is_named).or_else(|| rings.last())
}

/// The feeds that an address may stand for: its platform and track, in every architecture.
fn candidates<'a>(address: &str, ring: &'a Offers) -> Vec<(&'a FeedId, &'a Offer)> {
    let parts: Vec<&str> = address.split('/').collect();
    let layout = parts.windows(2).find_map(|pair| match pair {
        [platform @ ("linux" | "mac"), track] => Some((*platform, track.strip_suffix("_back").unwrap_or(track))),
        _ => None,
    });
    let fits = |feed: &FeedId| match layout {
        Some((platform, track)) => feed.segments().take(2).eq([platform, track]),
        // The cloud's address does not say which system asks.
        None => feed.segments().nth(1) == Some("production"),
    };
    ring.of(Vendor::Defender).filter(|(feed, _)| fits(feed)).collect()
}

fn faults(health: &Health, source: Option<&str>, configured: Option<&str>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let offline = health.get("offline_definition_update");
    let is_on = offline == Some("enabled");
    let from_cloud = source.is_some_and(is_vendor);
    match offline {
        Some("enabled") if configured.is_none() => faults.push(Fault::NoAddress),
        Some("enabled") | None => {}
        Some(_) => faults.push(Fault::NotOffline),
    }
    if is_on && from_cloud && configured.is_some_and(|configured| !is_vendor(configured)) {
        faults.push(Fault::CloudFallback);
    } else if let (true, Some(source), Some(configured)) = (is_on, source, configured)
        && source.trim_end_matches('/') != configured.trim_end_matches('/')
    {
        faults.push(Fault::OtherSource);
    }
    if let Some(configured) = configured {
        let relative = !configured.contains("://") && !configured.starts_with('/');
        if configured.contains("/arch_") || relative {
            faults.push(Fault::WrongAddress);
        }
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
    if matches!(health.get("definitions_status"), Some(status) if !matches!(status, "up_to_date" | "updating")) {
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
    faults
}

fn is_vendor(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let Some(host) = url.host_str() else { return false };
    VENDOR.iter().any(|vendor| host == *vendor || host.ends_with(&format!(".{vendor}")))
}

#[cfg(test)]
mod tests;
