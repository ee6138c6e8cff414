//! The simulated vendors of these tests: small, so that a run takes a moment.

use vendor_sim::{Architecture, DefenderFeed, DefenderSettings, ElasticSettings, Platform, Settings, Simulator, Track};

/// The versions followed.
pub(crate) const VERSIONS: [&str; 2] = ["8.18.3", "9.0.0"];

/// The Defender feeds followed.
pub(crate) const FEEDS: [DefenderFeed; 2] = [
    DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64),
    DefenderFeed::new(Platform::Linux, Track::Production, Architecture::Arm64),
];

/// Both vendors with archives of this size.
pub(crate) fn vendor(archive_size: u64) -> Simulator {
    let elastic = ElasticSettings { artifacts: 12, artifact_size: 16 * 1024, ..ElasticSettings::default() };
    let defender = DefenderSettings { archive_size, ..DefenderSettings::default() };
    Simulator::start(Settings { elastic, defender, ..Settings::lately() }).unwrap()
}

/// Elastic alone, with these versions of few and small artifacts.
pub(crate) fn elastic_of(versions: &[&str]) -> Simulator {
    let versions = versions.iter().map(ToString::to_string).collect();
    let elastic = ElasticSettings { versions, artifacts: 6, artifact_size: 4 * 1024, ..ElasticSettings::default() };
    Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap()
}

/// The sections that follow [`VERSIONS`] and [`FEEDS`].
pub(crate) fn sections(vendor: &Simulator) -> Vec<String> {
    vec![
        e2e::elastic(&vendor.elastic_url(), &VERSIONS),
        e2e::defender(&vendor.defender_url(), &["linux"], &["production"]),
    ]
}
