//! The chapters in which all goes well, and the summary.

use std::sync::Arc;

use mirror::Observer;
use model::{Attestation, Checked, Outcome, Vendor};
use vendor_sim::{Change, DefenderChange, DefenderTarget};

use super::fleet::{Update, update_all};
use super::setup::{ARTIFACTS, Folder, RATE, ROUND_TRIP, SHARED, VERSIONS};
use super::sync::{Synced, sync, visible};
use super::text::{bytes, count, took};
use super::{Demo, DemoError, defender_endpoint};

impl Demo {
    pub(super) async fn opening(&mut self) {
        let world = &self.world;
        let line = format!("{} round trip, {}/s on each connection", took(ROUND_TRIP), bytes(RATE));
        let vendors = format!("The vendors answer at http://{} ({line}):", world.vendors.address());
        let elastic = world.vendors.elastic_targets().len();
        let defender = world.vendors.defender_feeds().len();
        let mirror = format!(
            "the mirror listens at {} and serves nothing yet: nothing is, before it is proven",
            world.client.base()
        );
        let is_empty = !world.content.is_ready();
        self.story.note(&vendors);
        self.story.note(&format!("Elastic: {elastic} versions, {ARTIFACTS} artifacts each, {SHARED} % of them shared;"));
        self.story.note(&format!("Microsoft: {defender} feeds of Defender for Linux, an archive each."));
        self.story.holds(is_empty, mirror).await;
    }

    pub(super) async fn first_sync(&mut self) -> Result<(), DemoError> {
        self.story.chapter("First sync").await;
        let synced = self.watched_sync("first").await?;
        let all = synced.all(&[Outcome::Published]);
        let feeds = synced.report.feeds.len();
        self.story.holds(all, format!("all {feeds} feeds fetched, proven and published in {}", took(synced.time))).await;
        self.thrift(&synced).await;
        self.signed().await?;
        let seen = visible(&self.world, synced.report.generation).await;
        self.story.claim(seen.map(|time| format!("endpoints are served it {} after the sync", took(time)))).await;
        Ok(())
    }

    /// A sync with bars, where there is a terminal.
    async fn watched_sync(&mut self, what: &str) -> Result<Synced, DemoError> {
        let observer: Arc<dyn Observer> = Arc::new(mirror::Silent);
        let synced = sync(&self.world, observer).await?;
        self.ledger.add(what, synced.cost, &synced.report);
        self.show(&synced).await?;
        Ok(synced)
    }

    /// What three versions that share most of their artifacts cost, compared with fetching each version whole.
    async fn thrift(&mut self, synced: &Synced) {
        let vendors = &self.world.vendors;
        let releases: Vec<_> = VERSIONS.iter().filter_map(|version| vendors.elastic_release(*version)).collect();
        let named: usize = releases.iter().map(|release| release.artifacts.len()).sum();
        let naive: u64 = releases.iter().map(|release| release.total_bytes()).sum();
        let distinct: std::collections::BTreeSet<_> =
            releases.iter().flat_map(|release| &release.artifacts).map(|artifact| artifact.encoded_sha256).collect();
        let asked = vendors.requests().artifacts();
        let fetched: u64 = synced.report.feeds.iter().filter(|feed| feed.feed.vendor() == Vendor::Elastic).map(|feed| feed.bytes_fetched).sum();
        let once = asked == distinct.len() as u64 && fetched < naive;
        let text = format!(
            "{} name {named} artifacts; each of the {} different ones was fetched once: {} instead of {}",
            count(releases.len(), "manifest"),
            distinct.len(),
            bytes(fetched),
            bytes(naive),
        );
        self.story.holds(once, text).await;
    }

    /// What was checked of whose bytes, no more and no less.
    async fn signed(&mut self) -> Result<(), DemoError> {
        let status = self.world.engine.status().await?;
        let trust = |vendor: Vendor| {
            let feeds = status.feeds.iter().filter(move |feed| feed.feed.vendor() == vendor);
            feeds.map(|feed| feed.served.as_ref().map(|release| &release.trust))
        };
        let signed = |checked: &Checked| matches!(checked, Checked::VendorSigned(_));
        let elastic = trust(Vendor::Elastic).all(|trust| trust.is_some_and(|trust| signed(&trust.checked)));
        let plain = trust(Vendor::Defender).chain(trust(Vendor::Elastic)).all(|trust| {
            trust.is_some_and(|trust| trust.attested_by == Attestation::PlainHttp)
        });
        let defender = trust(Vendor::Defender).all(|trust| trust.is_some_and(|t| t.checked == Checked::TransportOnly));
        let text = "Elastic's manifests bear a good signature (of the simulator's key); Microsoft signs no list, so its \
                    archives are called transport-only; and since this is plain http, nobody is said to attest the host";
        self.story.holds(elastic && plain && defender, text).await;
        Ok(())
    }

    pub(super) async fn endpoints_update(&mut self) {
        self.story.chapter("Endpoints update from the mirror").await;
        for update in update_all(&self.world).await {
            match update {
                Ok(update) => {
                    self.story.claim(Ok::<_, String>(update.describe())).await;
                    self.running.push(update);
                }
                Err(error) => self.story.claim(Err::<String, _>(error)).await,
            }
        }
        let polled = self.poll_all().await;
        self.story.claim(polled).await;
    }

    /// Every endpoint asks again.
    async fn poll_all(&self) -> Result<String, String> {
        for update in &self.running {
            update.poll(&self.world.client).await?;
        }
        Ok(format!("all {} ask again with their ETag: 304, not a byte of content", self.running.len()))
    }

    pub(super) async fn new_releases(&mut self) -> Result<(), DemoError> {
        self.story.chapter("The vendors move on").await;
        let quiet = self.quiet_sync().await?;
        let idle = quiet.all(&[Outcome::Current]);
        let text = format!(
            "nothing new yet: a sync costs {} and {}, and changes nothing",
            count(quiet.cost.requests, "request"),
            bytes(quiet.cost.bytes)
        );
        self.story.holds(idle, text).await;
        self.story.event("Both vendors publish: 3 artifacts in every version of Elastic, new definitions from Microsoft.");
        self.world.vendors.publish_elastic("all", Change::of(3))?;
        self.world.vendors.publish_defender(DefenderTarget::All, DefenderChange::default())?;
        let synced = self.sync("new releases").await?;
        let seen = visible(&self.world, synced.report.generation).await;
        self.story.holds(
            synced.all(&[Outcome::Published]),
            format!(
                "published in {}: {} and {}, for only what changed was fetched",
                took(synced.time),
                count(synced.cost.requests, "request"),
                bytes(synced.cost.bytes)
            ),
        ).await;
        if let Err(late) = seen {
            self.story.claim(Err::<String, _>(late)).await;
        }
        self.endpoints_move_on().await;
        Ok(())
    }

    async fn quiet_sync(&mut self) -> Result<Synced, DemoError> {
        let synced = sync(&self.world, Arc::new(mirror::Silent)).await?;
        self.ledger.add("nothing new", synced.cost, &synced.report);
        Ok(synced)
    }

    /// The endpoints get the new releases, and what was promised about the old ones is kept.
    async fn endpoints_move_on(&mut self) {
        let before = std::mem::take(&mut self.running);
        let now: Result<Vec<Update>, String> = update_all(&self.world).await.into_iter().collect();
        let moved = now.and_then(|now| {
            let stale = now.iter().zip(&before).find(|(new, old)| new.version() == old.version());
            match stale {
                Some((update, _)) => Err(format!("{} is still at {}", update.feed(), update.version())),
                None => Ok(now),
            }
        });
        match moved {
            Ok(now) => {
                let versions: Vec<String> = now.iter().zip(&before).filter(|(new, _)| matches!(new, Update::Elastic(_))).take(1)
                    .chain(now.iter().zip(&before).filter(|(new, _)| matches!(new, Update::Defender(_))).take(1))
                    .map(|(new, old)| format!("{} → {}", old.version(), new.version())).collect();
                let text = format!("all {} endpoints update, and all of it is right: {}", now.len(), versions.join(", "));
                self.running = now;
                self.story.claim(Ok::<_, String>(text)).await;
            }
            Err(error) => {
                self.story.claim(Err::<String, _>(error)).await;
                self.running.clone_from(&before);
            }
        }
        let grace = self.grace(&before).await;
        self.story.claim(grace).await;
        let back = self.back(&before).await;
        self.story.claim(back).await;
    }

    /// An endpoint that read its manifest before the new one came.
    async fn grace(&self, before: &[Update]) -> Result<String, String> {
        let mut artifacts = 0;
        for update in before {
            if let Update::Elastic(update) = update {
                update.finish(&self.world.client).await?;
                artifacts += update.artifacts.len();
            }
        }
        let grace = self.world.engine.settings().grace.as_secs() / 60;
        Ok(format!("an endpoint in the middle of the old manifest finishes too: its {artifacts} artifacts stay for {grace} minutes (grace)"))
    }

    /// The release before, at the address that Microsoft's own layout has for it.
    async fn back(&self, before: &[Update]) -> Result<String, String> {
        let mut version = String::new();
        for update in before {
            let Update::Defender(old) = update else { continue };
            let back = defender_endpoint::update(&self.world.client, "production_back", &old.architecture).await?;
            if back.digest != old.digest || back.definitions != old.definitions {
                return Err(format!("production_back has {} and not {}", back.definitions, old.definitions));
            }
            version = back.definitions;
        }
        Ok(format!("Defender's earlier release {version} stays at …/production_back/, where Microsoft's layout has it"))
    }

    pub(super) async fn summary(&mut self) -> Result<(), DemoError> {
        self.story.chapter("Summary").await;
        let table = self.ledger.table();
        for (number, row) in table.iter().enumerate() {
            if number == 0 { self.story.head(row) } else { self.story.row(row) }
        }
        self.story.gap();
        let stats = self.world.content.stats();
        let total = self.ledger.total();
        let troubles: u64 = stats.troubles.iter().map(|(_, count)| count).sum();
        let errors: u64 = stats.requests.iter().filter(|(status, _)| *status >= 500).map(|(_, count)| count).sum();
        let served = format!(
            "served: {} answers with content, {} times 304, {} in all, no error; for that the vendors were asked {} times and sent {}",
            stats.answered(200),
            stats.answered(304),
            bytes(stats.bytes_sent),
            total.requests,
            bytes(total.bytes),
        );
        self.story.holds(troubles == 0 && errors == 0, served).await;
        let releases = self.world.engine.held().await?;
        let verified = self.world.engine.verify(&releases, &|_| ()).await?;
        let text = format!("{} releases held; their {} re-hashed just now ({}), none damaged", verified.releases, count(verified.blobs, "blob"), bytes(verified.bytes));
        self.story.holds(verified.faults.is_empty(), text).await;
        let chain = catalog::verify_chain(self.world.engine.ports().catalog.as_ref()).await;
        self.story.claim(chain.map(|head| format!("every check, verdict, publication and act is in the history: {} entries, chain of hashes unbroken", head.seq))).await;
        self.goodbye();
        Ok(())
    }

    fn goodbye(&mut self) {
        self.story.gap();
        let (checked, wrong) = (self.story.checked(), self.story.wrong());
        match wrong {
            0 => self.story.note(&format!("All {checked} claims held.")),
            _ => self.story.note(&format!("{wrong} of {checked} claims did NOT hold; they are marked above. Please report this.")),
        }
        if let Folder::Kept(path) = &self.world.folder {
            let text = format!("Everything is kept in {}; look at it with", path.display());
            let command = format!("waystation --config {} status", self.world.config_file.display());
            self.story.note(&text);
            self.story.command(&command);
        }
        self.story.note("Your own mirror:");
        self.story.command("waystation init        # writes a commented waystation.toml");
        self.story.command("waystation sync        # fetches, proves, publishes");
        self.story.command("waystation run         # serves, syncs on schedule; README.md has the rest");
    }
}
