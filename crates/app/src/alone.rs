//! One `run` for each data folder. `serve`, and commands that act and end, go beside it.

use std::path::Path;
use std::time::Duration;

use alarm::{Life, ShelfError};
use config::Config;
use model::{Clock, Timestamp, error_chain};
use platform::lock::FileLock;

use crate::daemon::DaemonError;

/// Who only asks whether somebody runs holds the lock for a moment; one that ends lets it go in another.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Takes the lock that shows that `run` lives, before anything is told or recorded; none where no lock can be made,
/// which is in the log.
///
/// # Errors
/// [`DaemonError::Locked`] when another process holds it.
pub(crate) async fn hold(config: &Config, clock: &dyn Clock) -> Result<Option<FileLock>, DaemonError> {
    let data = &config.data_dir;
    let mut waited = Duration::ZERO;
    loop {
        match Life::prepare(data).and_then(|()| Life::hold(data)) {
            Ok(Some(mut lock)) => {
                lock.describe("run", clock.now());
                return Ok(Some(lock));
            }
            Ok(None) if waited < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
                waited = waited.saturating_add(PAUSE);
            }
            Ok(None) => {
                let holder = Life::rival(data, None).unwrap_or_else(|| "another process".to_owned());
                return Err(DaemonError::Locked { data_dir: data.clone(), holder });
            }
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(error, "whether another `run` works on this data folder cannot be known");
                return Ok(None);
            }
        }
    }
}

/// Holds the lock of the data folder that stands there now. The one of a folder that went away is held on until then, so
/// that nobody takes it meanwhile; `in_place` says whether what stands there is what this process works on.
pub(crate) fn hold_on(
    data: &Path,
    held: &mut Option<FileLock>,
    since: Timestamp,
    in_place: &dyn Fn() -> bool,
) -> Result<(), ShelfError> {
    if held.as_ref().is_some_and(|lock| Life::guards(lock, data).unwrap_or(true)) || !Life::mend(data, in_place)? {
        return Ok(());
    }
    // None: another process holds it, which is told as what it is, or asks about it at this moment.
    if let Some(mut lock) = Life::hold(data)? {
        lock.describe("run", since);
        *held = Some(lock);
    }
    Ok(())
}
