//! Requests to one place, over connections that are used again.

use std::sync::{Arc, Mutex, PoisonError};

use crate::tls::Handshake;
use crate::wire::{Ask, Connection, Head, Place, Waits, Way, WireError};

/// Idle connections kept.
const MAX_IDLE: usize = 4;

/// How much of a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// None of it: the connection is given up where one comes.
    Nothing,
    /// At most so many bytes; the connection is given up where more come.
    Start(usize),
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) head: Head,
    /// What was read of the body.
    pub(crate) body: Vec<u8>,
}

/// Asks one place.
pub(crate) struct Client {
    pub(crate) place: Place,
    pub(crate) way: Way,
    pub(crate) waits: Waits,
    idle: Mutex<Vec<Connection>>,
    handshake: Mutex<Option<Arc<Handshake>>>,
    tally: Mutex<Tally>,
}

/// How requests went so far.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    all: usize,
    forbidden: usize,
    closed: usize,
}

/// How everybody is turned away who comes from here, whatever he asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// Every answer is 403.
    Forbidden,
    /// Connections are taken, and closed without an answer.
    Closed,
}

impl Client {
    pub(crate) fn new(place: Place, way: Way, waits: Waits) -> Self {
        Self { place, way, waits, idle: Mutex::default(), handshake: Mutex::default(), tally: Mutex::default() }
    }

    /// Asks, and reads so much of the body.
    pub(crate) async fn ask(&self, ask: &Ask, keep: Keep) -> Result<Got, WireError> {
        let (mut connection, head) = self.begin(ask).await?;
        let most = match keep {
            Keep::Nothing => 0,
            Keep::Start(most) => most,
        };
        let mut body = Vec::new();
        while !connection.is_over() && body.len() < most {
            match connection.next().await? {
                None => break,
                Some(piece) => body.extend_from_slice(&piece),
            }
        }
        body.truncate(most);
        self.give_back(connection);
        Ok(Got { head, body })
    }

    /// Asks; the body is the caller's to read.
    pub(crate) async fn begin(&self, ask: &Ask) -> Result<(Connection, Head), WireError> {
        let answer = self.try_begin(ask).await;
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.all += 1;
        tally.forbidden += usize::from(answer.as_ref().is_ok_and(|(_, head)| head.status == 403));
        tally.closed += usize::from(answer.as_ref().is_err_and(WireError::is_the_end));
        answer
    }

    /// Whether every request so far was turned away in one way.
    pub(crate) fn turned_away(&self) -> Option<TurnedAway> {
        let Tally { all, forbidden, closed } = *self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match all {
            0 => None,
            _ if forbidden == all => Some(TurnedAway::Forbidden),
            _ if closed == all => Some(TurnedAway::Closed),
            _ => None,
        }
    }

    async fn try_begin(&self, ask: &Ask) -> Result<(Connection, Head), WireError> {
        if let Some(mut connection) = self.take_idle() {
            match connection.ask(ask).await {
                Ok(head) => return Ok((connection, head)),
                // An idle connection may end at any time: that says nothing about the server.
                Err(WireError::Closed | WireError::Broken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.connect().await?;
        let head = connection.ask(ask).await?;
        Ok((connection, head))
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Connection, WireError> {
        let connection = Connection::open(&self.place, &self.way, self.waits).await?;
        if let Some(handshake) = &connection.handshake {
            let mut known = self.handshake.lock().unwrap_or_else(PoisonError::into_inner);
            known.get_or_insert_with(|| Arc::clone(handshake));
        }
        Ok(connection)
    }

    /// What TLS showed at the first connection.
    pub(crate) fn handshake(&self) -> Option<Arc<Handshake>> {
        self.handshake.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a connection back, if it can be used again.
    pub(crate) fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_reusable() && idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}
