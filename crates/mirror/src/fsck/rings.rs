//! Rings and catalog, and that they agree.

use std::collections::BTreeSet;

use blob_store::{PointerState, RingState};
use catalog::FeedRecord;
use model::{FeedId, Generation, Reason, Release, ReleaseState, RingName, ServedFeed, error_chain};

use super::report::{Findings, LeftoverOf};
use super::{asked, catalog};
use crate::Engine;

impl Engine {
    pub(super) async fn check_rings(&self, findings: &mut Findings) {
        let rings = match self.ports.rings.rings().await {
            Ok(rings) => rings,
            Err(error) => return findings.fault(Reason::StoreFailed, "rings", error_chain(&error)),
        };
        let open = self.open_numbers(findings).await;
        for (ring, number) in &open {
            findings.left(LeftoverOf::OpenPublication, 0, || format!("rings/{ring}/generation-{number}"));
        }
        let records = asked(findings, catalog(self).feeds()).await.unwrap_or_default();
        match self.contradiction().await {
            Ok(Some(note)) if note.reason != Reason::GenerationDamaged => {
                findings.fault(note.reason, format!("rings/{}", self.settings.ring), note.detail);
            }
            // Its files are looked at one by one.
            Ok(_) => {}
            // Both are looked at, and told, by themselves.
            Err(error) => tracing::debug!(error = %error_chain(&error), "ring and history could not be compared"),
        }
        for ring in rings {
            findings.report.rings += 1;
            let state = match self.ports.rings.inspect(&ring).await {
                Ok(state) => state,
                Err(error) => {
                    findings.fault(Reason::StoreFailed, format!("rings/{ring}"), error_chain(&error));
                    continue;
                }
            };
            let served = match self.ports.rings.current(&ring).await {
                Ok(served) => served.map(|current| current.generation),
                Err(error) => {
                    findings.fault(Reason::GenerationDamaged, format!("rings/{ring}"), error_chain(&error));
                    None
                }
            };
            check_files(&ring, state, served.as_ref(), &open, findings);
            if let Some(generation) = served {
                findings.report.routes += generation.routes.len();
                self.check_served(&generation, &records, findings).await;
            }
        }
    }

    /// What a ring serves is recorded as admitted, and served whole.
    async fn check_served(&self, generation: &Generation, records: &[FeedRecord], findings: &mut Findings) {
        for (feed, served) in &generation.feeds {
            let subject = || format!("{feed} in ring {}", generation.ring);
            let ids = [Some(served.release), served.back];
            for id in ids.into_iter().flatten() {
                let Some(found) = asked(findings, catalog(self).release(&id)).await else { continue };
                match found {
                    None => findings.fault(
                        Reason::CatalogDisagrees,
                        subject(),
                        format!("release {id} is served and not recorded"),
                    ),
                    Some(found) if found.state != ReleaseState::Admitted => {
                        let detail = format!("release {id} is served and recorded as {}", found.state.as_str());
                        findings.fault(Reason::CatalogDisagrees, subject(), detail);
                    }
                    Some(found) if id == served.release => check_whole(&found.release, generation, findings),
                    Some(_) => {}
                }
            }
            if is_behind(records, feed, served) {
                findings.left(LeftoverOf::RecordBehind, 0, || feed.to_string());
            }
        }
    }
}

fn check_files(
    ring: &RingName,
    state: RingState,
    served: Option<&Generation>,
    open: &BTreeSet<(String, u64)>,
    findings: &mut Findings,
) {
    let path = format!("rings/{ring}/current");
    let newest = state.generations.last().map(|last| last.number);
    match state.pointer {
        PointerState::Good { .. } => {}
        PointerState::Bad { what, .. } => findings.fault(Reason::PointerDamaged, path, format!("it {what}")),
        // A first publication was stopped right before its pointer was written.
        PointerState::Absent if newest.is_none_or(|newest| open.contains(&(ring.as_str().to_owned(), newest))) => {}
        PointerState::Absent => findings.fault(Reason::PointerDamaged, path, "it is not there"),
    }
    let served = served.map_or(0, |generation| generation.number);
    for file in state.generations {
        findings.report.generations += 1;
        let path = || format!("rings/{ring}/generation-{}", file.number);
        match file.fault {
            _ if file.number > served && served > 0 => findings.left(LeftoverOf::Unpublished, file.size, path),
            Some(what) => findings.fault(Reason::GenerationDamaged, path(), what),
            None => {}
        }
    }
    state.others.into_iter().for_each(|found| findings.found(found));
}

/// Every file of a release that is served stands behind its path, unless another feed took the path.
fn check_whole(release: &Release, generation: &Generation, findings: &mut Findings) {
    let lacking = release.items.iter().find(|item| match generation.routes.get(&item.route) {
        Some(route) => route.digest != item.digest && route.feed == release.feed,
        None => true,
    });
    if let Some(item) = lacking {
        let subject = format!("{} in ring {}", release.feed, generation.ring);
        let detail = format!("release {} is served without {}", release.id, item.route);
        findings.fault(Reason::CatalogDisagrees, subject, detail);
    }
}

/// A crash between the pointer and the record leaves the record behind.
fn is_behind(records: &[FeedRecord], feed: &FeedId, served: &ServedFeed) -> bool {
    let mark = records.iter().find(|record| record.feed == *feed).and_then(|record| record.mark.as_ref());
    mark.is_none_or(|mark| mark.version < served.vendor_version.version)
}
