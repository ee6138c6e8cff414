use super::world::{World, agent, definitions, offline, versions};
use crate::defender::{Agent, Assumptions, Managed, NotBefore, Platform, Prelude, Scan, before_scan};

const CHECKED: &str = r#""scheduledScan":{"checkForDefinitionsUpdate":true}"#;

fn before(agent: &Agent, settings: &str, scan: Scan) -> Result<(), NotBefore> {
    let managed = Managed::read(settings.as_bytes(), agent, &Assumptions::default()).unwrap();
    before_scan(&managed, agent, scan)
}

#[test]
fn the_level_decides_and_in_real_time_the_scheduled_scans_own_key() {
    let (new, old) = (agent("101.26032.0000"), agent("101.25042.0002"));
    let mac = Agent { platform: Platform::Mac, ..agent("101.26062.0007") };
    let level = |level: &str, more: &str| format!(r#"{{"antivirusEngine":{{"enforcementLevel":"{level}"}}{more}}}"#);
    let checked = format!(",{CHECKED}");
    let off = r#","cloudService":{"automaticDefinitionUpdateEnabled":false}"#;
    for (agent, settings, on_demand, scheduled) in [
        // The default on Linux is passive, on macOS real_time.
        (&new, "{}".to_owned(), Ok(()), Ok(())),
        (&mac, "{}".to_owned(), Err(NotBefore::RealTime), Err(NotBefore::Unchecked)),
        (&new, level("passive", ""), Ok(()), Ok(())),
        (&old, level("on_demand", ""), Ok(()), Ok(())),
        (&mac, level("passive", ""), Err(NotBefore::RealTime), Err(NotBefore::Unchecked)),
        (&new, level("passive", off), Err(NotBefore::Automatic), Err(NotBefore::Automatic)),
        (&new, level("real_time", ""), Err(NotBefore::RealTime), Err(NotBefore::Unchecked)),
        (&new, level("real_time", &checked), Err(NotBefore::RealTime), Ok(())),
        (&old, level("real_time", &checked), Err(NotBefore::RealTime), Err(NotBefore::OldAgent)),
        (&mac, level("real_time", &checked), Err(NotBefore::RealTime), Err(NotBefore::OldAgent)),
    ] {
        assert_eq!(before(agent, &settings, Scan::OnDemand), on_demand, "{agent:?} {settings}");
        assert_eq!(before(agent, &settings, Scan::Scheduled), scheduled, "{agent:?} {settings}");
    }
}

#[test]
fn a_key_of_the_wrong_type_and_an_agent_that_does_not_read_it_are_told() {
    let read = |agent: &Agent, text: &str| Managed::read(text.as_bytes(), agent, &Assumptions::default()).unwrap();
    let wrong = read(&agent("101.26062.0007"), r#"{"scheduledScan":{"checkForDefinitionsUpdate":"true"}}"#);
    assert!(!wrong.scan_checks.value && wrong.warnings.len() == 1, "{wrong:?}");
    let old = read(&agent("101.25042.0002"), &format!("{{{CHECKED}}}"));
    assert!(old.warnings.iter().any(|warning| warning.contains("is not known to be read")), "{old:?}");
}

#[tokio::test]
async fn a_passive_endpoint_updates_before_a_scan_and_a_failure_leaves_what_is_in_use() {
    let world = World::new();
    let passive = world.managed(&offline("").replace("real_time", "passive"));
    world.mirror_has(&definitions("a"), &versions("1.459.1.0"));
    let came = world.endpoint.prepare_scan(&passive, Scan::OnDemand).await.unwrap();
    assert!(matches!(&came, Prelude::Update(report) if report.is_good()), "{came:?}");
    assert_eq!(world.version().as_deref(), Some("1.459.1.0"));
    // This mirror has nothing, and the update fails; a scan would have what was there before.
    let bare = World::new();
    let failed = bare.endpoint.prepare_scan(&passive, Scan::Scheduled).await.unwrap();
    assert!(matches!(&failed, Prelude::Update(report) if !report.is_good()), "{failed:?}");
    assert_eq!(bare.version(), None);
    let none = world.endpoint.prepare_scan(&world.managed(&offline("")), Scan::OnDemand).await.unwrap();
    assert_eq!(none, Prelude::Nothing(NotBefore::RealTime));
    assert_eq!(world.version().as_deref(), Some("1.459.1.0"));
}
