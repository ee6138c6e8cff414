//! Tells heads as long as the process lives, and says once what stands in the way.

use std::sync::Arc;
use std::time::Duration;

use config::Config;
use mirror::Engine;
use model::{Clock, Reason, error_chain};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::proof::Proof;
use super::{HeadError, Heads};
use crate::pulse::Pulse;

/// How often is looked whether a head is due.
const LOOK: Duration = Duration::from_secs(5);

/// Tells heads as long as the process lives, and once more at its end, and proves the whole history from time to time.
/// What goes wrong is told once, until something else does or it goes well again; alarms see it in `pulse` as long as
/// it stands.
pub(crate) async fn keep_telling(
    engine: watch::Receiver<Option<Arc<Engine>>>,
    settings: watch::Receiver<Config>,
    (clock, pulse): (Arc<dyn Clock>, Arc<Pulse>),
    end: CancellationToken,
) {
    let mut heads = Heads::of(&settings.borrow());
    let mut settings = settings;
    let (mut failing, mut proof) = (Vec::new(), Proof::default());
    loop {
        let ended = tokio::select! {
            () = end.cancelled() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if settings.has_changed().unwrap_or(false) {
            heads = heads.renewed(&settings.borrow_and_update());
        }
        let current = engine.borrow().clone();
        if let Some(current) = &current {
            pulse.lineage().look(&current.ports().catalog).await;
        }
        // Of what was moved away nothing is told: nobody would find it there.
        let current = current.filter(|current| current.in_place().is_ok());
        if current.is_none() {
            let (now, known) = (clock.now(), pulse.lineage().known());
            let is_left_alone = pulse.place().away().is_some_and(|away| away.reason() == Reason::AnotherHistory);
            let mut errors = match known.newest.filter(|_| is_left_alone) {
                Some(seen) => heads.tell_seen(&seen, now).await.err().unwrap_or_default(),
                None => Vec::new(),
            };
            match known.newest.filter(|_| known.is_astray) {
                Some(seen) => {
                    errors.insert(0, HeadError::Replaced { seq: seen.seq });
                    pulse.heads().set(&errors, now);
                }
                None => pulse.heads().blind(),
            }
            if !errors.is_empty() {
                failing = log_changes(&errors, &failing);
            }
        }
        if let Some(current) = current {
            let now = clock.now();
            let catalog = &current.ports().catalog;
            heads.expect(pulse.heads().take_lost());
            // Nothing is told on top of what does not hold, or was not looked at yet.
            let errors = match proof.broken(catalog, heads.kept(), (now, clock.monotonic())).await {
                Some(error) => vec![error],
                None if proof.is_known() || ended => {
                    heads.tell_if_due(catalog.as_ref(), now).await.err().unwrap_or_default()
                }
                None => continue,
            };
            pulse.heads().set(&errors, now);
            let (news, errors): (Vec<_>, Vec<_>) = errors.into_iter().partition(HeadError::is_news);
            log(&news);
            failing = log_changes(&errors, &failing);
        }
        if ended {
            return;
        }
    }
}

/// Logs where something else goes wrong than before; what goes wrong now.
fn log_changes(errors: &[HeadError], before: &[Option<&'static str>]) -> Vec<Option<&'static str>> {
    let now: Vec<_> = errors.iter().map(HeadError::key).collect();
    if now != before {
        log(errors);
        if now.is_empty() {
            tracing::info!("heads of the history are told again");
        }
    }
    now
}

/// Logs each.
pub(super) fn log(errors: &[HeadError]) {
    for error in errors {
        let (reason, told) = (error.reason().code(), error_chain(error));
        if error.is_news() {
            tracing::warn!(reason, told, "heads of the history go on under another name");
        } else {
            tracing::error!(error = told, reason, "a head of the history was not told");
        }
    }
}
