//! One whole admitted release a feed, never a mixture (I1), never back but by a word (I3), never gone (I5), and what
//! was acknowledged stays (I8). A ring that the disk damaged is `worn`'s.

use std::sync::Arc;

use blob_store::Current;
use model::{FeedId, Generation, ReleaseId, ReleaseState, RoutePath, ServedFeed, Vendor};

use super::bytes::{companion, named_by};
use super::leap::stepped;
use super::{Oracle, Seen};
use crate::violation::{Holds, Violation};

impl Oracle {
    /// Walks all that is served, if it is another generation than at the last walk.
    pub(super) fn walk(&self) -> Holds {
        let current = self.current()?;
        let mut seen = self.seen();
        let Some(current) = current else {
            return match &seen.current {
                Some(before) if !seen.worn => Err(Violation::new(
                    "I8",
                    format!("generation {} was served, and now nothing is", before.generation.number),
                )),
                _ => Ok(()),
            };
        };
        let number = current.generation.number;
        if seen.worn && number <= seen.top {
            return self.fallen(&seen, &current);
        }
        if number < seen.acknowledged {
            let what = format!("generation {} was acknowledged, {number} is served", seen.acknowledged);
            return Err(Violation::new("I8", what));
        }
        if seen.current.as_ref() == Some(&current) {
            return Ok(());
        }
        self.walk_new(&mut seen, &current)?;
        (seen.top, seen.worn, seen.current) = (number, false, Some(current));
        Ok(())
    }

    fn walk_new(&self, seen: &mut Seen, current: &Current) -> Holds {
        let generation = &current.generation;
        self.prove(seen, generation)?;
        for (feed, served) in &generation.feeds {
            match feed.vendor() {
                Vendor::Elastic => self.closed(seen, generation, feed)?,
                Vendor::Defender => self.pair(seen, generation, feed, served)?,
            }
            let before = seen.current.as_ref().and_then(|before| before.generation.feeds.get(feed));
            if before.is_none() && seen.damaged {
                // It comes back with what the disk left of it.
                seen.newest.remove(feed);
            }
            let before = seen.current.as_ref().and_then(|before| before.generation.feeds.get(feed));
            self.steps_back(seen, feed, served, before)?;
            turned_down(seen, feed, served, before)?;
            admitted(seen, feed, served, before)?;
            stepped(seen, feed, served)?;
            forward(seen, feed, served)?;
            seen.notes_served(feed, served);
        }
        if generation.number <= seen.top {
            let what = format!("generation {} follows {}", generation.number, seen.top);
            return Err(Violation::new("I3", what));
        }
        let Some(before) = seen.current.clone() else { return Ok(()) };
        for (feed, served) in &before.generation.feeds {
            // What a person turned down is not brought back, where nothing else of the feed is whole.
            let beyond = seen.worn && (seen.is_beyond(feed) || seen.rejected.contains(&served.release));
            if !generation.feeds.contains_key(feed) && seen.terms.followed.contains(feed) && !beyond {
                return Err(Violation::new("I5", format!("{feed} is followed and no longer served")));
            }
            if !generation.feeds.contains_key(feed) {
                seen.forget_feed(feed);
            }
        }
        if seen.worn {
            // Only the files that were lost knew how long what is superseded has stayed.
            seen.owe_nothing(generation);
            return Ok(());
        }
        self.graces(seen, &before.generation, generation)
    }

    /// Every artifact that a served manifest names is served, with its bytes.
    fn closed(&self, seen: &mut Seen, generation: &Generation, feed: &FeedId) -> Holds {
        let version = feed.segments().next().unwrap_or_default();
        let path: RoutePath = format!("/downloads/endpoint/manifest/artifacts-{version}.zip")
            .parse()
            .map_err(|_| Violation::new("I1", format!("{feed} has no manifest path")))?;
        let Some(route) = generation.routes.get(&path) else {
            return Err(Violation::new("I1", format!("{path} is not served though {feed} is")));
        };
        if seen.rotten.contains(&route.digest) {
            return Ok(());
        }
        let named = match seen.manifests.get(&route.digest) {
            Some(named) => Arc::clone(named),
            None => {
                let named = named_by(&self.read(&path, route)?);
                let named = named.ok_or_else(|| Violation::new("I4", format!("{path} is no manifest")))?;
                let named = Arc::new(named);
                seen.manifests.insert(route.digest, Arc::clone(&named));
                named
            }
        };
        for (path, digest, size) in named.iter() {
            let Some(route) = generation.routes.get(path) else {
                return Err(Violation::new("I1", format!("{path} is not served, and {feed}'s manifest names it")));
            };
            let another = seen.taken && route.feed != *feed;
            if !another && (route.digest, route.size, route.until) != (*digest, *size, None) {
                return Err(Violation::new("I1", format!("{path} is not what {feed}'s manifest names")));
            }
        }
        Ok(())
    }

    /// A Defender archive and its companion belong together, also in `_back`, which is older.
    fn pair(&self, seen: &Seen, generation: &Generation, feed: &FeedId, served: &ServedFeed) -> Holds {
        let current = self.versions(seen, generation, feed, "")?;
        if let Some((definitions, _)) = &current
            && *definitions != served.vendor_version.version.to_string()
        {
            let what = format!("{feed}: {definitions} is served as {}", served.vendor_version);
            return Err(Violation::new("I1", what));
        }
        let back = self.versions(seen, generation, feed, "_back")?;
        if served.back.is_none() {
            return if back.is_some() {
                Err(Violation::new("I3", format!("{feed}: _back is nobody's")))
            } else {
                Ok(())
            };
        }
        let order = |version: &str| version.parse::<model::Version>().ok();
        match (current, back) {
            (Some((now, _)), Some((then, _))) if order(&then) >= order(&now) => {
                Err(Violation::new("I3", format!("{feed}: _back has {then}, current is {now}")))
            }
            _ => Ok(()),
        }
    }

    /// Definitions and engine of what is served; none if nothing is, or if the disk damaged it.
    fn versions(
        &self,
        seen: &Seen,
        generation: &Generation,
        feed: &FeedId,
        back: &str,
    ) -> Result<Option<(String, String)>, Violation> {
        let mut parts = feed.as_str().split('/').skip(1);
        let (Some(platform), Some(track), Some(arch)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(None);
        };
        let base = format!("/{platform}/{track}{back}/arch_{arch}");
        let route = |name: &str| {
            let path: Option<RoutePath> = format!("{base}/{name}").parse().ok();
            path.and_then(|path| Some((path.clone(), generation.routes.get(&path)?)))
        };
        let (Some((_, archive)), Some((path, beside))) = (route("updates.zip"), route("manifest.json")) else {
            let half = route("updates.zip").is_some() != route("manifest.json").is_some();
            return if half || back.is_empty() {
                Err(Violation::new("I1", format!("{base} is not served whole")))
            } else {
                Ok(None)
            };
        };
        if seen.rotten.contains(&archive.digest) || seen.rotten.contains(&beside.digest) {
            return Ok(None);
        }
        let said = companion(&self.read(&path, beside)?);
        if said.is_none() || said != self.upstream.archive(&archive.digest) {
            return Err(Violation::new("I1", format!("{base}: archive and companion do not belong together")));
        }
        Ok(said)
    }
}

/// A generation brings nothing in that the operator left or turned down. What the one before served already may stand
/// until the act that leaves it has published.
pub(super) fn turned_down(seen: &Seen, feed: &FeedId, served: &ServedFeed, before: Option<&ServedFeed>) -> Holds {
    let is_new =
        |release: &ReleaseId, there: Option<ReleaseId>| seen.rejected.contains(release) && there != Some(*release);
    if is_new(&served.release, before.map(|before| before.release)) {
        let what = format!("{feed} serves {}, which was left or turned down", served.release.short());
        return Err(Violation::new("I3", what));
    }
    match served.back.filter(|back| is_new(back, before.and_then(|before| before.back))) {
        Some(back) => Err(Violation::new("I3", format!("{feed}: _back is {}, which was turned down", back.short()))),
        None => Ok(()),
    }
}

/// What a generation brings in is admitted: what is quarantined, in `_back`, too, waits for the operator's word.
fn admitted(seen: &Seen, feed: &FeedId, served: &ServedFeed, before: Option<&ServedFeed>) -> Holds {
    let stood = before.map(|before| [Some(before.release), before.back]).unwrap_or_default();
    for release in [Some(served.release), served.back].into_iter().flatten() {
        let state = seen.states.get(&release);
        if state != Some(&ReleaseState::Admitted) && !stood.contains(&Some(release)) {
            let what = format!("{feed} serves {}, which is recorded as {state:?}", release.short());
            return Err(Violation::new("I3", what));
        }
    }
    Ok(())
}

/// A version goes back only by the operator's word, and each word counts once.
fn forward(seen: &mut Seen, feed: &FeedId, served: &ServedFeed) -> Holds {
    let version = &served.vendor_version.version;
    let word = seen.words.take(&served.release.to_string());
    // Of what the disk damaged beside the ring, an earlier release may be all that is left whole.
    let said = word.is_some() || (seen.worn && seen.is_beyond(feed));
    seen.spent.extend(word);
    if let Some(newest) = seen.newest.get(feed).filter(|newest| version < *newest && !said) {
        return Err(Violation::new("I3", format!("{feed} went from {newest} to {version}, and nobody said so")));
    }
    seen.newest.insert(feed.clone(), version.clone());
    Ok(())
}
