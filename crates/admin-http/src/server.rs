//! The listener and its routes.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use content_http::Stats;
use mirror::Status;

use crate::metrics::{Facts, render};

/// How everything stands, as the engine sees it; absent where only content is served.
#[async_trait]
pub trait StatusSource: Send + Sync {
    /// How everything stands; in the error, why that cannot be told.
    async fn status(&self) -> Result<Status, String>;
}

/// How the content side stands.
pub trait Serving: Send + Sync {
    /// What it did since it started.
    fn stats(&self) -> Stats;
    /// Whether it answers with content.
    fn is_ready(&self) -> bool;
}

/// The admin listener cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on admin address {address}")]
pub struct AdminError {
    /// Where.
    address: SocketAddr,
    /// Why.
    #[source]
    source: std::io::Error,
}

#[derive(Clone)]
struct Shared {
    serving: Option<Arc<dyn Serving>>,
    status: Option<Arc<dyn StatusSource>>,
}

/// The admin listener, bound and ready to run.
pub struct AdminServer {
    listener: tokio::net::TcpListener,
    address: SocketAddr,
    router: Router,
}

impl AdminServer {
    /// Binds the listener.
    ///
    /// # Errors
    /// [`AdminError`] naming the address.
    pub async fn bind(
        address: SocketAddr,
        serving: Option<Arc<dyn Serving>>,
        status: Option<Arc<dyn StatusSource>>,
    ) -> Result<Self, AdminError> {
        let named = |source| AdminError { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(named)?;
        let bound = listener.local_addr().map_err(named)?;
        Ok(Self { listener, address: bound, router: router(Shared { serving, status }) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `end` resolves.
    pub async fn run(self, end: impl Future<Output = ()> + Send + 'static) {
        if let Err(error) = axum::serve(self.listener, self.router).with_graceful_shutdown(end).await {
            tracing::error!(%error, "the admin listener ended");
        }
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/healthz", get(|| async { (StatusCode::OK, "alive\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "no such path; there are /healthz, /readyz, /metrics and /api/v1/status\n")
        })
        .with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    match &shared.serving {
        Some(serving) if serving.is_ready() => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "nothing is published yet\n"),
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let status = match &shared.status {
        Some(source) => Some(source.status().await),
        None => None,
    };
    let facts = Facts { stats: shared.serving.as_ref().map(|serving| serving.stats()), status };
    match render(facts) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    let Some(source) = &shared.status else {
        let text =
            "this process serves content alone and does not open the catalog; ask the one that runs `waystation run`\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    match source.status().await {
        Ok(status) => axum::Json(status).into_response(),
        Err(error) => {
            tracing::error!(%error, "status cannot be told");
            (StatusCode::SERVICE_UNAVAILABLE, "the catalog cannot be read; see the log\n").into_response()
        }
    }
}
