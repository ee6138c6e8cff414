//! Whether a client that is slow to take an answer takes any of it: asked of the system now and then.
//!
//! What a socket took from us says little: megabytes wait in the system while a slow line empties them, and for minutes
//! there is no room for more. What was acknowledged tells the slow from the vanished and from those who read nothing.

use std::net::SocketAddr;
use std::time::Duration;

use platform::{SendQueue, SendQueues};
use tokio::net::TcpStream;

use crate::slots::{Phase, Slot};

/// How often it is asked about one connection, at the least.
const MOST_SELDOM: Duration = Duration::from_secs(5);
/// How many times within the stall timeout.
const LOOKS: u32 = 8;
/// How many questions without an answer mean that nobody is there, once nothing moved for long enough: one may be on its
/// way at any time.
const UNANSWERED: u8 = 3;

/// A connection on which an answer has to wait.
#[derive(Debug)]
pub(crate) struct Line {
    local: SocketAddr,
    peer: SocketAddr,
    looked: Duration,
    /// When bytes were last seen to move.
    moved: Duration,
    /// What was not acknowledged when it was last looked at.
    queue: Option<u32>,
    /// Bytes that the socket took since then.
    taken: u64,
    /// Bytes that earned their time when they were acknowledged, and earn none when they are made up for.
    ahead: u64,
}

impl Line {
    pub(crate) fn of(socket: &TcpStream, now: Duration) -> Option<Self> {
        let (local, peer) = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
        Some(Self { local, peer, looked: now, moved: now, queue: None, taken: 0, ahead: 0 })
    }

    /// Notes that the socket took bytes; how many of them have not earned their time yet.
    pub(crate) fn took(&mut self, bytes: usize) -> usize {
        self.taken = self.taken.saturating_add(bytes as u64);
        let earned = usize::try_from(self.ahead).unwrap_or(usize::MAX).min(bytes);
        self.ahead -= earned as u64;
        bytes - earned
    }

    fn is_due(&self, now: Duration, stall: Duration) -> bool {
        now.saturating_sub(self.looked) >= (stall / LOOKS).min(MOST_SELDOM)
    }

    /// Whether nothing of an answer moved for so long, as far as that was seen.
    pub(crate) fn stands_still(&self, now: Duration, stall: Duration) -> bool {
        let seen = self.queue.is_some() && now.saturating_sub(self.looked) <= stall;
        seen && now.saturating_sub(self.moved) >= stall
    }

    /// Notes what is not acknowledged now; how many bytes were since the last look.
    fn note(&mut self, queue: u32, now: Duration) -> u64 {
        let before = self.queue.map(|queue| u64::from(queue).saturating_add(self.taken));
        let acknowledged = before.unwrap_or_default().saturating_sub(queue.into());
        // Where nothing is on its way it is not the client that is waited for.
        if before.is_none() || acknowledged > 0 || self.taken > 0 || queue == 0 {
            self.moved = now;
        }
        (self.looked, self.queue, self.taken) = (now, Some(queue), 0);
        acknowledged
    }
}

/// Whoever asks for one worker.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    asked: Option<SendQueues>,
    refused: bool,
}

impl Queues {
    /// Whether a connection's client is gone: it has acknowledged nothing for `stall`, and answers nothing. One that is
    /// there and takes nothing has all the time that it saved up, and makes room for others meanwhile. What it acknowledged earns its time by
    /// `earn`, which is told by when the connection must have moved on, and how many bytes did.
    pub(crate) fn stalls(
        &mut self,
        slot: &Slot,
        (now, stall): (Duration, Duration),
        earn: impl FnOnce(Duration, u64) -> Duration,
    ) -> bool {
        let mut line = slot.line();
        let due = line.as_deref_mut().filter(|line| slot.phase() == Phase::Send && line.is_due(now, stall));
        let Some(line) = due else { return false };
        let Some(queue) = self.ask(line) else { return false };
        let acknowledged = line.note(queue.unacknowledged, now);
        if acknowledged > 0 {
            line.ahead = line.ahead.saturating_add(acknowledged);
            slot.enter(Phase::Send, earn(slot.deadline(), acknowledged));
        }
        now.saturating_sub(line.moved) >= stall && queue.unanswered >= UNANSWERED
    }

    /// What is not acknowledged on a line, where the system tells.
    fn ask(&mut self, line: &Line) -> Option<SendQueue> {
        let asked = match self.asked.take() {
            Some(asked) => Ok(asked),
            None => SendQueues::open(),
        };
        let told = asked.and_then(|mut asked| {
            let queue = asked.of(line.local, line.peer)?;
            self.asked = Some(asked);
            Ok(queue)
        });
        told.unwrap_or_else(|error| {
            if !self.refused {
                tracing::warn!(%error, "the system does not tell what clients acknowledge; who takes nothing is ended later");
            }
            self.refused = true;
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn line() -> Line {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        Line { local: nobody, peer: nobody, looked: at(0), moved: at(0), queue: None, taken: 0, ahead: 0 }
    }

    #[test]
    fn what_moves_is_told_from_what_stands_v10() {
        let mut line = line();
        assert_eq!((line.note(1000, at(5)), line.moved), (0, at(5)));
        assert_eq!((line.note(1000, at(10)), line.moved), (0, at(5)), "nothing moved");
        assert_eq!((line.note(999, at(15)), line.moved), (1, at(15)), "a single byte is enough");
        line.took(500);
        assert_eq!((line.note(1299, at(20)), line.moved), (200, at(20)));
        assert_eq!((line.note(0, at(25)), line.moved), (1299, at(25)));
        assert_eq!((line.note(0, at(90)), line.moved), (0, at(90)), "nobody is waited for");
    }

    #[test]
    fn who_takes_nothing_stands_still_as_far_as_it_was_seen_v10() {
        let mut line = line();
        assert!(!line.stands_still(at(500), at(60)), "the system did not tell");
        line.note(1000, at(5));
        line.note(1000, at(65));
        assert!(line.stands_still(at(65), at(60)) && line.stands_still(at(70), at(60)));
        assert!(!line.stands_still(at(200), at(60)), "too long ago");
        line.note(900, at(201));
        assert!(!line.stands_still(at(205), at(60)));
    }

    #[test]
    fn a_byte_earns_its_time_once_v10() {
        let mut line = line();
        assert_eq!(line.took(3000), 3000);
        line.note(3000, at(5));
        line.ahead += line.note(1000, at(10));
        assert_eq!((line.took(1500), line.took(1500)), (0, 1000), "what was acknowledged before makes room only");
    }

    #[test]
    fn it_is_looked_at_several_times_within_the_timeout() {
        let line = line();
        assert!(!line.is_due(at(4), at(60)) && line.is_due(at(5), at(60)));
        assert!(line.is_due(Duration::from_millis(500), at(4)));
    }
}
