//! What is wrong, out of what is seen. Pure.
//!
//! One cause is one condition: what only follows from another one adds to how bad that one is, and is not told
//! itself.

mod content;
mod feeds;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use alarm::{Condition, Source};
use mirror::Status;
use model::{Level, Reason, Timestamp, Vendor};

pub(super) use content::{Content, of_content};

use super::vitals::Step;

/// From when on something counts.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Runs in a row that a feed must fail.
    pub(super) failures: u32,
    /// How often each vendor is asked.
    pub(super) schedules: Vec<(Vendor, Duration)>,
    /// Left free on the disk.
    pub(super) reserve: u64,
    /// How long no endpoint may ask; none for ever.
    pub(super) endpoints_silent_after: Option<Duration>,
    /// How long before its end a certificate is a warning, and a failure.
    pub(super) certificate: (Duration, Duration),
}

impl Rules {
    fn schedule_of(&self, vendor: Vendor) -> Duration {
        self.schedules.iter().find(|(of, _)| *of == vendor).map_or(Duration::from_secs(3600), |(_, every)| *every)
    }
}

/// What was before this look.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// The keys of the alarms that stand.
    pub(super) standing: BTreeSet<String>,
    /// When this process began, and for how long it runs by a clock that nobody sets.
    pub(super) began: Option<(Timestamp, Duration)>,
    /// How the clock was set forward, and how long ago, by a clock that nobody sets; the last one last.
    pub(super) stepped: Vec<(Step, Duration)>,
}

/// A host that asked to be left alone for longer than this is told.
const LONG_WAIT: Duration = Duration::from_secs(3600);

/// What the engine's status shows.
pub(super) fn of_status(status: &Status, rules: &Rules, past: &Past) -> Vec<Condition> {
    let mut conditions = feeds::failing(status, rules);
    conditions.extend(feeds::beside(status));
    conditions.extend(feeds::waiting(status));
    feeds::findings(status, (rules, past), &mut conditions);
    conditions.extend(disk(status, rules));
    conditions.extend(ring(status));
    conditions.extend(site(status));
    if !conditions.iter().any(|condition| condition.reason() == Reason::RateLimited) {
        let long = status.host_waits.iter().filter(|(_, until)| until.since(status.at) > LONG_WAIT);
        conditions.extend(long.map(|(host, until)| {
            new(Reason::RateLimited, &format!("waits/{host}"), status.at)
                .on(host)
                .because(&format!("it asked not to be asked before {until}"))
        }));
    }
    conditions
}

fn new(reason: Reason, key: &str, since: Timestamp) -> Condition {
    Condition::new(Source::Status, key, reason, since)
}

fn disk(status: &Status, rules: &Rules) -> Option<Condition> {
    let free = status.free_bytes?;
    let (reason, level) = match free {
        free if free < rules.reserve => (Reason::DiskFull, Level::Fail),
        free if free < rules.reserve.saturating_mul(2) => (Reason::DiskLow, Level::Warn),
        _ => return None,
    };
    let (free, reserve) = (mebibytes(free), mebibytes(rules.reserve));
    let detail = format!("{free} MiB are free, and {reserve} MiB are to stay free (limits.disk_reserve)");
    Some(new(reason, "disk", status.at).on("the data folder's disk").because(&detail).at_level(level))
}

fn mebibytes(bytes: u64) -> u64 {
    bytes / (1 << 20)
}

fn ring(status: &Status) -> Option<Condition> {
    let fault = status.ring.fault.as_ref()?;
    let name = status.ring.ring.as_str();
    let condition = new(fault.reason, &format!("ring/{name}"), status.at).on(&format!("ring {name}"));
    Some(condition.because(&fault.detail).at_level(Level::Fail))
}

/// What else is wrong at this site.
fn site(status: &Status) -> impl Iterator<Item = Condition> {
    status.faults.iter().map(|fault| {
        let condition = new(fault.note.reason, &fault.key, fault.since).on(&fault.subject);
        condition.because(&fault.note.detail).at_level(fault.level)
    })
}

/// What the keys of what is wrong with a vendor's schedule begin with.
const SCHEDULE: &str = "schedule_stalled/";

fn of_schedule(condition: &Condition) -> bool {
    condition.key().starts_with(SCHEDULE)
}

/// Drops what only follows from something else that is seen elsewhere.
pub(super) fn without_echoes(mut conditions: Vec<Condition>) -> Vec<Condition> {
    let has = |conditions: &[Condition], reason| conditions.iter().any(|condition| condition.reason() == reason);
    // What became of the data folder is why nothing below it can be read or written.
    if has(&conditions, Reason::FolderGone) || has(&conditions, Reason::AnotherHistory) {
        let echoes = [Reason::AlarmStateFailed, Reason::GenerationRefused, Reason::RingWentBack, Reason::RoutesBroken];
        conditions.retain(|condition| !echoes.contains(&condition.reason()));
    }
    // Paths that answer 503 stay so until their bytes are back, whatever a run says of their feed meanwhile.
    if has(&conditions, Reason::RoutesBroken) {
        conditions.retain(|condition| condition.reason() != Reason::BlobDamaged);
    }
    let subjects = |conditions: &[Condition], reason| -> Vec<String> {
        let of = conditions.iter().filter(|condition| condition.reason() == reason);
        of.map(|condition| condition.subject().to_owned()).collect()
    };
    // A ring whose files are gone has no newest generation to be taken over.
    let lost = subjects(&conditions, Reason::RingLost);
    conditions.retain(|condition| {
        !matches!(condition.reason(), Reason::GenerationRefused | Reason::RingWentBack)
            || !lost.iter().any(|subject| subject == condition.subject())
    });
    // A ring's broken files are why its newest generation is not served.
    let refused = subjects(&conditions, Reason::GenerationRefused);
    conditions.retain(|condition| {
        !condition.key().starts_with("ring/") || !refused.iter().any(|subject| subject == condition.subject())
    });
    // What keeps a run from taking place may be told by who saw it first; a schedule that stands for itself stays.
    let told: Vec<Reason> = conditions.iter().filter(|&seen| !of_schedule(seen)).map(Condition::reason).collect();
    let is_away = told.contains(&Reason::AnotherHistory);
    conditions.retain(|condition| {
        let follows = told.contains(&condition.reason()) || (is_away && condition.reason() == Reason::FolderGone);
        !of_schedule(condition) || !follows
    });
    // A schedule that does not turn is why its vendor was not asked.
    let stalled: Vec<String> =
        conditions.iter().filter_map(|condition| condition.key().strip_prefix(SCHEDULE).map(str::to_owned)).collect();
    let is_echo = |condition: &Condition| {
        let vendor = condition.key().strip_prefix("check/");
        vendor.is_some_and(|vendor| stalled.iter().any(|stalled| stalled == vendor))
    };
    let worst = conditions.iter().filter(|condition| is_echo(condition)).map(Condition::level).max();
    conditions.retain(|condition| !is_echo(condition));
    conditions
        .into_iter()
        .map(|condition| match worst {
            Some(level) if of_schedule(&condition) => {
                let level = level.max(condition.level());
                condition.at_level(level)
            }
            _ => condition,
        })
        .collect()
}
