//! What is to be done to one folder, and in which order over all. Pure.

use crate::survey::{Asked, Seen};

/// What is to be done to a folder. In the order in which it is done over all folders: what is referred to comes before
/// what refers to it, and goes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// Nothing but modes.
    Keep,
    /// Made beside, whole, and named; there is none yet.
    Build,
    /// Files are added one by one.
    Add,
    /// As [`Act::Swap`], for what was altered: the release is the same.
    Mend,
    /// Made anew beside, whole, and exchanged at one stroke.
    Swap,
    /// Files are replaced one by one: folders of the tree lie below.
    Replace,
    /// Files go one by one.
    Remove,
    /// All of it goes at one stroke.
    Retire,
}

/// What is to be done to a folder of which this was asked and seen.
pub(crate) fn act(asked: &Asked, seen: &Seen, has_below: bool) -> Act {
    let mended = seen.replace.values().all(|(_, had)| *had);
    match () {
        () if !seen.replace.is_empty() && has_below => Act::Replace,
        () if !seen.replace.is_empty() && mended => Act::Mend,
        () if !seen.replace.is_empty() => Act::Swap,
        () if !seen.put.is_empty() && !seen.is_there && !has_below => Act::Build,
        () if !seen.put.is_empty() => Act::Add,
        () if seen.drop.is_empty() => Act::Keep,
        () if asked.want.is_empty() && !has_below && seen.foreign.is_empty() && seen.strange.is_empty() => Act::Retire,
        () => Act::Remove,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{Digest, Route, Timestamp};

    use super::*;

    fn route() -> Route {
        let feed = "defender/linux/production/x86_64".parse().unwrap();
        Route { digest: Digest::of(b"zip"), size: 3, feed, since: Timestamp::from_micros(1), until: None }
    }

    #[test]
    fn each_state_of_a_folder_has_its_act() {
        let want = Asked { want: BTreeMap::from([("a".to_owned(), route())]), ..Asked::default() };
        let none = Asked::default();
        let there = Seen { is_there: true, ..Seen::default() };
        let put = Seen { put: BTreeMap::from([("a".to_owned(), route())]), ..Seen::default() };
        let add = Seen { is_there: true, ..put.clone() };
        let replace = |had| Seen { replace: BTreeMap::from([("a".to_owned(), (route(), had))]), ..there.clone() };
        let drop = Seen { drop: ["b".to_owned()].into(), ..there.clone() };
        let visited = Seen { foreign: vec!["mine".into()], ..drop.clone() };
        for (asked, seen, has_below, expected) in [
            (&want, &there, false, Act::Keep),
            (&want, &put, false, Act::Build),
            (&want, &put, true, Act::Add),
            (&want, &add, false, Act::Add),
            (&want, &replace(false), false, Act::Swap),
            (&want, &replace(true), false, Act::Mend),
            (&want, &replace(true), true, Act::Replace),
            (&want, &drop, false, Act::Remove),
            (&none, &drop, false, Act::Retire),
            (&none, &drop, true, Act::Remove),
            (&none, &visited, false, Act::Remove),
        ] {
            assert_eq!(act(asked, seen, has_below), expected, "{seen:?} {has_below}");
        }
        assert!(Act::Build < Act::Swap && Act::Add < Act::Swap && Act::Mend < Act::Swap && Act::Swap < Act::Remove);
    }
}
