//! What a fetch run would do.

use futures_util::future::join_all;
use model::Note;
use vendors::{Event, Memory, Place, Source, Step, Want};

use crate::feed_run::{FeedRun, note};
use crate::probe::Nowhere;
use crate::{Engine, EngineError, FeedPlan, PlannedFile, SyncRequest};

impl Engine {
    /// What [`Engine::sync`] would fetch. Reads the vendors' documents; records and fetches nothing.
    ///
    /// # Errors
    /// [`EngineError`] when nothing can be planned at all.
    pub async fn plan_sync(&self, request: &SyncRequest) -> Result<Vec<FeedPlan>, EngineError> {
        let jobs = self.jobs_to_plan(request).await?;
        Ok(join_all(jobs.iter().map(plan_feed)).await)
    }
}

/// Talks to the vendor up to the first files that are not held.
async fn plan_feed(job: &FeedRun) -> FeedPlan {
    let mut plan = FeedPlan {
        feed: job.feed.clone(),
        vendor_version: None,
        files: Vec::new(),
        held_files: 0,
        held_bytes: 0,
        reason: None,
        detail: None,
    };
    if let Err(failure) = fill_plan(job, &mut plan).await.map_err(|failure| job.of_folder(failure)) {
        plan.reason = Some(failure.reason);
        plan.detail = Some(failure.detail);
    }
    plan
}

async fn fill_plan(job: &FeedRun, plan: &mut FeedPlan) -> Result<(), Note> {
    let memory = job.remember().await.map_err(|error| note(error.reason(), error.to_string()))?;
    let mut nowhere = Nowhere::default();
    for place in job.places() {
        match fill_from(job, &place, memory.clone(), plan).await {
            Ok(()) => return Ok(()),
            Err(failure) if plan.vendor_version.is_some() => return Err(failure),
            Err(failure) => nowhere.add(job, &place, failure)?,
        }
    }
    Err(nowhere.note(&job.feed))
}

async fn fill_from(job: &FeedRun, place: &Place, memory: Memory, plan: &mut FeedPlan) -> Result<(), Note> {
    let mut session = job.session(place, memory);
    let mut event = Event::Start;
    loop {
        let step = session.next(event);
        plan.vendor_version = session.offered().map(|offered| offered.vendor_version);
        event = match step {
            Step::Ask(ask) => job.read_for_plan(&ask).await?,
            Step::Fetch(wants) => return plan_wants(job, &wants, plan).await,
            Step::Refuse(refusal) => return Err(refusal.note),
            Step::Inspect(_) | Step::Propose(_) | Step::Unchanged => return Ok(()),
        };
    }
}

async fn plan_wants(job: &FeedRun, wants: &[Want], plan: &mut FeedPlan) -> Result<(), Note> {
    for want in wants {
        let Source::Target(target) = &want.source else { continue };
        let held = match want.digest {
            Some(digest) => job.engine.ports.blobs.find(digest).await.ok().flatten(),
            None => None,
        };
        if let Some(held) = held {
            plan.held_files += 1;
            plan.held_bytes = plan.held_bytes.saturating_add(held.size());
            continue;
        }
        let bytes = match want.size {
            Some(size) => Some(size),
            None => job.origin.size(target).await.map_err(|error| error.note())?,
        };
        plan.files.push(PlannedFile { location: job.origin.locate(target), bytes, digest: want.digest });
    }
    Ok(())
}
