//! The conversation between the engine and a vendor's module.

use std::io::{Read, Seek};

use bytes::Bytes;
use model::{Digest, Exchange, FeedId, Held, Note, Release, Timestamp, Vendor, VendorVersion};
use trust::Proposal;

use crate::{defender, elastic};

/// Where a feed's bytes come from in this run; a vendor's module may speak differently to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// The vendor's hosts, over HTTP.
    Vendor,
    /// A folder that a person brought, laid out as the vendor's own tools lay it out.
    Folder,
}

/// What to ask a source for: appended to the origin's base URL, or a path below the folder's root. Starts with
/// `/` or `?`, and is made by a vendor's module out of its own constants, a feed's name and proven routes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target(pub String);

/// What makes a request conditional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// The ETag, verbatim.
    pub etag: Option<String>,
    /// The Last-Modified, verbatim.
    pub last_modified: Option<String>,
}

/// A small document to be read into memory.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where it is.
    pub target: Target,
    /// The most bytes it may have.
    pub cap: u64,
    /// Asked only if it changed since.
    pub unless: Option<Validator>,
}

/// Where a wanted file's bytes come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// They are here already: a manifest that was read, a companion that was written.
    Bytes(Bytes),
    /// They are to be fetched.
    Target(Target),
}

/// A file to be held.
#[derive(Clone, Debug)]
pub struct Want {
    /// Where its bytes come from.
    pub source: Source,
    /// Its digest, where the vendor says it.
    pub digest: Option<Digest>,
    /// Its size, where the vendor says it.
    pub size: Option<u64>,
    /// The most bytes it may have.
    pub cap: u64,
}

/// The document that an [`Ask`] brought.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its bytes.
    pub body: Bytes,
    /// How it came; none from a folder.
    pub exchange: Option<Exchange>,
}

/// A file that a [`Want`] brought.
#[derive(Clone, Debug)]
pub struct FetchedItem {
    /// The bytes, held.
    pub held: Held,
    /// How they came; none from a folder, from memory, or when they were held already.
    pub exchange: Option<Exchange>,
}

/// What happened. Failures of the network, the disk and the store never reach a session: the engine retries
/// and, in the end, fails the feed with its own reason.
#[derive(Clone, Debug)]
pub enum Event {
    /// The session begins.
    Start,
    /// The document asked for.
    Answered(Answer),
    /// The document has not changed.
    NotModified,
    /// The files wanted, in the order of the wants.
    Fetched(Vec<FetchedItem>),
    /// Every inspection went well; what weakens the set.
    Inspected(Vec<Note>),
}

/// Bytes that can be read at any place.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek + ?Sized> ReadSeek for T {}

/// Looks into held bytes. Runs on a thread of its own, may take seconds, keeps nothing large in memory.
pub trait Inspection: Send + Sync + std::fmt::Debug {
    /// Two inspections of the same bytes with the same key have the same result: the second is not run.
    fn key(&self) -> String;
    /// Looks.
    ///
    /// # Errors
    /// The note on which the set is refused.
    fn inspect(&self, bytes: &mut dyn ReadSeek) -> Result<Vec<Note>, Note>;
}

/// What the vendor says it offers, as soon as the session knows: for plans and reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What the vendor calls it.
    pub vendor_version: VendorVersion,
    /// When the vendor says it was published, where it says so.
    pub vendor_time: Option<Timestamp>,
}

/// Why a session refuses what the vendor offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, and on what.
    pub note: Note,
    /// Whether the same conversation may go well if begun anew at once (the vendor published in between).
    pub again: bool,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Read a document and come back with [`Event::Answered`] or, if it was conditional, [`Event::NotModified`].
    Ask(Ask),
    /// Hold these files and come back with [`Event::Fetched`].
    Fetch(Vec<Want>),
    /// Look into held bytes and come back with [`Event::Inspected`].
    Inspect(Vec<(Held, Box<dyn Inspection>)>),
    /// The set is complete and proven in itself.
    Propose(Box<Proposal>),
    /// What the vendor offers is what the memory holds.
    Unchanged,
    /// What the vendor offers is no good.
    Refuse(Refusal),
}

/// What an earlier run left.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The validator of the document asked for first, if its verdict still stands.
    pub validator: Option<Validator>,
    /// The release that the last verdict speaks of, if that verdict still stands.
    pub release: Option<Release>,
}

/// One run of one feed.
pub trait Session: Send {
    /// What to do next, now that this happened.
    fn next(&mut self, event: Event) -> Step;
    /// What the vendor offers, once known.
    fn offered(&self) -> Option<Offered>;
    /// Every file that the manifest read in this run names, with the digest that it says; empty until it was read, and
    /// where the vendor has none.
    fn named(&self) -> Vec<(model::RoutePath, model::Digest)> {
        Vec::new()
    }
    /// The answers that brought files which this session takes as held: they vouch for what it proposes, too.
    fn brought(&self) -> Vec<model::Exchange> {
        Vec::new()
    }
}

/// The settings that vendors' modules depend on.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Elastic's.
    pub elastic: elastic::ElasticSettings,
    /// Defender's.
    pub defender: defender::DefenderSettings,
}

/// A place where a feed may lie.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it is remembered by, once the vendor has answered there; none where it is known.
    pub name: Option<String>,
    /// Settings under which the feed lies there.
    pub settings: Settings,
}

/// One vendor's module.
pub trait VendorModule: Send + Sync {
    /// Whose.
    fn vendor(&self) -> Vendor;
    /// Whether a feed of this vendor can be followed; if not, why, for the operator.
    fn supports(&self, feed: &FeedId) -> Result<(), String>;
    /// Whether these settings say all that following the feed takes; if not, what is missing, for the operator.
    ///
    /// # Errors
    /// What is missing, in words.
    fn configured(&self, feed: &FeedId, _settings: &Settings) -> Result<(), String> {
        self.supports(feed)
    }
    /// A digest of the settings that a verdict depends on, so that a stored validator is not used after they
    /// changed.
    fn policy(&self, settings: &Settings) -> String;
    /// Begins a run of a feed.
    fn session(&self, feed: &FeedId, settings: &Settings, source: SourceKind, memory: Memory) -> Box<dyn Session>;
    /// The feeds whose files lie in a folder, by asking whether paths exist in it and listing folders of it; those that
    /// are `followed` are looked for wherever the settings say that they may lie. Where one lies at a place that the
    /// settings do not know, the place is added to them, behind those that they know.
    fn find_in_folder(&self, folder: &dyn FolderView, followed: &[FeedId], settings: &mut Settings) -> Vec<FeedId>;
    /// The routes of an earlier release of a feed that are served beside its current one, where the vendor's
    /// layout has such (`_back`): the item's route there, for an item of the earlier release.
    fn back_route(&self, feed: &FeedId, route: &model::RoutePath) -> Option<model::RoutePath>;
    /// Whether every release of a feed lies at the same addresses as the one before, so that superseding one
    /// takes its addresses by design.
    fn fixed_addresses(&self) -> bool {
        false
    }
    /// The places where a feed may lie, most likely first, where its place is not published; empty where it is known, or
    /// nothing can be said.
    fn places(&self, _feed: &FeedId, _settings: &Settings) -> Vec<Place> {
        Vec::new()
    }
    /// Whether what a feed serves makes room, path by path, for what other feeds have there.
    fn makes_room(&self, _feed: &FeedId) -> bool {
        false
    }
    /// The bases of those routes.
    fn back_bases(&self, feed: &FeedId) -> Vec<model::RoutePath>;
    /// The files that a release of the feed consists of, as far as the layout tells: where a manifest may lie, among
    /// others. With a manifest that lay at a route, all that belongs to a release together with it.
    fn files(
        &self,
        _feed: &FeedId,
        _settings: &Settings,
        _manifest: Option<(&model::RoutePath, &[u8])>,
    ) -> Vec<(model::RoutePath, model::ItemKind)> {
        Vec::new()
    }
}

/// What a folder holds, for [`VendorModule::find_in_folder`].
pub trait FolderView {
    /// The names in a folder below the root (`/` or `/a/b`), at most 10,000; empty if there is none.
    fn list(&self, path: &str) -> Vec<String>;
    /// Whether a plain file lies at a path below the root.
    fn has_file(&self, path: &str) -> bool;
}

/// The module of a vendor.
pub fn registry(vendor: Vendor) -> &'static dyn VendorModule {
    match vendor {
        Vendor::Elastic => &elastic::Elastic,
        Vendor::Defender => &defender::Defender,
    }
}
