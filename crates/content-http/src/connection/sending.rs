//! Large bodies, and the end of a connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use super::{Connection, progress};
use crate::crowd::ClientKey;
use crate::download::Sending;
use crate::proof::Unproven;
use crate::request::Persistence;
use crate::respond::Bulk;
use crate::slots::Phase;
use crate::wire::{BulkError, Wire, line, receive, send_bulk};

/// How long a client gets to read a last answer before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what a client still sends then is thrown away.
const LINGER_BYTES: usize = 256 * 1024;

impl<W: Wire> Connection<W> {
    /// Sends a large body; whether the connection goes on after it.
    pub(super) async fn download(&mut self, guard: Sending) -> io::Result<Persistence> {
        let (slot, worker) = (&self.seat.slot, &self.seat.worker);
        slot.enter(Phase::Send, worker.stall_deadline());
        slot.waits_on(line(&self.wire, worker));
        let turn = worker.downloads.begin(ClientKey::of(guard.download.asked.asked.client));
        let bulk = &guard.download.bulk;
        let sent = send_bulk(&mut self.wire, worker, (bulk, &turn), |sent| {
            let total = &guard.download.sent;
            total.set(total.get().saturating_add(sent as u64));
            worker.look_at_clock();
            progress(slot, worker, sent);
        })
        .await;
        match sent {
            Ok(()) => Ok(guard.download.persistence),
            Err(BulkError::Peer) => {
                // A connection may outlive the error that ended a send: what is not whole must not end as if it were.
                self.wire.reset_on_close();
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Err(bad @ (BulkError::File(_) | BulkError::Changed)) => {
                self.wire.reset_on_close();
                let Bulk { entry, epoch, file, .. } = &guard.download.bulk;
                match bad {
                    BulkError::File(error) => worker.damaged(entry, *epoch, Some(file), &error.into()),
                    _ => worker.damaged(entry, *epoch, None, &Unproven.into()),
                }
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    /// Ends the connection so that the client can still read the last answer: bytes that it sent meanwhile and
    /// nobody read would turn the close into a reset.
    pub(super) async fn linger(&mut self) {
        self.seat.slot.enter(Phase::Linger, self.seat.worker.deadline(LINGER));
        if poll_fn(|cx| Pin::new(&mut self.wire).poll_shutdown(cx)).await.is_err() {
            return;
        }
        let mut thrown_away = 0;
        while thrown_away < LINGER_BYTES {
            match receive(&mut self.wire, &self.seat.worker).await {
                Ok(0) | Err(_) => return,
                Ok(received) => thrown_away += received,
            }
        }
    }
}
