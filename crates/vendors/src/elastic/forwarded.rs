//! Files that endpoints asked for and that no manifest names: fetched whole, and proven by nothing but the way they
//! came.

use model::{Checked, Digest, Exchange, ItemKind, Note, Reason, RoutePath, VendorVersion};
use trust::Proposal;

use super::{ElasticSettings, forwarded_feed};
use crate::{Event, FetchedItem, Offered, Refusal, Session, Source, Step, Target, Want};

/// What `elastic/forwarded` consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Counts up with every change of what follows: the version of the release that is made of it.
    pub serial: u64,
    /// Its files.
    pub paths: Vec<ForwardedPath>,
    /// The most bytes of one file.
    pub cap: u64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedPath {
    /// Where it lies, at the vendor and here.
    pub route: RoutePath,
    /// Its digest and size, where it is to stay as it was fetched; none where it is to be fetched.
    pub held: Option<(Digest, u64)>,
    /// The answer that brought it, where it is to stay.
    pub brought: Option<Exchange>,
    /// What it is: a manifest is the copy of one that is served at another path, and is served while that is.
    pub kind: ItemKind,
}

/// One run of that feed.
pub(super) struct ForwardSession {
    forwarded: Forwarded,
    begun: bool,
}

impl ForwardSession {
    pub(super) fn new(settings: &ElasticSettings) -> Self {
        Self { forwarded: settings.forwarded.clone(), begun: false }
    }

    fn wants(&self) -> Vec<Want> {
        let want = |path: &ForwardedPath| Want {
            source: Source::Target(Target(path.route.as_str().to_owned())),
            digest: path.held.map(|(digest, _)| digest),
            size: path.held.map(|(_, size)| size),
            cap: path.held.map_or(self.forwarded.cap, |(_, size)| size),
        };
        self.forwarded.paths.iter().map(want).collect()
    }

    fn propose(&self, items: &[FetchedItem]) -> Result<Step, Note> {
        let version = format!("1.0.{}", self.forwarded.serial).parse();
        let version = version.map_err(|error| internal(format!("serial {}: {error}", self.forwarded.serial)))?;
        let feed = forwarded_feed().ok_or_else(|| internal("the feed has no name".to_owned()))?;
        if items.len() != self.forwarded.paths.len() {
            return Err(internal(format!("{} files came, {} were wanted", items.len(), self.forwarded.paths.len())));
        }
        let mut proposal = Proposal::new(feed, VendorVersion::plain(version), Checked::TransportOnly).without_bounds();
        for (path, item) in self.forwarded.paths.iter().zip(items) {
            proposal = proposal.item(path.route.clone(), item.held, path.kind);
        }
        Ok(Step::Propose(Box::new(proposal)))
    }
}

fn internal(detail: String) -> Note {
    Note { reason: Reason::Internal, detail }
}

impl Session for ForwardSession {
    fn next(&mut self, event: Event) -> Step {
        let step = match (std::mem::replace(&mut self.begun, true), event) {
            // An empty release: what was forwarded before is so no longer.
            (false, Event::Start) if self.forwarded.paths.is_empty() => self.propose(&[]),
            (false, Event::Start) => Ok(Step::Fetch(self.wants())),
            (true, Event::Fetched(items)) => self.propose(&items),
            (_, event) => Err(internal(format!("{event:?} was not asked for").chars().take(80).collect())),
        };
        step.unwrap_or_else(|note| Step::Refuse(Refusal { note, again: false }))
    }

    fn offered(&self) -> Option<Offered> {
        None
    }

    fn brought(&self) -> Vec<Exchange> {
        self.forwarded.paths.iter().filter_map(|path| path.brought.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str, held: Option<(Digest, u64)>) -> ForwardedPath {
        ForwardedPath { route: text.parse().unwrap(), held, brought: None, kind: ItemKind::Artifact }
    }

    fn session(paths: Vec<ForwardedPath>) -> ForwardSession {
        let forwarded = Forwarded { serial: 7, paths, cap: 100 };
        ForwardSession::new(&ElasticSettings { forwarded, ..ElasticSettings::default() })
    }

    #[test]
    fn what_is_held_is_asked_for_by_its_digest_alone() {
        let held = (Digest::of(b"a"), 1);
        let mut session = session(vec![path("/downloads/a", Some(held)), path("/downloads/b", None)]);
        let Step::Fetch(wants) = session.next(Event::Start) else { panic!("it fetches") };
        let told: Vec<_> = wants.iter().map(|want| (want.digest, want.size, want.cap)).collect();
        assert_eq!(told, [(Some(held.0), Some(1), 1), (None, None, 100)]);
        let Step::Refuse(refusal) = session.next(Event::Fetched(Vec::new())) else { panic!("nothing came") };
        assert_eq!(refusal.note.reason, Reason::Internal);
    }

    #[test]
    fn where_nothing_is_left_to_forward_the_release_is_empty() {
        let Step::Propose(proposal) = session(Vec::new()).next(Event::Start) else { panic!("it proposes") };
        assert_eq!(proposal.vendor_version().version.to_string(), "1.0.7");
    }
}
