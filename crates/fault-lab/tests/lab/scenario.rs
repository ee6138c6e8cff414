//! Things that the program does, from a known beginning to a known end.

use std::path::PathBuf;

use vendor_sim::{Architecture, Change, DefenderChange, DefenderFeed, DefenderSettings, ElasticSettings, Platform};
use vendor_sim::{DefenderTarget, Settings, Simulator, Track};

use crate::bench::Bench;
use crate::tree::Tree;

/// The feeds: one of each vendor, small.
pub(crate) fn vendor(artifact_size: u64, archive_size: u64) -> Simulator {
    let elastic = ElasticSettings {
        versions: vec!["9.0.0".to_owned()],
        candidates: Vec::new(),
        dated: Vec::new(),
        artifacts: 6,
        artifact_size,
        ..ElasticSettings::default()
    };
    let feeds = vec![DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64)];
    let defender = DefenderSettings { feeds, archive_size, ..DefenderSettings::default() };
    Simulator::start(Settings { elastic, defender, ..Settings::default() }).unwrap()
}

/// The sections that follow it. One attempt is enough: it is not the line that fails here.
pub(crate) fn sections(vendor: &Simulator, retention: &str) -> String {
    format!(
        "[origin]\nallow_plain_http = true\n[elastic]\norigin = \"{}\"\nversions = [\"9.0.0\"]\n\
         [defender]\norigin = \"{}\"\narchitectures = [\"x86_64\"]\n\
         [limits]\ndisk_reserve = \"1MiB\"\nretry_base = \"10ms\"\nretries = 1\n{retention}",
        vendor.elastic_url(),
        vendor.defender_url()
    )
}

/// The same where the program may fill the disk to its last byte.
pub(crate) fn without_reserve(vendor: &Simulator) -> String {
    sections(vendor, "").replace("disk_reserve = \"1MiB\"", "disk_reserve = \"0B\"")
}

/// Publishes an ordinary release of everything.
pub(crate) fn publish(vendor: &Simulator) {
    vendor.publish_elastic("all", Change::of(2)).unwrap();
    vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
}

/// A command, what was there before it, and what it should leave.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) vendor: Simulator,
    retention: &'static str,
    /// Whose folder the beginnings and ends lie in.
    home: Bench,
    pub(crate) command: Vec<String>,
    /// The data folder at the beginning; nothing when there is none.
    pub(crate) begin: Option<PathBuf>,
    pub(crate) before: Tree,
    pub(crate) after: Tree,
    /// What the command ends with, and a `sync` after it.
    pub(crate) codes: (i32, i32),
    /// The blobs at the end.
    pub(crate) blobs: Vec<String>,
}

impl Scenario {
    /// The very first fetch.
    pub(crate) fn first() -> Self {
        Self::of("first sync", "", &["sync", "--json"], |_, _| {})
    }

    /// A newer release of everything is fetched and published.
    pub(crate) fn update() -> Self {
        Self::of("update", "", &["sync", "--json"], |bench, vendor| {
            bench.act(&["sync"]).expect(0);
            publish(vendor);
        })
    }

    /// A release in quarantine is let in.
    pub(crate) fn admit() -> Self {
        let command = ["release", "admit", "3", "--reason", "they meant it", "--json"];
        Self::of("admit", "", &command, quarantined)
    }

    /// A release in quarantine is refused.
    pub(crate) fn reject() -> Self {
        let command = ["release", "reject", "3", "--reason", "they did not", "--json"];
        Self::of("reject", "", &command, quarantined)
    }

    /// What is no longer kept is let go.
    pub(crate) fn gc() -> Self {
        let retention = "[retention]\ndays = 1\nbytes = \"1MB\"\ngrace = \"0s\"\n";
        Self::of("gc", retention, &["gc", "--json"], |bench, vendor| {
            // Gathered without limits, so that there is something to let go.
            let plenty = bench.folder().join("plenty.toml");
            let text = std::fs::read_to_string(bench.config()).unwrap();
            std::fs::write(&plenty, text.replace("bytes = \"1MB\"", "bytes = \"1GB\"")).unwrap();
            for _ in 0..4 {
                bench.act(&["--config", plenty.to_str().unwrap(), "sync"]).expect(0);
                vendor.publish_elastic("all", Change::of(6)).unwrap();
                vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
            }
            bench.act(&["--config", plenty.to_str().unwrap(), "sync"]).expect(0);
        })
    }

    fn of(name: &'static str, retention: &'static str, command: &[&str], begin: fn(&Bench, &Simulator)) -> Self {
        let size = if name == "gc" { (64 << 10, 256 << 10) } else { (8 << 10, 32 << 10) };
        let vendor = vendor(size.0, size.1);
        let home = Bench::new(&sections(&vendor, retention));
        begin(&home, &vendor);
        let begin = home.data().exists().then(|| home.put("begin", Some(&home.data())));
        if begin.is_none() {
            home.put("data", None);
        }
        let before = Tree::walk(&home.data()).unwrap();
        let done = home.act(command);
        let after = Tree::walk(&home.data()).unwrap();
        let blobs = blobs(&home);
        let synced = home.act(&["sync", "--json"]);
        let codes = (done.code.unwrap(), synced.code.unwrap());
        assert_eq!(codes.0, 0, "{name}: {}", done.text());
        let command = command.iter().map(|&word| word.to_owned()).collect();
        Self { name, vendor, retention, home, command, begin, before, after, codes, blobs }
    }

    /// A bench to play it on.
    pub(crate) fn bench(&self) -> Bench {
        let _lives_as_long = &self.home;
        Bench::new(&sections(&self.vendor, self.retention))
    }

    pub(crate) fn words(&self) -> Vec<&str> {
        self.command.iter().map(String::as_str).collect()
    }
}

fn quarantined(bench: &Bench, vendor: &Simulator) {
    bench.act(&["sync"]).expect(0);
    vendor.publish_elastic("all", Change::regress()).unwrap();
    bench.act(&["sync"]).expect(3);
}

/// The names of all blobs.
pub(crate) fn blobs(bench: &Bench) -> Vec<String> {
    let mut names = Vec::new();
    let Ok(shards) = std::fs::read_dir(bench.data().join("blobs")) else { return names };
    for shard in shards {
        for blob in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            names.push(blob.unwrap().file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}
