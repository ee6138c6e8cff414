//! Tells what the folder remembers and the state does not, and which releases to go back to were lost.

use std::collections::BTreeMap;

use mirror::EngineError;
use model::{FeedId, Generation, ReleaseId, ReleaseState, ServedFeed};

use super::Teller;
use crate::run::{CONFIG, CompatError};
use crate::shown::Words;
use crate::takeover;

/// How many releases are named of a feed.
const NAMED: usize = 3;

impl Teller<'_, '_> {
    /// Tells which words of the folder's the state took over, and what is shown by them.
    pub(crate) async fn heard(&mut self, feeds: &[FeedId], words: &Words) -> Result<(), CompatError> {
        let serving = takeover::serving(self.engine).await?;
        let configuration = self.state.join(CONFIG);
        for feed in feeds {
            let mut named = Vec::new();
            for id in words.on(feed) {
                named.push(self.named(id).await?);
            }
            let more = named.len().saturating_sub(NAMED);
            named.truncate(NAMED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let shows = match serving.as_ref().and_then(|serving| serving.feeds.get(feed)) {
                Some(served) => format!("{} is what the folder shows", served.vendor_version.version),
                None => "nothing of it is shown until something else comes, as what the folder showed is not whole \
                         there"
                    .to_owned(),
            };
            let from = "was the state brought back from a copy, or made anew?";
            if named.is_empty() {
                self.voice.complain(&format!(
                    "Warning: {feed}: {shows}, and the state did not know it: {from} It has it now"
                ));
                continue;
            }
            self.voice.complain(&format!(
                "Warning: {feed}: the folder remembers that {}{more} was rejected or gone back from, which the state did not \
                 know: {from} It counts as rejected there from now on, and {shows}; to have it all the same, once it is held: \
                 waystation --config {} release admit NUMBER --reason '...'",
                named.join(", "),
                configuration.display()
            ));
        }
        Ok(())
    }

    /// Tells where the release before is an older one than it was to be, and nobody said so: its bytes are lost. `before` is
    /// what was served when the run began.
    pub(crate) async fn stepped(
        &mut self,
        before: &BTreeMap<FeedId, ServedFeed>,
        serving: Option<&Generation>,
    ) -> Result<bool, CompatError> {
        let mut told = false;
        for (feed, was) in before {
            let Some(is) = serving.and_then(|serving| serving.feeds.get(feed)) else { continue };
            let due = if is.release == was.release { was.back } else { Some(was.release) };
            let Some(due) = due.filter(|due| is.back != Some(*due) && is.release != *due) else { continue };
            let catalog = &self.engine.ports().catalog;
            let Some(due) = catalog.release(&due).await.map_err(EngineError::from)? else { continue };
            let now = match &is.back {
                Some(id) => catalog.release(id).await.map_err(EngineError::from)?,
                None => None,
            };
            let now = now.map(|found| found.release.vendor_version.version);
            let due_version = due.release.vendor_version.version;
            let is_older = now.as_ref().is_none_or(|now| *now < due_version);
            // Where a word was given, it is the release before that the word left.
            if !is_older || due.state == ReleaseState::Rejected || due_version >= is.vendor_version.version {
                continue;
            }
            let now = now.map_or_else(|| "none".to_owned(), |now| now.to_string());
            self.voice.complain(&format!(
                "Warning: {feed}: {due_version} (release {}) was lost: its bytes are whole neither in the state nor in the \
                 folder; the release before, in _back, is {now} now",
                due.number
            ));
            told = true;
        }
        Ok(told)
    }

    /// A release's version and number, as far as it is known.
    async fn named(&self, id: &ReleaseId) -> Result<String, CompatError> {
        let found = self.engine.ports().catalog.release(id).await.map_err(EngineError::from)?;
        Ok(found.map_or_else(
            || format!("a release that begins with {}", id.short()),
            |found| format!("{} (release {})", found.release.vendor_version.version, found.number),
        ))
    }
}
