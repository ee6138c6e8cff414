//! Until when time has surely passed: what alone may end what stays for a while.
//!
//! A clock that jumps ends nothing. How long something has stayed is counted from entry to entry of the history
//! ([`catalog::Lived`]), so that what a process wrote a moment ago proves nothing, and neither does looking often. Where
//! the history shows less time than the clock, things stay for longer, never shorter.

use std::time::Duration;

use catalog::{Lived, Span};
use model::{Timestamp, Vendor};

use crate::{Engine, EngineError, Graces};

/// Unfinished downloads older than this are given up.
const PARTIALS: Duration = Duration::from_secs(7 * 86_400);
const NEVER: Timestamp = Timestamp::from_micros(i64::MIN);

/// For each vendor, the time up to which what stays for a while may have ended by; behind now while that is not sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Elastic's.
    pub elastic: Timestamp,
    /// Defender's.
    pub defender: Timestamp,
}

impl Ends {
    /// Nothing ends.
    pub const NEVER: Self = Self::same(NEVER);

    /// The same for every vendor.
    pub const fn same(at: Timestamp) -> Self {
        Self { elastic: at, defender: at }
    }

    /// A vendor's.
    pub const fn of(&self, vendor: Vendor) -> Timestamp {
        match vendor {
            Vendor::Elastic => self.elastic,
            Vendor::Defender => self.defender,
        }
    }
}

/// Until when time has surely passed, for each thing that ends by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calm {
    /// For superseded routes.
    pub(crate) grace: Ends,
    /// Releases held since before this are older than retention keeps them.
    pub(crate) kept_since: Ends,
    /// Unfinished downloads from before this are given up.
    pub(crate) partials_since: Timestamp,
}

impl Engine {
    /// What may end by now.
    pub(crate) async fn calm(&self) -> Result<Calm, EngineError> {
        let now = self.ports.clock.now();
        let Graces { elastic, defender } = self.settings.grace;
        let keep = Vendor::ALL.map(|vendor| self.settings.keep(vendor).age);
        let ages: Vec<Duration> = [elastic, defender, PARTIALS].into_iter().chain(keep).collect();
        let mut calm = self.settled(now, &ages).await?.into_iter();
        let mut next = || calm.next().unwrap_or(NEVER);
        let grace = Ends { elastic: next(), defender: next() };
        let partials_since = next().before(PARTIALS);
        let ends: Vec<(Vendor, Timestamp)> = Vendor::ALL.into_iter().map(|vendor| (vendor, next())).collect();
        let since = |wanted: Vendor| {
            let end = ends.iter().find(|(vendor, _)| *vendor == wanted).map_or(NEVER, |(_, end)| *end);
            end.before(self.settings.keep(wanted).age)
        };
        let kept_since = Ends { elastic: since(Vendor::Elastic), defender: since(Vendor::Defender) };
        Ok(Calm { grace, kept_since, partials_since })
    }

    /// Of superseded routes alone, for which a run looks back no further than it must.
    pub(crate) async fn calm_for_grace(&self) -> Result<Ends, EngineError> {
        let Graces { elastic, defender } = self.settings.grace;
        let ends = self.settled(self.ports.clock.now(), &[elastic, defender]).await?;
        match ends.as_slice() {
            [elastic, defender] => Ok(Ends { elastic: *elastic, defender: *defender }),
            _ => Ok(Ends::NEVER),
        }
    }

    /// For each age, up to which time what stays for so long may have ended by.
    async fn settled(&self, now: Timestamp, ages: &[Duration]) -> Result<Vec<Timestamp>, EngineError> {
        let spans: Vec<Span> = ages.iter().map(|age| Span::of(*age)).collect();
        let lived = self.ports.catalog.lived(now, &spans).await?;
        Ok(ages.iter().zip(lived).map(|(age, lived)| end(now, *age, lived)).collect())
    }
}

/// What began at the latest when the found entry was written has stayed for the whole age.
fn end(now: Timestamp, age: Duration, lived: Option<Lived>) -> Timestamp {
    let Some(lived) = lived else {
        tracing::debug!(%now, age_seconds = age.as_secs(), "the history is too young to show that this long has passed");
        return NEVER;
    };
    let end = lived.earliest.after(age).min(now);
    if now.since(end) > age {
        tracing::info!(
            %now, sure = %end, age_seconds = age.as_secs(),
            "the clock jumped or nothing ran for long: what stays for a while stays for longer"
        );
    }
    end
}
