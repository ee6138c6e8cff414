//! Old entries, and what goes with them.

use model::{Digest, ReleaseState, RingName, Timestamp};
use serde_json::json;

use super::sample::{at, blob, entry, put, release, tell};
use crate::{
    Anchor, Batch, Catalog, EntryKind, NewEntry, Prune, Publication, ReleaseFilter, prove_chain, verify_chain,
};

async fn anchor(catalog: &dyn Catalog, seq: u64) -> Anchor {
    let digest = catalog.history(seq, 1).await.unwrap()[0].digest;
    Anchor { seq, digest }
}

fn pruning(through: Anchor) -> Batch {
    let told = NewEntry { kind: EntryKind::Pruned, data: json!({ "through": through }), ..entry("history") };
    let prune = Prune { through, releases: Vec::new(), publications_until: Timestamp::from_micros(i64::MIN) };
    Batch { history: vec![told], prune: Some(prune), ..Batch::default() }
}

/// The chain begins behind the last entry that was let go, and says so; twice over as well.
pub async fn old_entries_go_behind_an_anchor(catalog: &dyn Catalog) {
    tell(catalog, &["a", "b", "c", "d", "e"]).await;
    for (seq, left) in [(2, vec![3, 4, 5, 6]), (5, vec![6, 7]), (6, vec![7, 8])] {
        let through = anchor(catalog, seq).await;
        catalog.apply(pruning(through)).await.unwrap();
        let seqs: Vec<u64> = catalog.history(1, 9).await.unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, left);
        let mut seen = Vec::new();
        let proven = prove_chain(catalog, &mut |entry| seen.push(entry.seq)).await.unwrap();
        assert_eq!((proven.anchor, proven.head.seq, proven.since), (Some(through), left[left.len() - 1], Some(at(5))));
        assert_eq!(seen, left);
    }
    tell(catalog, &["f"]).await;
    assert_eq!(verify_chain(catalog).await.unwrap().seq, 9, "it goes on");
}

/// Another entry than was meant, or all there is: then nothing goes, and nothing else of the batch goes in.
pub async fn what_is_not_as_meant_is_not_let_go(catalog: &dyn Catalog) {
    tell(catalog, &["a", "b", "c"]).await;
    let other = Anchor { seq: 2, digest: Digest::of(b"other") };
    let beyond = Anchor { seq: 9, digest: Digest::of(b"other") };
    for through in [other, beyond, Anchor { seq: 0, digest: Digest::from_bytes([0; 32]) }] {
        assert!(catalog.apply(pruning(through)).await.is_err(), "{through:?}");
    }
    let all = anchor(catalog, 3).await;
    let bare = Batch { history: Vec::new(), ..pruning(all) };
    assert!(catalog.apply(bare).await.is_err(), "nothing would be left");
    assert_eq!(verify_chain(catalog).await.unwrap().seq, 3);
    assert_eq!(catalog.history(1, 9).await.unwrap().len(), 3);
}

/// Releases that stand, the newest number, and publications that are open or closed later stay.
pub async fn what_was_let_go_takes_only_what_is_over(catalog: &dyn Catalog) {
    let states = [ReleaseState::Expired, ReleaseState::Rejected, ReleaseState::Admitted, ReleaseState::Quarantined];
    let mut ids = Vec::new();
    for (content, state) in ["a", "b", "c", "d", "newest"].into_iter().zip(states.into_iter().cycle()) {
        let made = release("elastic/9.0.0", &[content, "shared"]);
        put(catalog, &made, state).await;
        ids.push(made.id);
    }
    let publication = |number, closed: Option<i64>| Publication {
        ring: RingName::broad(),
        number,
        digest: blob("generation"),
        opened_at: at(1),
        closed_at: closed.map(at),
    };
    let publications = vec![publication(1, Some(5)), publication(2, Some(9)), publication(3, None)];
    catalog.apply(Batch { publications, ..Batch::default() }).await.unwrap();
    tell(catalog, &["a", "b"]).await;
    let mut batch = pruning(anchor(catalog, 1).await);
    let prune = batch.prune.as_mut().unwrap();
    prune.releases = ids.clone();
    prune.publications_until = at(5);
    catalog.apply(batch).await.unwrap();
    let left: Vec<u64> =
        catalog.releases(&ReleaseFilter::default()).await.unwrap().iter().map(|record| record.number).collect();
    assert_eq!(left, [5, 4, 3]);
    assert!(catalog.release(&ids[0]).await.unwrap().is_none() && catalog.find_releases("1").await.unwrap().is_empty());
    let again = release("elastic/9.0.0", &["again"]);
    put(catalog, &again, ReleaseState::Admitted).await;
    assert_eq!(catalog.release(&again.id).await.unwrap().unwrap().number, 6);
    let open: Vec<u64> = catalog.open_publications().await.unwrap().iter().map(|open| open.number).collect();
    assert_eq!(open, [3]);
    let mut faults = 0;
    catalog.examine(&mut |_| faults += 1).await.unwrap();
    assert_eq!(faults, 0, "no index of blobs without its release");
}
