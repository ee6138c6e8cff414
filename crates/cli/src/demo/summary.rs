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
            "endpoints got {answers} answers ({} of them 304) and {}, none an error; the vendors were asked {} times and sent {}",
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
            format!("every check, verdict, publication and act is recorded: {} entries, their chain unbroken", head.seq)
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
            let text = format!("Everything is kept in {}:", path.display());

            self.story.note(&text);
            for verb in ["status", "release list", "history list"] {
                let command = self.beside(verb);
                self.story.command(&command);
            }
        }
        self.story.note("A mirror of your own (README.md has the rest):");
        for (verb, what) in [
            ("init", "# writes waystation.toml, every key explained"),
            ("sync", "# fetches, proves and publishes"),
            ("run ", "# serves your endpoints, syncs on schedule"),
        ] {
            let command = format!("{} {verb}     {what}", self.program);
            self.story.command(&command);
        }
    }

    /// A command that works on the demo's data.
    pub(super) fn beside(&self, verb: &str) -> String {
        format!("{} --config {} {verb}", self.program, quoted(&self.world.config_file.display().to_string()))
    }
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_copied_into_a_shell() {
        assert_eq!(quoted("/tmp/demo-1/waystation.toml"), "/tmp/demo-1/waystation.toml");
        assert_eq!(quoted("/tmp/it's mine"), r"'/tmp/it'\''s mine'");
    }
}
