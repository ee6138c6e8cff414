//! Whether what a ring serves is there: paths whose bytes are gone, or were set aside as damaged, answer nothing, for
//! as long as that is so, whatever a run says of their feed meanwhile.

use std::collections::BTreeMap;

use model::{Digest, Generation, Level, Note, Reason, Timestamp};

use crate::{Engine, SiteFault};

/// How many paths are named.
const NAMED: usize = 3;

impl Engine {
    /// The routes that are served and whose blobs are not held, as one fault; none where all are. Looks at files and
    /// reads none.
    pub(crate) async fn broken_routes(&self, serving: Option<&Generation>, now: Timestamp) -> Option<SiteFault> {
        let serving = serving?;
        let sizes: BTreeMap<Digest, u64> = serving.routes.values().map(|route| (route.digest, route.size)).collect();
        let digests: Vec<Digest> = sizes.keys().copied().collect();
        let note = match self.ports.blobs.find_all(&digests).await {
            Err(error) => Note { reason: error.reason(), detail: model::error_chain(&error) },
            Ok(found) => {
                let held: BTreeMap<Digest, u64> =
                    found.iter().flatten().map(|held| (held.digest(), held.size())).collect();
                let mut broken =
                    serving.routes.iter().filter(|(_, route)| held.get(&route.digest) != Some(&route.size));
                let first = broken.clone().next().map(|(_, route)| route.digest)?;
                let named: Vec<String> = broken.by_ref().take(NAMED).map(|(path, _)| path.to_string()).collect();
                let count = named.len().saturating_add(broken.count());
                let more =
                    if count > NAMED { format!(" and {} more", count.saturating_sub(NAMED)) } else { String::new() };
                // Bytes that are there and not to be believed are nobody's to fetch: the error says what to mend.
                let why = match self.ports.blobs.find(first).await {
                    Err(error) => model::error_chain(&error),
                    Ok(_) => "their bytes are gone or were set aside as damaged".to_owned(),
                };
                let detail = format!(
                    "{count} of {} paths answer 503, once no server has them in memory or open any more: {}{more}; {why}",
                    serving.routes.len(),
                    named.join(", ")
                );
                Note { reason: Reason::RoutesBroken, detail }
            }
        };
        Some(SiteFault {
            subject: format!("ring {}", serving.ring),
            key: format!("routes_broken/{}", serving.ring),
            since: now,
            level: Level::Fail,
            note,
        })
    }
}
