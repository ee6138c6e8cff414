//! The listener and its routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use content_http::Stats;
use mirror::Status;
use model::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::connection::converse;
use crate::metrics::{Facts, render};
use crate::{AlarmSource, DemandSource, Limits};

/// How everything stands, as the engine sees it; absent where only content is served.
#[async_trait]
pub trait StatusSource: Send + Sync {
    /// How everything stands; in the error, why that cannot be told.
    async fn status(&self) -> Result<Status, String>;
}

/// How long accepting rests when the system gives no connection.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// How the content side stands.
#[async_trait]
pub trait Serving: Send + Sync {
    /// Looks at what it serves from, before somebody is told how that is.
    async fn look(&self) {}
    /// What it did since it started.
    fn stats(&self) -> Stats;
    /// Whether it answers with content.
    fn is_ready(&self) -> bool;
    /// What is wrong with what it serves from, though it may answer: the reason code, and words that name no path.
    fn trouble(&self) -> Option<(Reason, String)> {
        None
    }
    /// Whose content it is, so that who asks knows whether it asked its own: the digest of the data folder's path, a blank,
    /// and the site's name.
    fn whose(&self) -> Option<String> {
        None
    }
}

/// The field of `/readyz` that says whose content it is, see [`Serving::whose`].
pub const WHOSE: &str = "waystation-folder";

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
    /// How long metrics wait for the status.
    patience: Duration,
    serving: Option<Arc<dyn Serving>>,
    status: Option<Arc<dyn StatusSource>>,
    alarms: Option<Arc<dyn AlarmSource>>,
    demand: Option<Arc<dyn DemandSource>>,
}

impl Shared {
    /// How everything stands, with what is seen by whoever looks after alarms alone.
    async fn told(&self, source: &dyn StatusSource) -> Result<Status, String> {
        let mut status = source.status().await?;
        let seen = self.alarms.as_ref().map(|alarms| alarms.seen(&status.faults));
        status.faults.extend(seen.unwrap_or_default());
        Ok(status)
    }
}

/// The admin listener, bound and ready to run.
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
    limits: Limits,
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
        let listener = TcpListener::bind(address).await.map_err(named)?;
        let bound = listener.local_addr().map_err(named)?;
        Ok(Self {
            listener,
            address: bound,
            shared: Shared { patience: Limits::default().catalog, serving, status, alarms: None, demand: None },
            limits: Limits::default(),
        })
    }

    /// Shows alarms among the metrics.
    #[must_use]
    pub fn with_alarms(mut self, alarms: Arc<dyn AlarmSource>) -> Self {
        self.shared.alarms = Some(alarms);
        self
    }

    /// Shows what endpoints ask for and is not held.
    #[must_use]
    pub fn with_demand(mut self, demand: Arc<dyn DemandSource>) -> Self {
        self.shared.demand = Some(demand);
        self
    }

    /// Other caps and deadlines.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.shared.patience = limits.catalog;
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `end` resolves; answers in progress are finished, as far as [`Limits::ending`] allows.
    pub async fn run(self, end: impl Future<Output = ()> + Send + 'static) {
        let Self { listener, shared, limits, .. } = self;
        let router = router(shared, limits);
        let places = Arc::new(Semaphore::new(limits.connections));
        let (ending, ended) = watch::channel(());
        // Dropping this future ends the connections too.
        let mut open = JoinSet::new();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                (stream, place) = next(&listener, &places) => {
                    open.spawn(converse(stream, place, router.clone(), (limits, ended.clone())));
                }
                Some(_) = open.join_next() => {}
            }
        }
        drop((listener, ending));
        while open.join_next().await.is_some() {}
    }
}

/// The next connection, as soon as there is a place for it; until then it waits in the backlog.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed: an error does not come, and would only lift the cap.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
                if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
                    tracing::warn!(%error, "the admin listener gets no connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }
}

/// Refuses what has a body of any weight, and what cannot be answered in time.
async fn bounded(State(limits): State<Limits>, request: Request, rest: Next) -> Response {
    if request.body().size_hint().lower() > limits.body {
        return (StatusCode::PAYLOAD_TOO_LARGE, "nothing here takes a body\n").into_response();
    }
    match tokio::time::timeout(limits.answer, rest.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer in time; see the log\n").into_response(),
    }
}

fn router(shared: Shared, limits: Limits) -> Router {
    Router::new()
        .route("/healthz", get(|| async { (StatusCode::OK, "alive\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/wanted", get(wanted))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "no such path; there are /healthz, /readyz, /metrics, /api/v1/status and /api/v1/wanted\n",
            )
        })
        .layer(from_fn_with_state(limits, bounded))
        .with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> Response {
    if let Some(serving) = &shared.serving {
        serving.look().await;
    }
    let mut answer = readiness(&shared).into_response();
    let whose = shared.serving.as_ref().and_then(|serving| serving.whose());
    if let Some(whose) = whose.and_then(|whose| header::HeaderValue::try_from(whose).ok()) {
        answer.headers_mut().insert(header::HeaderName::from_static(WHOSE), whose);
    }
    answer
}

fn readiness(shared: &Shared) -> (StatusCode, String) {
    let is_ready = shared.serving.as_ref().is_some_and(|serving| serving.is_ready());
    match (is_ready, trouble(shared)) {
        (true, None) => (StatusCode::OK, "ready\n".to_owned()),
        (true, Some(trouble)) => (StatusCode::OK, format!("ready, but {trouble}")),
        (false, Some(trouble)) => (StatusCode::SERVICE_UNAVAILABLE, trouble),
        (false, None) => {
            let text = "endpoints get no content: nothing is published yet, no manifest answers, or the process ends; see \
                        the log\n";
            (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        }
    }
}

/// What is wrong with the data folder, in words.
fn trouble(shared: &Shared) -> Option<String> {
    let (reason, words) = shared.serving.as_ref()?.trouble()?;
    Some(format!("{reason}: {words}\n"))
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let status = match &shared.status {
        Some(source) => {
            let told = tokio::time::timeout(shared.patience, shared.told(source.as_ref())).await;
            Some(told.unwrap_or_else(|_| Err(format!("the catalog did not answer within {:?}", shared.patience))))
        }
        None => None,
    };
    let stats = shared.serving.as_ref().map(|serving| serving.stats());
    let alarms = shared.alarms.as_ref().map(|source| source.alarms());
    let facts = Facts { stats, status, alarms, demand: shared.demand.as_ref().map(|source| source.facts()) };
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

async fn wanted(State(shared): State<Shared>) -> Response {
    let Some(source) = &shared.demand else {
        return (StatusCode::NOT_FOUND, "this process does not see what is wanted\n").into_response();
    };
    match source.wanted().await {
        Ok(list) => axum::Json(list).into_response(),
        Err(error) => {
            tracing::error!(error, "the wanted list cannot be told");
            (StatusCode::SERVICE_UNAVAILABLE, "the wanted list cannot be read; see the log\n").into_response()
        }
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    let Some(source) = &shared.status else {
        let text =
            "this process serves content alone and does not open the catalog; ask the one that runs `waystation run`\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    match shared.told(source.as_ref()).await {
        Ok(status) => axum::Json(status).into_response(),
        Err(error) => {
            tracing::error!(%error, "status cannot be told");
            // What is wrong with the data folder is said in the words of /readyz.
            let trouble = trouble(&shared).unwrap_or_else(|| "the catalog cannot be read; see the log\n".to_owned());
            (StatusCode::SERVICE_UNAVAILABLE, trouble).into_response()
        }
    }
}
