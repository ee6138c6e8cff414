//! Reservations and sweeps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use model::{Digest, ReleaseState};
use tokio::sync::{Mutex, Notify};

use super::sample::{at, blob, put, release};
use crate::{Batch, Catalog, CatalogError, Remover, Sweep};

/// Remembers what it was told to remove, and refuses one blob.
#[derive(Default)]
struct Removed {
    digests: Mutex<Vec<Digest>>,
    refuses: Option<Digest>,
}

#[async_trait]
impl Remover for Removed {
    async fn remove(&self, digest: &Digest) -> io::Result<()> {
        if self.refuses == Some(*digest) {
            return Err(io::Error::other("the disk says no"));
        }
        self.digests.lock().await.push(*digest);
        Ok(())
    }
}

async fn swept(catalog: &dyn Catalog, candidates: &[Digest]) -> Vec<Digest> {
    let removed = Removed::default();
    let sweep = catalog.sweep(candidates, &|_| false, &removed).await.unwrap();
    let digests = removed.digests.into_inner();
    assert_eq!((sweep.removed as usize, sweep.removed + sweep.kept), (digests.len(), candidates.len() as u64));
    digests
}

/// A blob goes only when no admitted or quarantined release names it, nobody reserves it, and it is not held
/// otherwise.
pub async fn a_sweep_keeps_what_is_in_use_s26(catalog: &dyn Catalog) {
    for (content, state) in [
        ("admitted", ReleaseState::Admitted),
        ("quarantined", ReleaseState::Quarantined),
        ("rejected", ReleaseState::Rejected),
        ("expired", ReleaseState::Expired),
    ] {
        put(catalog, &release("elastic/9.0.0", &[content, "shared by all"]), state).await;
    }
    put(catalog, &release("elastic/8.0.0", &["was let go", "only of the old"]), ReleaseState::Expired).await;
    catalog.reserve("run-1", &[blob("reserved"), blob("expired and reserved")]).await.unwrap();

    let candidates = [
        "admitted",
        "quarantined",
        "rejected",
        "expired",
        "shared by all",
        "only of the old",
        "reserved",
        "stray",
        "held by a generation",
    ]
    .map(blob);
    let removed = Removed::default();
    let generation = blob("held by a generation");
    let sweep = catalog.sweep(&candidates, &|digest| *digest == generation, &removed).await.unwrap();
    let mut gone = removed.digests.into_inner();
    gone.sort();
    let mut expected = ["rejected", "expired", "only of the old", "stray"].map(blob).to_vec();
    expected.sort();
    assert_eq!(gone, expected);
    assert_eq!(sweep, Sweep { removed: 4, kept: 5 });

    // What a release is let go of goes with the next sweep.
    let states = vec![(release("elastic/9.0.0", &["admitted", "shared by all"]).id, ReleaseState::Expired, at(3))];
    catalog.apply(Batch { states, ..Batch::default() }).await.unwrap();
    assert_eq!(swept(catalog, &[blob("admitted"), blob("shared by all")]).await, [blob("admitted")]);
    assert!(swept(catalog, &[]).await.is_empty());
}

/// Each holder's reservations stand for themselves and go with it.
pub async fn reservations_end_with_their_holder(catalog: &dyn Catalog) {
    let (one, both, two) = (blob("one"), blob("both"), blob("two"));
    catalog.reserve("run-1", &[one, both, both]).await.unwrap();
    catalog.reserve("run-2", &[both, two]).await.unwrap();
    catalog.reserve("run-2", &[two]).await.unwrap();
    catalog.reserve("run-3", &[]).await.unwrap();
    let all = [one, both, two];
    assert!(swept(catalog, &all).await.is_empty());
    catalog.unreserve(Some("run-3")).await.unwrap();
    catalog.unreserve(Some("run-1")).await.unwrap();
    assert_eq!(swept(catalog, &all).await, [one]);
    catalog.unreserve(None).await.unwrap();
    assert_eq!(swept(catalog, &all).await, all);
}

/// More than fits into one step, the kept ones among them.
pub async fn a_large_sweep_counts_every_blob(catalog: &dyn Catalog) {
    let candidates: Vec<Digest> = (0..450).map(|number| blob(&format!("blob-{number}"))).collect();
    let reserved: Vec<Digest> = candidates.iter().copied().step_by(10).collect();
    catalog.reserve("run-1", &reserved).await.unwrap();
    let gone = swept(catalog, &candidates).await;
    assert_eq!(gone.len(), 405);
    assert!(gone.iter().all(|digest| !reserved.contains(digest)));
}

/// An error of the remover is told; what comes after works.
pub async fn a_failed_removal_ends_the_sweep(catalog: &dyn Catalog) {
    let remover = Removed { refuses: Some(blob("stuck")), ..Removed::default() };
    let result = catalog.sweep(&[blob("stuck"), blob("loose")], &|_| false, &remover).await;
    assert!(matches!(result, Err(CatalogError::Remove(_))));
    catalog.reserve("run-1", &[blob("loose")]).await.unwrap();
    assert!(swept(catalog, &[blob("loose")]).await.is_empty());
}

/// How long a reservation is given to come through where it must not.
const CHANCE: Duration = Duration::from_millis(150);

/// Says when a removal has begun, and gives a reservation the chance to come through before it ends.
#[derive(Default)]
struct Slow {
    begun: Notify,
    reserved: Notify,
    overtaken: AtomicBool,
}

#[async_trait]
impl Remover for Slow {
    async fn remove(&self, _: &Digest) -> io::Result<()> {
        self.begun.notify_one();
        let reserved = tokio::time::timeout(CHANCE, self.reserved.notified()).await;
        self.overtaken.store(reserved.is_ok(), Ordering::SeqCst);
        Ok(())
    }
}

/// Who reserves a blob while it is being removed is told only when it is gone, and then finds it gone.
pub async fn reservations_wait_for_a_sweep_s26(sweeping: Arc<dyn Catalog>, fetching: Arc<dyn Catalog>) {
    let remover = Arc::new(Slow::default());
    let slow = Arc::clone(&remover);
    let fetch = tokio::spawn(async move {
        slow.begun.notified().await;
        fetching.reserve("run-1", &[blob("wanted")]).await.unwrap();
        slow.reserved.notify_one();
    });
    let sweep = sweeping.sweep(&[blob("wanted")], &|_| false, remover.as_ref()).await.unwrap();
    fetch.await.unwrap();
    assert_eq!(sweep, Sweep { removed: 1, kept: 0 });
    assert!(!remover.overtaken.load(Ordering::SeqCst), "a reservation was granted in the middle of a removal");
    assert!(swept(sweeping.as_ref(), &[blob("wanted")]).await.is_empty());
}
