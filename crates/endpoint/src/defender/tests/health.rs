use std::time::Duration;

use jiff::tz::TimeZone;
use model::Clock as _;

use super::world::{BASE, World, definitions, offline, versions};
use crate::defender::{Facts, Health};

const MINIMAL: &str = r#"{"cloudService":{"automaticDefinitionUpdateEnabled":true,"definitionUpdatesInterval":7200},
 "antivirusEngine":{"enforcementLevel":"real_time","offlineDefinitionUpdate":"enabled",
   "offlineDefinitionUpdateUrl":"http://mirror.test/linux/production/","offlineDefinitionUpdateFallbackToCloud":false}}"#;

/// The vendor's page, its own lines and columns; host and versions are ours.
#[tokio::test]
async fn the_text_is_the_vendors_of_2026() {
    let world = World::new();
    world.mirror_has(&definitions("a"), &versions("1.459.553.0"));
    assert!(world.update(MINIMAL).await.is_good());
    world.clock.go(Duration::from_secs(125));
    let expected = [
        "automatic_definition_update_enabled         : true [managed]",
        "definitions_updated                         : Oct 04, 2026 at 06:05:09 AM",
        "definitions_updated_minutes_ago             : 2",
        "definitions_version                         : \"1.459.553.0\"",
        "definitions_status                          : \"up_to_date\"",
        "definitions_update_source_uri               : \"http://mirror.test/linux/production/\"",
        "definitions_update_fail_reason              : \"\"",
        "offline_definition_url_configured           : \"http://mirror.test/linux/production/\" [managed]",
        "offline_definition_update                   : \"enabled\" [managed]",
        "offline_definition_update_verify_sig        : \"DEPRECATED\"",
        "engine_signature_verification               : \"enabled\"",
        "offline_definition_update_fallback_to_cloud : false [managed]",
    ];
    assert_eq!(world.health(MINIMAL), expected);
}

#[tokio::test]
async fn an_earlier_agent_says_what_the_page_of_2025_prints() {
    let mut world = World::new();
    world.endpoint.agent = super::world::agent("101.25042.0001");
    let told = world.health(MINIMAL);
    assert!(told.contains(&"offline_definition_update_verify_sig        : \"enabled\"".to_owned()), "{told:#?}");
    assert!(!told.iter().any(|line| line.starts_with("engine_signature_verification")));
    assert_eq!(told.len(), 11);
}

#[tokio::test]
async fn dates_are_in_the_zone_and_age_makes_them_out_of_date() {
    let world = World::new();
    let settings = &offline("");
    let status = |world: &World| world.health(settings).get(4).cloned().unwrap();
    assert!(status(&world).ends_with(": \"unavailable\""));
    world.mirror_has(&definitions("a"), &versions("1.459.1.0"));
    assert!(world.update(settings).await.is_good());
    assert!(status(&world).ends_with(": \"up_to_date\""));
    world.clock.go(Duration::from_secs(7 * 86_400 + 1));
    assert!(status(&world).ends_with(": \"out_of_date\""));
    let (installed, record) = (world.endpoint.store.current().unwrap(), world.endpoint.store.record().unwrap());
    let managed = world.managed(settings);
    let facts = Facts {
        agent: &world.endpoint.agent,
        managed: &managed,
        installed: installed.as_ref(),
        damaged: &[],
        record: &record,
        is_updating: true,
        now: world.clock.now(),
    };
    assert_eq!(facts.status(), "updating");
    let zone = TimeZone::get("America/New_York").unwrap();
    let date = Health::definitions(&facts).field("definitions_updated", &zone).unwrap();
    assert_eq!(date, "Oct 04, 2026 at 02:05:09 AM");
}

#[tokio::test]
async fn definitions_that_are_the_newest_and_out_of_date_are_told_by_the_update_too() {
    let world = World::new();
    world.mirror_has(&definitions("a"), &versions("1.459.1.0"));
    assert!(world.update(&offline("")).await.is_good());
    world.clock.go(Duration::from_secs(8 * 86_400));
    let again = world.update(&offline("")).await;
    assert!(again.is_good(), "{again:?}");
    assert!(world.health(&offline(""))[4].ends_with(": \"out_of_date\""));
    assert!(again.notes.iter().any(|note| note.contains("8 days ago") && note.contains("out_of_date")), "{again:?}");
}

#[tokio::test]
async fn the_json_is_what_monitors_read() {
    let world = World::new();
    world.mirror_has(&definitions("a"), &versions("1.459.553.0"));
    assert!(world.update(MINIMAL).await.is_good());
    let (installed, record) = (world.endpoint.store.current().unwrap(), world.endpoint.store.record().unwrap());
    let managed = world.managed(MINIMAL);
    let facts = Facts {
        agent: &world.endpoint.agent,
        managed: &managed,
        installed: installed.as_ref(),
        damaged: &[],
        record: &record,
        is_updating: false,
        now: world.clock.now(),
    };
    let all = Health::all(&facts).json();
    assert_eq!(all["$type"], "getHealthAllResult");
    assert_eq!(all["definitionsStatus"], serde_json::json!({ "$type": "upToDate" }));
    assert_eq!(all["definitionsUpdated"], "1791093909000");
    assert_eq!(all["definitionsUpdatedMinutesAgo"], 0);
    assert_eq!(all["definitionsVersion"], "1.459.553.0");
    assert_eq!(all["engineVersion"], "1.1.26080.3");
    assert_eq!(all["appVersion"], "101.26062.0007");
    assert_eq!(
        all["automaticDefinitionUpdateEnabled"],
        serde_json::json!({ "displayValue": true, "isManaged": true, "value": true })
    );
    let details = Health::definitions(&facts).json();
    assert_eq!(details["offlineDefinitionUrlConfigured"]["value"], BASE);
    let status = Health::definitions(&facts).field("definitions_status", &TimeZone::UTC).unwrap();
    assert_eq!(status, "\"up_to_date\"");
    assert!(
        Health::all(&facts).field("definition_status", &TimeZone::UTC).unwrap_err().to_string().contains("healthy")
    );
}
