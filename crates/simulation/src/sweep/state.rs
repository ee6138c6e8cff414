//! What a world comes to, without what may differ from run to run.

use model::Outcome;

use crate::stores::BuildError;
use crate::world::World;

impl World {
    /// Paths and bytes, releases and their states, records and marks, blobs: one a line, in order.
    pub(super) async fn state(&self) -> Result<Vec<String>, BuildError> {
        let mut lines = Vec::new();
        if let Some(current) = self.oracle.current().ok().flatten() {
            let generation = current.generation;
            for (feed, served) in generation.feeds {
                lines.push(format!("serves {feed} {} back {:?}", served.release, served.back));
            }
            for (path, route) in generation.routes {
                lines.push(format!("route {path} {} in grace {}", route.digest, route.until.is_some()));
            }
        }
        for record in self.stores.catalog.feeds().await? {
            // A second run finds current what the first one published.
            let outcome = if record.outcome == Outcome::Published { Outcome::Current } else { record.outcome };
            let reason = record.reason.map(model::Reason::code);
            lines.push(format!(
                "record {} {outcome} {reason:?} {:?} mark {:?}",
                record.feed, record.release, record.mark
            ));
        }
        for found in self.stores.catalog.releases(&Default::default()).await? {
            lines.push(format!("release {} is {}", found.release.id, found.state));
        }
        for open in self.stores.catalog.open_publications().await? {
            lines.push(format!("open publication {}", open.number));
        }
        lines.extend(self.stores.all_blobs().await?.iter().map(|digest| format!("blob {digest}")));
        lines.sort();
        Ok(lines)
    }
}
