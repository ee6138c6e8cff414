//! One run of one feed.
//!
//! ```text
//! vendor   Ask info → Fetch archive → Ask info → Inspect → Fetch companion → Propose
//! folder   Ask manifest.json → Fetch archive → Inspect → Fetch companion → Propose
//! ```

use model::{Checked, Digest, FeedId, Held, ItemKind, Note, Reason, VendorVersion};
use trust::Proposal;

use super::archive::Whole;
use super::info::{self, Info};
use super::place::Place;
use super::{DefenderSettings, companion};
use crate::{
    Answer, Ask, Event, FetchedItem, Inspection, Memory, Offered, Refusal, Session, Source, SourceKind, Step, Target,
    Want,
};

/// What the run waits for.
#[derive(Debug)]
enum Phase {
    Start,
    Info,
    Archive(Info),
    InfoAgain(Info, Held),
    Inspection(Info, Held),
    Companion(Info, Held, Vec<Note>),
    Over,
}

/// One run of one feed.
#[derive(Debug)]
pub(super) struct Run {
    feed: FeedId,
    place: Result<Place, String>,
    settings: DefenderSettings,
    source: SourceKind,
    known: Option<VendorVersion>,
    offered: Option<Offered>,
    phase: Phase,
}

/// Ends a run.
type Stop = Box<Step>;

impl Run {
    pub(super) fn new(feed: &FeedId, settings: &DefenderSettings, source: SourceKind, memory: Memory) -> Self {
        Self {
            feed: feed.clone(),
            place: Place::of(feed),
            settings: settings.clone(),
            source,
            known: memory.release.map(|release| release.vendor_version),
            offered: None,
            phase: Phase::Start,
        }
    }

    fn step(&mut self, event: Event) -> Result<(Step, Phase), Stop> {
        let place = self.place.clone().map_err(|why| refuse(Reason::Internal, why))?;
        match (std::mem::replace(&mut self.phase, Phase::Over), event) {
            (Phase::Start, Event::Start) => Ok((self.ask(&place)?, Phase::Info)),
            (Phase::Info, Event::Answered(answer)) => self.first(&place, &answer),
            (Phase::Archive(info), Event::Fetched(items)) => self.fetched(&place, info, &items),
            (Phase::InfoAgain(info, held), Event::Answered(answer)) => self.second(&place, info, held, &answer),
            (Phase::Inspection(info, held), Event::Inspected(notes)) => {
                let written = companion_of(&info)?;
                Ok((Step::Fetch(vec![written]), Phase::Companion(info, held, notes)))
            }
            (Phase::Companion(info, held, notes), Event::Fetched(items)) => {
                Ok((self.propose(&place, info, [held, one(&items)?.held], notes)?, Phase::Over))
            }
            (phase, event) => Err(refuse(Reason::Internal, format!("{event:?} came while the run was at {phase:?}"))),
        }
    }

    /// Asks for the versions on offer; never conditionally, because the answer's own validators say nothing
    /// about the archive.
    fn ask(&self, place: &Place) -> Result<Step, Stop> {
        let (target, cap) = match self.source {
            SourceKind::Vendor => (place.upstream_info(&self.settings), info::CAP),
            SourceKind::Folder => (Target(route(place.companion())?.as_str().to_owned()), companion::CAP),
        };
        Ok(Step::Ask(Ask { target, cap, unless: None }))
    }

    fn read(&self, answer: &Answer) -> Result<Info, Stop> {
        match self.source {
            SourceKind::Vendor => info::parse(&answer.body)
                .map_err(|what| refuse(Reason::BadInfo, format!("the version information {what}"))),
            SourceKind::Folder => companion::parse(&answer.body)
                .map(|version| Info { version, time: None })
                .map_err(|what| refuse(Reason::BadCompanion, format!("manifest.json {what}"))),
        }
    }

    fn first(&mut self, place: &Place, answer: &Answer) -> Result<(Step, Phase), Stop> {
        let info = self.read(answer)?;
        self.offered = Some(Offered { vendor_version: info.version.clone(), vendor_time: info.time });
        let target = match self.source {
            SourceKind::Vendor if self.known.as_ref() == Some(&info.version) => return Err(Box::new(Step::Unchanged)),
            SourceKind::Vendor => place.upstream_archive(&self.settings),
            // A person may bring other bytes under a version that is held: that is looked at, not skipped.
            SourceKind::Folder => Target(route(place.archive())?.as_str().to_owned()),
        };
        let want = Want { source: Source::Target(target), digest: None, size: None, cap: self.settings.archive_cap };
        Ok((Step::Fetch(vec![want]), Phase::Archive(info)))
    }

    fn fetched(&self, place: &Place, info: Info, items: &[FetchedItem]) -> Result<(Step, Phase), Stop> {
        let item = one(items)?;
        match self.source {
            SourceKind::Folder => Ok((self.inspect(place, item.held), Phase::Inspection(info, item.held))),
            SourceKind::Vendor => {
                let url = item.exchange.as_ref().and_then(|exchange| exchange.urls.last());
                url.map_or(Ok(()), |url| fits_url(url, place, &info.version))?;
                Ok((self.ask(place)?, Phase::InfoAgain(info, item.held)))
            }
        }
    }

    fn second(&self, place: &Place, info: Info, held: Held, answer: &Answer) -> Result<(Step, Phase), Stop> {
        let again = self.read(answer)?;
        if again.version != info.version {
            return Err(published(format!(
                "the vendor offered {} before the download and {} after it",
                info.version, again.version
            )));
        }
        Ok((self.inspect(place, held), Phase::Inspection(info, held)))
    }

    fn inspect(&self, place: &Place, held: Held) -> Step {
        let whole: Box<dyn Inspection> = Box::new(Whole::new(*place, &self.settings));
        Step::Inspect(vec![(held, whole)])
    }

    fn propose(&self, place: &Place, info: Info, held: [Held; 2], notes: Vec<Note>) -> Result<Step, Stop> {
        let [archive, companion] = held;
        let proposal = Proposal::new(self.feed.clone(), info.version, Checked::TransportOnly)
            .vendor_time(info.time)
            .item(route(place.archive())?, archive, ItemKind::Artifact)
            .item(route(place.companion())?, companion, ItemKind::Companion)
            .notes(notes);
        Ok(Step::Propose(Box::new(place.bases().into_iter().fold(proposal, Proposal::base))))
    }
}

impl Session for Run {
    fn next(&mut self, event: Event) -> Step {
        match self.step(event) {
            Ok((step, phase)) => {
                self.phase = phase;
                step
            }
            Err(stop) => *stop,
        }
    }

    fn offered(&self) -> Option<Offered> {
        self.offered.clone()
    }
}

fn refuse(reason: Reason, detail: String) -> Stop {
    Box::new(Step::Refuse(Refusal { note: Note { reason, detail }, again: false }))
}

/// The vendor published while the run was under way.
fn published(detail: String) -> Stop {
    Box::new(Step::Refuse(Refusal { note: Note { reason: Reason::VersionsDisagree, detail }, again: true }))
}

fn route<T>(made: Option<T>) -> Result<T, Stop> {
    made.ok_or_else(|| refuse(Reason::Internal, "a route of our own making is no route".to_owned()))
}

fn one(items: &[FetchedItem]) -> Result<&FetchedItem, Stop> {
    match items {
        [item] => Ok(item),
        _ => Err(refuse(Reason::Internal, format!("one file was wanted, {} came", items.len()))),
    }
}

fn companion_of(info: &Info) -> Result<Want, Stop> {
    let engine = route(info.version.engine.as_ref())?;
    let bytes = companion::write(engine, &info.version.version);
    let size = bytes.len() as u64;
    Ok(Want { digest: Some(Digest::of(&bytes)), size: Some(size), cap: size, source: Source::Bytes(bytes) })
}

/// The content's own URL names the versions (and the system) of what it gives, where it names any.
fn fits_url(url: &str, place: &Place, version: &VendorVersion) -> Result<(), Stop> {
    let without_fragment = url.split('#').next().unwrap_or_default();
    let query = without_fragment.split_once('?').map(|(_, query)| query).unwrap_or_default();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let (key, value) = (key.to_ascii_lowercase(), decoded(value));
        let truth = match key.as_str() {
            _ if value.is_empty() => continue,
            "packageversion" => Some(version.version.as_str()),
            "engineversion" => version.engine.as_ref().map(|engine| engine.as_str()),
            "ostype" if value.eq_ignore_ascii_case(place.platform.as_str()) => continue,
            "ostype" if OTHER_SYSTEMS.iter().any(|other| value.eq_ignore_ascii_case(other)) => {
                let detail = format!("the archive's URL is for {value}, the feed is for {}", place.platform.as_str());
                return Err(refuse(Reason::RedirectRefused, detail));
            }
            _ => continue,
        };
        if truth.is_some_and(|truth| truth != value) {
            let shown: String = value.chars().take(64).flat_map(char::escape_default).collect();
            return Err(published(format!("the vendor offered {version}, the archive's URL says {key}={shown}")));
        }
    }
    Ok(())
}

/// Systems that the content hosts name; others are left alone.
const OTHER_SYSTEMS: [&str; 3] = ["linux", "mac", "windows"];

/// A query's value without percent-encoding. What is no UTF-8 then is no version either.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
