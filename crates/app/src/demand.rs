//! What endpoints ask for and is not held: between the content side, the desk that fetches, and the folder that both
//! leave word in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use admin_http::{DemandFacts, DemandSource};
use async_trait::async_trait;
use config::{Config, ElasticMode, UnknownPaths};
use content_http::{After, Beyond, Face, Instead};
use mirror::Engine;
use model::{Clock, Digest, FeedId, RingName, RoutePath, Timestamp, Vendor, error_chain};
use proxy::{Asked, Book, Desk, Faces, Gatherer, Keeping, Landing, Named, Pattern, Progress, Rules, Sightings, Spool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::learned::followed;
use crate::scheduler::apart;

/// How often what was seen is left in the spool.
const LEAVE: Duration = Duration::from_secs(1);
/// How far a path is proven that no manifest names: the word of `model::Checked::TransportOnly`.
const UNNAMED: &str = "transport-only";
/// How often it is gathered.
const GATHER: Duration = Duration::from_secs(3);

/// What the content side hands on, and what it is told.
pub(crate) struct Demand {
    pub(crate) sightings: Arc<Sightings>,
    desk: Option<Arc<Desk>>,
    /// The engine beside it, while there is one.
    engine: watch::Receiver<Option<Arc<Engine>>>,
    book: Arc<Book>,
    /// What is told of routes where nobody fetches, as far as this process may read it.
    faces: Option<Faces>,
    /// How long a request waits, in milliseconds.
    wait: AtomicU64,
    rules: watch::Sender<Rules>,
    clock: Arc<dyn Clock>,
}

impl Demand {
    /// For a process that only serves: it sees, and leaves word.
    pub(crate) fn seeing(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let book = Arc::new(book(config));
        let faces = book.shows_heads().then(|| Faces::new(Arc::clone(&book)));
        Self {
            sightings: Arc::default(),
            desk: None,
            engine: watch::Sender::new(None).subscribe(),
            book,
            faces,
            wait: AtomicU64::new(0),
            rules: watch::Sender::new(rules(config)),
            clock,
        }
    }

    /// For a process that fetches as well.
    pub(crate) fn fetching(
        config: &Config,
        engine: watch::Receiver<Option<Arc<Engine>>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seeing = Self::seeing(config, clock);
        let (book, rules) = (Arc::clone(&seeing.book), seeing.rules.subscribe());
        let place = engine.clone();
        book.write_only_while(move || stands(&place));
        let desk = Desk::new(engine.clone(), book, rules, tokio::runtime::Handle::current());
        let fetching = Self { desk: Some(Arc::new(desk)), engine, ..seeing };
        fetching.set(config);
        fetching
    }

    /// Takes over what may change while it runs.
    pub(crate) fn set(&self, config: &Config) {
        let wait = config.elastic.as_ref().map_or(Duration::ZERO, |elastic| elastic.demand.wait);
        self.wait.store(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.book.keep(keeping(config));
        self.rules.send_replace(rules(config));
        if self.desk.is_some() && follows_nothing(config) {
            tracing::warn!(
                "nothing of Elastic is followed: no version is named under [elastic], none was learned, and nothing is; name versions, or set elastic.auto_learn"
            );
        }
    }

    /// What was learned, for engines.
    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// What is told of a route, and where that is kept since when the vendor has not confirmed it: who does not fetch
    /// does not know.
    fn told(&self, feed: &FeedId, path: &RoutePath, digest: &Digest) -> Option<(proxy::Face, Option<Arc<AtomicI64>>)> {
        if feed.vendor() != Vendor::Elastic {
            return None;
        }
        if let Some(desk) = self.fetches() {
            let told = desk.face(feed, path, digest);
            let confirmed = Arc::clone(&told.confirmed);
            return Some((told, Some(confirmed)));
        }
        let (faces, rules) = (self.faces.as_ref().filter(|_| self.desk.is_none())?, self.rules.borrow());
        // How long caches may keep something is told by who knows what may change.
        let passed = |name: &str| name != "cache-control" && rules.pass_headers.iter().any(|known| known == name);
        rules.proxy.then(|| (faces.of(feed, (path, digest), passed), None))
    }

    /// Whether what is left and gathered may be written: the data folder is the one that this process works on. Who has no
    /// engine works on none.
    fn in_place(&self) -> bool {
        stands(&self.engine)
    }

    /// What it knows of faces; none where nobody fetches.
    fn fetches(&self) -> Option<&Arc<Desk>> {
        self.desk.as_ref().filter(|_| self.rules.borrow().proxy)
    }
}

fn stands(engine: &watch::Receiver<Option<Arc<Engine>>>) -> bool {
    let engine = engine.borrow().clone();
    engine.is_none_or(|engine| engine.in_place().is_ok())
}

/// Whether there is a section for Elastic, and nothing will ever be fetched because of it.
fn follows_nothing(config: &Config) -> bool {
    let Some(elastic) = &config.elastic else { return false };
    let named = elastic.demand.learns() || !elastic.patterns.is_empty();
    !named && followed(config).is_ok_and(|feeds| !feeds.iter().any(|feed| feed.vendor() == Vendor::Elastic))
}

/// What was learned at a site.
pub fn book(config: &Config) -> Book {
    Book::new(&config.data_dir, keeping(config))
}

pub(crate) fn keeping(config: &Config) -> Keeping {
    let Some(elastic) = &config.elastic else { return Keeping::default() };
    let demand = &elastic.demand;
    Keeping {
        named: Named { feeds: elastic.feeds.clone(), patterns: elastic.patterns.iter().map(pattern).collect() },
        forwarded_bytes: demand.forwarded_bytes,
        heads: demand.mode == ElasticMode::Proxy,
    }
}

pub(crate) fn rules(config: &Config) -> Rules {
    let Some(elastic) = &config.elastic else {
        return Rules {
            proxy: false,
            learns: false,
            forwards: false,
            learned_feeds: 0,
            patterns: Vec::new(),
            revalidate: Duration::MAX,
            refresh: Duration::MAX,
            probe: Duration::MAX,
            pass_headers: Vec::new(),
        };
    };
    let demand = &elastic.demand;
    Rules {
        proxy: demand.mode == ElasticMode::Proxy,
        learns: demand.learns(),
        forwards: demand.mode == ElasticMode::Proxy && demand.unknown_paths == UnknownPaths::Forward,
        learned_feeds: demand.learned_feeds,
        patterns: elastic.patterns.iter().map(pattern).collect(),
        revalidate: demand.revalidate,
        refresh: elastic.schedule,
        probe: demand.probe,
        pass_headers: demand.pass_headers.clone(),
    }
}

fn pattern(one: &config::VersionPattern) -> Pattern {
    Pattern { name: one.to_string(), line: one.line().to_owned() }
}

/// What becomes of a request once the fetch that it waits for has ended.
async fn landed(mut progress: Progress) -> After {
    let landing = progress.wait_for(Option::is_some).await.ok().and_then(|landing| *landing);
    match landing {
        Some(Landing::Held) => After::Look,
        Some(Landing::Absent) => After::NotFound,
        Some(Landing::Failed | Landing::Declined) | None => After::Later,
    }
}

impl Beyond for Demand {
    fn absent(&self, ring: &RingName, path: &RoutePath, at: Timestamp) -> Instead {
        if path.is_under(vendors::elastic::DOWNLOADS) {
            self.sightings.note(ring, path, at);
        }
        let Some(desk) = self.fetches() else { return Instead::AsEver };
        let wait = Duration::from_millis(self.wait.load(Ordering::Relaxed));
        if !desk.is_ready() && path.is_under(vendors::elastic::DOWNLOADS) {
            // It listens before it can fetch: who asks in between must not hear that there is nothing.
            let (desk, ring, path) = (Arc::clone(desk), ring.clone(), path.clone());
            let asked = async move {
                desk.ready().await;
                match desk.ask(&ring, &path) {
                    Asked::Absent => After::NotFound,
                    Asked::Later => After::Later,
                    Asked::Flying(progress) => landed(progress).await,
                }
            };
            return Instead::Wait(Box::pin(
                async move { tokio::time::timeout(wait, asked).await.unwrap_or(After::Later) },
            ));
        }
        match desk.ask(ring, path) {
            Asked::Absent => Instead::NotFound,
            Asked::Later => Instead::Later,
            Asked::Flying(progress) => Instead::Wait(Box::pin(async move {
                tokio::time::timeout(wait, landed(progress)).await.unwrap_or(After::Later)
            })),
        }
    }

    fn face(&self, feed: &FeedId, path: &RoutePath, digest: &Digest) -> Option<Face> {
        let unnamed = vendors::elastic::is_forwarded(feed);
        let trust = (unnamed && !self.book.is_copy(path, digest)).then_some(UNNAMED);
        let asked = self.desk.as_ref().and_then(|desk| desk.asked_at(path));
        let Some((told, confirmed)) = self.told(feed, path, digest) else {
            return (unnamed || asked.is_some()).then(|| Face { trust, asked, ..Face::default() });
        };
        let named = |name: &str| told.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        Some(Face {
            content_type: named("content-type"),
            content_language: named("content-language"),
            cache_control: named("cache-control"),
            trust,
            last_modified: named("last-modified"),
            confirmed,
            asked,
        })
    }
}

#[async_trait]
impl DemandSource for Demand {
    fn facts(&self) -> DemandFacts {
        let desk = self.desk.as_ref().map(|desk| desk.facts()).unwrap_or_default();
        let now = self.clock.now();
        let unconfirmed = self.fetches().map(|desk| desk.unconfirmed()).unwrap_or_default();
        DemandFacts {
            dropped: self.sightings.dropped(),
            wanted: self.desk.as_ref().and_then(|_| self.book.wanted().ok()).map(|list| list.entries().len()),
            learned: self.desk.as_ref().and_then(|_| self.book.learned().ok()).map(|learned| learned.len()),
            flying: desk.flying,
            fetches: vec![("held", desk.held), ("absent", desk.absent), ("failed", desk.failed), ("full", desk.full)],
            unconfirmed: unconfirmed.into_iter().map(|(feed, at)| (feed, now.since(at))).collect(),
        }
    }

    async fn wanted(&self) -> Result<serde_json::Value, String> {
        let entries = self.book.wanted().map_err(|error| error_chain(&error))?.entries();
        let engine = self.engine.borrow().clone();
        let shown = match engine {
            Some(engine) => {
                let marked = proxy::marked(&engine, entries).await.map_err(|error| error_chain(&error))?;
                serde_json::to_value(marked)
            }
            // Nobody here knows what rings serve.
            None => serde_json::to_value(entries),
        };
        shown.map_err(|error| error.to_string())
    }
}

/// What is wanted, with what the spool still holds and without what is held by now. Changes nothing.
///
/// # Errors
/// When the list cannot be read.
pub async fn wanted_now(config: &Config, engine: &Engine) -> Result<proxy::WantedList, proxy::BookError> {
    let settings = engine.vendor_settings().elastic;
    let mut list = proxy::pending(&book(config), &config.spool_dir(), &settings, engine.ports().clock.now())?;
    proxy::drop_held(engine, &mut list).await;
    Ok(list)
}

/// Gathers what the spool holds, for a process that does not stay.
///
/// # Errors
/// When the spool cannot be read or the list cannot be kept.
pub fn gather_once(config: &Config, engine: &Engine) -> Result<(), proxy::BookError> {
    let settings = engine.vendor_settings().elastic;
    proxy::collect(&book(config), &config.spool_dir(), &settings, engine.ports().clock.now())
}

/// Leaves what was seen in the spool, until the end.
pub(crate) async fn leave(demand: Arc<Demand>, spool: Arc<Spool>, end: CancellationToken) {
    let mut told = false;
    loop {
        let ended = tokio::select! {
            () = end.cancelled() => true,
            () = tokio::time::sleep(LEAVE) => false,
        };
        // Until the folder is back it is remembered, as much as there is room for.
        let seen = if demand.in_place() { demand.sightings.take() } else { Vec::new() };
        let count: u64 = seen.iter().map(|seen| seen.count).sum();
        if count > 0 {
            let spool = Arc::clone(&spool);
            let put = tokio::task::spawn_blocking(move || spool.put(&seen).map_err(|error| error_chain(&error))).await;
            match put.map_err(|error| error.to_string()).and_then(|put| put) {
                Ok(()) => told = false,
                Err(error) => {
                    demand.sightings.drop_some(count);
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(error, "what endpoints ask for in vain is dropped: see spool_dir");
                    }
                }
            }
        }
        if ended {
            return;
        }
    }
}

/// Looks after what is served beside manifests, after what the operator named, and what the vendor says of what is
/// served, until the end.
pub(crate) async fn tend(demand: Arc<Demand>, end: CancellationToken) {
    let Some(desk) = demand.desk.clone() else { return };
    loop {
        if demand.in_place() {
            desk.tend().await;
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(GATHER) => {}
        }
    }
}

/// Gathers what was left, and learns, until the end.
pub(crate) async fn gather(demand: Arc<Demand>, configs: watch::Receiver<Config>, end: CancellationToken) {
    let Some(desk) = demand.desk.clone() else { return };
    let mut gatherer = Some(Gatherer::new(desk, configs.borrow().spool_dir()));
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(GATHER) => {}
        }
        if !demand.in_place() {
            continue;
        }
        let Some(mut one) = gatherer.take() else { return };
        let turn = apart(async move {
            one.turn().await;
            one
        });
        let turned = tokio::select! {
            () = end.cancelled() => return,
            turned = turn => turned,
        };
        match turned {
            Ok(one) => gatherer = Some(one),
            // The keeper is told, and begins anew.
            Err(error) => std::panic::resume_unwind(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_for_what_no_manifest_names_is_the_words_own() {
        assert_eq!(UNNAMED, model::Checked::TransportOnly.to_string());
    }

    #[tokio::test]
    async fn nothing_is_left_in_what_stands_in_the_place_of_the_data_folder_s42() {
        let site = tempfile::tempdir().unwrap();
        let text = "data_dir = \"data\"\n[elastic]\nversions = [\"9.0.0\"]\n";
        let config = Config::parse(text, &site.path().join("waystation.toml"), &[]).unwrap();
        let (data, away) = (config.data_dir.clone(), site.path().join("away"));
        let clock: Arc<dyn Clock> = Arc::new(platform::SystemClock::new());
        let engine = crate::engine(&config, "test", crate::Purpose::Schedule, Arc::clone(&clock)).await.unwrap();
        let (_engines, current) = watch::channel(Some(Arc::new(engine)));
        let demand = Arc::new(Demand::fetching(&config, current, Arc::clone(&clock)));
        let path: RoutePath = "/downloads/endpoint/manifest/artifacts-9.9.9.zip".parse().unwrap();
        demand.sightings.note(&RingName::broad(), &path, clock.now());
        let ended = CancellationToken::new();
        ended.cancel();
        let spool = Arc::new(Spool::new(config.spool_dir()));
        std::fs::rename(&data, &away).unwrap();
        std::fs::create_dir(&data).unwrap();
        spool.make().unwrap();
        let left = || std::fs::read_dir(config.spool_dir()).unwrap().count();
        leave(Arc::clone(&demand), Arc::clone(&spool), ended.clone()).await;
        assert_eq!((left(), demand.in_place()), (0, false));
        let learn = || demand.book().learn(&"elastic/9.9.9".parse().unwrap(), proxy::Why::Asked, clock.now(), 9);
        assert!(matches!(learn(), Err(proxy::BookError::Away { .. })) && !data.join("wanted").exists());
        // It is back, and what was seen meanwhile is not forgotten.
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(&away, &data).unwrap();
        spool.make().unwrap();
        leave(Arc::clone(&demand), spool, ended).await;
        assert_eq!(left(), 1);
        assert!(demand.book().learn(&"elastic/9.9.9".parse().unwrap(), proxy::Why::Asked, clock.now(), 9).unwrap());
    }

    /// It listens before it can fetch: what cannot be fetched yet is asked for later, and is not said to be nowhere.
    #[tokio::test]
    async fn who_asks_before_it_can_fetch_waits_and_is_told_to_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[elastic]\nmode = \"proxy\"\nwait = \"50ms\"\n";
        let config = Config::parse(text, &folder.path().join("waystation.toml"), &[]).unwrap();
        let (_engine, engines) = watch::channel(None);
        let demand = Demand::fetching(&config, engines, Arc::new(platform::SystemClock::new()));
        let ask = |path: &str| demand.absent(&RingName::broad(), &path.parse().unwrap(), Timestamp::from_micros(0));
        let Instead::Wait(waiting) = ask("/downloads/endpoint/manifest/artifacts-9.0.0.zip") else {
            panic!("it does not wait")
        };
        assert!(matches!(waiting.await, After::Later));
        assert!(matches!(ask("/elsewhere"), Instead::NotFound));
    }
}
