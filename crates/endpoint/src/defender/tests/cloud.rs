use outbound::ScriptedAnswer;

use super::world::{BASE, CLOUD, World, definitions, offline};
use crate::defender::Outcome;

fn info(definitions: &str) -> String {
    format!(
        "<versions><engine>1.1.26080.3</engine><signatures date=\"2026-10-04 03:12:45Z\">{definitions}</signatures></versions>"
    )
}

fn cloud_has(world: &World, word: &str, version: &str) {
    world.cloud.answer(&format!("{CLOUD}?linkid=2144709"), ScriptedAnswer::ok(definitions(word)));
    world.cloud.answer(&format!("{CLOUD}?linkid=2144709&action=info"), ScriptedAnswer::ok(info(version)));
}

#[tokio::test]
async fn the_cloud_stands_behind_a_mirror_only_where_the_settings_say_so() {
    let world = World::new();
    world.mirror.answer(&format!("{BASE}arch_x86_64/updates.zip"), ScriptedAnswer::status(503));
    cloud_has(&world, "c", "1.459.9.0");
    let stays = world.update(&offline(r#","offlineDefinitionUpdateFallbackToCloud":false"#)).await;
    assert!(!stays.is_good() && stays.attempts.len() == 1, "{stays:?}");
    assert_eq!(world.cloud.requests().len(), 0);

    let falls = world.update(&offline(r#","offlineDefinitionUpdateFallbackToCloud":true"#)).await;
    assert!(falls.is_good() && falls.fell_back(), "{falls:?}");
    assert_eq!(world.version().as_deref(), Some("1.459.9.0"));
    let told = world.health(&offline(""));
    assert!(told.iter().any(|line| line.starts_with("definitions_update_source_uri") && line.contains(CLOUD)));

    let again = world.update(&offline(r#","offlineDefinitionUpdateFallbackToCloud":true"#)).await;
    assert!(matches!(again.attempts[1].result, Ok(Outcome::Current(_))), "{again:?}");
}

#[tokio::test]
async fn without_offline_updates_the_cloud_is_the_source() {
    let world = World::new();
    cloud_has(&world, "c", "1.459.9.0");
    let report = world.update("{}").await;
    assert!(report.is_good() && !report.fell_back(), "{report:?}");
    assert_eq!(report.attempts[0].source, format!("{CLOUD}?linkid=2144709"));
}

#[tokio::test]
async fn the_misspelt_key_does_not_keep_the_cloud_away_where_it_is_the_default() {
    let mut world = World::new();
    world.endpoint.agent.platform = crate::defender::Platform::Mac;
    let typo = world.managed(&offline(r#","offlineDefintionUpdateFallbackToCloud":false"#));
    assert!(typo.fallback.value && !typo.fallback.is_managed, "{typo:?}");
    assert!(typo.warnings.iter().any(|warning| warning.contains("offlineDefinitionUpdateFallbackToCloud is meant")));
}
