//! Alarms as the history has them.

use std::sync::Arc;

use alarm::Change;
use mirror::Engine;
use model::{Reason, error_chain};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::LOOK;
use crate::scheduler::apart;

/// Puts what changed into the history.
pub(super) async fn record(
    changes: Arc<tokio::sync::Mutex<mpsc::Receiver<Change>>>,
    engine: watch::Receiver<Option<Arc<Engine>>>,
    end: CancellationToken,
) {
    let mut changes = changes.lock().await;
    loop {
        let change = tokio::select! {
            () = end.cancelled() => return,
            change = changes.recv() => change,
        };
        let Some(Change { kind, alarm }) = change else { return };
        let data = json!({
            "event": kind.as_str(), "number": alarm.number, "reason": alarm.reason, "level": alarm.level,
            "subject": alarm.subject, "detail": alarm.particulars(), "since": alarm.since, "until": alarm.over,
        });
        if let Err(error) = entered(&alarm.key, &data, (&engine, &end)).await {
            tracing::error!(error, key = alarm.key, "an alarm is missing in the history");
        }
    }
}

/// Puts an alarm into the history; while the catalog is not in place, waits until it is.
async fn entered(
    key: &str,
    data: &serde_json::Value,
    (engine, end): (&watch::Receiver<Option<Arc<Engine>>>, &CancellationToken),
) -> Result<(), String> {
    loop {
        let Some(engine) = engine.borrow().clone() else { return Ok(()) };
        let (named, told) = (key.to_owned(), data.clone());
        let error = match apart(async move { engine.record_alarm(&named, told).await }).await? {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.reason() != Reason::FolderGone {
            return Err(error_chain(&error));
        }
        tokio::select! {
            () = end.cancelled() => return Err(error_chain(&error)),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
