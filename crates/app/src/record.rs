//! What the process itself leaves in the history.

use std::sync::Arc;
use std::time::Duration;

use config::Config;
use mirror::{Engine, EngineError, KeptConfig, ProcessEvent};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a start that could not be recorded waits before it is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Before anything takes effect: which configuration stands, and that the process begins. Whether that was recorded: a
/// catalog that takes nothing, as on a full disk, is no reason not to serve what is held.
pub(crate) async fn record_start(engine: &Engine, config: &Config) -> bool {
    let recorded = match note_configuration(engine, config, "start of run").await {
        Ok(()) => engine.record_process(ProcessEvent::Start, env!("CARGO_PKG_VERSION")).await,
        other => other,
    };
    let Err(error) = recorded else { return true };
    let reason = error.reason();
    let error = model::error_chain(&error);
    tracing::error!(error, reason = reason.code(), "the start is not recorded in the history yet: {}", reason.remedy());
    false
}

/// Tries again until the start is recorded.
pub(crate) async fn record_start_later(
    engine: watch::Receiver<Option<Arc<Engine>>>,
    config: watch::Receiver<Config>,
    end: CancellationToken,
) {
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
        let (engine, config) = (engine.borrow().clone(), config.borrow().clone());
        if let Some(engine) = engine
            && record_start(&engine, &config).await
        {
            return;
        }
    }
}

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
