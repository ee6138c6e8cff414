//! The chapter in which all is well again, and nothing is left of the bad day but its record.

use std::collections::BTreeSet;

use model::{Digest, Outcome, ReleaseState};
use vendor_sim::{Change, DefenderChange, DefenderFeed, DefenderTarget, Step};

use super::sync::visible;
use super::text::took;
use super::{Demo, DemoError};

impl Demo {
    pub(super) async fn recovery(&mut self) -> Result<(), DemoError> {
        self.story.chapter("The day after").await;
        self.operator_rejects().await?;
        self.story.event("The vendors publish new releases, good ones.");
        let step = Step::To(self.highest() + 1);
        self.world.vendors.publish_elastic("all", Change { step, ..Change::of(3) })?;
        self.world.vendors.publish_defender(DefenderTarget::All, DefenderChange::default())?;
        let synced = self.sync("the day after").await?;
        let visible = visible(&self.world, synced.report.generation).await;
        let waiting = self.world.engine.status().await?.quarantined.len();
        let well = synced.all(&[Outcome::Published]) && visible.is_ok() && waiting == 0;
        let text = format!(
            "all {} feeds published {} later; nothing is quarantined",
            synced.report.feeds.len(),
            took(synced.time)
        );
        self.story.holds(well, text).await;
        self.everybody_updates().await;
        let same = self.as_the_vendors_have_it();
        self.story.claim(same).await;
        Ok(())
    }

    /// The operator ends the quarantine.
    async fn operator_rejects(&mut self) -> Result<(), DemoError> {
        let Some(release) = self.world.engine.status().await?.quarantined.into_iter().next() else {
            self.story.claim(Err::<String, _>("no release is quarantined")).await;
            return Ok(());
        };
        let number = release.number.to_string();
        self.world.engine.reject(&number, "the vendor went back by mistake").await?;
        let state = self.world.engine.find_release(&number).await?.state;
        let text = format!(
            "the operator rejects release {number} ({} of {}); the history has who, when and why",
            release.vendor_version, release.feed
        );
        self.story.holds(state == ReleaseState::Rejected, text).await;
        Ok(())
    }

    /// The highest N of all versions' `1.0.N`.
    fn highest(&self) -> u64 {
        let vendors = &self.world.vendors;
        let releases = vendors.elastic_targets().into_iter().filter_map(|target| vendors.elastic_release(target));
        let numbers = releases.filter_map(|release| release.manifest_version.rsplit('.').next()?.parse::<u64>().ok());
        numbers.max().unwrap_or(0)
    }

    /// Compares what endpoints have with what the vendors offer, byte for byte.
    fn as_the_vendors_have_it(&self) -> Result<String, String> {
        for update in &self.running {
            let theirs = self.offered(&update.feed);
            if update.content.is_empty() || !theirs.is_some_and(|theirs| update.content.is_subset(&theirs)) {
                return Err(format!("{} is not what the vendor has", update.feed));
            }
        }
        Ok("what the endpoints have is, byte for byte, what the vendors offer".to_owned())
    }

    /// The digests of all that a vendor offers in a feed.
    fn offered(&self, feed: &str) -> Option<BTreeSet<Digest>> {
        let vendors = &self.world.vendors;
        if let Some(version) = feed.strip_prefix("elastic/") {
            let release = vendors.elastic_release(version)?;
            return Some(release.artifacts.iter().map(|artifact| artifact.encoded_sha256).collect());
        }
        let feed = feed.strip_prefix("defender/")?.parse::<DefenderFeed>().ok()?;
        Some([vendors.defender_release(feed)?.archive.digest()].into())
    }
}
