//! How everything stands, as the engine sees it, or that it cannot be told.

use std::path::Path;

use alarm::{Condition, Source};
use mirror::Status;
use model::{Level, Reason, error_chain};

use super::{STATUS, Sights};
use crate::place::Away;
use crate::scheduler::apart;

/// How everything stands; where that cannot be told, the condition that says why. `data` is the data folder.
pub(super) async fn status(sights: &Sights, data: &Path) -> Result<Status, Box<Condition>> {
    let engine = sights.engine.borrow().clone();
    let seen = |reason, on: &str, detail: &str| {
        let condition = Condition::new(Source::Process, "catalog", reason, sights.clock.now());
        Box::new(condition.on(on).because(detail).at_level(Level::Fail))
    };
    let unreadable = |reason, detail: &str| seen(reason, "the catalog", detail);
    let Some(engine) = engine else { return Err(unreadable(Reason::Internal, "there is no engine")) };
    match tokio::time::timeout(STATUS, apart(async move { engine.status().await })).await {
        Ok(Ok(Ok(status))) => Ok(status),
        Ok(Ok(Err(error))) if Away::is_told_by(&error) => {
            let what = Away::of(&error).what();
            // What stands there now was looked into by whoever may take it over.
            match sights.pulse.place().away().filter(|away| away.reason() == Reason::AnotherHistory) {
                Some(away) => Err(seen(away.reason(), what, &format!("{}: {}", data.display(), away.in_words()))),
                None => Err(seen(error.reason(), what, &error_chain(&error))),
            }
        }
        Ok(Ok(Err(error))) => Err(unreadable(error.reason(), &error_chain(&error))),
        Ok(Err(error)) => Err(unreadable(Reason::Internal, &error)),
        Err(_) => Err(unreadable(Reason::CatalogFailed, "it did not answer within 10 s")),
    }
}
