//! What the log will say of an answer, kept for as long as its body is on the way.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use model::Timestamp;

use crate::log::Line;
use crate::request::{Persistence, Request};
use crate::respond::Bulk;
use crate::stats::Trouble;
use crate::worker::Worker;

/// What the log says of a request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) client: IpAddr,
    /// Who the client named itself as.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) method: &'static str,
    pub(crate) minor: u8,
    pub(crate) status: u16,
    pub(crate) at: Timestamp,
}

impl Asked {
    pub(crate) fn kept(self, request: &Request<'_>) -> Kept {
        Kept { asked: self, path: request.path.into(), user_agent: request.user_agent.into() }
    }

    pub(crate) fn log(&self, worker: &Worker, path: &[u8], user_agent: &[u8], bytes: u64) {
        worker.log(|_| self.line(path, user_agent, bytes));
    }

    fn line<'a>(&'a self, path: &'a [u8], user_agent: &'a [u8], bytes: u64) -> Line<'a> {
        Line {
            client: self.client,
            name: self.name.as_deref().unwrap_or_default(),
            method: self.method,
            minor: self.minor,
            status: self.status,
            bytes,
            millis: 0,
            aborted: false,
            path,
            user_agent,
        }
    }
}

/// The same, for as long as a download takes.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) asked: Asked,
    pub(crate) path: Box<[u8]>,
    pub(crate) user_agent: Box<[u8]>,
}

/// A large body on its way.
pub(crate) struct Download {
    pub(crate) bulk: Bulk,
    pub(crate) persistence: Persistence,
    pub(crate) asked: Kept,
    pub(crate) sent: Cell<u64>,
}

/// A download from the moment its status is counted: logs itself when dropped, also when the connection ends before its
/// head is sent, or is ended from outside.
pub(crate) struct Sending {
    pub(crate) download: Download,
    pub(crate) worker: Rc<Worker>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let Download { bulk, asked: Kept { asked, path, user_agent }, sent, .. } = &self.download;
        let aborted = sent.get() < bulk.part.length;
        if aborted {
            self.worker.counters.trouble(Trouble::Aborted);
        }
        self.worker.look_at_clock();
        self.worker.log(|now| Line {
            millis: u64::try_from(now.since(asked.at).as_millis()).unwrap_or(u64::MAX),
            aborted,
            ..asked.line(path, user_agent, sent.get())
        });
    }
}
