//! How a release stands when an act names it, once what was said before is carried out.

use blob_store::Current;
use catalog::{FeedRecord, ReleaseRecord, Word};
use model::{Outcome, Release, ReleaseId, ReleaseState};

use crate::word::leaves;
use crate::{Engine, EngineError};

/// A release that an act names, and how it stands.
pub(crate) struct Standing {
    pub(crate) found: ReleaseRecord,
    /// What is served.
    pub(crate) present: Option<Current>,
    /// A word on its feed that was not carried out and that the act takes back.
    pub(crate) takes_back: Option<Word>,
}

impl Engine {
    /// Carries out what was said before, but for a word that the act which begins takes back; then finds the release that
    /// it names, and how that stands.
    pub(crate) async fn settle_around(&self, text: &str, act: &str) -> Result<Standing, EngineError> {
        let found = self.find_release(text).await?;
        let (release, present) = (&found.release, self.present().await?);
        let served = present.as_ref().and_then(|current| current.generation.feeds.get(&release.feed));
        let is_served = served.is_some_and(|served| served.release == release.id);
        let word = self.word_on(&self.record_of(release).await?, served).await?;
        // Whatever is let in now replaces what was to be. A step back that was begun is carried out before something is
        // rejected: what it leaves counts as rejected already.
        let is_meant = |word: &Word| word.release == release.id && !is_served && !leaves(release, word.was, served);
        let takes_back = word.filter(|word| act == "admit" || is_meant(word));
        self.settle_but_locked(takes_back.map(|_| &release.feed)).await?;
        let (found, present) = (self.find_release(text).await?, self.present().await?);
        Ok(Standing { found, present, takes_back })
    }

    /// The release that was let in and not served yet, where this one, which stood as `was`, goes back behind it or takes
    /// its place under the same version.
    pub(crate) async fn overtaken(
        &self,
        (release, was): (&Release, ReleaseState),
        before: Option<Word>,
    ) -> Result<Option<ReleaseId>, EngineError> {
        let Some(word) = before.filter(|word| word.release != release.id) else { return Ok(None) };
        let Some(found) = self.ports.catalog.release(&word.release).await? else { return Ok(None) };
        let (to, from) = (&release.vendor_version.version, &found.release.vendor_version.version);
        // What was good before its word is good again once that is taken back.
        let same = to == from && was != ReleaseState::Quarantined && word.was != ReleaseState::Admitted;
        Ok((to < from || same).then_some(found.release.id))
    }
}

impl Standing {
    pub(crate) fn may_be_rejected(&self, record: &FeedRecord) -> Result<(), EngineError> {
        let Self { found, present, takes_back } = self;
        let (number, state, release) = (found.number, found.state, &found.release);
        let served = present.as_ref().and_then(|current| current.generation.feeds.get(&release.feed));
        // Of what is served only the vendor's offer to go back to it can be turned down: then it stays as it is.
        let declines =
            state == ReleaseState::Admitted && waits(record, release) && record.outcome == Outcome::Quarantined;
        if served.is_some_and(|served| served.release == release.id) && !declines {
            let feed = &release.feed;
            return Err(EngineError::NotNow(match state {
                ReleaseState::Rejected => format!(
                    "release {number} was rejected before and is served still, for want of another: admit another release of {feed}"
                ),
                _ => format!("release {number} is what is served; to leave it, admit another release of {feed}"),
            }));
        }
        if takes_back.is_some() || waits(record, release) {
            return Ok(());
        }
        match state {
            ReleaseState::Admitted if record.declined == Some(release.id) => Err(EngineError::NotNow(format!(
                "going back to release {number} is declined already, and it stays admitted"
            ))),
            ReleaseState::Expired => Err(EngineError::NotNow(format!(
                "release {number} is expired: its bytes were let go, and nothing of it is served"
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether a release is what the vendor was last found to offer, and waits for a person.
pub(crate) fn waits(record: &FeedRecord, release: &Release) -> bool {
    record.release == Some(release.id) && matches!(record.outcome, Outcome::Quarantined | Outcome::Held)
}
