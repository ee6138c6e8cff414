//! What was learned beside the configuration, for commands; and what is wrong about it.

use std::sync::Arc;

use blob_store::{Access, FsRings, RingStore as _};
use config::Config;
use mirror::{Engine, Learned as _, SiteFault};
use model::{FeedId, Level, Note, Reason, Timestamp, error_chain};
use platform::fs::{Folder, Owners};
use proxy::{Book, BookError, Brought, Discovery, Exported, Spool, SpoolError, Stays, UnforwardError};

use crate::build::{BuildError, vendor_settings};
use crate::demand::{book, gather_once, keeping, rules, wanted_now};

/// How many feeds are named.
const NAMED: usize = 3;
/// What nobody asked for within this long is not missed.
const MISSED: u64 = 7 * 86_400;

/// The feeds that are followed: those of the configuration, and those that were learned.
///
/// # Errors
/// [`BookError`] when what was learned cannot be read.
pub fn followed(config: &Config) -> Result<Vec<FeedId>, BookError> {
    let mut feeds = config.feeds();
    for learned in book(config).learned()? {
        if !feeds.contains(&learned.feed) {
            feeds.push(learned.feed);
        }
    }
    Ok(feeds)
}

/// What vendors' modules need to know of a configuration and of what was learned beside it.
///
/// # Errors
/// [`BuildError`] when a file with keys cannot be used.
pub async fn learned_settings(config: &Config) -> Result<vendors::Settings, BuildError> {
    let mut settings = vendor_settings(config)?;
    let book = book(config);
    // Where no ring can be opened, nothing is served that could be looked at.
    if let Ok(rings) = FsRings::open(&config.data_dir, Access::ReadOnly) {
        let current = rings.current(&config.default_ring()).await.ok().flatten();
        proxy::note_ring(&book, current.as_ref().map(|current| &current.generation), (&config.feeds(), &settings));
    }
    book.furnish(&mut settings);
    Ok(settings)
}

/// Finds out at the vendor what is to be followed beside what is, of what endpoints asked for and patterns stand for,
/// and follows it.
pub async fn discover(config: &Config, engine: &Engine) -> Discovery {
    proxy::discover(engine, &book(config), &rules(config)).await
}

/// Follows what lies in a folder, as far as endpoints asked for it or patterns stand for it; what they asked for is
/// gathered first.
pub async fn follow_found(config: &Config, engine: &Engine, found: &[FeedId]) -> Discovery {
    let gathered = gather_once(config, engine);
    let mut found = proxy::follow_found(engine, &book(config), &rules(config), found).await;
    found.unread.extend(gathered.err());
    found
}

/// As [`discover`], and nothing is changed: an engine that follows what would be followed, and what that is.
pub async fn foresee(config: &Config, engine: Engine) -> (Engine, Discovery) {
    let book = Arc::new(Book::supposing(&config.data_dir, keeping(config)));
    proxy::read_ring(&engine, &book).await;
    let engine = engine.with_learned(Arc::clone(&book) as Arc<dyn mirror::Learned>);
    let found = proxy::discover(&engine, &book, &rules(config)).await;
    (engine, found)
}

/// Follows what a list from elsewhere asks for, as far as the vendor has it and there is room.
///
/// # Errors
/// [`BookError`] when what was learned cannot be read or kept.
pub async fn bring(config: &Config, engine: &Engine, list: &Exported) -> Result<Brought, BookError> {
    proxy::bring(engine, &book(config), &rules(config), list).await
}

/// Serves nothing any more that was forwarded so far; how many paths that were.
///
/// # Errors
/// [`UnforwardError`]; then some of it may be served still.
pub async fn stop_forwarding(config: &Config, engine: Engine) -> Result<usize, UnforwardError> {
    end_forwarding(config, engine, Stays::Nothing).await
}

/// Serves nothing any more that was forwarded under an earlier configuration, and is not to be; how many paths that were.
///
/// # Errors
/// [`UnforwardError`]; then some of it may be served still.
pub async fn retire_forwarded(config: &Config, engine: Engine) -> Result<usize, UnforwardError> {
    let rules = rules(config);
    if rules.forwards {
        return Ok(0);
    }
    end_forwarding(config, engine, if rules.proxy { Stays::Copies } else { Stays::Nothing }).await
}

async fn end_forwarding(config: &Config, engine: Engine, stays: Stays) -> Result<usize, UnforwardError> {
    let book = Arc::new(book(config));
    let engine = engine.with_learned(Arc::clone(&book) as Arc<dyn mirror::Learned>);
    proxy::stop_forwarding(&engine, &book, stays).await
}

/// Whether paths are forwarded that no manifest names.
pub fn forwards(config: &Config) -> bool {
    rules(config).forwards
}

/// Makes the folder where processes that only serve leave word of what was asked for and is not held.
///
/// # Errors
/// [`SpoolError`] when it cannot be made.
pub fn make_spool(config: &Config) -> Result<(), SpoolError> {
    Spool::new(config.spool_dir()).make()
}

/// Tells what is wrong about what was learned: that it, or the list of what endpoints ask for, cannot be read, or that what
/// they ask for and the vendor has finds no room among it.
pub(crate) struct LearnedFaults {
    book: Book,
    /// How many are learned at the most; none where nothing more is.
    most: Option<usize>,
}

impl LearnedFaults {
    /// Of a site's book.
    pub(crate) fn of(config: &Config) -> Self {
        let demand = config.elastic.as_ref().map(|elastic| &elastic.demand).filter(|demand| demand.learns());
        Self { book: book(config), most: demand.map(|demand| demand.learned_feeds) }
    }

    pub(crate) fn fault(&self, now: Timestamp) -> Option<SiteFault> {
        let unread = |subject: &str, key: &str, level, error: &BookError| SiteFault {
            subject: subject.to_owned(),
            key: key.to_owned(),
            since: now,
            level,
            note: Note { reason: Reason::LearnedUnread, detail: error_chain(error) },
        };
        let is_full = match self.book.is_full(self.most.unwrap_or(usize::MAX)) {
            Ok(is_full) => is_full,
            Err(error) => return Some(unread("what was learned", "learned_unread", Level::Fail, &error)),
        };
        match self.book.wanted() {
            Ok(list) => self.most.filter(|_| is_full).and_then(|most| shut_out(&list.entries(), most, now)),
            // Counts alone are lost with it: all that is followed goes on.
            Err(error) => Some(unread("what endpoints ask for", "wanted_unread", Level::Warn, &error)),
        }
    }
}

fn shut_out(list: &[proxy::WantedEntry], most: usize, now: Timestamp) -> Option<SiteFault> {
    let missed = |entry: &&proxy::WantedEntry| entry.is_shut_out() && now.since(entry.last).as_secs() < MISSED;
    let since = list.iter().filter(missed).map(|entry| entry.first).min()?;
    let mut feeds: Vec<FeedId> = list.iter().filter(missed).filter_map(|entry| entry.feed.clone()).collect();
    feeds.sort();
    feeds.dedup();
    let detail = format!(
        "{}: asked for, offered by the vendor, and not followed; {most} feeds are learned, which is elastic.learned_feeds",
        few(&feeds)
    );
    Some(SiteFault {
        subject: "what endpoints ask for".to_owned(),
        key: "learned_full".to_owned(),
        since,
        level: Level::Warn,
        note: Note { reason: Reason::LearnedFull, detail },
    })
}

/// What is served and followed no longer, and endpoints ask for still: said where `status` is asked.
pub async fn asked_for_still(config: &Config, engine: &Engine) -> Option<String> {
    // A list that does not read is told as that.
    let list = wanted_now(config, engine).await.ok()?;
    let feeds = proxy::asked_for_still(engine, &list).await.ok().filter(|feeds| !feeds.is_empty())?;
    let feeds = few(&feeds);
    Some(format!(
        "{feeds}: endpoints still ask for it, and nothing follows it any more: it is not renewed, and a coming gc takes it \
         away; name it in the configuration, or `waystation feed learn` it, if it is needed"
    ))
}

/// Some of these by name, and how many more there are.
fn few(feeds: &[FeedId]) -> String {
    let named: Vec<&str> = feeds.iter().take(NAMED).map(FeedId::as_str).collect();
    match feeds.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Whether the spool lies in the data folder and that is ours: then whoever comes first makes it. A folder in which nothing
/// was published may be a bare mount point.
pub(crate) fn is_own_spool(config: &Config) -> bool {
    let is_data = |folder: Folder| folder.check(Owners::us()).is_ok() && folder.folder("rings").is_ok();
    let is_ours = || Folder::open(&config.data_dir).is_ok_and(is_data);
    config.spool_dir().parent() == Some(config.data_dir.as_path()) && is_ours()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn config(folder: &std::path::Path, more: &str) -> Config {
        let text = format!("data_dir = \"data\"\n[elastic]\nmode = \"proxy\"\nlearned_feeds = 1\n{more}");
        Config::parse(&text, &folder.join("waystation.toml"), &[]).unwrap()
    }

    /// Puts down what the vendor answered for two versions that were asked for on day one.
    fn ask(config: &Config) {
        let entry = |version: &str, reason: &str| {
            format!(
                r#"{{"feed":"elastic/{version}","path":"/downloads/endpoint/manifest/artifacts-{version}.zip","ring":"broad",
                "count":1,"first":{DAY},"last":{DAY},"tried":{{"at":{DAY},"reason":"{reason}","detail":""}}}}"#
            )
        };
        let entries = [entry("9.1.0", "learned_full"), entry("9.9.9", "not_found")].join(",");
        let folder = config.data_dir.join("wanted");
        std::fs::write(folder.join("wanted.json"), format!(r#"{{"form":1,"entries":[{entries}]}}"#)).unwrap();
    }

    #[test]
    fn what_the_vendor_has_and_finds_no_room_is_told_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        std::fs::create_dir(&config.data_dir).unwrap();
        let (feed, at) = ("elastic/9.0.0".parse().unwrap(), Timestamp::from_micros(DAY));
        book(&config).learn(&feed, proxy::Why::Asked, at, 1).unwrap();
        ask(&config);
        let shut = LearnedFaults::of(&config);
        let fault = shut.fault(at).unwrap();
        assert_eq!((fault.note.reason, fault.since), (Reason::LearnedFull, at));
        assert!(fault.note.detail.starts_with("elastic/9.1.0: asked for"), "{}", fault.note.detail);
        assert_eq!(shut.fault(Timestamp::from_micros(9 * DAY)), None, "nobody asks any more");
        book(&config).forget(&feed).unwrap();
        assert_eq!(shut.fault(at), None, "there is room");
    }

    #[test]
    fn in_a_bare_mount_point_nothing_is_made_by_who_only_serves_s42() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        std::fs::create_dir(&config.data_dir).unwrap();
        assert!(!is_own_spool(&config));
        std::fs::create_dir(config.data_dir.join("rings")).unwrap();
        assert!(is_own_spool(&config));
    }

    #[test]
    fn what_was_learned_and_cannot_be_read_is_a_fault_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        for more in ["", "auto_learn = false\n"] {
            let text = format!("data_dir = \"data\"\n[elastic]\nversions = [\"9.0.0\"]\n{more}");
            let config = Config::parse(&text, &folder.path().join("waystation.toml"), &[]).unwrap();
            std::fs::create_dir_all(&config.data_dir).unwrap();
            let at = Timestamp::from_micros(DAY);
            assert_eq!(LearnedFaults::of(&config).fault(at), None, "nothing was learned yet");
            book(&config).learn(&"elastic/9.1.0".parse().unwrap(), proxy::Why::Asked, at, 9).unwrap();
            let learned = config.data_dir.join("wanted/learned.json");
            let whole = std::fs::read(&learned).unwrap();
            std::fs::write(&learned, "{\"form\":99}").unwrap();
            let fault = LearnedFaults::of(&config).fault(at).unwrap();
            assert_eq!((fault.note.reason, fault.level), (Reason::LearnedUnread, Level::Fail));
            assert!(fault.note.detail.contains("learned.json does not read"), "{}", fault.note.detail);
            std::fs::write(&learned, whole).unwrap();
            let wanted = config.data_dir.join("wanted/wanted.json");
            std::fs::write(&wanted, "{").unwrap();
            let fault = LearnedFaults::of(&config).fault(at).unwrap();
            assert_eq!((fault.key.as_str(), fault.level), ("wanted_unread", Level::Warn), "counts alone are lost");
            std::fs::remove_file(&wanted).unwrap();
            assert_eq!(LearnedFaults::of(&config).fault(at), None);
            std::fs::remove_dir_all(&config.data_dir).unwrap();
        }
    }

    #[test]
    fn what_was_learned_is_followed_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "versions = [\"9.0.0\"]\n");
        std::fs::create_dir(&config.data_dir).unwrap();
        let at = Timestamp::from_micros(DAY);
        for feed in ["elastic/9.0.0", "elastic/9.1.0"] {
            let _ = book(&config).learn(&feed.parse().unwrap(), proxy::Why::Pattern, at, 1).unwrap();
        }
        let feeds: Vec<String> = followed(&config).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(feeds, ["elastic/9.0.0", "elastic/9.1.0"]);
    }
}
