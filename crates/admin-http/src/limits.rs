//! Every cap and deadline of the admin listener.

use std::time::Duration;

/// What one client, and all together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections are open at once. Further ones wait in the backlog.
    pub connections: usize,
    /// How long a request's head may take to arrive, and how long a connection may stay idle.
    pub head: Duration,
    /// How long an answer may take to be made.
    pub answer: Duration,
    /// How long metrics wait for the catalog: after that they come without what it says, as scrapers wait 10 s.
    pub catalog: Duration,
    /// How old a connection may get: after that it is closed when its present answer is sent.
    pub age: Duration,
    /// How long that last answer may take to be sent, then and when the listener ends.
    pub ending: Duration,
    /// How many bytes of body a request may announce.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            head: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            catalog: Duration::from_secs(5),
            age: Duration::from_secs(60),
            ending: Duration::from_secs(10),
            body: 16 * 1024,
        }
    }
}
