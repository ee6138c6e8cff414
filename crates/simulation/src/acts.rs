//! What is done to an engine, and whether what it said afterwards is true (I9).

use std::sync::Arc;

use catalog::{Entry, EntryFilter, EntryKind, EntryOrder};
use mirror::{
    ActReport, Depth, Engine, EngineError, FeedReport, KeptConfig, ProcessEvent, Silent, Status, StoreReport,
    SyncReport, SyncRequest,
};
use model::{Digest, FeedId, Level, Outcome, Reason, ReleaseState, ServedFeed};

use crate::stores::BuildError;
use crate::upstream::Trick;
use crate::violation::{Holds, Violation};
use crate::world::World;

/// Something that an operator or a schedule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Fetch these feeds; all where none is named.
    Sync(Vec<FeedId>),
    /// Let a release in, forwards or backwards.
    Admit(String),
    /// Turn a release down.
    Reject(String),
    /// Retention and gc.
    Collect,
    /// Re-hash everything that is held.
    Verify,
    /// Re-hash what could not be served.
    Recheck(Vec<Digest>),
    /// Say what a run would do.
    Plan,
    /// Say how everything stands.
    Status,
    /// Check the whole store.
    Check,
}

/// What an act gave.
#[derive(Debug)]
pub(crate) enum Done {
    Synced(SyncReport),
    Acted(ActReport),
    Checked(Box<StoreReport>),
    Told(Box<Status>),
    /// What needs no judging.
    Other,
}

/// What a process writes into the history before it does anything, as the composition root does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// Nothing.
    AtOnce,
    /// That the configuration changed.
    WithConfiguration,
    /// That, and that a process that stays begins.
    WithStart,
}

impl Begins {
    /// Writes it.
    async fn write(self, engine: &Engine) -> Result<(), EngineError> {
        if self == Self::AtOnce {
            return Ok(());
        }
        let settings = format!("{:?}", engine.settings().grace);
        let kept = KeptConfig { digest: Digest::of(settings.as_bytes()), settings: Some(settings) };
        if engine.last_config().await?.is_none_or(|before| before.digest != kept.digest) {
            engine.record_config(&kept, &[], "simulated").await?;
        }
        if self == Self::WithStart {
            engine.record_process(ProcessEvent::Start, "0").await?;
        }
        Ok(())
    }
}

impl Act {
    /// Whether it takes the publication lock in any case, or for a damaged ring.
    fn takes_the_lock(&self) -> bool {
        matches!(self, Self::Sync(_) | Self::Admit(_) | Self::Reject(_) | Self::Collect)
    }

    /// Whether it is a person's word on a release.
    pub(crate) fn is_word(&self) -> bool {
        matches!(self, Self::Admit(_) | Self::Reject(_))
    }

    /// Whether the word was recorded last of all on its release.
    pub(crate) async fn was_said(&self, world: &World) -> Result<bool, BuildError> {
        let (word, release) = match self {
            Self::Admit(release) => ("admit", release),
            Self::Reject(release) => ("reject", release),
            _ => return Ok(false),
        };
        let filter = EntryFilter { kinds: vec![EntryKind::Act], subject: Some(release.clone()), ..Default::default() };
        let acts = world.stores.catalog.entries(&filter, EntryOrder::NewestFirst, 100).await?;
        let told = |act: &Entry| serde_json::from_str::<serde_json::Value>(&act.data).unwrap_or_default();
        let last = acts.iter().map(told).find(|data| data.get("refused").is_none());
        Ok(last.is_some_and(|data| data.get("act").is_some_and(|act| act == word) && data.get("undone").is_none()))
    }

    /// Does it in a process that begins like this; where that cannot be recorded, it goes on.
    pub(crate) async fn perform_after(self, begins: Begins, engine: Engine) -> Result<Done, EngineError> {
        begins.write(&engine).await.ok();
        self.perform(engine).await
    }

    /// Does it.
    pub(crate) async fn perform(self, engine: Engine) -> Result<Done, EngineError> {
        Ok(match self {
            Self::Sync(feeds) => {
                let request = SyncRequest { feeds, wait: true, ..SyncRequest::default() };
                Done::Synced(engine.sync(&request, Arc::new(Silent)).await?)
            }
            Self::Admit(release) => Done::Acted(engine.admit(&release, "simulated").await?),
            Self::Reject(release) => Done::Acted(engine.reject(&release, "simulated").await?),
            Self::Collect => {
                engine.collect().await?;
                Done::Other
            }
            Self::Verify => {
                let held = engine.held().await?;
                engine.verify(&held, &|_| ()).await?;
                Done::Other
            }
            Self::Recheck(digests) => {
                engine.recheck(&digests).await?;
                Done::Other
            }
            Self::Plan => {
                engine.plan_sync(&SyncRequest::default()).await?;
                Done::Other
            }
            Self::Status => Done::Told(Box::new(engine.status().await?)),
            Self::Check => Done::Checked(Box::new(engine.check_store(Depth::Rehash, &|_| ()).await)),
        })
    }
}

/// What was so while an act ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Circumstances {
    /// How many answers were spoiled.
    pub(crate) tricks: u64,
    /// How often the vendors published.
    pub(crate) publications: u64,
    /// How many operations were struck.
    pub(crate) struck: u64,
    /// What every answer was spoiled with.
    pub(crate) always: Option<Trick>,
    /// Whether another act ran at the same time.
    pub(crate) shared: bool,
}

impl World {
    /// Whether what an act said is true.
    pub(crate) async fn judge(&self, act: &Act, done: &Done, how: &Circumstances) -> Holds {
        match done {
            Done::Synced(report) => self.judge_sync(report, how).await,
            Done::Acted(report) => self.judge_act(act, report, how),
            Done::Told(status) => self.judge_status(status, how),
            Done::Checked(_) | Done::Other => Ok(()),
        }
    }

    /// A ring that is not what was published last is told, whatever is served in its stead (I9).
    fn judge_status(&self, status: &Status, how: &Circumstances) -> Holds {
        let told = status.ring.fault.is_some() && status.level() == Level::Fail;
        if told || how.shared || how.struck > 0 || !self.oracle.is_worn() {
            return Ok(());
        }
        Err(Violation::new("I9", format!("files of the ring are damaged or lost, and of it is told {:?}", status.ring)))
    }

    /// What an act that ended well leaves of what the disk and the operator did before.
    pub(crate) async fn settled(&self, act: &Act, how: &Circumstances) -> Holds {
        if how.shared || how.struck > 0 || !act.takes_the_lock() {
            return Ok(());
        }
        self.oracle.forgot();
        self.oracle.made_anew()?;
        self.followed().await
    }

    /// Whether the ring serves what a person let in last, or something newer, now that an act took the publication lock
    /// and ended well (I15). A word that was never acknowledged, because its process died, counts as one that was.
    async fn followed(&self) -> Holds {
        let Some(current) = self.oracle.current()? else { return Ok(()) };
        for (feed, release) in self.oracle.spoken() {
            let found = self.stores.catalog.release(&release).await.ok().flatten();
            let Some(found) = found.filter(|found| found.state == ReleaseState::Admitted) else { continue };
            let is_rotten = found.release.items.iter().any(|item| self.oracle.is_rotten(&item.digest));
            let served = current.generation.feeds.get(&feed);
            // One signature version may come with several engines.
            let (let_in, version) =
                (&found.release.vendor_version, |served: &ServedFeed| served.vendor_version.clone());
            let newer = |served: &ServedFeed| version(served) != *let_in && version(served).version >= let_in.version;
            let follows = served.is_some_and(|served| served.release == release || newer(served));
            // A rollback that is not carried out serves what is newer and was left.
            let left = served.is_some_and(|served| self.oracle.is_rejected(&served.release));
            let dropped = served.is_none() && !self.settings.feeds.contains(&feed);
            if follows && !left {
                self.oracle.was_followed(&feed);
                continue;
            }
            if !is_rotten && !dropped {
                let what = format!("{feed}: release {} was let in, and the ring serves {served:?}", release.short());
                return Err(Violation::new("I15", what));
            }
        }
        Ok(())
    }

    async fn judge_sync(&self, report: &SyncReport, how: &Circumstances) -> Holds {
        if let Some(number) = report.generation {
            self.oracle.acknowledged(number);
        }
        for line in &report.feeds {
            if line.outcome == Outcome::Failed && line.reason.is_none() {
                return Err(Violation::new("I9", format!("{} failed without a reason", line.feed)));
            }
            if is_useless(how.always.as_ref()) && how.publications == 0 && line.outcome != Outcome::Failed {
                return Err(Violation::new(
                    "I9",
                    format!("{} is {} though no vendor answered with anything", line.feed, line.outcome),
                ));
            }
            if how.shared {
                continue;
            }
            self.is_served(line)?;
            self.is_not_asked_again(line)?;
            // One that was only seated by this run was not asked for.
            if line.requests > 0 && how.tricks == 0 && how.publications == 0 {
                self.is_offered(line)?;
            }
            let record = self.stores.catalog.feed(&line.feed).await;
            let recorded = record.ok().flatten().map(|record| record.outcome);
            if recorded != Some(line.outcome) {
                let what = format!("{} is reported as {} and recorded as {recorded:?}", line.feed, line.outcome);
                return Err(Violation::new("I9", what));
            }
        }
        Ok(())
    }

    /// What is said to be published or current is what the ring serves.
    fn is_served(&self, line: &FeedReport) -> Holds {
        let good = matches!(line.outcome, Outcome::Published | Outcome::Current);
        if !good || line.reason == Some(Reason::RejectedBefore) {
            return Ok(());
        }
        let current = self.oracle.current()?;
        let served = current.and_then(|current| Some(current.generation.feeds.get(&line.feed)?.release));
        if served == line.release {
            return Ok(());
        }
        let what =
            format!("{} is said to be {} with {:?}, served is {served:?}", line.feed, line.outcome, line.release);
        Err(Violation::new("I9", what))
    }

    /// An offer that a person declined does not wait for a person again while the same is served (I15).
    fn is_not_asked_again(&self, line: &FeedReport) -> Holds {
        let current = self.oracle.current()?;
        let served = current.and_then(|current| Some(current.generation.feeds.get(&line.feed)?.release));
        let declined = self.oracle.declined(&line.feed);
        let (Outcome::Quarantined, Some((release, then))) = (line.outcome, declined) else { return Ok(()) };
        if line.release != Some(release) || served != Some(then) {
            return Ok(());
        }
        let what = format!("{} waits for a word on {}, which was declined", line.feed, release.short());
        Err(Violation::new("I15", what))
    }

    /// What is said to be in order is what the vendor offers.
    fn is_offered(&self, line: &FeedReport) -> Holds {
        let good = matches!(line.outcome, Outcome::Published | Outcome::Current) && line.reason.is_none();
        if !good || self.serves_offer(&line.feed)? {
            return Ok(());
        }
        Err(Violation::new(
            "I9",
            format!("{} is said to be {}, and the vendor offers another", line.feed, line.outcome),
        ))
    }

    /// Whether the ring serves what the vendor offers now, path for path.
    pub(crate) fn serves_offer(&self, feed: &FeedId) -> Result<bool, Violation> {
        let (Some(offer), Some(current)) = (self.upstream.offer(feed), self.oracle.current()?) else {
            return Ok(false);
        };
        let Some(served) = current.generation.feeds.get(feed) else { return Ok(false) };
        let stands = |path: &str, digest: &Digest| {
            let route = path.parse().ok().and_then(|path: model::RoutePath| current.generation.routes.get(&path));
            route.is_some_and(|route| route.until.is_none() && (route.digest == *digest || route.feed != *feed))
        };
        // Nothing but its version and date tells one Defender archive from another without fetching it.
        let told = feed.vendor() == model::Vendor::Elastic;
        let files = !told || offer.files.iter().all(|(path, digest)| stands(path, digest));
        Ok(files && served.vendor_version.version.to_string() == offer.version)
    }

    fn judge_act(&self, act: &Act, report: &ActReport, how: &Circumstances) -> Holds {
        if let Some(number) = report.generation {
            self.oracle.acknowledged(number);
        }
        if matches!(act, Act::Reject(_)) && !how.shared {
            // What a person was told counts, whatever was recorded.
            self.oracle.was_told(&report.feed, report.release, report.state)?;
        }
        // A rejection tells how its feed stands, and publishes nothing of what it rejects.
        let lets_in = matches!(act, Act::Admit(_));
        let published = lets_in && report.outcome == Outcome::Published && report.generation.is_some();
        if how.shared || !published {
            return Ok(());
        }
        let current = self.oracle.current()?;
        let served = current.and_then(|current| Some(current.generation.feeds.get(&report.feed)?.release));
        if served == Some(report.release) {
            return Ok(());
        }
        let what = format!("release {} is said to be published, served is {served:?}", report.release.short());
        Err(Violation::new("I9", what))
    }
}

/// Whether answers like these leave a run nothing to go by.
fn is_useless(always: Option<&Trick>) -> bool {
    matches!(always, Some(Trick::Refused | Trick::Html | Trick::Empty(_) | Trick::Status(_)))
}
