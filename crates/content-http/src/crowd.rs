//! How many connections each client has, over all workers. A client is an IPv4 address or an IPv6 /64: whoever has
//! one IPv6 address has all of its /64.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A client as fairness counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey(u64);

impl ClientKey {
    /// Nobody in particular: a proxy speaks for many, and is not counted.
    pub(crate) const NOBODY: Self = Self(u64::MAX);

    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self(u64::from(u32::from(four))),
            // The first half; none of those in use has only its last 32 bits set.
            IpAddr::V6(six) => Self((u128::from(six) >> 64) as u64),
        }
    }
}

/// So that workers seldom wait for each other.
const SHARDS: usize = 16;

/// The connections of all clients.
#[derive(Debug)]
pub(crate) struct Crowd {
    shards: [Mutex<HashMap<ClientKey, usize>>; SHARDS],
    most: usize,
}

impl Crowd {
    pub(crate) fn new(most: usize) -> Self {
        Self { shards: Default::default(), most }
    }

    /// Counts a connection in unless its client has as many as it may.
    pub(crate) fn enter(&self, key: ClientKey) -> bool {
        self.add(key, self.most)
    }

    /// Counts a connection in, in whose favour another of the same client ends.
    pub(crate) fn enter_anyway(&self, key: ClientKey) {
        self.add(key, usize::MAX);
    }

    fn add(&self, key: ClientKey, most: usize) -> bool {
        if key == ClientKey::NOBODY {
            return true;
        }
        let mut shard = self.shard(key);
        let count = shard.entry(key).or_default();
        let fits = *count < most;
        *count += usize::from(fits);
        fits
    }

    /// Counts a connection out.
    pub(crate) fn leave(&self, key: ClientKey) {
        if key == ClientKey::NOBODY {
            return;
        }
        let mut shard = self.shard(key);
        if let Some(count) = shard.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                shard.remove(&key);
            }
        }
    }

    fn shard(&self, key: ClientKey) -> MutexGuard<'_, HashMap<ClientKey, usize>> {
        // Neighbouring addresses and networks differ in different places: folded onto each other.
        let folded = key.0 ^ (key.0 >> 32);
        let at = (folded ^ (folded >> 16) ^ (folded >> 8)) as usize % SHARDS;
        let [first, ..] = &self.shards;
        self.shards.get(at).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key(address: &str) -> ClientKey {
        ClientKey::of(address.parse().unwrap())
    }

    #[test]
    fn a_client_is_an_address_or_a_64() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:0:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
    }

    #[test]
    fn each_client_has_its_own_cap_v35() {
        let crowd = Crowd::new(2);
        let (one, other) = (key("10.0.0.1"), key("10.0.0.2"));
        assert!(crowd.enter(one) && crowd.enter(one) && !crowd.enter(one) && crowd.enter(other));
        crowd.leave(one);
        assert!(crowd.enter(one) && !crowd.enter(one));
        for _ in 0..10 {
            assert!(crowd.enter(ClientKey::NOBODY));
            crowd.leave(ClientKey::NOBODY);
        }
        for _ in 0..2 {
            crowd.leave(one);
        }
        crowd.leave(other);
        assert!(crowd.shards.iter().all(|shard| shard.lock().unwrap().is_empty()), "nothing is kept of who left");
    }
}
