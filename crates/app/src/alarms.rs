//! Looks after alarms: makes conditions out of what is seen each quarter of a minute, and keeps the ways to tell
//! going. It watches and never acts: nothing waits for it.

mod conditions;
mod entries;
mod kept;
mod lost;
mod mended;
mod shown;
mod standing;
#[cfg(test)]
mod tests;
mod vitals;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admin_http::{AlarmFacts, AlarmSource, WayFacts};
use alarm::{Book, Change, ChangeKind, Condition, Event, Life, Sight, Source};
use config::Config;
use content_http::{ContentServer, Trouble};
use mirror::{Engine, EngineError, SiteFault};
use model::{Clock, Level, Reason, Timestamp, Vendor, error_chain};
use platform::lock::FileLock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alone;
use crate::keeper::Keeper;
use crate::pulse::Pulse;
use conditions::{Content, Past, Rules, of_content, of_status, without_echoes};
use entries::record;
use lost::LostLines;
use mended::Mended;
pub use shown::seen_by_run;
use standing::status;
use vitals::{Step, Vitals};
use ways::HEARTBEAT;
pub use ways::Ways;
#[cfg(test)]
use ways::damping;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(15);
/// How long the engine's status may take.
const STATUS: Duration = Duration::from_secs(10);
/// How often the sign that this process lives is renewed.
const LIFE: Duration = Duration::from_secs(30);
/// A process that ended as it should was away for long after this.
const LONG_AWAY: Duration = Duration::from_secs(3600);
/// The most changes that wait for the history.
const WAITING: usize = 256;
/// A run may take this much longer than one feed.
const SLACK: Duration = Duration::from_secs(3600);

/// What alarms look at.
#[derive(Clone)]
pub(crate) struct Sights {
    pub(crate) engine: watch::Receiver<Option<Arc<Engine>>>,
    pub(crate) content: Arc<ContentServer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pulse: Arc<Pulse>,
    /// The lock that shows that somebody looks, taken before anything was told.
    pub(crate) held: Held,
}

/// Alarms, as long as the process lives.
pub(crate) struct Alarms {
    book: Arc<Book>,
    vitals: Arc<Vitals>,
    rules: Arc<Mutex<Rules>>,
    tasks: TaskTracker,
    end: CancellationToken,
    /// Ends the ways that tell now.
    telling: CancellationToken,
    facts: Arc<Facts>,
}

/// What can be shown of alarms.
pub(crate) struct Facts {
    book: Arc<Book>,
    heart: Mutex<Option<Arc<alarm::Heart>>>,
}

/// What operators see of alarms.
pub(crate) struct AlarmView(pub(crate) Arc<Facts>);

impl AlarmSource for AlarmView {
    fn alarms(&self) -> AlarmFacts {
        let Facts { book, heart } = self.0.as_ref();
        let heart = heart.lock().unwrap_or_else(PoisonError::into_inner);
        let way = |way: alarm::WayFacts| WayFacts {
            name: way.name,
            told: way.told,
            failed: way.failed,
            failing: way.failing,
        };
        AlarmFacts {
            standing: listed(book.standing()),
            passed: listed(book.passed()),
            ways: book.ways().into_iter().map(way).collect(),
            dropped: book.dropped(),
            heartbeats: heart.as_ref().map_or_else(Vec::new, |heart| heart.counts().to_vec()),
        }
    }

    fn seen(&self, said: &[SiteFault]) -> Vec<SiteFault> {
        seen_by_run(&self.0.book.ledger(), said)
    }
}

fn listed(counts: BTreeMap<(Reason, Level), usize>) -> Vec<(Reason, Level, usize)> {
    counts.into_iter().map(|((reason, level), count)| (reason, level, count)).collect()
}

impl Alarms {
    /// Starts looking and telling.
    pub(crate) fn start(
        config: &Config,
        ways: Ways,
        sights: Sights,
        (end, tasks): (CancellationToken, TaskTracker),
    ) -> Self {
        let shelf = alarm::Shelf::new(&config.data_dir);
        let (ledger, lost) = kept::read(&shelf, sights.clock.now());
        let book = Arc::new(Book::new(ledger, Arc::clone(&sights.clock)));
        let state: Arc<Mutex<Option<String>>> = Arc::default();
        let vitals =
            Arc::new(Vitals::new(Arc::clone(&sights.clock), Arc::clone(&sights.content), Arc::clone(&sights.pulse)));
        let rules = Arc::new(Mutex::new(rules_of(config)));
        let keeper = Keeper::new(Arc::clone(&sights.pulse), Arc::clone(&sights.clock), (end.clone(), tasks.clone()));
        let (changes, changed) = mpsc::channel(WAITING);
        let changed = Arc::new(tokio::sync::Mutex::new(changed));
        let (engine, ends) = (sights.engine.clone(), end.clone());
        keeper.keep("alarms to history", move || record(Arc::clone(&changed), engine.clone(), ends.clone()));
        let lookout = (Arc::clone(&book), Arc::clone(&vitals), Arc::clone(&rules), Arc::clone(&state), changes);
        let (data, ends, mut lost) = (config.data_dir.clone(), end.clone(), Some(lost));
        let place = sights.engine.clone();
        keeper.keep("alarms", move || {
            let (book, vitals, rules, state, changes) = lookout.clone();
            let lookout = Lookout::new(&data, sights.clone(), book, vitals);
            let mut lookout = Lookout { rules, state, changes, ..lookout };
            match lost.take() {
                Some(lost) => lookout.before.extend(lost),
                // It begins anew within one process, which was not down.
                None => lookout.before.clear(),
            }
            lookout.run(ends.clone())
        });
        let (kept, ends) = (Arc::clone(&book), end.clone());
        keeper.keep("state of alarms", move || {
            let (state, engine) = (Arc::clone(&state), place.clone());
            let told = move |why| *state.lock().unwrap_or_else(PoisonError::into_inner) = why;
            let in_place = move || stands(&engine);
            shelf.clone().follow(Arc::clone(&kept), (in_place, told), ends.clone())
        });
        let facts = Arc::new(Facts { book: Arc::clone(&book), heart: Mutex::new(None) });
        let mut alarms = Self { book, vitals, rules, tasks, telling: end.child_token(), end, facts };
        alarms.set(ways, config);
        alarms
    }

    /// What can be shown of alarms.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts)
    }

    /// Takes a configuration over. What is being told at this moment is told again in the new way.
    pub(crate) fn set(&mut self, ways: Ways, config: &Config) {
        self.telling.cancel();
        self.telling = self.end.child_token();
        self.vitals.set_longest_run(config.limits.feed_deadline.saturating_add(SLACK));
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules_of(config);
        let Ways { outlets, heart, pusher } = ways;
        let known = outlets.iter().map(|outlet| outlet.way.clone()).collect();
        let attended: &[&str] = if heart.is_some() { &[HEARTBEAT] } else { &[] };
        self.book.set(known, attended, (ways::quiet(config), ways::damping(config)));
        for outlet in outlets {
            self.tasks.spawn(alarm::outlet(Arc::clone(&self.book), outlet, self.telling.clone()));
        }
        if let Some(heart) = &heart {
            let vitals = Arc::clone(&self.vitals);
            let alive = move || vitals.alive();
            let (heart, book) = ((HEARTBEAT, Arc::clone(heart)), Arc::clone(&self.book));
            self.tasks.spawn(alarm::heartbeat(heart, pusher, book, alive, self.telling.clone()));
        }
        *self.facts.heart.lock().unwrap_or_else(PoisonError::into_inner) = heart;
    }
}

fn rules_of(config: &Config) -> Rules {
    let schedules = Vendor::ALL.into_iter().filter_map(|vendor| Some((vendor, config.schedule_of(vendor)?)));
    let silent_after = config.alarm.endpoints_silent_after;
    Rules {
        failures: config.alarm.failures,
        schedules: schedules.collect(),
        reserve: config.limits.disk_reserve,
        endpoints_silent_after: (!silent_after.is_zero()).then_some(silent_after),
        certificate: (config.alarm.certificate_warn, config.alarm.certificate_fail),
    }
}

/// Whether the data folder is the one that this process works on. That the catalog in it is another one keeps nobody
/// from writing down who was told.
fn stands(engine: &watch::Receiver<Option<Arc<Engine>>>) -> bool {
    let engine = engine.borrow().clone();
    engine.is_none_or(|engine| !matches!(engine.in_place(), Err(EngineError::FolderGone { .. })))
}

/// The lock that shows that somebody looks.
pub(crate) type Held = Arc<Mutex<Option<FileLock>>>;

/// Looks at everything, again and again.
struct Lookout {
    data: PathBuf,
    sights: Sights,
    book: Arc<Book>,
    vitals: Arc<Vitals>,
    rules: Arc<Mutex<Rules>>,
    /// Why what was told cannot be kept, where it cannot.
    state: Arc<Mutex<Option<String>>>,
    changes: mpsc::Sender<Change>,
    /// What happened before this process began.
    before: Vec<Event>,
    life: Life,
    /// When this process began, by a clock that nobody sets.
    began: Duration,
    kept: Duration,
    /// How the clock was set forward, and when that was by one that nobody sets.
    steps: Vec<(Step, Duration)>,
    /// Who else works on the data folder that stands there, in words.
    rival: Arc<Mutex<Option<String>>>,
    /// What was mended before anybody looked.
    mended: Mended,
    /// How often content was asked for, when it was last looked at.
    asked: u64,
    /// What was lost of the access log.
    lost: LostLines,
    keeping: Option<JoinHandle<()>>,
    /// Held as long as it looks, so that others know at once when nobody does.
    held: Held,
}

impl Lookout {
    fn new(data: &Path, sights: Sights, book: Arc<Book>, vitals: Arc<Vitals>) -> Self {
        let now = sights.clock.now();
        let before = Life::read(data);
        // Only the time in which endpoints could ask counts as their silence.
        let silent = |before: Life| before.asked.map(|asked| now.before(before.at.since(asked)));
        let asked = before.and_then(silent);
        let life = Life { pid: platform::pid(), since: now, at: now, ended: false, asked };
        Self {
            data: data.to_owned(),
            before: before.and_then(|before| was_down(&before, now)).into_iter().collect(),
            began: sights.clock.monotonic(),
            kept: sights.clock.monotonic(),
            held: Arc::clone(&sights.held),
            sights,
            book,
            vitals,
            rules: Arc::new(Mutex::new(Rules::none())),
            state: Arc::default(),
            changes: mpsc::channel(1).0,
            life,
            asked: 0,
            lost: LostLines::default(),
            steps: Vec::new(),
            mended: Mended::default(),
            rival: Arc::default(),
            keeping: None,
        }
    }

    async fn run(mut self, end: CancellationToken) {
        self.keep_life().await;
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                () = self.turn() => {}
            }
            tokio::select! {
                () = end.cancelled() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        self.life.ended = true;
        self.keep_life().await;
    }

    /// Looks once.
    async fn turn(&mut self) {
        let now = self.sights.clock.now();
        let mut sight = Sight { events: std::mem::take(&mut self.before), ..Sight::clear(now) };
        let step = self.vitals.observe();
        if let Some(step) = step {
            self.life.asked = self.life.asked.map(|asked| step.shift(asked));
            take_step(&mut self.steps, step, self.sights.clock.monotonic());
        }
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let past = self.past();
        match status(&self.sights, &self.data).await {
            Ok(status) => sight.conditions.extend(of_status(&status, &rules, &past)),
            Err(condition) => {
                sight.blind.push(Source::Status);
                sight.conditions.push(*condition);
            }
        }
        sight.conditions.extend(self.content(now, &rules));
        sight.conditions.extend(self.vitals.conditions());
        if self.sights.pulse.heads().is_blind() {
            sight.blind.push(Source::History);
        }
        sight.conditions.extend(self.state());
        sight.conditions.extend(self.rival(now));
        sight.conditions = without_echoes(sight.conditions);
        sight.events.extend(self.sights.pulse.heads().take_news());
        sight.events.extend(self.mended(&sight.conditions, &past.standing, now).await);
        if let Some(step) = step {
            step.tell(&mut sight, &past.standing);
        }
        for change in self.book.observe(sight) {
            tell(&change);
            if self.changes.try_send(change).is_err() {
                tracing::warn!("an alarm is missing in the history: it does not take them fast enough");
            }
        }
        self.live(now);
    }

    fn past(&self) -> Past {
        let standing = self.book.ledger().standing().iter().map(|alarm| alarm.key.clone()).collect();
        let monotonic = self.sights.clock.monotonic();
        let runs = monotonic.saturating_sub(self.began);
        let stepped = self.steps.iter().map(|(step, at)| (*step, monotonic.saturating_sub(*at))).collect();
        Past { standing, began: Some((self.life.since, runs)), stepped }
    }

    /// What was wrong with rings and was mended since the last look.
    async fn mended(&mut self, seen: &[Condition], standing: &BTreeSet<String>, now: Timestamp) -> Vec<Event> {
        let engine = self.sights.engine.borrow().clone();
        let Some(engine) = engine.filter(|engine| engine.in_place().is_ok()) else { return Vec::new() };
        let told = seen.iter().map(|condition| condition.key().to_owned()).chain(standing.iter().cloned()).collect();
        self.mended.events(&engine, &told, now).await
    }

    fn content(&mut self, now: Timestamp, rules: &Rules) -> Vec<Condition> {
        let (stats, watched) = (self.sights.content.stats(), self.sights.content.watched());
        if watched.asked != self.asked {
            self.asked = watched.asked;
            self.life.asked = Some(now);
        }
        let stopped_looking = self.vitals.stopped_looking();
        let lost = self.lost.look(stats.trouble(Trouble::LogLost), (now, self.sights.clock.monotonic()));
        let content = Content { stats: &stats, asked: self.life.asked, stopped_looking, lost };
        of_content(&content, now, rules)
    }

    fn state(&self) -> Option<Condition> {
        let why = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let now = self.sights.clock.now();
        let condition = Condition::new(Source::Process, "alarm_state", Reason::AlarmStateFailed, now);
        Some(condition.on("the state of alarms").because(&why))
    }

    /// Another process looks after the same data folder.
    fn rival(&self, now: Timestamp) -> Option<Condition> {
        let holder = self.rival.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let condition = Condition::new(Source::Process, "rival", Reason::Locked, now).on("waystation run");
        let detail = format!("another one works on {}: {holder}; end one of the two", self.data.display());
        Some(condition.because(&detail).at_level(Level::Fail))
    }

    /// Renews the sign that this process lives, on a thread of its own: a disk that hangs must stop nothing here.
    fn live(&mut self, now: Timestamp) {
        let monotonic = self.sights.clock.monotonic();
        let busy = self.keeping.as_ref().is_some_and(|keeping| !keeping.is_finished());
        if busy || monotonic.saturating_sub(self.kept) < LIFE {
            return;
        }
        self.kept = monotonic;
        self.life.at = now;
        self.keeping = Some(self.write_life());
    }

    async fn keep_life(&mut self) {
        self.life.at = self.sights.clock.now();
        let written = self.write_life();
        let _ = tokio::time::timeout(STATUS, written).await;
    }

    fn write_life(&self) -> JoinHandle<()> {
        let (life, data, held) = (self.life, self.data.clone(), Arc::clone(&self.held));
        let (engine, rival) = (self.sights.engine.clone(), Arc::clone(&self.rival));
        tokio::task::spawn_blocking(move || {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            let in_place = || stands(&engine);
            if !life.ended
                && let Err(error) = alone::hold_on(&data, &mut held, life.since, &in_place)
            {
                let error = error_chain(&error);
                tracing::warn!(error, "it cannot be shown that alarms are looked after");
            }
            *rival.lock().unwrap_or_else(PoisonError::into_inner) = Life::rival(&data, held.as_ref());
            if in_place()
                && let Err(error) = life.keep(&data)
            {
                tracing::warn!(error = %error_chain(&error), "the sign that this process lives cannot be renewed");
            }
            if life.ended {
                // Once it is written down: who comes next reads it.
                *held = None;
            }
        })
    }
}

/// The most steps of the clock that are remembered.
const STEPS: usize = 16;

/// Remembers by how much the clock is ahead of what it would be, had nobody set it: one that is set back takes back
/// what was set forward last.
fn take_step(steps: &mut Vec<(Step, Duration)>, step: Step, at: Duration) {
    if step.is_forward() {
        if steps.len() == STEPS {
            steps.remove(0);
        }
        return steps.push((step, at));
    }
    let mut back = step.by();
    while let Some((last, _)) = steps.last_mut() {
        back = last.take_back(back);
        if back.is_zero() {
            return;
        }
        steps.pop();
    }
}

impl Rules {
    /// Nothing counts.
    fn none() -> Self {
        Self {
            failures: u32::MAX,
            schedules: Vec::new(),
            reserve: 0,
            endpoints_silent_after: None,
            certificate: (Duration::ZERO, Duration::ZERO),
        }
    }
}

/// What the process before this one left to be told.
fn was_down(before: &Life, now: Timestamp) -> Option<Event> {
    let away = now.since(before.at);
    let detail = match before.ended {
        true if away <= LONG_AWAY => return None,
        true => format!("it ended at {} as it was told to, and began again at {now}", before.at),
        false => format!(
            "process {} was last seen at {} and did not end as it should; this one began at {now}",
            before.pid, before.at
        ),
    };
    let condition = Condition::new(Source::Process, "was_down", Reason::WasDown, before.at);
    Some(Event { condition: condition.on("waystation run").because(&detail).at_level(Level::Fail), until: now })
}

fn tell(change: &Change) {
    let alarm = &change.alarm;
    let (kind, reason, level) = (change.kind.as_str(), alarm.reason.code(), alarm.level.as_str());
    let (subject, detail) = (&alarm.subject, alarm.particulars());
    let number = alarm.number;
    // By what happened: an end is no trouble, and what passed unseen is as bad as it was.
    match (change.kind, alarm.level) {
        (ChangeKind::Recovered, _) => tracing::info!(kind, reason, level, subject, detail, number, "alarm"),
        (_, Level::Fail) => tracing::error!(kind, reason, level, subject, detail, number, "alarm"),
        _ => tracing::warn!(kind, reason, level, subject, detail, number, "alarm"),
    }
}
