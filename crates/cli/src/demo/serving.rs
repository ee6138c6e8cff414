//! After the story: the mirror serves on, for the person to try.

use std::sync::Arc;
use std::time::Duration;

use model::{Outcome, Vendor};
use vendor_sim::{Change, DefenderChange, DefenderTarget};

use super::chapters::cost_in_requests;
use super::sync::{sync, visible};
use super::text::took;
use super::{Demo, DemoError};
use crate::show::bytes;

/// How often the vendors publish.
const PUBLISHED_EVERY: Duration = Duration::from_secs(30);
/// How often, in publications, what is no longer kept is let go.
const UPKEEP: u64 = 10;

impl Demo {
    /// Serves, publishes and syncs until the person ends it.
    pub(super) async fn serve_on(&mut self) -> Result<(), DemoError> {
        self.invite().await;
        let mut publications = 0_u64;
        loop {
            tokio::select! {
                () = interrupted() => break,
                () = tokio::time::sleep(PUBLISHED_EVERY) => {}
            }
            publications += 1;
            tokio::select! {
                () = interrupted() => break,
                done = self.publish_and_sync() => done?,
            }
            if publications.is_multiple_of(UPKEEP) {
                self.world.engine.collect().await?;
            }
        }
        self.story.gap();
        let answers: u64 = self.world.content.stats().requests.iter().map(|(_, count)| count).sum();
        self.story.note(&format!("Ended. The mirror gave {answers} answers in all."));
        Ok(())
    }

    async fn publish_and_sync(&mut self) -> Result<(), DemoError> {
        self.world.vendors.publish_elastic("all", Change::of(2))?;
        self.world.vendors.publish_defender(DefenderTarget::All, DefenderChange::default())?;
        let synced = sync(&self.world, Arc::new(mirror::Silent)).await?;
        let visible = visible(&self.world, synced.report.generation).await;
        let newest = |vendor: Vendor| {
            let feeds = synced.report.feeds.iter().filter(|feed| feed.feed.vendor() == vendor);
            let versions = feeds.filter_map(|feed| feed.vendor_version.as_ref());
            versions.map(|version| version.version.clone()).max().map(|version| version.to_string()).unwrap_or_default()
        };
        let text = format!(
            "{}  Elastic {}, Defender {}: served {} later ({}, {})",
            self.world.clock.now(),
            newest(Vendor::Elastic),
            newest(Vendor::Defender),
            took(synced.time),
            cost_in_requests(&synced),
            bytes(synced.cost.bytes),
        );
        self.story.holds(synced.all(&[Outcome::Published]) && visible.is_ok(), text).await;
        Ok(())
    }

    async fn invite(&mut self) {
        self.story.chapter("Yours to try, until you press Ctrl-C").await;
        let (base, admin) = (self.world.client.base().to_owned(), self.world.admin_url.clone());
        let manifest = "downloads/endpoint/manifest/artifacts-9.0.0.zip";
        let groups: [(&str, Vec<String>); 4] = [
            (
                "Elastic, with the pipeline from the vendor's page:",
                vec![
                    format!("curl -s {base}/{manifest} | zcat -q | jq -r .manifest_version"),
                    format!(
                        "curl -s {base}/{manifest} | zcat -q | jq -r '.artifacts | to_entries[] | .value.relative_url' \
                     | head -5 | xargs -I@ curl -s -o /dev/null -w '%{{http_code}} %{{size_download}} @\\n' '{base}@'"
                    ),
                    format!("curl -sI {base}/{manifest}"),
                ],
            ),
            (
                "Defender, in Microsoft's layout:",
                vec![
                    format!("curl -s {base}/linux/production/arch_x86_64/manifest.json | jq ."),
                    format!("curl -s {base}/linux/production_back/arch_x86_64/manifest.json | jq ."),
                    format!(
                        "curl -s -o updates.zip {base}/linux/production/arch_x86_64/updates.zip && unzip -t updates.zip"
                    ),
                ],
            ),
            (
                "The operator's side:",
                vec![
                    format!("curl -s {admin}/api/v1/status | jq '.feeds[] | {{feed, outcome, offered}}'"),
                    format!("curl -s {admin}/metrics"),
                ],
            ),
            (
                "The other commands, beside this one:",
                vec![self.beside("status"), self.beside("release list"), self.beside("history list")],
            ),
        ];
        for (what, commands) in groups {
            self.story.note(what);
            commands.iter().for_each(|command| self.story.command(command));
        }
        self.story.note(&format!("Both vendors publish every {} seconds:", PUBLISHED_EVERY.as_secs()));
    }
}

/// Comes when the person, or the system, asks to end.
pub(super) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = term.recv() => return,
                heard = tokio::signal::ctrl_c() => if heard.is_ok() { return },
            }
        }
    }
    // Where signals cannot be heard, they end the process as they always do.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
