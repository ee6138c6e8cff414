//! The content side of a configuration.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use config::{Config, Serve};
use content_http::{
    AccessLog, Beyond, Bind, ContentServer, DataFolder, Listener, LogForm, LogTarget, Policy, ServeLimits, Settings,
    TlsSettings,
};
use mirror::Engine;
use model::Clock;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::build::BuildError;
use crate::daemon::DaemonError;
use crate::followed::{Followed, InPlace};
use crate::listen::Inherited;

/// How long a look at the catalog may take.
const LOOK: Duration = Duration::from_secs(2);

/// Starts the content side on the data folder. Where an engine works on it, what stands in the folder's place later is
/// not followed before the engine is one that works on that; where there is none, whatever stands there is.
pub(crate) fn start(
    config: &Config,
    inherited: &mut Inherited,
    clock: Arc<dyn Clock>,
    beyond: Arc<dyn Beyond>,
    engine: watch::Receiver<Option<Arc<Engine>>>,
) -> Result<ContentServer, DaemonError> {
    let path = &config.data_dir;
    let source = DataFolder::open(path).map_err(|source| BuildError::Store { path: path.clone(), source })?;
    let settings = Settings {
        listeners: config.serve.iter().map(|serve| listener(serve, inherited)).collect(),
        default_ring: config.default_ring(),
        rings: config.rings().iter().map(|ring| ring.name.clone()).collect(),
        workers: None,
        limits: limits(config),
        access_log: config.access_log.as_ref().map(log),
    };
    let in_place = EnginePlace { engine, runtime: Handle::current() };
    Ok(ContentServer::start_with(settings, Arc::new(Followed::new(source, in_place)), clock, Some(beyond))?)
}

/// Whether the folder is the one that the engine works on, if there is an engine.
struct EnginePlace {
    engine: watch::Receiver<Option<Arc<Engine>>>,
    /// Where it is looked: who reads the rings has a thread of its own.
    runtime: Handle,
}

impl InPlace for EnginePlace {
    fn is_known(&self) -> bool {
        let engine = self.engine.borrow().clone();
        engine.is_none_or(|engine| engine.in_place().is_ok())
    }

    fn look(&self) -> bool {
        let Some(engine) = self.engine.borrow().clone() else { return true };
        let (tell, told) = mpsc::channel();
        self.runtime.spawn(async move { tell.send(engine.ports().locks.look().await.is_ok()) });
        // Of what does not say whether it is the right one nothing is taken; it is asked again at the next look.
        told.recv_timeout(LOOK).unwrap_or(false)
    }
}

/// Takes over what may change while it runs.
pub(crate) fn reload(content: &ContentServer, config: &Config) -> Result<(), String> {
    let policies: Vec<Policy> = config.serve.iter().map(policy).collect();
    content.reload(&policies).map_err(|error| model::error_chain(&error))
}

/// Lets downloads in progress end.
pub(crate) async fn drain(content: Arc<ContentServer>, limit: Duration) {
    let drained = content.drain(limit).await;
    if drained.cut_off > 0 {
        tracing::warn!(cut_off = drained.cut_off, "downloads were cut off at the end of the drain time");
    }
}

fn listener(serve: &Serve, inherited: &mut Inherited) -> Listener {
    let bind = match inherited.for_address(serve.address) {
        Some(socket) => Bind::Inherited(socket),
        None => Bind::Address(serve.address),
    };
    Listener { bind, policy: policy(serve) }
}

fn policy(serve: &Serve) -> Policy {
    Policy {
        path_prefix: serve.path_prefix.clone(),
        tls: serve.tls.as_ref().map(|tls| TlsSettings {
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
            client_ca: tls.client_ca.clone(),
            client_crl: tls.client_crl.clone(),
        }),
        allow: serve.allow.clone(),
        trusted_proxies: serve.trusted_proxies.clone(),
        proxy_protocol: serve.proxy_protocol,
        credentials: serve.credentials.clone(),
    }
}

fn log(log: &config::AccessLog) -> AccessLog {
    let file = |path| LogTarget::File { path, rotate_bytes: log.rotate_bytes, keep: log.keep };
    let form = match log.form {
        config::LogForm::Text => LogForm::Text,
        config::LogForm::Json => LogForm::Json,
        config::LogForm::Common => LogForm::Common,
    };
    AccessLog { target: log.path.clone().map_or(LogTarget::Stdout, file), form }
}

pub(crate) fn limits(config: &Config) -> ServeLimits {
    let limits = &config.limits;
    ServeLimits {
        head_bytes: limits.serve_head_bytes,
        head_timeout: limits.serve_head_timeout,
        idle_timeout: limits.serve_idle_timeout,
        stall_timeout: limits.serve_stall_timeout,
        minimum_rate: limits.serve_minimum_rate,
        connections: limits.serve_connections,
        connections_per_client: limits.serve_connections_per_client,
        ..ServeLimits::default()
    }
}
