//! The chapter in which everything upstream goes wrong.

use model::{Outcome, Reason};
use vendor_sim::{
    Architecture, Change, DefenderChange, DefenderFeed, Fault, FaultRule, Kind, Pattern, Platform, Track,
};

use super::sync::{Synced, visible};
use super::{Demo, DemoError};

/// The version of Elastic Defend whose artifact is spoiled.
const SPOILED: &str = "9.0.0";
/// The version of Elastic Defend whose manifest goes back.
const REGRESSED: &str = "9.1.2";

impl Demo {
    pub(super) async fn bad_day(&mut self) -> Result<(), DemoError> {
        self.story.chapter("A bad day upstream").await;
        self.cut_download().await?;
        self.flipped_bit().await?;
        self.captive_portal().await?;
        self.version_regression().await
    }

    async fn cut_download(&mut self) -> Result<(), DemoError> {
        self.story.event("Microsoft publishes, and the line breaks in the middle of the download.");
        let feed = DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64);
        self.world.vendors.publish_defender(feed, DefenderChange::default())?;
        self.world.vendors.inject(FaultRule::once(Kind::Archive, Fault::ShortBody));
        let synced = self.sync("a download cut off").await?;
        let visible = visible(&self.world, synced.report.generation).await;
        let published = synced.count(Outcome::Published) == 1 && synced.count(Outcome::Failed) == 0;
        let resumed = self.resumed_at();
        let text = match &resumed {
            Some(place) => format!("the download went on at {place}; the release is proven and published"),
            None => "the download was not resumed".to_owned(),
        };
        self.story.holds(published && resumed.is_some() && visible.is_ok(), text).await;
        self.take_up(&format!("defender/{feed}")).await;
        Ok(())
    }

    /// Where the last resumed download went on, by what the vendor was asked.
    fn resumed_at(&self) -> Option<String> {
        let log = self.world.vendors.log();
        let entry = log.iter().rev().find(|entry| entry.kind == Kind::Archive && entry.status == 206)?;
        let range = entry.header("range")?;
        Some(format!("byte {}", range.strip_prefix("bytes=")?.trim_end_matches('-')))
    }

    async fn flipped_bit(&mut self) -> Result<(), DemoError> {
        self.story.event("Elastic publishes for 9.0.0, and one bit of one artifact turns on the way.");
        let vendors = &self.world.vendors;
        let before = vendors.elastic_release(SPOILED);
        vendors.publish_elastic(SPOILED, Change::of(2))?;
        let held = |url: &str| {
            let mut before = before.iter().flat_map(|release| &release.artifacts);
            before.any(|artifact| artifact.relative_url == url)
        };
        let now = vendors.elastic_release(SPOILED);
        let new = now.iter().flat_map(|release| &release.artifacts).find(|artifact| !held(&artifact.relative_url));
        let spoiled = new.map(|artifact| artifact.relative_url.clone()).unwrap_or_default();
        vendors.inject(FaultRule::always(Pattern::Target(spoiled), Fault::OtherBytes));
        let synced = self.sync("a bit turned").await?;
        self.show(&synced);
        let refused = synced.ended("elastic/9.0.0", Outcome::Failed, Reason::HashMismatch);
        let others = synced.count(Outcome::Current) + 1 == synced.report.feeds.len();
        let text = exit_text("the release is refused as a whole, no other feed is touched", &synced);
        self.story.holds(refused && others && synced.report.exit_code() == 3, text).await;
        self.nobody_noticed().await;
        Ok(())
    }

    async fn captive_portal(&mut self) -> Result<(), DemoError> {
        self.story.event("A proxy puts its sign-in page in place of every answer, with status 200.");
        self.world.vendors.clear_faults();
        self.world.vendors.inject(FaultRule::always(Pattern::Any, Fault::Html));
        let synced = self.sync("a sign-in page").await?;
        self.show(&synced);
        let known = |reason| matches!(reason, Some(Reason::NotManifest | Reason::BadInfo));
        let told = synced.all(&[Outcome::Failed]) && synced.report.feeds.iter().all(|feed| known(feed.reason));
        let text = exit_text("nothing of it is taken for content", &synced);
        self.story.holds(told && synced.report.exit_code() == 1, text).await;
        self.nobody_noticed().await;
        Ok(())
    }

    async fn version_regression(&mut self) -> Result<(), DemoError> {
        self.story.event("The proxy is gone; but for 9.1.2 Elastic now offers an older version, well signed.");
        self.world.vendors.clear_faults();
        self.world.vendors.publish_elastic(REGRESSED, Change::regress())?;
        let synced = self.sync("a step back").await?;
        let visible = visible(&self.world, synced.report.generation).await;
        self.show(&synced);
        let kept = synced.ended("elastic/9.1.2", Outcome::Quarantined, Reason::VersionRegression);
        let healed =
            synced.report.feeds.iter().any(|f| f.feed.as_str() == "elastic/9.0.0" && f.outcome == Outcome::Published);
        let text = exit_text("9.1.2 is quarantined, 9.0.0 has healed by itself", &synced);
        self.story.holds(kept && healed && visible.is_ok() && synced.report.exit_code() == 3, text).await;
        self.take_up("elastic/9.0.0").await;
        let status = self.world.engine.status().await?;
        if let Some(release) = status.quarantined.first() {
            let number = release.number;
            let text =
                format!("Valid content is not always good content, so an operator decides about release {number}:");
            let act = |verb: &str, what: &str| format!("waystation release {verb} {number} --reason \"…\"   # {what}");
            self.story.note(&text);
            self.story.command(&act("admit ", "follow the vendor back"));
            self.story.command(&act("reject", "never serve it"));
        }
        Ok(())
    }

    /// Every endpoint gets its last good release, whole.
    async fn nobody_noticed(&mut self) {
        let served = self.world.fleet.still_served(&self.running).await;
        self.story.claim(served).await;
    }

    /// One endpoint gets something newer, all others what they have; all of it whole.
    async fn take_up(&mut self, newer: &str) {
        let mut told = Ok(());
        let mut running = Vec::new();
        for (now, before) in self.world.fleet.update_all().await.into_iter().zip(&self.running) {
            match now {
                Ok(now) => {
                    let (moved, meant) = (!now.is_same(before), newer == now.feed);
                    if moved != meant || moved != now.is_new {
                        told = Err(format!("{} went from {} to {}", now.feed, before.version, now.version));
                    }
                    running.push(now);
                }
                Err(error) => {
                    told = Err(error);
                    running.push(before.clone());
                }
            }
        }
        self.running = running;
        let all = self.running.len();
        let text =
            format!("{newer} gets it; the other {} endpoints get what they had, all whole", all.saturating_sub(1));
        self.story.claim(told.map(|()| text)).await;
    }
}

/// A claim about a sync, with the exit code that the command would have.
fn exit_text(what: &str, synced: &Synced) -> String {
    format!("{what} (`waystation sync` ends with {})", synced.report.exit_code())
}
