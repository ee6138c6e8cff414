//! The rules and the dashboard in `dist/` speak of metrics that exist, and of reasons as the model has them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

#[path = "support/sample.rs"]
mod sample;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::Reason;

fn dist(file: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "dist", file].iter().collect();
    std::fs::read_to_string(Path::new(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every word in a text that begins as our metrics do.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("waystation_")).map(str::to_owned).collect()
}

/// The names of all series that a scrape of a mirror shows.
async fn rendered() -> BTreeSet<String> {
    let text = sample::scrape().await;
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_metric_that_is_named_exists() {
    let exist = rendered().await;
    for file in ["prometheus/waystation.rules.yml", "prometheus/waystation.rules.test.yml", "grafana/waystation.json"] {
        let named = named(&dist(file));
        let missing: Vec<_> = named.difference(&exist).collect();
        assert!(named.len() >= 8 && missing.is_empty(), "{file} names {missing:?}, which no scrape shows: {exist:#?}");
    }
}

/// `key: "value"` or `key: value` of a line.
fn value<'l>(line: &'l str, key: &str) -> Option<String> {
    let rest: &'l str = line.trim().strip_prefix(key)?.strip_prefix(": ")?;
    Some(rest.trim_matches('"').replace("\\\"", "\""))
}

#[test]
fn each_alert_says_what_it_is_and_what_to_do() {
    let rules = dist("prometheus/waystation.rules.yml");
    let alerts: Vec<&str> = rules.split("\n      - alert: ").skip(1).collect();
    assert!(alerts.len() >= 15);
    let tests = dist("prometheus/waystation.rules.test.yml");
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let find = |key: &str| alert.lines().find_map(|line| value(line, key));
        let remedy = find("remedy").unwrap_or_default();
        assert!(find("summary").is_some() && remedy.len() > 20, "{name} lacks its summary or remedy");
        assert!(matches!(find("severity").as_deref(), Some("warning" | "critical")), "{name}");
        match find("reason") {
            Some(code) => {
                let reason = Reason::from_code(&code).unwrap_or_else(|| panic!("{name}: there is no reason {code}"));
                let own = name == "WaystationUnwatched";
                assert!(own || remedy == reason.remedy(), "{name}: the remedy of {code} is: {}", reason.remedy());
            }
            // The reason is the metric's own label.
            None => {
                // Lines that are lost make no content late: there is an alert, and no alarm.
                let none = name == "WaystationAccessLogLost";
                let carried =
                    alert.contains("group_left (reason)") || alert.contains("expr: waystation_alarms") || none;
                assert!(carried, "{name} carries no reason");
            }
        }
        let fires = tests.split(&format!("alertname: {name}\n        exp_alerts:")).count() > 1;
        assert!(fires, "{name} is not shown to fire in waystation.rules.test.yml");
    }
}

#[test]
fn every_reason_that_freshness_gives_has_its_alert() {
    let rules = dist("prometheus/waystation.rules.yml");
    let given = [Reason::NotChecked, Reason::VendorSilent, Reason::ContentOld, Reason::RingBehind, Reason::ClockJumped];
    for reason in given {
        let condition = format!("waystation_feed_freshness_reason{{reason=\"{reason}\"}}");
        assert_eq!(rules.matches(&condition).count(), 2, "{reason}: a warning and a failure");
    }
}

#[test]
fn every_other_reason_is_told_as_an_alarm_by_level() {
    let rules = dist("prometheus/waystation.rules.yml");
    for level in ["fail", "warn"] {
        let (_, rest) = rules.split_once(&format!("waystation_alarms{{level=\"{level}\",reason!~\"")).unwrap();
        for code in rest.split_once('"').unwrap().0.split('|') {
            let own = rules.contains(&format!("          reason: {code}\n"))
                || rules.contains(&format!("waystation_feed_freshness_reason{{reason=\"{code}\"}}"));
            assert!(own && Reason::from_code(code).is_some(), "{code} is left out, and has no rule of its own");
        }
    }
}

#[test]
fn the_dashboard_is_whole() {
    let board: serde_json::Value = serde_json::from_str(&dist("grafana/waystation.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        assert!(!panel["description"].as_str().unwrap().is_empty() && !panel["targets"].as_array().unwrap().is_empty());
    }
}
