//! An endpoint, and the vendor's host simulated in a mirror's place.

use std::sync::Arc;

use settings::elastic::System;
use tempfile::TempDir;
use trust::KeyRing;
use vendor_sim::{ElasticSettings, Fault, FaultRule, Kind, Pattern, Settings, Simulator, Times};

use crate::case::FakeClock;
use crate::defender::ClockRef;
use crate::elastic::{Assumptions, Endpoint, Policy, Quirks, Report, Store};
use crate::{Network, ProxyUse, Steps, Unwatched};

pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) vendor: Simulator,
    pub(super) clock: Arc<FakeClock>,
    pub(super) endpoint: Endpoint,
}

pub(super) const DATED: &str = "dated-path=/downloads/endpoint/manifest/artifacts-{version}-{date}.zip";
pub(super) const CANDIDATE: &str = "candidate-path=/downloads/endpoint/manifest/candidate/artifacts-{version}.zip";

impl World {
    pub(super) fn new() -> Self {
        let elastic = ElasticSettings {
            versions: vec!["9.0.0".to_owned()],
            candidates: vec!["9.0.0".to_owned()],
            dated: vec![("9.0.0".to_owned(), "2026-01-15".to_owned())],
            artifacts: 32,
            artifact_size: 2048,
            ..ElasticSettings::default()
        };
        let vendor = Simulator::start(Settings { elastic, ..Settings::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::at("2026-10-04T18:38:15.717Z"));
        let endpoint = endpoint(&folder.path().join("state"), &vendor, &clock, Arc::new(Unwatched));
        Self { folder, vendor, clock, endpoint }
    }

    pub(super) async fn poll(&self) -> Report {
        self.endpoint.poll().await.unwrap()
    }

    pub(super) fn fault(&self, fault: Fault, kind: Pattern) {
        self.vendor.inject(FaultRule { pattern: kind, fault, times: Times::Always });
    }

    pub(super) fn manifest_fault(&self, fault: Fault) {
        self.fault(fault, Pattern::Kind(Kind::Manifest));
    }

    pub(super) fn whole(&self) -> bool {
        self.endpoint.store.check().unwrap().is_empty()
    }
}

pub(super) fn endpoint(
    state: &std::path::Path,
    vendor: &Simulator,
    clock: &Arc<FakeClock>,
    steps: Arc<dyn Steps>,
) -> Endpoint {
    let network = Network {
        ca_pem: None,
        cloud: None,
        cloud_hosts: Vec::new(),
        proxy_use: ProxyUse::Everything,
        clock: clock.clone(),
    };
    Endpoint {
        os: System::Linux,
        version: "9.0.0".to_owned(),
        built: Some("2026-03-01".to_owned()),
        host: "linux-1".to_owned(),
        policy: Policy::plain(&vendor.elastic_url(), System::Linux).unwrap(),
        keys: Some(KeyRing::empty().with_pem(&vendor.public_key_pem().unwrap()).unwrap()),
        assumptions: Assumptions::default(),
        quirks: Quirks::Mended,
        store: Store::open(state, steps).unwrap(),
        dial: Arc::new(network),
        clock: ClockRef(clock.clone()),
    }
}
