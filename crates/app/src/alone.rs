//! One `run` for each data folder. `serve`, and commands that act and end, go beside it.

use std::time::Duration;

use alarm::Life;
use config::Config;
use model::{Clock, error_chain};
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
        match Life::hold(data) {
            Ok(Some(mut lock)) => {
                lock.describe("run", clock.now());
                return Ok(Some(lock));
            }
            Ok(None) if waited < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
                waited = waited.saturating_add(PAUSE);
            }
            Ok(None) => {
                let holder = Life::holder(data).unwrap_or_else(|| "another process holds alarms/alive.lock".to_owned());
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
