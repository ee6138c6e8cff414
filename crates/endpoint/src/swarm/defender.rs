//! An update as Defender's agent does it.

use std::sync::Arc;

use model::{Digest, FeedId, Hasher};
use vendors::defender::DefenderSettings;

use super::client::{Client, Shared, Sink};
use super::elastic::{Polled, ended, refused};
use super::proof::{Copied, look};
use super::stats::Kind;
use super::wire::Head;
use crate::fetch::Validator;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Defender {
    /// `linux/production`.
    pub(super) track: String,
    /// `x86_64`.
    pub(super) arch: &'static str,
    /// Of the archive in use.
    pub(super) validator: Validator,
}

/// An archive that comes.
struct Archive {
    shared: Arc<Shared>,
    feed: String,
    hasher: Hasher,
    /// What the answer says of its identity.
    tag: Option<Digest>,
    copy: Option<Copied>,
}

impl Sink for Archive {
    fn begin(&mut self, head: &Head) {
        let text = format!("{} {:?} {:?} {}", self.feed, head.etag, head.last_modified, head.length);
        let tag = Digest::of(text.as_bytes());
        self.tag = Some(tag);
        if self.shared.proofs.is_first(tag) {
            self.copy = Copied::begin(head.length).ok();
        }
    }

    fn take(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        if self.copy.as_mut().is_some_and(|copy| copy.take(piece).is_err()) {
            self.copy = None;
        }
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        // It did not come to its end: the next copy is looked into.
        if let (Some(tag), Some(_)) = (self.tag, &self.copy) {
            self.shared.proofs.give_back(tag);
        }
    }
}

impl Defender {
    pub(super) async fn poll(&mut self, client: &mut Client) -> Polled {
        let path = format!("/{}/arch_{}/updates.zip", self.track, self.arch);
        let feed = format!("defender/{}/{}", self.track, self.arch);
        let shared = Arc::clone(&client.shared);
        let mut sink =
            Archive { shared: Arc::clone(&shared), feed: feed.clone(), hasher: Hasher::new(), tag: None, copy: None };
        let head = match client.get(&path, &self.validator, Kind::Archive, &mut sink).await {
            Ok(head) => head,
            Err(error) => return ended(error),
        };
        match head.status {
            304 => return Polled::Good,
            200 => {}
            status => return refused(client, status, &path, head.retry_after),
        }
        let digest = sink.hasher.clone().finish();
        if let (Some(copy), Some(inspection)) = (sink.copy.take(), self.inspection())
            && let Err(reason) = look(inspection, copy).await
        {
            shared.stats.error(format!("archive: {reason}"));
            return Polled::Bad;
        }
        if !sink.tag.is_none_or(|tag| shared.proofs.agrees(tag, digest)) {
            shared.stats.error("archive: other bytes under the same tag");
            return Polled::Bad;
        }
        self.validator = Validator { etag: head.etag, last_modified: head.last_modified };
        shared.stats.holds(&feed, client.number, digest, shared.now());
        Polled::Good
    }

    /// What proves an archive; none where the track's name says nothing of a system.
    fn inspection(&self) -> Option<Box<dyn vendors::Inspection>> {
        let mut parts = self.track.rsplit('/');
        let (track, platform) = (parts.next()?, parts.next()?);
        let track = track.strip_suffix("_back").unwrap_or(track);
        let feed: FeedId = format!("defender/{platform}/{track}/{}", self.arch).parse().ok()?;
        vendors::defender::inspection(&feed, &DefenderSettings::default()).ok()
    }
}
