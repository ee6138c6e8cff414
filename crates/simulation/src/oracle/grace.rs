//! A client that read a manifest finishes with that manifest's artifacts through the grace (I2), and a clock that
//! jumps takes a quarter of it at the most (I14).

use std::time::Duration;

use model::{Digest, Generation, ReleaseState, Route, RoutePath, Vendor};

use super::{Oracle, Seen};
use crate::violation::{Holds, Violation};

/// An artifact that no current release names any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) digest: Digest,
    /// How much time had truly passed when it was last current.
    pub(super) truly: Duration,
    /// The shortest grace since.
    pub(super) grace: Duration,
}

fn is_artifact(path: &RoutePath, route: &Route) -> bool {
    route.feed.vendor() == Vendor::Elastic && !path.as_str().contains("/manifest/")
}

impl Seen {
    /// Whether rejected releases name these bytes and no admitted one does: what was denied leaves at once.
    fn is_denied(&self, digest: Digest) -> bool {
        let names = |state| {
            let of = |release| self.states.get(release) == Some(&state);
            self.made.iter().any(|(release, made)| of(release) && made.files.iter().any(|(file, _)| *file == digest))
        };
        names(ReleaseState::Rejected) && !names(ReleaseState::Admitted)
    }

    /// What is superseded here may go at any time.
    pub(super) fn owe_nothing(&mut self, generation: &Generation) {
        let superseded =
            generation.routes.iter().filter(|(path, route)| route.until.is_some() && is_artifact(path, route));
        let left = |route: &Route| Left { digest: route.digest, truly: Duration::ZERO, grace: Duration::ZERO };
        self.left.extend(superseded.map(|(path, route)| (path.clone(), left(route))));
    }
}

impl Oracle {
    /// From one generation to the next, only what has left its grace goes: by the time that truly passed, whatever
    /// clocks show.
    pub(super) fn graces(&self, seen: &mut Seen, before: &Generation, after: &Generation) -> Holds {
        let truly = self.clock.truly();
        for (path, route) in before.routes.iter().filter(|(path, route)| is_artifact(path, route)) {
            let now = after.routes.get(path);
            if now.is_some_and(|now| now.digest == route.digest && now.until.is_none()) {
                seen.left.remove(path);
                continue;
            }
            let begun = Left { digest: route.digest, truly, grace: seen.terms.grace };
            let left = *seen.left.entry(path.clone()).or_insert(begun);
            if now.is_some_and(|now| now.digest == route.digest) {
                continue;
            }
            seen.left.remove(path);
            let bytes_changed = now.is_some() && (seen.terms.fixed || seen.taken);
            if !self.clock.outlived((left.truly, truly), left.grace)
                && !bytes_changed
                && !seen.rotten.contains(&left.digest)
                && !seen.is_denied(left.digest)
            {
                return Err(Violation::new(
                    "I2",
                    format!(
                        "{path} left {:?} after it was superseded; its grace is {:?}",
                        truly.saturating_sub(left.truly),
                        left.grace
                    ),
                ));
            }
        }
        Ok(())
    }
}
