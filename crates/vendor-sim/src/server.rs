//! Connections: read a request, find out what is wrong with the world, answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use model::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::fault::{ActiveRule, Fault, Kind, Stage};
use crate::http::{self, Line, ReadError, Reply, Request, Surroundings};
use crate::keys::KeyError;
use crate::observed::{LogEntry, Observed};
use crate::settings::{Network, Settings};
use crate::world::{Resolution, World};

/// What all connections and the simulator's handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    rules: Mutex<Vec<ActiveRule>>,
    network: Mutex<Network>,
    pub(crate) observed: Observed,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Result<Self, KeyError> {
        let observed = Observed::new(settings.log_length);
        let network = Mutex::new(settings.network);
        Ok(Self { world: Mutex::new(World::new(settings)?), rules: Mutex::default(), network, observed })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Vec<ActiveRule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults that strike this request: the first rule of each stage.
    fn strike(&self, kind: Kind, target: &str) -> Vec<Fault> {
        let mut rules = self.rules();
        let stages = [Stage::Content, Stage::Promise, Stage::Answer, Stage::After];
        let mut struck = Vec::new();
        for stage in stages {
            let rule = rules.iter_mut().find(|rule| rule.rule.fault.stage() == stage && rule.strikes(kind, target));
            if let Some(rule) = rule {
                rule.hits += 1;
                struck.push(rule.rule.fault.clone());
            }
        }
        struck
    }

    /// The answer to a request, faults included; counted and logged.
    fn answer(&self, request: &Request, address: SocketAddr) -> Reply {
        let host = request.header("host").map_or_else(|| address.to_string(), str::to_owned);
        let mut world = self.world();
        let base = match &world.settings.defender.content_base {
            Some(base) => base.replace("{port}", &address.port().to_string()),
            None => format!("http://{host}"),
        };
        let mut resolution = world.resolve(&request.target, &base);
        let kind = resolution.kind();
        let faults = self.strike(kind, &request.target);
        let at = |stage: Stage| faults.iter().find(|fault| fault.stage() == stage);

        let mut trouble = None;
        if let (Resolution::Found(resource), Some(fault)) = (&mut resolution, at(Stage::Content)) {
            trouble = world.spoil(resource, fault).err();
        }
        let mut reply = http::answer(&resolution, request, at(Stage::Promise));
        let now = now();
        reply.set("Date", now.http_date());
        reply.set("Server", "vendor-sim");
        if let Some(fault) = at(Stage::Answer) {
            reply = http::spoil(reply, fault, &Surroundings { host: &host, target: &request.target, now });
        }
        if let (Resolution::Found(resource), Some(fault)) = (&resolution, at(Stage::After)) {
            // The feed exists, because its resource was just found; a signature that fails is told below.
            let _ = world.after(resource, fault);
        }
        if let Some(error) = trouble {
            reply = Reply::text(500, format!("the fault could not be played: {error}\n"));
        }
        drop(world);
        self.observed.answered(LogEntry {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            kind,
            status: reply.visible_status(),
            faults: faults.iter().map(|fault| format!("{fault:?}")).collect(),
        });
        reply
    }
}

/// Accepts connections until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let Ok(address) = listener.local_addr() else { return };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, address, Arc::clone(&shared)))),
            // Out of descriptors, most likely: there is nothing to do but to let some be closed.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(mut stream: TcpStream, address: SocketAddr, shared: Arc<Shared>) {
    let _connected = shared.observed.connected();
    // Answers are whole in one write; waiting for more would only add delays that nobody asked for.
    let _ = stream.set_nodelay(true);
    let delay = shared.network().accept_delay;
    pause(delay).await;
    let mut buffer = Vec::new();
    loop {
        let request = match http::read_request(&mut stream, &mut buffer).await {
            Ok(request) => request,
            Err(ReadError::Gone) => return,
            Err(ReadError::Bad) => {
                let mut line = Line::new(&mut stream, &shared.observed, None);
                let _ = http::send(&mut line, &Reply::text(400, "not understood\n"), false, false).await;
                return;
            }
        };
        let _asked = shared.observed.asked();
        let network = *shared.network();
        pause(network.request_delay).await;
        let reply = shared.answer(&request, address);
        let mut line = Line::new(&mut stream, &shared.observed, network.bytes_per_second);
        match http::send(&mut line, &reply, request.method == "HEAD", request.keep_alive).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

/// For `Date` and `Retry-After`, which clients compare with their own clock.
#[allow(clippy::disallowed_methods, reason = "the simulated host has a clock of its own, outside the program")]
pub(crate) fn now() -> Timestamp {
    let micros = std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
