//! Releases that a ring serves and no catalog knows: what the ring remembers of them, with what it serves, is enough to
//! record them again. A release's id is the digest of its files, so that it proves what is put together here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use blob_store::{Current, StoreError};
use catalog::{Batch, NewRelease, ReleaseRecord};
use model::{
    Attestation, Checked, FeedId, Generation, ItemKind, Note, Provenance, Reason, Release, ReleaseId, ReleaseItem,
    ReleaseState, Remembered, RoutePath, ServedFeed, Trust, Verdict, error_chain,
};

use crate::heeded::denied_in;
use crate::{Engine, EngineError};

/// The most bytes of a manifest that is read to tell what belongs to its release.
const MANIFEST: u64 = 64 << 20;

/// One release that a generation names, and its files as the ring has them.
struct Named<'a> {
    feed: &'a FeedId,
    served: &'a ServedFeed,
    id: ReleaseId,
    items: Vec<ReleaseItem>,
}

impl Engine {
    /// The record of what is served of a feed: the catalog's, or what the ring tells where the catalog knows nothing. Then
    /// its number is 0.
    pub(crate) async fn served_record(
        &self,
        generation: &Generation,
        feed: &FeedId,
    ) -> Result<Option<ReleaseRecord>, EngineError> {
        let Some(served) = generation.feeds.get(feed) else { return Ok(None) };
        if let Some(known) = self.ports.catalog.release(&served.release).await? {
            return Ok(Some(known));
        }
        let items = self.files_of(generation, feed).await?;
        Ok(Some(unnumbered(Named { feed, served, id: served.release, items }.told())))
    }

    /// What the ring serves and the catalog does not know, `_back` included, as far as the ring can prove what it is.
    pub(crate) async fn unrecorded(&self) -> Result<Vec<ReleaseRecord>, EngineError> {
        let Some(Current { generation, .. }) = self.present().await? else { return Ok(Vec::new()) };
        Ok(self.proven_in(&generation, &mut BTreeSet::new()).await?.into_iter().map(unnumbered).collect())
    }

    /// Adds to a batch what the ring serves and the catalog does not know, as admitted unless it was left, and what its
    /// `kept` generations served before that is held still: what one may go back to outlives the catalog.
    pub(crate) async fn record_again(&self, kept: &[Generation], batch: &mut Batch) -> Result<(), EngineError> {
        let Some((present, earlier)) = kept.split_first() else { return Ok(()) };
        let denied = denied_in(kept);
        let mut known = BTreeSet::new();
        let mut found = self.proven_in(present, &mut known).await?;
        for earlier in earlier {
            for release in self.proven_in(earlier, &mut known).await? {
                let denied = denied.get(&release.feed).is_some_and(|denied| denied.contains(&release.id));
                if !denied && self.keeps_seat(&release).await? {
                    found.push(release);
                }
            }
        }
        // Numbers count up with the time that they were held since.
        found.sort_by_key(|release| release.held_since);
        for release in found {
            // What is served for want of another was left all the same.
            let is_denied = denied.get(&release.feed).is_some_and(|denied| denied.contains(&release.id));
            let state = if is_denied { ReleaseState::Rejected } else { ReleaseState::Admitted };
            tracing::warn!(feed = %release.feed, release = %release.id.short(), %state, "the catalog did not know what the ring serves, or served: it is recorded again");
            batch.history.push(self.verdict_entry(&release, "recorded-again", Some(state)));
            batch.releases.push(NewRelease { release, state });
        }
        Ok(())
    }

    /// What a generation names and the catalog does not know, nor is `known` already, where its files prove it.
    pub(crate) async fn proven_in(
        &self,
        generation: &Generation,
        known: &mut BTreeSet<ReleaseId>,
    ) -> Result<Vec<Release>, EngineError> {
        let mut found = Vec::new();
        for (feed, served) in &generation.feeds {
            for id in [Some(served.release), served.back].into_iter().flatten() {
                if known.contains(&id) || self.ports.catalog.release(&id).await?.is_some() {
                    continue;
                }
                if let Some(release) = self.told_in(generation, feed, id).await? {
                    known.insert(id);
                    found.push(release);
                }
            }
        }
        Ok(found)
    }

    /// A release of a feed that a generation names, where its files prove it.
    pub(crate) async fn told_in(
        &self,
        generation: &Generation,
        feed: &FeedId,
        id: ReleaseId,
    ) -> Result<Option<Release>, EngineError> {
        let Some(served) = generation.feeds.get(feed) else { return Ok(None) };
        let items = self.files_of(generation, feed).await?;
        let items = if id == served.release { items } else { back_of(generation, feed, &items) };
        let named = Named { feed, served, id, items };
        // Of what `_back` serves, files of earlier versions do not tell the version.
        let is_proven =
            ReleaseId::of(feed, &named.items) == id && (id == served.release || named.remembered().is_some());
        Ok(is_proven.then(|| named.told()))
    }

    /// The files that a generation serves of a feed's release, as far as the vendor's layout and its manifest tell.
    async fn files_of(&self, generation: &Generation, feed: &FeedId) -> Result<Vec<ReleaseItem>, EngineError> {
        let (module, settings) = (vendors::registry(feed.vendor()), self.vendor_settings());
        let item = |path: RoutePath, kind: ItemKind| {
            let route = generation.routes.get(&path).filter(|route| route.until.is_none())?;
            Some((path.clone(), ReleaseItem { route: path, digest: route.digest, size: route.size, kind }))
        };
        let laid: Vec<_> = module.files(feed, &settings, None);
        let mut items: BTreeMap<RoutePath, ReleaseItem> =
            laid.into_iter().filter_map(|(path, kind)| item(path, kind)).collect();
        let manifests: Vec<ReleaseItem> =
            items.values().filter(|item| item.kind == ItemKind::Manifest && item.size <= MANIFEST).cloned().collect();
        for manifest in manifests {
            let Some(mut reader) = whole(self.ports.blobs.open(manifest.digest).await)? else { continue };
            let mut bytes = Vec::new();
            if reader.by_ref().take(MANIFEST).read_to_end(&mut bytes).is_err() {
                continue;
            }
            let named = module.files(feed, &settings, Some((&manifest.route, &bytes)));
            items.extend(named.into_iter().filter_map(|(path, kind)| item(path, kind)));
        }
        Ok(items.into_values().collect())
    }
}

/// What is damaged tells nothing, now or later, and neither does what somebody else could have changed, until its owner or
/// mode is mended: only what rests on that file waits. What cannot be read just now for another reason is to be asked again,
/// before anything is recorded: then nobody would look any more.
pub(crate) fn whole<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    read.or_else(|error| match &error {
        StoreError::Unsafe { .. } => {
            tracing::warn!(error = %error_chain(&error), "what it tells is passed by");
            Ok(None)
        }
        _ if error.is_damage() => Ok(None),
        _ => Err(error),
    })
}

/// The files of the release in `_back` of a feed, which has the same as the one that is served.
fn back_of(generation: &Generation, feed: &FeedId, items: &[ReleaseItem]) -> Vec<ReleaseItem> {
    let module = vendors::registry(feed.vendor());
    let back = |item: &ReleaseItem| {
        let route = generation.routes.get(&module.back_route(feed, &item.route)?)?;
        Some(ReleaseItem { digest: route.digest, size: route.size, ..item.clone() })
    };
    items.iter().filter_map(back).collect()
}

impl Named<'_> {
    fn remembered(&self) -> Option<&Remembered> {
        self.served.remembers.iter().find(|known| known.release == self.id)
    }

    /// The release, as the ring tells it. Where it is a file of an earlier version, what the proof rested on is not known
    /// any more, and nothing is claimed.
    fn told(self) -> Release {
        let remembered = self.remembered().cloned().unwrap_or_else(|| Remembered {
            release: self.id,
            vendor_version: self.served.vendor_version.clone(),
            vendor_time: None,
            held_since: self.served.since,
            trust: Trust { checked: Checked::TransportOnly, attested_by: Attestation::PlainHttp },
        });
        let Remembered { release: id, vendor_version, vendor_time, held_since, trust } = remembered;
        let theirs = vendors::registry(self.feed.vendor()).back_bases(self.feed);
        let detail = "its record was lost and made again from what the ring serves".to_owned();
        let notes = vec![Note { reason: Reason::CatalogDisagrees, detail }];
        Release {
            id,
            feed: self.feed.clone(),
            vendor_version,
            vendor_time,
            items: self.items,
            bases: self.served.bases.iter().filter(|base| !theirs.contains(base)).cloned().collect(),
            verdict: Verdict { reasons: Vec::new(), notes, trust },
            provenance: Provenance::default(),
            held_since,
        }
    }
}

fn unnumbered(release: Release) -> ReleaseRecord {
    let state_since = release.held_since;
    ReleaseRecord { number: 0, release, state: ReleaseState::Admitted, state_since }
}
