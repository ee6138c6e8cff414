//! Keeps what should turn turning: a defect that ends a task is loud, and the task begins anew.

use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::pulse::Pulse;
use crate::scheduler::apart;

/// How soon a task begins anew after a defect ended it.
const PAUSE: Duration = Duration::from_secs(10);

/// Starts tasks that are to last as long as the process.
#[derive(Clone)]
pub(crate) struct Keeper {
    pulse: Arc<Pulse>,
    clock: Arc<dyn Clock>,
    end: CancellationToken,
    tasks: TaskTracker,
    pause: Duration,
}

impl Keeper {
    pub(crate) fn new(
        pulse: Arc<Pulse>,
        clock: Arc<dyn Clock>,
        (end, tasks): (CancellationToken, TaskTracker),
    ) -> Self {
        Self { pulse, clock, end, tasks, pause: PAUSE }
    }

    /// Runs `work` until it ends by itself, and anew whenever a defect ends it.
    pub(crate) fn keep<W>(&self, name: &'static str, mut work: impl FnMut() -> W + Send + 'static)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let keeper = self.clone();
        self.tasks.spawn(async move {
            // What makes the work is part of it: a defect there must not end this.
            while let Err(error) = keeper.once(&mut work).await {
                tracing::error!(error, task = name, "a task ended by a defect of this program; it begins anew");
                keeper.pulse.defect(name, keeper.clock.monotonic());
                tokio::select! {
                    () = keeper.end.cancelled() => return,
                    () = tokio::time::sleep(keeper.pause) => {}
                }
            }
        });
    }

    async fn once<W>(&self, work: &mut (impl FnMut() -> W + Send)) -> Result<(), String>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        match made {
            Ok(work) => apart(work).await,
            Err(_) => Err("it could not begin".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_panics_is_loud_and_begins_anew_p01() {
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let pulse = Arc::new(Pulse::default());
        let clock: Arc<dyn Clock> = Arc::new(platform::SystemClock::default());
        let keeper = Keeper::new(Arc::clone(&pulse), Arc::clone(&clock), (end.clone(), tasks.clone()));
        let keeper = Keeper { pause: Duration::from_millis(1), ..keeper };
        let begun = Arc::new(AtomicU32::new(0));
        let (counted, ends) = (Arc::clone(&begun), end.clone());
        keeper.keep("planted", move || {
            let (time, ends) = (counted.fetch_add(1, Ordering::SeqCst), ends.clone());
            assert!(time != 0, "planted where it is made");
            async move {
                assert!(time != 1, "planted where it runs");
                ends.cancelled().await;
            }
        });
        tasks.close();
        while begun.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(pulse.defects(clock.monotonic()).iter().map(|(name, ..)| *name).collect::<Vec<_>>(), ["planted"]);
        end.cancel();
        tasks.wait().await;
        assert_eq!(begun.load(Ordering::SeqCst), 3, "what ends as it should stays ended");
    }
}
