//! Picks the releases to let go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use model::{Digest, ReleaseId, Timestamp};

/// A release as retention sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: ReleaseId,
    /// Since when it is held.
    pub held_since: Timestamp,
    /// Its blobs and their sizes.
    pub blobs: Vec<(Digest, u64)>,
    /// Whether it is served, pinned, dated, in grace or promised to somebody: never let go.
    pub protected: bool,
}

/// The releases of one vendor to let go, oldest first: those held since before `horizon`, and above so many bytes the
/// oldest, too.
pub fn expire(mut releases: Vec<Kept>, horizon: Timestamp, bytes: u64) -> Vec<ReleaseId> {
    releases.sort_by_key(|release| (release.held_since, release.id));
    let mut users: BTreeMap<Digest, (u32, u64)> = BTreeMap::new();
    for (digest, size) in releases.iter().flat_map(|release| distinct(&release.blobs)) {
        users.entry(digest).or_insert((0, size)).0 += 1;
    }
    let mut total: u64 = users.values().map(|(_, size)| *size).fold(0, u64::saturating_add);
    let mut gone = Vec::new();
    for release in releases.iter().filter(|release| !release.protected) {
        if release.held_since >= horizon && total <= bytes {
            continue;
        }
        gone.push(release.id);
        for (digest, size) in distinct(&release.blobs) {
            if let Some((count, _)) = users.get_mut(&digest) {
                *count -= 1;
                total = total.saturating_sub(if *count == 0 { size } else { 0 });
            }
        }
    }
    gone
}

fn distinct(blobs: &[(Digest, u64)]) -> BTreeSet<(Digest, u64)> {
    blobs.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    fn kept(name: u8, days_ago: u32, blobs: &[u8], protected: bool) -> Kept {
        Kept {
            id: Digest::of(&[name]).to_string().parse().unwrap(),
            held_since: now().before(DAY * days_ago),
            blobs: blobs.iter().map(|blob| (Digest::of(&[100, *blob]), 10)).collect(),
            protected,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(2_000_000_000_000_000)
    }

    #[track_caller]
    fn check(releases: &[Kept], days: u32, bytes: u64, gone: &[u8]) {
        let expected: Vec<ReleaseId> = gone.iter().map(|name| kept(*name, 0, &[], false).id).collect();
        assert_eq!(expire(releases.to_vec(), now().before(DAY * days), bytes), expected);
    }

    #[test]
    fn old_ones_go_protected_ones_stay() {
        let releases = [kept(1, 40, &[1], false), kept(2, 40, &[2], true), kept(3, 3, &[3], false)];
        check(&releases, 35, 1000, &[1]);
    }

    #[test]
    fn above_the_bytes_the_oldest_go_first() {
        let releases =
            [kept(3, 1, &[3], false), kept(1, 3, &[1], false), kept(2, 2, &[2], true), kept(4, 0, &[4], false)];
        check(&releases, 35, 25, &[1, 3]);
        check(&releases, 35, 40, &[]);
    }

    #[test]
    fn a_shared_blob_counts_once_and_frees_nothing_while_shared() {
        let releases = [kept(1, 3, &[1, 2], false), kept(2, 2, &[1, 3], false), kept(3, 1, &[1, 4], true)];
        check(&releases, 35, 30, &[1]);
    }

    #[test]
    fn a_clock_ten_years_ahead_spares_what_is_protected_s27() {
        let releases = [kept(1, 1, &[1], true), kept(2, 1, &[2], false)];
        let horizon = now().after(DAY * 3650).before(DAY * 35);
        assert_eq!(expire(releases.to_vec(), horizon, 1000), vec![kept(2, 0, &[], false).id]);
    }
}
