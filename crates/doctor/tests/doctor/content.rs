//! What a mirror holds when all is well: one Elastic version, one Defender feed and the release before it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use doctor::{Check, Depth, Examination, Level, Quietly, Report, examine};
use model::{Clock, Timestamp};
use trust::KeyRing;
use url::Url;
use vendor_sim::{DefenderChange, DefenderSettings, ElasticSettings, Settings, Simulator};

/// The Elastic feed.
pub(crate) const ELASTIC: &str = "elastic/9.0.0";
/// Its manifest.
pub(crate) const MANIFEST: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";
/// The Defender feed.
pub(crate) const DEFENDER: &str = "defender/linux/production/x86_64";
/// Where it lies.
pub(crate) const FOLDER: &str = "/linux/production/arch_x86_64";
/// Where the release before lies.
pub(crate) const BACK: &str = "/linux/production_back/arch_x86_64";

/// Files by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

struct World {
    files: Files,
    key: String,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let elastic = ElasticSettings { artifacts: 4, artifact_size: 2000, ..ElasticSettings::default() };
        let defender = DefenderSettings { archive_size: 9000, ..DefenderSettings::default() };
        let vendor = Simulator::start(Settings { elastic, defender, ..Settings::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (before, now) = (folder.path().join("before"), folder.path().join("now"));
        vendor.write_defender_tree(&before).unwrap();
        vendor
            .publish_defender(
                "linux/production/x86_64".parse::<vendor_sim::DefenderFeed>().unwrap(),
                DefenderChange::default(),
            )
            .unwrap();
        vendor.write_defender_tree(&now).unwrap();
        vendor.write_elastic_tree(&now, "9.0.0".parse::<vendor_sim::ElasticTarget>().unwrap()).unwrap();
        let mut files = Files::new();
        gather(&now.join("downloads"), "/downloads", &mut files);
        gather(&now.join(&FOLDER[1..]), FOLDER, &mut files);
        gather(&before.join(&FOLDER[1..]), BACK, &mut files);
        World { files, key: vendor.public_key_pem().unwrap() }
    })
}

fn gather(folder: &Path, route: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, route) = {
            let entry = entry.unwrap();
            (entry.path(), format!("{route}/{}", entry.file_name().into_string().unwrap()))
        };
        if path.is_dir() {
            gather(&path, &route, files);
        } else {
            files.insert(route, fs::read(&path).unwrap());
        }
    }
}

/// All of it, as it should be.
pub(crate) fn files() -> Files {
    world().files.clone()
}

/// The path of one artifact.
pub(crate) fn artifact() -> String {
    let artifact = |route: &&String| route.starts_with("/downloads/") && *route != MANIFEST;
    world().files.keys().find(artifact).unwrap().clone()
}

/// A clock that stands.
pub(crate) struct Standing(pub(crate) Timestamp);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// When everything here happens.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-10-05T12:00:00Z").unwrap()
}

/// An examination of these feeds at a URL.
pub(crate) fn examination(url: &str, feeds: &[&str]) -> Examination {
    let mut settings = vendors::Settings::default();
    settings.elastic.keys = Arc::new(KeyRing::built_in().with_pem(&world().key).unwrap());
    Examination {
        url: Url::parse(url).unwrap(),
        feeds: feeds.iter().map(|feed| feed.parse().unwrap()).collect(),
        settings,
        ca_pem: None,
        depth: Depth::Whole,
        deadline: Duration::from_secs(120),
        clock: Arc::new(Standing(now())),
    }
}

/// Runs it.
pub(crate) async fn run(examination: &Examination) -> Report {
    examine(examination, &Quietly).await.unwrap()
}

/// What a report found above ok, each check once, in the order of its code.
pub(crate) fn troubles(report: &Report) -> Vec<(Check, Level)> {
    let mut found: Vec<_> = report.troubles().map(|finding| (finding.check, finding.level)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Fails unless exactly this was found.
#[track_caller]
pub(crate) fn expect(report: &Report, expected: &[(Check, Level)]) {
    let shown: Vec<String> = report
        .troubles()
        .map(|finding| {
            format!("{} {} {:?}: {} -> {}", finding.level, finding.check, finding.on, finding.asked, finding.came)
        })
        .collect();
    assert_eq!(troubles(report), expected, "\n{}", shown.join("\n"));
    for finding in report.troubles() {
        assert!(!finding.why.is_empty() && !finding.remedy.is_empty());
    }
}
