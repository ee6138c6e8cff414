//! The chapters in which all goes well.

use std::collections::BTreeSet;

use mirror::FeedStatus;
use model::{Attestation, Checked, Digest, Outcome, Vendor};
use vendor_sim::{Change, DefenderChange, DefenderTarget};

use super::elastic_endpoint::Reader;
use super::fleet::Update;
use super::setup::{ARCHITECTURES, ARTIFACTS, RATE, ROUND_TRIP, SHARED, VERSIONS};
use super::sync::{Synced, visible};
use super::text::took;
use super::{Demo, DemoError};
use crate::show::{bytes, count};

impl Demo {
    pub(super) async fn opening(&mut self) {
        let world = &self.world;
        let (elastic, defender) = (world.vendors.elastic_targets().len(), world.vendors.defender_feeds().len());
        let vendors = format!(
            "The vendors answer at http://{}, {} away, {}/s for each connection. Elastic has manifests for {elastic} \
             versions of Elastic Defend, {ARTIFACTS} artifacts in each, {SHARED} % of them shared; Microsoft has \
             {defender} feeds of Defender for Linux, an archive in each.",
            world.vendors.address(),
            took(ROUND_TRIP),
            bytes(RATE),
        );
        let mirror = format!("the mirror listens at {} and serves nothing yet", world.client.base());
        let is_empty = !world.content.is_ready();
        self.story.note(&vendors);
        self.story.holds(is_empty, mirror).await;
    }

    pub(super) async fn first_sync(&mut self) -> Result<(), DemoError> {
        self.story.chapter("First sync: fetch, prove, publish").await;
        let synced = self.watched_sync("first").await?;
        let visible = visible(&self.world, synced.report.generation).await;
        let (all, feeds) = (synced.all(&[Outcome::Published]), synced.report.feeds.len());
        self.story.holds(all, format!("all {feeds} feeds published in {}", took(synced.time))).await;
        self.thrift(&synced).await;
        self.trust().await?;
        self.story.claim(visible.map(|time| format!("endpoints are served it {} later", took(time)))).await;
        Ok(())
    }

    /// What versions that share most of their artifacts cost, compared with fetching each version whole.
    async fn thrift(&mut self, synced: &Synced) {
        let vendors = &self.world.vendors;
        let releases: Vec<_> = VERSIONS.iter().filter_map(|version| vendors.elastic_release(*version)).collect();
        let named: usize = releases.iter().map(|release| release.artifacts.len()).sum();
        let whole: u64 = releases.iter().map(|release| release.total_bytes()).sum();
        let different = self.artifacts().len();
        let elastic = synced.report.feeds.iter().filter(|feed| feed.feed.vendor() == Vendor::Elastic);
        let fetched: u64 = elastic.map(|feed| feed.bytes_fetched).sum();
        let once = synced.cost.artifacts == different as u64 && fetched < whole;
        let text = format!(
            "{} name {named} artifacts; {different} differ, and each was fetched once: {} instead of {}",
            count(releases.len(), "manifest"),
            bytes(fetched),
            bytes(whole),
        );
        self.story.holds(once, text).await;
    }

    /// Every artifact that the vendor's manifests name now.
    fn artifacts(&self) -> BTreeSet<Digest> {
        let vendors = &self.world.vendors;
        let releases = vendors.elastic_targets().into_iter().filter_map(|target| vendors.elastic_release(target));
        releases
            .flat_map(|release| release.artifacts.iter().map(|one| one.encoded_sha256).collect::<Vec<_>>())
            .collect()
    }

    /// What was checked of whose bytes, and who attests them: no more than that.
    async fn trust(&mut self) -> Result<(), DemoError> {
        let status = self.world.engine.status().await?;
        let of = |vendor: Vendor| status.feeds.iter().filter(move |feed| feed.feed.vendor() == vendor);
        let checked = |feed: &FeedStatus| feed.served.as_ref().map(|release| release.trust.checked.clone());
        let key = self.world.keys.ids().next().map(|id| Checked::VendorSigned(id.to_owned()));
        let elastic = key.is_some() && of(Vendor::Elastic).all(|feed| checked(feed) == key);
        let defender = of(Vendor::Defender).all(|feed| checked(feed) == Some(Checked::TransportOnly));
        let text = "Elastic's feeds are vendor-signed: by the simulator's key, which the configuration names";
        self.story.holds(elastic, text).await;
        let mut served = status.feeds.iter().filter_map(|feed| feed.served.as_ref());
        let nobody = served.all(|release| release.trust.attested_by == Attestation::PlainHttp);
        let text = "Defender's are transport-only, attested by nobody (plain http): no more than was checked";
        self.story.holds(defender && nobody, text).await;
        Ok(())
    }

    pub(super) async fn endpoints_update(&mut self) {
        self.story.chapter("Endpoints update from the mirror").await;
        self.story.note(
            "These are the reference endpoints of `waystation endpoint`: they know the mirror's address and nothing \
             of its inside.",
        );
        for update in self.world.fleet.update_all().await {
            self.story.claim(update.as_ref().map(|update| update.words.clone())).await;
            self.running.extend(update.ok());
        }
        let polled = self.world.fleet.poll_all(&self.world.client).await;
        self.story.claim(polled).await;
    }

    pub(super) async fn new_releases(&mut self) -> Result<(), DemoError> {
        self.story.chapter("The vendors move on").await;
        let quiet = self.sync("nothing new").await?;
        let (requests, size) = (cost_in_requests(&quiet), bytes(quiet.cost.bytes));
        let text = format!("as long as nothing is new, a sync takes {requests} and {size}");
        self.story.holds(quiet.all(&[Outcome::Current]), text).await;
        self.story.event("Both vendors publish: 3 new artifacts for each version of Elastic Defend, new definitions.");
        let known = self.artifacts();
        let readers = self.readers().await;
        self.world.vendors.publish_elastic("all", Change::of(3))?;
        self.world.vendors.publish_defender(DefenderTarget::All, DefenderChange::default())?;
        let new = self.artifacts().difference(&known).count();
        let synced = self.sync("new releases").await?;
        let visible = visible(&self.world, synced.report.generation).await;
        let published = synced.all(&[Outcome::Published]) && visible.is_ok();
        let text = format!(
            "published after {}: {} fetched, once for all versions ({}, {})",
            took(synced.time),
            count(new, "new artifact"),
            cost_in_requests(&synced),
            bytes(synced.cost.bytes),
        );
        self.story.holds(published && synced.cost.artifacts == new as u64, text).await;
        let before = self.running.clone();
        self.everybody_updates().await;
        let grace = self.grace(readers).await;
        self.story.claim(grace).await;
        let back = self.back(&before).await;
        self.story.claim(back).await;
        Ok(())
    }

    /// Every endpoint updates and gets a newer release than it had.
    pub(super) async fn everybody_updates(&mut self) {
        let now: Result<Vec<Update>, String> = self.world.fleet.update_all().await.into_iter().collect();
        let stays = |(new, old): &(&Update, &Update)| !new.is_new || new.version == old.version;
        let moved = now.and_then(|now| match now.iter().zip(&self.running).find(stays) {
            Some((update, _)) => Err(format!("{} is still at {}", update.feed, update.version)),
            None => Ok(now),
        });
        let told = moved.map(|now| {
            let versions: BTreeSet<&str> = now.iter().map(|update| update.version.as_str()).collect();
            let versions: Vec<&str> = versions.into_iter().collect();
            let text = format!("all {} endpoints update, every byte proven: {}", now.len(), versions.join(", "));
            self.running = now;
            text
        });
        self.story.claim(told).await;
    }

    /// Endpoints that have read their manifest, and are about to go on.
    async fn readers(&self) -> Result<Vec<Reader>, String> {
        let mut readers = Vec::new();
        for version in VERSIONS {
            readers.push(Reader::begin(&self.world.client, &self.world.keys, version).await?);
        }
        Ok(readers)
    }

    /// An endpoint that read its manifest before the new one came.
    async fn grace(&self, readers: Result<Vec<Reader>, String>) -> Result<String, String> {
        for reader in readers? {
            reader.finish(&self.world.client).await?;
        }
        let minutes = self.world.engine.settings().grace.elastic.as_secs() / 60;
        Ok(format!("an endpoint in the middle of an old manifest still gets its artifacts (grace: {minutes} minutes)"))
    }

    /// The release before, at the address that Microsoft's own layout has for it.
    async fn back(&self, before: &[Update]) -> Result<String, String> {
        let mut versions = BTreeSet::new();
        for architecture in ARCHITECTURES {
            let back = self.world.fleet.back(architecture).await?;
            let old = before.iter().find(|old| old.feed == back.feed);
            if !old.is_some_and(|old| back.version == old.version && back.content == old.content) {
                return Err(format!(
                    "production_back of {architecture} has {}, which is not the one before",
                    back.version
                ));
            }
            versions.insert(back.version);
        }
        let versions: Vec<String> = versions.into_iter().collect();
        Ok(format!(
            "Defender's earlier release {} stays at /linux/production_back/: an endpoint that is pointed there gets it",
            versions.join(", ")
        ))
    }
}

/// What a sync asked of the vendors.
pub(super) fn cost_in_requests(synced: &Synced) -> String {
    count(usize::try_from(synced.cost.requests).unwrap_or(usize::MAX), "request")
}
