//! Blobs: that all that something refers to is held as it should be.

use std::collections::BTreeMap;

use blob_store::{BlobStore, Verification};
use catalog::{ReleaseFilter, ReleaseRecord};
use model::{Digest, Reason, ReleaseState, error_chain};

use super::report::{CheckProgress, Depth, Findings, LeftoverOf};
use super::window::{Seen, Wanted, Window};
use super::{asked, catalog};
use crate::Engine;

/// How many faulty blobs are looked into again; the rest are counted.
const SUSPECTS: usize = 2000;
/// How many users of a faulty blob are named.
const USERS: usize = 3;

/// Blobs that seem faulty, and who uses them.
type Suspects = BTreeMap<Digest, Suspect>;

struct Suspect {
    size: u64,
    reason: Reason,
    detail: String,
    users: Vec<String>,
    more: usize,
}

impl Engine {
    pub(super) async fn check_blobs(&self, findings: &mut Findings, each: &(dyn Fn(CheckProgress) + Send + Sync)) {
        let mut suspects = Suspects::new();
        let mut from = None;
        loop {
            let mut window = Window::new(from);
            self.gather(&mut window, findings, from.is_none()).await;
            window.close();
            self.survey(&mut window, findings, from.is_none()).await;
            self.judge(&window, findings, &mut suspects, each).await;
            from = window.next();
            if from.is_none() {
                break;
            }
        }
        self.look_again(suspects, findings).await;
    }

    /// Notes all that rings and releases refer to.
    async fn gather(&self, window: &mut Window, findings: &mut Findings, first: bool) {
        self.each_route(&mut |digest, size, _| window.want(Wanted { digest, size, needed: true })).await;
        for state in [ReleaseState::Admitted, ReleaseState::Quarantined, ReleaseState::Rejected] {
            let needed = state != ReleaseState::Rejected;
            let mut releases = 0;
            let mut each = |found: ReleaseRecord| {
                releases += 1;
                for item in &found.release.items {
                    window.want(Wanted { digest: item.digest, size: item.size, needed });
                }
            };
            asked(findings, catalog(self).visit_releases(&filter(state), &mut each)).await;
            if first && needed {
                findings.report.releases += releases;
            }
        }
    }

    /// Shows every route of every ring. What cannot be read was told with the rings.
    async fn each_route(&self, each: &mut (dyn FnMut(Digest, u64, String) + Send)) {
        for ring in self.ports.rings.rings().await.unwrap_or_default() {
            let Ok(Some(current)) = self.ports.rings.current(&ring).await else { continue };
            for (path, route) in &current.generation.routes {
                each(route.digest, route.size, format!("{path} in ring {ring}"));
            }
        }
    }

    async fn survey(&self, window: &mut Window, findings: &mut Findings, first: bool) {
        let mut take = |found: blob_store::Found| {
            if !window.see(&found)
                && let blob_store::Found::Blob { digest, size, .. } = &found
            {
                findings.left(LeftoverOf::Unreferenced, *size, || digest.to_string());
            } else if first {
                findings.found(found);
            }
        };
        if let Err(error) = self.ports.blobs.survey(&mut take).await {
            findings.fault(Reason::StoreFailed, "blobs", error_chain(&error));
        }
    }

    async fn judge(
        &self,
        window: &Window,
        findings: &mut Findings,
        suspects: &mut Suspects,
        each: &(dyn Fn(CheckProgress) + Send + Sync),
    ) {
        let good = || window.all().filter(|(wanted, seen)| wanted.needed && *seen == Seen::Good);
        findings.report.blobs += good().count() as u64;
        let bytes = good().fold(0, |sum: u64, (wanted, _)| sum.saturating_add(wanted.size));
        findings.report.bytes = findings.report.bytes.saturating_add(bytes);
        let rehash = findings.report.depth == Depth::Rehash;
        if rehash {
            let spared = window.all().filter(|(wanted, seen)| !wanted.needed && *seen == Seen::Good);
            each(CheckProgress::Expected(spared.fold(bytes, |sum, (wanted, _)| sum.saturating_add(wanted.size))));
        }
        for (wanted, seen) in window.all() {
            let wrong = match seen {
                // What was rejected may be gone; what is held of it may be let in again.
                Seen::Not if !wanted.needed => None,
                Seen::Good if rehash => {
                    let wrong = self.wrong_bytes(wanted).await;
                    each(CheckProgress::Read(wanted.size));
                    wrong
                }
                Seen::Good => None,
                Seen::Not => Some(missing()),
                Seen::Size(size) => Some(wrong_size(wanted.size, size)),
                Seen::Doubt(what) => Some((Reason::UnsafeFile, what.to_owned())),
            };
            let Some((reason, detail)) = wrong else { continue };
            if suspects.len() >= SUSPECTS {
                findings.report.more_faults += 1;
                continue;
            }
            let suspect = Suspect { size: wanted.size, reason, detail, users: Vec::new(), more: 0 };
            suspects.insert(wanted.digest, suspect);
        }
    }

    async fn wrong_bytes(&self, wanted: Wanted) -> Option<(Reason, String)> {
        match self.ports.blobs.verify(wanted.digest).await {
            Ok(Verification::Good(held)) if held.size() == wanted.size => None,
            Ok(Verification::Good(held)) => Some(wrong_size(wanted.size, held.size())),
            Ok(Verification::Absent) => wanted.needed.then(missing),
            Ok(Verification::Damaged { actual, .. }) => {
                Some((Reason::BlobDamaged, format!("its bytes hash to {actual}")))
            }
            Err(error) if error.is_damage() => {
                Some((Reason::BlobDamaged, format!("it cannot be read: {}", error_chain(&error))))
            }
            Err(error) => Some((error.reason(), format!("it cannot be read now: {}", error_chain(&error)))),
        }
    }

    /// Tells what is still wrong: a run may have let go, or fetched again, what seemed faulty.
    async fn look_again(&self, mut suspects: Suspects, findings: &mut Findings) {
        if suspects.is_empty() {
            return;
        }
        let mut used = |digest: Digest, user: String| {
            let Some(suspect) = suspects.get_mut(&digest) else { return };
            if suspect.users.len() < USERS { suspect.users.push(user) } else { suspect.more += 1 }
        };
        self.each_route(&mut |digest, _, user| used(digest, user)).await;
        for state in [ReleaseState::Admitted, ReleaseState::Quarantined, ReleaseState::Rejected] {
            let rejected = if state == ReleaseState::Rejected { ", which was rejected" } else { "" };
            let mut each = |found: ReleaseRecord| {
                let of = |route: &model::RoutePath| format!("{route} of release {}{rejected}", found.number);
                found.release.items.iter().for_each(|item| used(item.digest, of(&item.route)));
            };
            asked(findings, catalog(self).visit_releases(&filter(state), &mut each)).await;
        }
        for (digest, suspect) in suspects.into_iter().filter(|(_, suspect)| !suspect.users.is_empty()) {
            if still_wrong(self.ports.blobs.as_ref(), digest, &suspect).await {
                let more = if suspect.more > 0 { format!(" and {} more", suspect.more) } else { String::new() };
                let detail = format!("{}; used by {}{more}", suspect.detail, suspect.users.join(", "));
                findings.fault(suspect.reason, format!("blob {digest}"), detail);
                if suspect.reason == Reason::BlobDamaged {
                    findings.report.damaged.push(digest);
                }
            }
        }
    }
}

fn filter(state: ReleaseState) -> ReleaseFilter {
    ReleaseFilter { state: Some(state), ..ReleaseFilter::default() }
}

fn missing() -> (Reason, String) {
    (Reason::BlobMissing, "it is not held".to_owned())
}

fn wrong_size(should: u64, has: u64) -> (Reason, String) {
    (Reason::BlobDamaged, format!("it has {has} bytes and should have {should}"))
}

/// Only what a run can have changed is asked again.
async fn still_wrong(blobs: &dyn BlobStore, digest: Digest, suspect: &Suspect) -> bool {
    let cheap = matches!(blobs.find(digest).await, Ok(Some(held)) if held.size() == suspect.size);
    if !cheap {
        return true;
    }
    matches!(suspect.reason, Reason::BlobDamaged | Reason::StoreFailed)
        && !matches!(blobs.verify(digest).await, Ok(Verification::Good(held)) if held.size() == suspect.size)
}
