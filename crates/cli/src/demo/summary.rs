//! The last chapter: what it cost, what was served, and where to go next.

use super::setup::Folder;
use super::{Demo, DemoError};
use crate::show::{bytes, count};

impl Demo {
    pub(super) async fn summary(&mut self) -> Result<(), DemoError> {
        self.story.chapter("Summary").await;
        for (number, row) in self.ledger.table().iter().enumerate() {
            if number == 0 { self.story.head(row) } else { self.story.row(row) }
        }
        self.story.gap();
        self.served().await;
        self.proven().await?;
        self.goodbye();
        Ok(())
    }

    /// What the content side did, by its own count.
    async fn served(&mut self) {
        let stats = self.world.content.stats();
        let asked = self.ledger.total();
        let answers: u64 = stats.requests.iter().map(|(_, count)| count).sum();
        let good = stats.answered(200) + stats.answered(206) + stats.answered(304);
        let text = format!(
            "the endpoints had {answers} answers, {} of them 304, and {}; the vendors were asked {} times and sent {}",
            stats.answered(304),
            bytes(stats.bytes_sent),
            asked.requests,
            bytes(asked.bytes),
        );
        self.story.holds(good == answers && answers > 0, text).await;
    }

    /// What is held and recorded, looked at once more.
    async fn proven(&mut self) -> Result<(), DemoError> {
        let releases = self.world.engine.held().await?;
        let verified = self.world.engine.verify(&releases, &|_| ()).await?;
        let text = format!(
            "{} are held; their {} were hashed again just now ({}), none is damaged",
            count(verified.releases, "release"),
            count(verified.blobs, "blob"),
            bytes(verified.bytes),
        );
        self.story.holds(verified.faults.is_empty(), text).await;
        let chain = catalog::verify_chain(self.world.engine.ports().catalog.as_ref()).await;
        let text = |head: catalog::ChainHead| {
            format!(
                "every check, verdict, publication and act is in the history: {} entries, their chain unbroken",
                head.seq
            )
        };
        self.story.claim(chain.map(text)).await;
        Ok(())
    }

    fn goodbye(&mut self) {
        self.story.gap();
        match (self.story.checked(), self.story.wrong()) {
            (checked, 0) => self.story.note(&format!("All {checked} claims held.")),
            (checked, wrong) => {
                let text =
                    format!("{wrong} of {checked} claims did not hold; they are marked above. Please report it.");
                self.story.note(&text);
            }
        }
        if let Folder::Kept(path) = &self.world.folder {
            let text = format!("Everything is kept in {}. Look at it with", path.display());
            let config = self.world.config_file.display().to_string();
            self.story.note(&text);
            for verb in ["status", "release list", "history show"] {
                self.story.command(&format!("waystation --config {config} {verb}"));
            }
        }
        self.story.note("A mirror of your own (README.md has the rest):");
        self.story.command("waystation init     # writes waystation.toml, every key explained");
        self.story.command("waystation sync     # fetches, proves and publishes");
        self.story.command("waystation run      # serves your endpoints, syncs on schedule");
    }
}
