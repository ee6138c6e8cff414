//! An endpoint, a mirror that plays a script, and archives to give.

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::sync::Arc;

use model::{Clock as _, Digest};
use outbound::{ScriptedAnswer, ScriptedClient};
use tempfile::TempDir;
use url::Url;
use zip::write::SimpleFileOptions;

use crate::case::FakeClock;
use crate::defender::{
    Agent, Architecture, Assumptions, ClockRef, Endpoint, Facts, Health, Managed, Platform, Report, Store,
};
use crate::{Clients, Steps, Unwatched};

pub(super) const BASE: &str = "http://mirror.test/linux/production/";
pub(super) const CLOUD: &str = "https://go.cloud.test/fwlink/";

pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) clock: Arc<FakeClock>,
    pub(super) mirror: Arc<ScriptedClient>,
    pub(super) cloud: Arc<ScriptedClient>,
    pub(super) endpoint: Endpoint,
}

pub(super) fn agent(version: &str) -> Agent {
    Agent { platform: Platform::Linux, architecture: Architecture::X86_64, version: version.parse().unwrap() }
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::at("2026-10-04T06:05:09Z"));
        let (mirror, cloud) = (scripted(&clock), scripted(&clock));
        let clients = Clients { mirror: mirror.clone(), cloud: cloud.clone() };
        let endpoint = endpoint(&folder.path().join("state"), &clock, clients, Arc::new(Unwatched));
        Self { folder, clock, mirror, cloud, endpoint }
    }

    pub(super) async fn update(&self, settings: &str) -> Report {
        self.endpoint.update(&self.managed(settings)).await.unwrap()
    }

    pub(super) fn managed(&self, settings: &str) -> Managed {
        Managed::read(settings.as_bytes(), &self.endpoint.agent, &self.endpoint.assumptions).unwrap()
    }

    /// The mirror answers the next request with this archive, and has these versions beside it.
    pub(super) fn mirror_has(&self, archive: &[u8], versions: &str) {
        let tag = Digest::of(archive).etag();
        let url = format!("{BASE}arch_x86_64/updates.zip");
        self.mirror.answer(&url, ScriptedAnswer::ok(archive.to_vec()).header("etag", &tag));
        self.mirror.answer(&url, ScriptedAnswer::status(304).header("etag", &tag));
        let companion = format!("{BASE}arch_x86_64/manifest.json");
        self.mirror.answer(&companion, ScriptedAnswer::ok(versions.to_owned()));
    }

    pub(super) fn health(&self, settings: &str) -> Vec<String> {
        let managed = self.managed(settings);
        let (installed, record) = (self.endpoint.store.current().unwrap(), self.endpoint.store.record().unwrap());
        let damaged = self.endpoint.store.lacking().unwrap();
        let facts = Facts {
            agent: &self.endpoint.agent,
            managed: &managed,
            installed: installed.as_ref(),
            damaged: &damaged,
            record: &record,
            is_updating: false,
            now: self.clock.now(),
        };
        Health::definitions(&facts).lines(&jiff::tz::TimeZone::UTC)
    }

    pub(super) fn version(&self) -> Option<String> {
        let version = self.endpoint.store.current().unwrap()?.version?;
        Some(version.version.to_string())
    }
}

pub(super) fn scripted(clock: &Arc<FakeClock>) -> Arc<ScriptedClient> {
    Arc::new(ScriptedClient::new(clock.clone()))
}

pub(super) fn endpoint(state: &Path, clock: &Arc<FakeClock>, clients: Clients, steps: Arc<dyn Steps>) -> Endpoint {
    Endpoint {
        agent: agent("101.26062.0007"),
        assumptions: Assumptions::default(),
        store: Store::open(state, steps).unwrap(),
        dial: Arc::new(clients),
        cloud: Url::parse(CLOUD).unwrap(),
        cloud_hosts: vec!["definitions.cloud.test".to_owned()],
        vendor: vendors::defender::DefenderSettings::default(),
        engine_keys: None,
        clock: ClockRef(clock.clone()),
    }
}

/// Settings that point at the mirror.
pub(super) fn offline(more: &str) -> String {
    format!(
        r#"{{"antivirusEngine":{{"enforcementLevel":"real_time","offlineDefinitionUpdate":"enabled",
        "offlineDefinitionUpdateUrl":"{BASE}"{more}}}}}"#
    )
}

/// Settings that point at a folder.
pub(super) fn folder(path: &Path) -> String {
    let path = path.display();
    format!(r#"{{"antivirusEngine":{{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":"{path}"}}}}"#)
}

/// An archive with these members.
pub(super) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An archive as the vendor's are, told apart by a word.
pub(super) fn definitions(word: &str) -> Vec<u8> {
    let (engine, base, delta) = (b"engine".repeat(4000), format!("base {word}"), format!("delta {word}"));
    archive(&[("libmpengine.so", &engine), ("mpavbase.vdm", base.as_bytes()), ("sub/mpavdlta.vdm", delta.as_bytes())])
}

/// What stands beside it.
pub(super) fn versions(definitions: &str) -> String {
    format!("{{\n  \"EngineVersion\": \"1.1.26080.3\",\n  \"DefinitionVersion\": \"{definitions}\"\n}}\n")
}

/// The folder that the vendor's script leaves.
pub(super) fn lay_out(root: &Path, archive: &[u8], versions: &str) {
    let folder = root.join("arch_x86_64");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("updates.zip"), archive).unwrap();
    std::fs::write(folder.join("manifest.json"), versions).unwrap();
}
