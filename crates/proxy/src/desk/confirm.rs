//! Before a path that no known manifest names is fetched, every manifest that is followed is read once more: a newer
//! one may name it, and what a manifest names comes in by its proof or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use catalog::ReleaseFilter;
use mirror::{Engine, FeedReport, SyncRequest};
use model::{FeedId, Outcome, Reason, ReleaseState, RoutePath, Vendor, error_chain};
use vendors::elastic::is_forwarded;

use super::Desk;
use crate::book::folded;

/// How often manifests are read for that at the most, however many paths are asked for.
const EVERY: Duration = Duration::from_secs(5);

/// How the manifests stood when they were last read for that.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    /// When that began, on a clock that never goes back; none before the first time.
    begun: Option<Duration>,
    /// Why it is not known what all of them name, if it is not.
    unknown: Option<String>,
    /// Every file that a release names which was ever seen, and whether it may still come.
    recorded: HashMap<String, Recorded>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    /// Its release was superseded, let go or rejected.
    Past,
    /// Its release waits for the operator.
    Waits,
}

/// What manifests say of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// None names it.
    Unnamed,
    /// One does, and it is served.
    Served,
    /// One does that is served no longer.
    Past,
    /// One does that is not served now, or may do: why.
    Withheld(String),
}

impl Desk {
    /// What manifests say of a path that was asked for at `asked`. They are read after that: one reading serves all who
    /// asked before it began.
    pub(super) async fn word_of(&self, engine: &Engine, path: &RoutePath, asked: Duration) -> Word {
        let mut confirmed = self.confirmed.lock().await;
        if confirmed.begun.is_none_or(|begun| begun < asked) {
            let clock = &engine.ports().clock;
            let since = confirmed.begun.map_or(EVERY, |begun| clock.monotonic().saturating_sub(begun));
            tokio::time::sleep(EVERY.saturating_sub(since)).await;
            let begun = clock.monotonic();
            *confirmed = self.read_manifests(engine).await;
            confirmed.begun = Some(begun);
        }
        match engine.ports().rings.current(&engine.settings().ring).await {
            Ok(Some(current)) if current.generation.routes.contains_key(path) => return Word::Served,
            Ok(_) => {}
            Err(error) => return Word::Withheld(error_chain(&error)),
        }
        match self.book().named_at(path) {
            Ok(named) if named.is_empty() => {}
            Ok(_) => return Word::Withheld("a manifest names it whose set is not served".to_owned()),
            Err(error) => return Word::Withheld(error_chain(&error)),
        }
        match (confirmed.recorded.get(&folded(path)), &confirmed.unknown) {
            (Some(Recorded::Past), _) => Word::Past,
            (Some(Recorded::Waits), _) => Word::Withheld("a release names it that waits for the operator".to_owned()),
            (None, Some(why)) => Word::Withheld(why.clone()),
            (None, None) => Word::Unnamed,
        }
    }

    async fn read_manifests(&self, engine: &Engine) -> Confirmed {
        let unknown = self.read_anew(engine).await.err();
        match recorded(engine).await {
            Ok(recorded) => Confirmed { begun: None, unknown, recorded },
            Err(why) => Confirmed { begun: None, unknown: Some(why), recorded: HashMap::new() },
        }
    }

    /// Syncs every feed that is followed; an error says why it is not known what one of them names.
    async fn read_anew(&self, engine: &Engine) -> Result<(), String> {
        let learned = self.book().learned().map_err(|error| error_chain(&error))?;
        let mut feeds: Vec<FeedId> = engine.settings().feeds.clone();
        feeds.extend(learned.into_iter().map(|known| known.feed));
        feeds.retain(|feed| feed.vendor() == Vendor::Elastic && !is_forwarded(feed));
        feeds.sort();
        feeds.dedup();
        let mut claims = Vec::new();
        for feed in &feeds {
            let claim = self.claim(engine, feed).await;
            claims.push(claim.ok_or_else(|| format!("{feed} is being fetched for too long"))?);
            self.book().forget_named(feed);
        }
        if feeds.is_empty() {
            return Ok(());
        }
        let request = SyncRequest { feeds, wait: true, ..SyncRequest::default() };
        let report = engine.sync(&request, Arc::new(mirror::Silent)).await.map_err(|error| error_chain(&error))?;
        let records = engine.ports().catalog.feeds().await.map_err(|error| error_chain(&error))?;
        let had: Vec<&FeedId> =
            records.iter().filter(|record| record.succeeded_at.is_some()).map(|record| &record.feed).collect();
        match report.feeds.iter().find(|report| !self.is_read(report, &had)) {
            None => Ok(()),
            Some(report) => {
                let why = report.reason.map_or(report.outcome.as_str(), Reason::code);
                Err(format!("the manifest of {} could not be read ({why})", report.feed))
            }
        }
    }

    /// Whether it is known what the vendor's newest manifest of a feed names: it is served, on record, was read just
    /// now, or is not there. Who refuses a manifest that there was before does not say that it names nothing.
    fn is_read(&self, report: &FeedReport, had: &[&FeedId]) -> bool {
        let absent = [Reason::NotFound, Reason::DatedPathUnknown, Reason::PathUnknown];
        let is_absent = |reason| absent.contains(&reason) || reason == Reason::Refused && !had.contains(&&report.feed);
        report.outcome != Outcome::Failed || self.book().has_read(&report.feed) || report.reason.is_some_and(is_absent)
    }
}

/// Every file that a release on record names.
async fn recorded(engine: &Engine) -> Result<HashMap<String, Recorded>, String> {
    let filter = ReleaseFilter { vendor: Some(Vendor::Elastic), ..ReleaseFilter::default() };
    let mut all = HashMap::new();
    let mut note = |found: catalog::ReleaseRecord| {
        if is_forwarded(&found.release.feed) {
            return;
        }
        let stands = if found.state == ReleaseState::Quarantined { Recorded::Waits } else { Recorded::Past };
        for item in &found.release.items {
            let known = all.entry(folded(&item.route)).or_insert(stands);
            if stands == Recorded::Waits {
                *known = stands;
            }
        }
    };
    let visited = engine.ports().catalog.visit_releases(&filter, &mut note).await;
    visited.map_err(|error| error_chain(&error))?;
    Ok(all)
}
