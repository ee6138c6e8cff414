//! A stand-in for Kibana's Fleet API and for Elasticsearch's search, as far as their documentation says how they answer.
//!
//! What is played: package policies with their lock (`version`), members that may only be read, protected settings,
//! refusals; and searches with a composite aggregation of newest documents. Everything else answers 400, so that
//! a client that asks for what is not documented is found out.

mod fleet;
mod search;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use model::Timestamp;
use serde_json::{Value, json};

use crate::host::Host;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackFault {
    /// Fleet itself changes a policy right before so many writes.
    BusyFleet(usize),
    /// A person changes a policy right before the next write.
    BusyPerson,
    /// Members at the top of a policy that may not be written, one named at a time.
    ReadOnlyMembers(Vec<String>),
    /// Artifact settings may be changed by a superuser alone.
    Protected,
    /// A write is answered well and forgotten.
    Forgetful,
    /// After a write every read is answered with this status.
    BlindAfterWrite(u16),
    /// The key may read policies and not write them.
    MayNotWrite,
    /// One shard fails, and the answer is in part.
    HalfShards,
    /// The search runs out of time, and the answer is in part.
    OutOfTime,
    /// The key has no privilege: every pattern matches nothing.
    SeesNothing,
    /// Every page is the first one.
    SamePage,
    /// Everything is answered by somebody in between, in HTML.
    Html,
    /// Everything leads elsewhere.
    Away,
}

/// Everything that is played.
#[derive(Debug)]
pub(crate) struct World {
    key: String,
    policies: Vec<Value>,
    /// Each with its time.
    documents: Vec<(Option<Timestamp>, Value)>,
    fault: Option<StackFault>,
    calls: Vec<String>,
}

pub(crate) type Shared = Arc<Mutex<World>>;

/// Kibana and Elasticsearch, listening at one address; gone when dropped.
#[derive(Debug)]
pub struct Stack {
    world: Shared,
    host: Host,
}

impl Stack {
    /// Listens on loopback; only who sends `Authorization: ApiKey <key>` is answered.
    ///
    /// # Errors
    /// No port could be listened on.
    pub fn start(key: &str) -> io::Result<Self> {
        let world =
            World { key: key.to_owned(), policies: Vec::new(), documents: Vec::new(), fault: None, calls: Vec::new() };
        let world = Arc::new(Mutex::new(world));
        let router = router(Arc::clone(&world));
        let host = Host::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |listener| async move {
            // The listener lives until the host is dropped.
            let _ = axum::serve(listener, router).await;
        })?;
        Ok(Self { world, host })
    }

    /// The address of both.
    pub fn url(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// Adds a policy of Elastic Defend, as the API gives it out.
    pub fn add_policy(&self, id: &str, name: &str) {
        let mut world = lock(&self.world);
        let item = fleet::policy(id, name);
        world.policies.push(item);
    }

    /// Adds any policy.
    pub fn add_item(&self, item: Value) {
        lock(&self.world).policies.push(item);
    }

    /// A policy as it stands.
    pub fn policy(&self, id: &str) -> Option<Value> {
        let world = lock(&self.world);
        world.policies.iter().find(|item| item.get("id").and_then(Value::as_str) == Some(id)).cloned()
    }

    /// Adds documents to the data stream.
    pub fn add_documents(&self, documents: impl IntoIterator<Item = Value>) {
        let time = |document: &Value| document.get("@timestamp").and_then(Value::as_str).and_then(Timestamp::parse);
        lock(&self.world).documents.extend(documents.into_iter().map(|document| (time(&document), document)));
    }

    /// Lets something go wrong, or nothing any more.
    pub fn play(&self, fault: Option<StackFault>) {
        lock(&self.world).fault = fault;
    }

    /// What was asked: method and path, in order.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.world).calls.clone()
    }
}

pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router(world: Shared) -> Router {
    let policies = || get(fleet::list);
    let one = || get(fleet::read).put(fleet::write);
    Router::new()
        .route("/api/fleet/package_policies", policies())
        .route("/s/{space}/api/fleet/package_policies", policies())
        .route("/api/fleet/package_policies/{id}", one())
        .route("/s/{space}/api/fleet/package_policies/{id}", one())
        .route("/{index}/_search", post(search::search))
        .fallback(|| async { refusal(400, "Bad Request", "not played here") })
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(world)
}

/// Takes note of a call, and answers it at once where somebody in between would or the key is wrong.
pub(crate) fn at_the_door(world: &mut World, headers: &HeaderMap, call: String) -> Result<(), Box<Response>> {
    world.calls.push(call);
    match world.fault {
        Some(StackFault::Html) => {
            let page = (StatusCode::OK, [("content-type", "text/html")], "<html>Sign in</html>");
            return Err(Box::new(page.into_response()));
        }
        Some(StackFault::Away) => {
            return Err(Box::new((StatusCode::FOUND, [("location", "/login?next=%2F")]).into_response()));
        }
        _ => {}
    }
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    if given == Some(&format!("ApiKey {}", world.key)) {
        return Ok(());
    }
    let message = "unable to authenticate with provided credentials";
    let body = json!({"statusCode": 401, "error": "Unauthorized", "message": message});
    Err(Box::new((StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()))
}

/// A refusal in Kibana's form.
pub(crate) fn refusal(status: u16, error: &str, message: impl Into<String>) -> Response {
    let body = json!({"statusCode": status, "error": error, "message": message.into()});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(body)).into_response()
}
