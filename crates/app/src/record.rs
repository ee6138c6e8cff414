//! What the process itself leaves in the history.

use config::Config;
use mirror::{Engine, EngineError, KeptConfig};

/// Records the configuration if it is another than the last one recorded, whoever recorded that; `noticed` says when
/// that was seen. Nothing is recorded of secrets.
///
/// # Errors
/// [`EngineError`] when the catalog fails.
pub async fn note_configuration(engine: &Engine, config: &Config, noticed: &str) -> Result<(), EngineError> {
    let now = KeptConfig { digest: config.digest(), settings: Some(config.canonical()) };
    let changes = match engine.last_config().await? {
        Some(before) if before.digest == now.digest => return Ok(()),
        Some(KeptConfig { settings: Some(before), .. }) => config.changes_since(&before),
        Some(KeptConfig { settings: None, .. }) => vec!["the settings before were not kept".to_owned()],
        None => Vec::new(),
    };
    engine.record_config(&now, &changes, noticed).await
}
