//! A request for what is not served, and may be once it was fetched.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use model::{RingName, RoutePath};

use super::{Connection, Next};
use crate::index::{Snapshot, single_slash};
use crate::request::Request;
use crate::slots::Phase;
use crate::wire::Wire;
use crate::{After, Instead};

/// How long a request may wait for what is being fetched, whatever the one who fetches says.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it is looked whether what was published is served.
const SERVED_LOOK: Duration = Duration::from_millis(50);
/// How many times that is done.
const SERVED_LOOKS: u32 = 600;
/// A request that waits for what is being fetched.
pub(super) struct Waiting {
    pub(super) head: Vec<u8>,
    pub(super) after: Pin<Box<dyn Future<Output = After> + Send>>,
}

impl<W: Wire> Connection<W> {
    /// What becomes of a path that nothing is served at.
    pub(super) fn beyond(&self, request: &Request<'_>, waited: Option<After>, snapshot: &Snapshot) -> Option<Instead> {
        let beyond = self.seat.worker.shared.beyond.as_ref()?;
        match waited {
            // What was published may, on a machine this busy, not be served yet.
            Some(After::Look | After::Later) => return Some(Instead::Later),
            Some(After::NotFound) => return Some(Instead::NotFound),
            None => {}
        }
        let (ring, path) = self.place(request, snapshot)?;
        let path: RoutePath = std::str::from_utf8(path).ok()?.parse().ok()?;
        Some(beyond.absent(ring, &path, self.seat.worker.clock.borrow().now))
    }

    fn place<'s, 'p>(&self, request: &Request<'p>, snapshot: &'s Snapshot) -> Option<(&'s RingName, &'p [u8])> {
        let inner = request.path.strip_prefix(&*self.seat.rules.prefix)?;
        snapshot.place(single_slash(inner))
    }

    /// Waits for what is being fetched, and answers then.
    pub(super) async fn outwait(&mut self, waiting: Waiting) -> Next {
        let worker = Rc::clone(&self.seat.worker);
        self.seat.slot.enter(Phase::Send, worker.deadline(PATIENCE));
        let after = waiting.after.await;
        if !self.seat.keeps() {
            return Next::Close;
        }
        let Ok(request) = Request::parse(&waiting.head) else { return Next::Close };
        if after == After::Look {
            self.until_served(&request).await;
        }
        worker.look_at_clock();
        let mut output = worker.output.borrow_mut();
        output.clear();
        self.answer_one(&waiting.head, &request, (Some(after), &mut output))
    }

    /// What was published a moment ago is served a moment later.
    async fn until_served(&self, request: &Request<'_>) {
        for _ in 0..SERVED_LOOKS {
            let found = {
                let mut index = self.seat.worker.index.borrow_mut();
                let snapshot = index.load();
                self.place(request, snapshot).is_none_or(|(ring, path)| snapshot.serves(ring, path))
            };
            if found {
                return;
            }
            tokio::time::sleep(SERVED_LOOK).await;
        }
    }
}
