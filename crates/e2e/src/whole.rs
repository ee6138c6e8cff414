//! Walks what is served, as endpoints do, and sees that it is whole.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::net::SocketAddr;

use model::Digest;
use serde_json::Value;
use vendor_sim::{DefenderFeed, DefenderRelease, Simulator};

use crate::get;

/// The path of a version's manifest.
pub fn manifest_path(version: &str) -> String {
    format!("/downloads/endpoint/manifest/artifacts-{version}.zip")
}

/// The folder of a Defender feed; `suffix` is empty or `_back`.
pub fn defender_folder(feed: DefenderFeed, suffix: &str) -> String {
    format!("/{}/{}{suffix}/arch_{}", feed.platform, feed.track, feed.architecture)
}

/// The `manifest.json` in an Elastic manifest's archive.
pub fn read_manifest(archive: &[u8]) -> Value {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut text = String::new();
    archive.by_name("manifest.json").unwrap().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What the vendor ever published: everything served must be one of these.
#[derive(Debug, Default)]
pub struct Published {
    manifests: BTreeSet<Digest>,
    archives: BTreeSet<(String, Digest)>,
}

impl Published {
    /// Remembers what the vendor shows now.
    pub fn note(&mut self, vendor: &Simulator) {
        for target in vendor.elastic_targets() {
            let release = vendor.elastic_release(target).unwrap();
            self.manifests.insert(Digest::of(&release.manifest));
        }
        for feed in vendor.defender_feeds() {
            let release = vendor.defender_release(feed).unwrap();
            self.archives.insert((companion(&release), release.archive.digest()));
        }
    }

    /// A version's manifest and everything that it names: served whole and as the vendor sent it. Answers its
    /// `manifest_version`; none when nothing is served.
    pub fn walk_elastic(&self, mirror: SocketAddr, version: &str) -> Option<String> {
        let manifest = get(mirror, &manifest_path(version)).unwrap();
        if is_nothing(manifest.status) {
            return None;
        }
        assert_eq!(manifest.status, 200, "{version}");
        assert!(self.manifests.contains(&Digest::of(&manifest.body)), "no such manifest was published: {version}");
        let manifest = read_manifest(&manifest.body);
        let artifacts = manifest["artifacts"].as_object().unwrap();
        assert!(!artifacts.is_empty());
        for (name, artifact) in artifacts {
            let answer = get(mirror, artifact["relative_url"].as_str().unwrap()).unwrap();
            assert_eq!(answer.status, 200, "{version}: {name}");
            assert_eq!(Digest::of(&answer.body).to_string(), artifact["encoded_sha256"].as_str().unwrap(), "{name}");
        }
        Some(manifest["manifest_version"].as_str().unwrap().to_owned())
    }

    /// A feed's archive and companion: one release that was published. Answers the companion; none when nothing is
    /// served.
    pub fn walk_defender(&self, mirror: SocketAddr, feed: DefenderFeed) -> Option<String> {
        let folder = defender_folder(feed, "");
        let companion = || get(mirror, &format!("{folder}/manifest.json")).unwrap();
        loop {
            // The pair has two addresses, and a publication may come between them.
            let (before, archive, after) =
                (companion(), get(mirror, &format!("{folder}/updates.zip")).unwrap(), companion());
            if before.body != after.body || before.status != after.status {
                continue;
            }
            assert_eq!(before.status, archive.status, "{feed}");
            if is_nothing(before.status) {
                return None;
            }
            let companion = String::from_utf8(before.body).unwrap();
            let pair = (companion, Digest::of(&archive.body));
            assert!(self.archives.contains(&pair), "no such release was published: {feed} {}", pair.0);
            return Some(pair.0);
        }
    }
}

/// A ring that serves other feeds answers 404, one that never served anything 503.
fn is_nothing(status: u16) -> bool {
    matches!(status, 404 | 503)
}

/// The companion that belongs to a release: what `jq` makes of the two fields.
pub fn companion(release: &DefenderRelease) -> String {
    format!(
        "{{\n  \"EngineVersion\": \"{}\",\n  \"DefinitionVersion\": \"{}\"\n}}\n",
        release.engine, release.definitions
    )
}

/// Sees that the mirror serves what the vendor shows now: every version and feed named.
pub fn serves_what_the_vendor_shows(
    mirror: SocketAddr,
    vendor: &Simulator,
    versions: &[&str],
    feeds: &[DefenderFeed],
) -> bool {
    let mut published = Published::default();
    published.note(vendor);
    let elastic = versions.iter().all(|version| {
        let release = vendor.elastic_release(*version).unwrap();
        let manifest = get(mirror, &manifest_path(version)).unwrap();
        manifest.body == release.manifest[..]
            && published.walk_elastic(mirror, version) == Some(release.manifest_version.clone())
    });
    elastic
        && feeds.iter().all(|feed| {
            let expected = companion(&vendor.defender_release(*feed).unwrap());
            let served = get(mirror, &format!("{}/manifest.json", defender_folder(*feed, ""))).unwrap();
            served.body == expected.as_bytes() && published.walk_defender(mirror, *feed) == Some(expected)
        })
}
