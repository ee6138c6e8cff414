//! `run` and `serve`: servers, schedules, reloads and the way to the end.

mod reload;
mod reopen;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use admin_http::{AdminError, AdminServer, Serving, StatusSource};
use config::Config;
use content_http::{ContentServer, StartError};
use mirror::{Engine, ProcessEvent};
use model::{Clock, Reason, Vendor, error_chain};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alarms::{AlarmView, Alarms, Held, Sights, Ways};
use crate::alone;
use crate::build::{BuildError, living_engine};
use crate::content;
use crate::demand::{self, Demand};
use crate::facts::{ContentFacts, EngineFacts};
use crate::heads;
use crate::keeper::Keeper;
use crate::learned::is_own_spool;
use crate::listen::Inherited;
use crate::notify::{News, tell};
use crate::place::Stands;
use crate::pulse::Pulse;
use crate::record::{record_start, record_start_later};
use crate::scheduler::{Parts, Timetable, supervise};
use crate::signals::{self, Ask};
use crate::tender::{Charge, Tender};
use crate::trees;
use crate::upkeep::{Regain, Upkeep};

/// How long folding the catalog's log may keep a process from ending.
const FOLDING: std::time::Duration = std::time::Duration::from_secs(5);

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Content, schedules and status.
    Run,
    /// Content, health and metrics; changes nothing and needs no right to.
    Serve,
}

/// Why a daemon cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The engine cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The content side cannot start.
    #[error(transparent)]
    Content(#[from] StartError),
    /// The admin listener cannot start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system does not let us hear signals.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// Another `run` works on the data folder: two would tell everything twice, and each take the other for dead.
    #[error("another `waystation run` works on {data_dir}: {holder} (reason {})", Reason::Locked)]
    Locked {
        /// The data folder.
        data_dir: PathBuf,
        /// Who holds it, in words.
        holder: String,
    },
}

impl DaemonError {
    /// Whether the configuration is what must be changed.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Build(error) if error.is_configuration())
    }
}

/// A long-running process.
pub struct Daemon {
    config: Config,
    role: Role,
    given: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

impl Daemon {
    /// A daemon of this configuration; `given` is the configuration file that was named, for reloads.
    pub fn new(config: Config, role: Role, given: Option<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { config, role, given, clock }
    }

    /// Serves until the system asks to end.
    ///
    /// # Errors
    /// [`DaemonError`] when it cannot start.
    pub async fn run(self) -> Result<(), DaemonError> {
        let (asking, mut asks) = signals::listen().map_err(DaemonError::Signals)?;
        let files = platform::raise_nofile();
        tracing::info!(files, data_dir = %self.config.data_dir.display(), "starting");
        crate::share_with_group(&self.config)?;
        let held = Held::default();
        if self.role == Role::Run {
            crate::prepare_data_folder(&self.config.data_dir)?;
            *held.lock().unwrap_or_else(PoisonError::into_inner) =
                alone::hold(&self.config, self.clock.as_ref()).await?;
        }
        let pulse = Arc::new(Pulse::default());
        // Before anything listens: a configuration that no engine can be built from is told at once.
        let built = match self.role {
            Role::Run => Some(living_engine(&self.config, Arc::clone(&self.clock), pulse.lineage()).await?),
            Role::Serve => None,
        };
        let ways = (self.role == Role::Run).then(|| Ways::new(&self.config, &self.clock)).transpose()?;
        if self.role == Role::Serve && (!self.config.alarm.ways.is_empty() || self.config.alarm.heartbeat.is_some()) {
            tracing::warn!(
                "[alarm] is configured, and `serve` tells nobody: `waystation run` on this data folder does"
            );
        }
        let mut inherited = Inherited::take();
        let (engines, current) = watch::channel(None);
        let demand = Arc::new(match self.role {
            Role::Run => Demand::fetching(&self.config, current.clone(), Arc::clone(&self.clock)),
            Role::Serve => Demand::seeing(&self.config, Arc::clone(&self.clock)),
        });
        let beyond = Arc::clone(&demand) as Arc<dyn content_http::Beyond>;
        let clock = Arc::clone(&self.clock);
        let content = Arc::new(content::start(&self.config, &mut inherited, clock, beyond, current.clone())?);
        for address in content.local_addresses() {
            tracing::info!(%address, "serving content");
        }
        let admin = self.admin(&content, current.clone(), &pulse).await?;
        let mut admin = admin.with_demand(Arc::clone(&demand) as Arc<dyn admin_http::DemandSource>);
        inherited.finish();
        // A start that fails up to here never took place. Nobody gets the engine before it is recorded.
        let is_recorded = match &built {
            Some(engine) => {
                let is_recorded = record_start(engine, &self.config).await;
                // Before the first run: what a copy lacks that is put in the place a moment later is known.
                pulse.lineage().look(&engine.ports().catalog).await;
                is_recorded
            }
            None => true,
        };
        engines.send_replace(built.map(|engine| Arc::new(nudging(engine, (&content, &demand)))));
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let alarms = ways.map(|ways| {
            let (content, clock, held) = (Arc::clone(&content), Arc::clone(&self.clock), Arc::clone(&held));
            let sights = Sights { engine: current.clone(), content, clock, pulse: Arc::clone(&pulse), held };
            Alarms::start(&self.config, ways, sights, (end.clone(), tasks.clone()))
        });
        if let Some(alarms) = &alarms {
            admin = admin.with_alarms(Arc::new(AlarmView(alarms.facts())));
        }
        tasks.spawn(admin.run(end.clone().cancelled_owned()));
        let (changes, timetable) = watch::channel(Timetable::of(&self.config));
        let configs = watch::Sender::new(self.config.clone());
        tasks.spawn(demand::leave(Arc::clone(&demand), self.spool(), end.clone()));
        if self.role == Role::Run {
            let (hurry, hurried) = watch::channel(0);
            let clock = Arc::clone(&self.clock);
            let parts = Parts {
                engine: current.clone(),
                clock: Arc::clone(&clock),
                timetable,
                hurried,
                pulse: Arc::clone(&pulse),
            };
            for vendor in Vendor::ALL {
                tasks.spawn(supervise(parts.clone(), vendor, end.clone()));
            }
            let keeper = Keeper::new(Arc::clone(&pulse), Arc::clone(&clock), (end.clone(), tasks.clone()));
            if !is_recorded {
                let (engine, configs, end) = (current.clone(), configs.clone(), end.clone());
                keeper.keep("record of the start", move || {
                    record_start_later(engine.clone(), configs.subscribe(), end.clone())
                });
            }
            let regain =
                Regain { engine: current.clone(), clock: Arc::clone(&clock), settings: configs.subscribe(), hurry };
            let charge = Charge {
                timetable: changes.subscribe(),
                data_dir: self.config.data_dir.clone(),
                pulse: Arc::clone(&pulse),
                asks: asking,
                regain: regain.clone(),
            };
            let ends = end.clone();
            keeper.keep("data folder", move || Tender::new(charge.clone()).run(ends.clone()));
            let (settings, clocks, ends) = (configs.clone(), Arc::clone(&clock), end.clone());
            let doubted = trees::Doubted::default();
            let found = doubted.clone();
            let sights = (current.clone(), Arc::clone(&content));
            keeper.keep("folders of the rings", move || {
                trees::keep(settings.subscribe(), sights.clone(), Arc::clone(&clocks), found.clone(), ends.clone())
            });
            let (asked, settings, ends) = (Arc::clone(&demand), configs.clone(), end.clone());
            let (tended, over) = (Arc::clone(&demand), end.clone());
            keeper.keep("what the vendor says of it", move || demand::tend(Arc::clone(&tended), over.clone()));
            keeper.keep("what endpoints ask for", move || {
                demand::gather(Arc::clone(&asked), settings.subscribe(), ends.clone())
            });
            let (engine, settings, ends) = (current.clone(), configs.clone(), end.clone());
            let sights = (Arc::clone(&clock), Arc::clone(&pulse));
            keeper.keep("heads of the history", move || {
                heads::keep_telling(engine.clone(), settings.subscribe(), sights.clone(), ends.clone())
            });
            let (content, ends) = (Arc::clone(&content), end.clone());
            keeper.keep("upkeep", move || {
                Upkeep::new(Arc::clone(&content), regain.clone(), doubted.clone()).run(ends.clone())
            });
        }
        tell(News::Ready);
        let mut live = Live {
            daemon: self,
            content,
            demand,
            engines,
            changes,
            configs,
            alarms,
            held,
            pulse,
            rival: None,
            strange: None,
            owed: None,
        };
        while let Some(ask) = asks.recv().await {
            match ask {
                Ask::Reload => {
                    live.content.reopen_log();
                    live.reload().await;
                }
                Ask::ReopenLog => live.content.reopen_log(),
                Ask::Reopen => live.reopen().await,
                Ask::End => break,
            }
        }
        live.finish(asks, &end, tasks).await;
        Ok(())
    }

    /// Where what was seen is left. Who fetches makes the folder; who only serves takes it as it is, but for the one
    /// that belongs into a data folder of its own.
    fn spool(&self) -> Arc<proxy::Spool> {
        let spool = proxy::Spool::new(self.config.spool_dir());
        let made = self.role == Role::Run || is_own_spool(&self.config);
        match if made { spool.make() } else { Ok(()) } {
            Ok(()) => {}
            Err(error) if self.role == Role::Run => {
                tracing::error!(error = %error_chain(&error), "the spool cannot be made");
            }
            // That nothing can be left in it is told once there is something to leave.
            Err(error) => tracing::debug!(error = %error_chain(&error), "the spool cannot be made"),
        }
        Arc::new(spool)
    }

    async fn admin(
        &self,
        content: &Arc<ContentServer>,
        engine: watch::Receiver<Option<Arc<Engine>>>,
        pulse: &Arc<Pulse>,
    ) -> Result<AdminServer, DaemonError> {
        let serving: Arc<dyn Serving> =
            Arc::new(ContentFacts::new(Arc::clone(content), &self.config, Arc::clone(pulse), engine.clone()));
        let facts = || Arc::new(EngineFacts(engine)) as Arc<dyn StatusSource>;
        let status = (self.role == Role::Run).then(facts);
        let admin = AdminServer::bind(self.config.admin.address, Some(serving), status).await?;
        tracing::info!(address = %admin.address(), "health, metrics and status");
        Ok(admin)
    }
}

fn nudging(engine: Engine, (content, demand): (&Arc<ContentServer>, &Arc<Demand>)) -> Engine {
    let content = Arc::clone(content);
    engine.with_nudge(move || content.nudge()).with_learned(demand.book())
}

/// A daemon that runs.
struct Live {
    daemon: Daemon,
    content: Arc<ContentServer>,
    demand: Arc<Demand>,
    engines: watch::Sender<Option<Arc<Engine>>>,
    changes: watch::Sender<Timetable>,
    configs: watch::Sender<Config>,
    alarms: Option<Alarms>,
    /// The lock that shows that this process lives.
    held: Held,
    pulse: Arc<Pulse>,
    /// Who was last told to work on the data folder that stands where ours was.
    rival: Option<String>,
    /// What was last told of what stands there and is left alone.
    strange: Option<Stands>,
    /// What was read while the data folder was away changed this, and the history does not know it yet; none where the
    /// engine works by what was read last.
    owed: Option<Vec<String>>,
}

impl Live {
    /// A history that cannot be written must not keep the process from ending.
    async fn record_stop(&self) {
        let engine = self.engines.borrow().clone();
        let Some(engine) = engine else { return };
        if let Err(error) = engine.record_process(ProcessEvent::Stop, env!("CARGO_PKG_VERSION")).await {
            tracing::error!(error = %error_chain(&error), "the end of the process could not be recorded");
        }
    }

    /// Leaves the catalog as the one file that a backup copies.
    async fn fold(&self) {
        let engine = self.engines.borrow().clone();
        let Some(engine) = engine.filter(|engine| engine.in_place().is_ok()) else { return };
        match tokio::time::timeout(FOLDING, engine.ports().catalog.fold()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %error_chain(&error), "a backup needs the catalog's -wal as well"),
            Err(_) => tracing::warn!("the catalog's log could not be folded in time: a backup needs its -wal as well"),
        }
    }

    /// Lets downloads in progress end, within the time configured; a second signal ends at once.
    async fn finish(self, mut asks: mpsc::Receiver<Ask>, end: &CancellationToken, tasks: TaskTracker) {
        tell(News::Stopping);
        tracing::info!("ending: downloads in progress may finish first");
        self.record_stop().await;
        end.cancel();
        tasks.close();
        let limit = self.daemon.config.limits.drain_timeout;
        let (clock, began) = (Arc::clone(&self.daemon.clock), self.daemon.clock.monotonic());
        let content = Arc::clone(&self.content);
        let others = async {
            if tokio::time::timeout(limit, tasks.wait()).await.is_err() {
                tracing::warn!("some tasks did not end in time");
            }
        };
        let drained = async { tokio::join!(content::drain(content, limit), others) };
        tokio::select! {
            _ = drained => {}
            () = ended(&mut asks) => tracing::warn!("asked again to end: not waiting any longer"),
        }
        self.fold().await;
        let seconds = clock.monotonic().saturating_sub(began).as_secs();
        tracing::info!(seconds, "ended");
    }
}

/// What a running process cannot take over: each key with what it was and is.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let listeners = |config: &Config| -> Vec<_> { config.serve.iter().map(|serve| serve.address).collect() };
    let caps = |config: &Config| crate::content::limits(config);
    let folder = old.data_dir != new.data_dir;
    let changed = [
        ("data_dir", folder),
        ("data_group", old.data_group != new.data_group),
        // It lies in the data folder unless it has a place of its own.
        ("spool_dir", old.spool_dir() != new.spool_dir() && !folder),
        ("admin", old.admin != new.admin),
        ("ring", old.rings() != new.rings()),
        ("access_log", old.access_log != new.access_log),
        ("limits.serve_", caps(old) != caps(new)),
    ];
    let lines = old.diff(new);
    let mut told = Vec::new();
    for (key, _) in changed.into_iter().filter(|(_, changed)| *changed) {
        let before = told.len();
        told.extend(lines.iter().filter(|line| line.starts_with(key)).cloned());
        if told.len() == before {
            told.push(key.to_owned());
        }
    }
    let (were, are) = (listeners(old), listeners(new));
    if were != are {
        let show = |all: &[SocketAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        told.push(format!("the listeners of [[serve]]: {} → {}", show(&were), show(&are)));
    }
    told
}

async fn ended(asks: &mut mpsc::Receiver<Ask>) {
    while let Some(ask) = asks.recv().await {
        if ask == Ask::End {
            return;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("data_dir = \"/d\"\n[elastic]\nversions = [\"9.0.0\"]\n{more}");
        Config::parse(&text, std::path::Path::new("/etc/waystation.toml"), &[]).unwrap()
    }

    #[test]
    fn a_reload_refuses_what_it_could_not_take_over() {
        let old = config("");
        for (more, what) in [
            ("[[ring]]\nname = \"main\"", "ring"),
            ("[[serve]]\naddress = \"0.0.0.0:8090\"", "the listeners of [[serve]]: 0.0.0.0:8080 → 0.0.0.0:8090"),
            ("[access_log]\npath = \"-\"", "access_log.path: (unset) → -"),
            ("[admin]\naddress = \"127.0.0.1:9\"", "admin.address: 127.0.0.1:8081 → 127.0.0.1:9"),
            ("[limits]\nserve_connections = 3", "limits.serve_connections: 10000 → 3"),
        ] {
            let told = needs_restart(&old, &config(more)).join("; ");
            assert!(told.contains(what), "{told}");
            assert_eq!(told.contains("serve"), what.contains("serve"), "nothing but what changed: {told}");
        }
        for more in ["schedule = \"2h\"", "[limits]\nretries = 1", "[[serve]]\nallow = [\"10.0.0.0/8\"]"] {
            assert!(needs_restart(&old, &config(more)).is_empty(), "{more}");
        }
    }
}
