//! Fair turns among downloads: who asks for many files at once gets no more of a worker's time than who asks for one.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::crowd::ClientKey;

/// The least of a turn: less costs more than it sends.
const LEAST: usize = 64 * 1024;

/// How many downloads of a worker each client has under way.
#[derive(Debug, Default)]
pub(crate) struct Downloads(RefCell<HashMap<ClientKey, usize>>);

/// One download, for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    all: &'a Downloads,
    client: ClientKey,
}

impl Downloads {
    pub(crate) fn begin(&self, client: ClientKey) -> Turn<'_> {
        *self.0.borrow_mut().entry(client).or_default() += 1;
        Turn { all: self, client }
    }
}

impl Turn<'_> {
    /// How much may be sent now before others get their turn, of `most`: the client's downloads share it as soon as
    /// another client waits.
    pub(crate) fn size(&self, most: usize) -> usize {
        let clients = self.all.0.borrow();
        if clients.len() < 2 {
            return most.max(1);
        }
        (most / self.own(&clients)).max(LEAST).min(most.max(1))
    }

    /// How many rounds of everybody's turns are waited for after one of this size: where a client's share for one round
    /// is less than the least of a turn, its downloads take theirs in some rounds and not in others.
    pub(crate) fn rounds(&self, most: usize) -> usize {
        let clients = self.all.0.borrow();
        if clients.len() < 2 {
            return 1;
        }
        let all_of_them = self.own(&clients).saturating_mul(LEAST.min(most.max(1)));
        all_of_them.div_ceil(most.max(1)).max(1)
    }

    /// How many downloads this one's client has under way.
    fn own(&self, clients: &HashMap<ClientKey, usize>) -> usize {
        clients.get(&self.client).copied().unwrap_or(1).max(1)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut clients = self.all.0.borrow_mut();
        if let Some(count) = clients.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn however_many_downloads_get_no_more_in_a_round_than_one_v35() {
        const MOST: usize = 1024 * 1024;
        for (count, most) in [(1, MOST), (16, MOST), (17, MOST), (100, MOST), (400, MOST), (5000, MOST), (7, 1000)] {
            let downloads = Downloads::default();
            let key = |text: &str| ClientKey::of(text.parse().unwrap());
            let _modest = downloads.begin(key("10.0.0.2"));
            let greedy: Vec<_> = (0..count).map(|_| downloads.begin(key("10.0.0.1"))).collect();
            let (size, rounds) = (greedy[0].size(most), greedy[0].rounds(most));
            assert!(count * size <= most * rounds, "{count} of {most}: {size} each in {rounds} rounds");
        }
    }

    #[test]
    fn many_downloads_of_one_client_share_one_turn_v35() {
        const MOST: usize = 1024 * 1024;
        let downloads = Downloads::default();
        let key = |text: &str| ClientKey::of(text.parse().unwrap());
        let greedy: Vec<_> = (0..4).map(|_| downloads.begin(key("10.0.0.1"))).collect();
        assert_eq!(greedy[0].size(MOST), MOST, "nobody else waits");
        let modest = downloads.begin(key("10.0.0.2"));
        assert_eq!((greedy[0].size(MOST), modest.size(MOST)), (MOST / 4, MOST));
        let more: Vec<_> = (0..100).map(|_| downloads.begin(key("10.0.0.1"))).collect();
        assert_eq!((greedy[0].size(MOST), greedy[0].size(1000)), (LEAST, 1000));
        // In each round those whose turn it is get no more together than the one.
        assert_eq!((greedy[0].rounds(MOST), modest.rounds(MOST)), (104 * LEAST / MOST + 1, 1));
        assert!(104_usize.div_ceil(greedy[0].rounds(MOST)) * LEAST <= MOST);
        drop((more, greedy));
        assert_eq!(modest.size(MOST), MOST);
        drop(modest);
        assert!(downloads.0.borrow().is_empty());
    }
}
