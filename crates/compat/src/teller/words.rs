//! Tells what the folder remembers and the state does not, and which releases to go back to were lost.

use std::collections::BTreeMap;
use std::path::Path;

use mirror::EngineError;
use model::{FeedId, Generation, ReleaseId, ReleaseState, ServedFeed};

use super::{Back, Teller};
use crate::run::{CONFIG, CompatError};
use crate::shown::{Barred, NAME, Words};
use crate::takeover;

impl Teller<'_, '_> {
    /// Tells what does not come into the folder because of what the folder remembers; whether there is any.
    pub(crate) async fn barred(&mut self, folder: &Path, words: &Words, back: Back) -> Result<bool, CompatError> {
        let Some(serving) = takeover::serving(self.engine).await? else { return Ok(false) };
        let configuration = self.state.join(CONFIG);
        let (act, mut told) = (format!("waystation --config {} release", configuration.display()), false);
        for (feed, barred) in words.barred(&serving) {
            let (id, what, stays, word) = match barred {
                Barred::Served(id) => {
                    (id, "serves", "all of it", "admit NUMBER --reason '...' (of the one to go back to)")
                }
                Barred::Back(_) if back == Back::Not => continue,
                Barred::Back(id) => {
                    (id, "has as the release before", "_back", "reject NUMBER --reason '...' (of that one)")
                }
            };
            let (version, number) = self.named(&id).await?;
            self.voice.complain(&format!(
                "Error: {feed}: the state {what} {version}{number}, and the folder remembers that it was rejected or gone back \
                 from, which the state does not know: was the state brought back from a copy, or made anew? {stays} stays in \
                 the folder as it is until that is said again: {act} {word}, and run this again; to have {version} all the \
                 same, remove {}",
                folder.join(".waystation").join(NAME).display()
            ));
            told = true;
        }
        Ok(told)
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
    async fn named(&self, id: &ReleaseId) -> Result<(String, String), CompatError> {
        let found = self.engine.ports().catalog.release(id).await.map_err(EngineError::from)?;
        Ok(found.map_or_else(
            || (id.short().to_string(), String::new()),
            |found| (found.release.vendor_version.version.to_string(), format!(" (release {})", found.number)),
        ))
    }
}
