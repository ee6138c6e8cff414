//! The publish protocol: intent, generation file, pointer, completion; only then acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::{Current, StoreError};
use catalog::{Batch, EntryKind, FeedRecord, Publication, ReleaseFilter};
use model::{Digest, FeedId, Generation, Note, Outcome, Reason, ReleaseId, ReleaseState, RoutePath, Version};
use serde_json::json;
use trust::Admitted;

use crate::engine::restore;
use crate::feed_run::note;
use crate::history::told_feeds;
use crate::missing::is_lost;
use crate::plan::{Input, Newcomer, Plan, plan};
use crate::proof::{Proven, Unfit, take_out};
use crate::rebuild::FAR;
use crate::ruling::Costs;
use crate::stepped::{LostBack, with_steps};
use crate::word::goes_back;
use crate::{Ends, Engine, EngineError};

/// How often a publication begins anew because somebody else moved the pointer.
const ROUNDS: u32 = 4;

/// A release that waits for publication, with the feed's record as it will be.
pub(crate) struct Pending {
    pub(crate) newcomer: Newcomer,
    pub(crate) record: FeedRecord,
    pub(crate) costs: Costs,
}

/// What is to be published.
pub(crate) struct Publishing {
    /// Releases that want to be served.
    pub(crate) pending: Vec<Pending>,
    /// Recorded before anything moves.
    pub(crate) batch: Batch,
    /// Feeds to be served no longer.
    pub(crate) retire: BTreeSet<FeedId>,
    /// Until when time has surely passed: nothing ends by age beyond it.
    pub(crate) calm: Ends,
    /// Bytes that this run or act hashed itself.
    pub(crate) proven: Proven,
    /// The steps of `_back` that this run made before, which its feeds' records tell of.
    pub(crate) made: Vec<LostBack>,
}

impl Publishing {
    /// Publishes releases and lets nothing end.
    pub(crate) fn new(pending: Vec<Pending>, batch: Batch) -> Self {
        let (retire, proven, made) = (BTreeSet::new(), Proven::default(), Vec::new());
        Self { pending, batch, retire, calm: Ends::NEVER, proven, made }
    }
}

/// What a publication did.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) records: Vec<(FeedRecord, Costs)>,
    pub(crate) lost_grace: Vec<RoutePath>,
    /// The steps of `_back` that nobody's word made; the entry on the publication tells of them.
    pub(crate) lost_back: Vec<LostBack>,
    pub(crate) published: Option<u64>,
    /// Why it did not happen, when it did not.
    pub(crate) failure: Option<Note>,
}

impl Engine {
    /// Publishes; the caller holds the publication lock.
    pub(crate) async fn publish_locked(&self, mut what: Publishing) -> Result<Done, EngineError> {
        let mut failed = self.drop_incomplete(&mut what.pending).await;
        let mut waiting = self.waiting(&what).await?;
        let mut taken = self.newest_known().await?;
        for _ in 0..ROUNDS {
            let present = self.present().await?;
            let coming = what.pending.iter().chain(&waiting).map(|it| it.record.feed.clone()).collect();
            let mut returning = self.returning(present.as_ref(), &coming).await?;
            let leaves = leaving(&what.batch);
            returning.retain(|it| !leaves.contains(&it.admitted.release().id));
            let mut met = BTreeSet::new();
            let (mut plan, incumbent) = loop {
                let mut newcomers: Vec<Newcomer> =
                    what.pending.iter().chain(&waiting).map(|it| it.newcomer.clone()).collect();
                newcomers.extend_from_slice(&returning);
                let (plan, incumbent) = self.plan_for(present.as_ref(), &newcomers, &what).await?;
                let unfit = match plan.changed {
                    true => self.prove_new(&plan.generation, present.as_ref(), &what.proven).await?,
                    false => Unfit::default(),
                };
                if unfit.is_empty() {
                    break (plan, incumbent);
                }
                let before = what.pending.len() + waiting.len() + returning.len();
                failed.append(&mut take_out(&mut what.pending, &unfit));
                waiting.retain(|it| unfit.of(it.newcomer.admitted.release()).is_none());
                returning.retain(|it| unfit.of(it.admitted.release()).is_none());
                let fewer = what.pending.len() + waiting.len() + returning.len() < before;
                // What is neither out of reach nor a newcomer's would be met again for ever.
                let leads_elsewhere = unfit.is_news(&mut met) || fewer;
                if !leads_elsewhere {
                    let cause = unfit.any().unwrap_or_else(|| note(Reason::StoreFailed, "blobs cannot be read"));
                    return self.give_up(what, failed, cause).await;
                }
            };
            if !plan.changed {
                let worded = worded(&what.pending);
                let mut records = conclude(what.pending, &plan, &incumbent);
                records.append(&mut failed);
                self.tell_steps(&what.made, &worded, &mut records).await?;
                self.record(what.batch, &records).await?;
                return Ok(Done { records, ..Done::default() });
            }
            plan.generation.number = plan.generation.number.max(taken.saturating_add(1));
            let lost_back = match &present {
                Some(present) => self.steps((&present.generation.feeds, &plan.generation.feeds), &leaves).await?,
                None => Vec::new(),
            };
            match self.move_pointer(&plan, present.as_ref(), std::mem::take(&mut what.batch), &lost_back).await? {
                Moved::Done => {
                    let seated = waiting.into_iter().filter(|it| !is_held(&plan, &it.record.feed)).collect();
                    let worded = worded(&what.pending);
                    let mut records =
                        [conclude(what.pending, &plan, &incumbent), conclude(seated, &plan, &incumbent)].concat();
                    records.append(&mut failed);
                    what.made.extend_from_slice(&lost_back);
                    self.tell_steps(&what.made, &worded, &mut records).await?;
                    let (lost_grace, published) = (plan.lost_grace.clone(), Some(plan.generation.number));
                    let done = Done { records, lost_grace, lost_back, published, failure: None };
                    self.complete(&plan.generation, &done).await?;
                    return Ok(done);
                }
                // Nobody may have published: a damaged file may stand under the number that comes next.
                Moved::Overtaken => taken = self.newest_number().await?,
                Moved::Failed(cause) => return self.give_up(what, failed, cause).await,
            }
        }
        let cause = note(Reason::StoreFailed, "the ring's pointer keeps moving under us");
        self.give_up(what, failed, cause).await
    }

    /// What is built upon; nothing where no file is whole and nothing of what was published last is held.
    pub(crate) async fn present(&self) -> Result<Option<Current>, EngineError> {
        Ok(self.serving().await?.0)
    }

    /// The highest number of all generation files, whole or not.
    pub(crate) async fn newest_number(&self) -> Result<u64, EngineError> {
        let numbers = self.ports.rings.numbers(&self.settings.ring).await?;
        Ok(numbers.into_iter().filter(|number| *number < FAR).max().unwrap_or(0))
    }

    pub(crate) async fn plan_for(
        &self,
        present: Option<&Current>,
        newcomers: &[Newcomer],
        what: &Publishing,
    ) -> Result<(Plan, BTreeMap<FeedId, ReleaseId>), EngineError> {
        let now = self.ports.clock.now();
        let empty = Generation::empty(self.settings.ring.clone(), now);
        let generation = present.map_or(&empty, |current| &current.generation);
        let incumbents = self.incumbents(generation).await?;
        let earlier = self.earlier(generation, newcomers, &leaving(&what.batch)).await?;
        let denied = self.denied(generation, newcomers).await?;
        let mut gone = self.gone(generation).await;
        gone.extend(self.barred(generation, &denied, &incumbents).await?);
        let input = Input {
            present: generation,
            incumbents: &incumbents,
            newcomers,
            earlier: &earlier,
            denied: &denied,
            retire: &what.retire,
            gone: &gone,
            grace: self.settings.grace,
            calm: what.calm,
            now,
        };
        let served = generation.feeds.iter().map(|(feed, served)| (feed.clone(), served.release)).collect();
        Ok((plan(&input), served))
    }

    /// What is superseded, still in its grace, and held no longer: there is nothing to keep reachable.
    async fn gone(&self, generation: &Generation) -> BTreeSet<Digest> {
        let superseded: Vec<Digest> =
            generation.routes.values().filter(|route| route.until.is_some()).map(|route| route.digest).collect();
        // A store that cannot answer at all is no reason to let anything go.
        let Ok(found) = self.ports.blobs.find_all(&superseded).await else { return BTreeSet::new() };
        let mut gone = BTreeSet::new();
        for (digest, _) in superseded.into_iter().zip(found).filter(|(_, held)| held.is_none()) {
            if !self.is_there(digest).await {
                gone.insert(digest);
            }
        }
        gone
    }

    /// For each feed whose layout serves an earlier release: those that are admitted and held whole, newest version first,
    /// down to the newest that is older than whatever may be served. What is admitted is what one may go back to: neither
    /// how many generations followed, nor whether their files are kept, takes anything away.
    pub(crate) async fn earlier(
        &self,
        present: &Generation,
        newcomers: &[Newcomer],
        leaves: &BTreeSet<ReleaseId>,
    ) -> Result<BTreeMap<FeedId, Vec<Admitted>>, EngineError> {
        let mut found = BTreeMap::new();
        for feed in &present_and_coming(present, newcomers) {
            if vendors::registry(feed.vendor()).back_bases(feed).is_empty() {
                continue;
            }
            let there = present.feeds.get(feed);
            let lowest = lowest(feed, present, newcomers);
            let state = Some(ReleaseState::Admitted);
            let filter = ReleaseFilter { feed: Some(feed.clone()), state, ..ReleaseFilter::default() };
            let mut known = self.ports.catalog.releases(&filter).await?;
            known.retain(|known| !leaves.contains(&known.release.id));
            known.sort_by(|a, b| b.release.vendor_version.version.cmp(&a.release.vendor_version.version));
            let mut releases = Vec::new();
            for known in known {
                let older = Some(&known.release.vendor_version.version) < lowest.as_ref();
                // A store that cannot answer is no reason to take away what stands in `_back`, or what is served and
                // goes there, nor are bytes that are there and not to be believed just now.
                let missing = self.worst_missing(&known.release).await?;
                let id = known.release.id;
                let stands = there.is_some_and(|served| served.back == Some(id) || served.release == id);
                if missing.is_some_and(|missing| !stands || is_lost(&missing)) {
                    continue;
                }
                releases.extend(restore(known));
                if older {
                    break;
                }
            }
            found.insert(feed.clone(), releases);
        }
        Ok(found)
    }

    /// Releases that an earlier publication had to hold back because of another feed's paths: what is published now
    /// may make room for them, as when feeds that share a path change its bytes together.
    async fn waiting(&self, what: &Publishing) -> Result<Vec<Pending>, EngineError> {
        let mut found = Vec::new();
        let present = self.present().await?;
        for known in self.ports.catalog.feeds().await? {
            // What this very publication records of the feed is newer than what the catalog still has.
            let news = what.batch.feeds.iter().rfind(|record| record.feed == known.feed);
            let record = news.cloned().unwrap_or(known);
            let comes = what.pending.iter().any(|pending| pending.record.feed == record.feed);
            // What waits for a word to be carried out is settled by itself.
            let waits = record.outcome == Outcome::Held && record.word.is_none();
            if !waits || comes || !self.follows(&record.feed) {
                continue;
            }
            let Some(id) = record.release else { continue };
            let Some(admitted) = self.ports.catalog.release(&id).await?.and_then(restore) else { continue };
            let served = present.as_ref().and_then(|current| current.generation.feeds.get(&record.feed));
            // A record that a crash left behind the ring, or an older catalog's, takes nothing back.
            let overtaken = goes_back(admitted.release(), served);
            if !overtaken && self.missing(admitted.release()).await.is_none() {
                let record = FeedRecord { reason: None, detail: None, ..record };
                let newcomer = Newcomer { admitted, takes_paths: false };
                found.push(Pending { newcomer, record, costs: Costs::default() });
            }
        }
        Ok(found)
    }

    /// Takes out of `pending` what is not held whole.
    async fn drop_incomplete(&self, pending: &mut Vec<Pending>) -> Vec<(FeedRecord, Costs)> {
        let mut failed = Vec::new();
        let mut whole = Vec::new();
        for waiting in pending.drain(..) {
            match self.missing(waiting.newcomer.admitted.release()).await {
                None => whole.push(waiting),
                Some(cause) => failed.push((failure(waiting.record, &cause), waiting.costs)),
            }
        }
        *pending = whole;
        failed
    }

    /// Intent, generation file, pointer. `steps` are what it does to `_back`.
    pub(crate) async fn move_pointer(
        &self,
        plan: &Plan,
        present: Option<&Current>,
        mut batch: Batch,
        steps: &[LostBack],
    ) -> Result<Moved, EngineError> {
        let generation = &plan.generation;
        let publication = self.publication(generation);
        let data =
            json!({ "number": generation.number, "digest": publication.digest, "feeds": told_feeds(generation) });
        // Who finds it done after a crash tells of them.
        let data = with_steps(data, steps);
        batch.history.push(self.entry(EntryKind::PublicationIntended, generation.ring.as_str(), data));
        batch.publications.push(publication);
        self.ports.catalog.apply(batch).await?;
        let expected = present.map(|current| current.digest);
        let moved = match self.ports.rings.prepare(generation).await {
            Ok(_) => self.ports.rings.publish(generation, expected).await,
            Err(error) => Err(error),
        };
        match moved {
            Ok(_) => {
                (self.on_publish)();
                Ok(Moved::Done)
            }
            Err(StoreError::Conflict { .. }) => {
                self.abandon(generation, "another publication came first").await?;
                Ok(Moved::Overtaken)
            }
            Err(error) => {
                let cause = note(error.reason(), model::error_chain(&error));
                // The pointer may have moved before the failure was noticed; recovery looks and decides.
                self.close_open_locked().await?;
                Ok(Moved::Failed(cause))
            }
        }
    }

    fn publication(&self, generation: &Generation) -> Publication {
        Publication {
            ring: generation.ring.clone(),
            number: generation.number,
            digest: Digest::of(&generation.encode()),
            opened_at: self.ports.clock.now(),
            closed_at: None,
        }
    }

    async fn abandon(&self, generation: &Generation, why: &str) -> Result<(), EngineError> {
        let mut publication = self.publication(generation);
        self.drop_prepared(&publication).await;
        publication.closed_at = Some(self.ports.clock.now());
        let data = json!({ "number": generation.number, "digest": publication.digest, "why": why });
        let entry = self.entry(EntryKind::PublicationAbandoned, generation.ring.as_str(), data);
        let batch = Batch { publications: vec![publication], history: vec![entry], ..Batch::default() };
        Ok(self.ports.catalog.apply(batch).await?)
    }

    /// Records completion together with what it means for each feed.
    pub(crate) async fn complete(&self, generation: &Generation, done: &Done) -> Result<(), EngineError> {
        self.forget_rejected().await;
        let mut publication = self.publication(generation);
        publication.closed_at = Some(self.ports.clock.now());
        let data = json!({
            "number": generation.number, "digest": publication.digest, "lost_grace": done.lost_grace.len(),
        });
        let data = with_steps(data, &done.lost_back);
        let entry = self.entry(EntryKind::PublicationDone, generation.ring.as_str(), data);
        let batch = Batch { publications: vec![publication], history: vec![entry], ..Batch::default() };
        tracing::info!(ring = %generation.ring, generation = generation.number, routes = generation.routes.len(), "published");
        self.record(batch, &done.records).await
    }

    async fn record(&self, mut batch: Batch, records: &[(FeedRecord, Costs)]) -> Result<(), EngineError> {
        for (record, costs) in records {
            batch.history.push(self.check_entry(record, *costs));
            batch.feeds.push(record.clone());
        }
        Ok(self.ports.catalog.apply(batch).await?)
    }

    async fn give_up(
        &self,
        what: Publishing,
        mut failed: Vec<(FeedRecord, Costs)>,
        cause: Note,
    ) -> Result<Done, EngineError> {
        if what.pending.is_empty() {
            tracing::error!(ring = %self.settings.ring, reason = cause.reason.code(), detail = %cause.detail, "nothing was published");
        }
        for waiting in what.pending {
            let mut record = failure(waiting.record, &cause);
            // The pointer may have moved all the same: what was then found served is what regressions are measured by.
            if let Some(known) = self.ports.catalog.feed(&record.feed).await? {
                record.mark = known.mark;
            }
            failed.push((record, waiting.costs));
        }
        self.tell_steps(&what.made, &BTreeSet::new(), &mut failed).await?;
        self.record(Batch::default(), &failed).await?;
        Ok(Done { records: failed, failure: Some(cause), ..Done::default() })
    }
}

fn present_and_coming(present: &Generation, newcomers: &[Newcomer]) -> BTreeSet<FeedId> {
    let coming = newcomers.iter().map(|newcomer| &newcomer.admitted.release().feed);
    present.feeds.keys().chain(coming).cloned().collect()
}

/// The lowest version that may be served of a feed: what is served now, or what comes.
fn lowest(feed: &FeedId, present: &Generation, newcomers: &[Newcomer]) -> Option<Version> {
    let coming = newcomers.iter().map(|newcomer| newcomer.admitted.release()).filter(|it| it.feed == *feed);
    let coming = coming.map(|release| &release.vendor_version.version);
    coming.chain(present.feeds.get(feed).map(|served| &served.vendor_version.version)).min().cloned()
}

/// What a batch lets go, or turns down: it does not come back with the very publication that records it.
fn leaving(batch: &Batch) -> BTreeSet<ReleaseId> {
    let leaves = batch.states.iter().filter(|(_, state, _)| *state != ReleaseState::Admitted);
    leaves.map(|(release, ..)| *release).collect()
}

/// The feeds of which this publishes what the operator let in.
fn worded(pending: &[Pending]) -> BTreeSet<FeedId> {
    let by_word = pending.iter().filter(|pending| pending.newcomer.takes_paths);
    by_word.map(|pending| pending.record.feed.clone()).collect()
}

/// How moving the pointer ended.
pub(crate) enum Moved {
    Done,
    Overtaken,
    Failed(Note),
}

pub(crate) fn failure(mut record: FeedRecord, cause: &Note) -> FeedRecord {
    tracing::error!(feed = %record.feed, reason = cause.reason.code(), detail = %cause.detail, "not published");
    record.outcome = Outcome::Failed;
    record.reason = Some(cause.reason);
    record.detail = Some(cause.detail.clone());
    record.validator = None;
    record.failures = record.failures.saturating_add(1);
    record
}

fn is_held(plan: &Plan, feed: &FeedId) -> bool {
    plan.held.iter().any(|(held, _)| held == feed)
}

/// Each feed's record after the plan was carried out.
fn conclude(pending: Vec<Pending>, plan: &Plan, before: &BTreeMap<FeedId, ReleaseId>) -> Vec<(FeedRecord, Costs)> {
    pending
        .into_iter()
        .map(|waiting| {
            let Pending { newcomer, mut record, costs } = waiting;
            let release = newcomer.admitted.release();
            record.release = Some(release.id);
            record.mark = Some(release.vendor_version.clone());
            match plan.held.iter().find(|(feed, _)| *feed == release.feed) {
                Some((_, why)) => {
                    record.outcome = Outcome::Held;
                    record.reason = Some(why.reason);
                    record.detail = Some(why.detail.clone());
                }
                None if before.get(&release.feed) == Some(&release.id) => {
                    record.outcome = Outcome::Current;
                    record.word = None;
                }
                None => {
                    record.outcome = Outcome::Published;
                    (record.word, record.declined) = (None, None);
                }
            }
            (record, costs)
        })
        .collect()
}
