#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::Level;

const GOOD: &str = r#"{"cloudService":{"automaticDefinitionUpdateEnabled":true,"definitionUpdatesInterval":14400},
 "antivirusEngine":{"enforcementLevel":"real_time","offlineDefinitionUpdate":"enabled",
 "offlineDefinitionUpdateUrl":"https://mirror.corp/linux/production/","offlineDefinitionUpdateFallbackToCloud":false},
 "features":{"offlineDefinitionUpdateVerifySig":"enabled"}}"#;

fn context(platform: Platform, agent: &str) -> Context {
    Context { platform, agent: agent.parse().ok(), url: None }
}

/// The codes of a text with one thing changed, each with its pointer.
fn found(text: &str, context: &Context) -> Vec<(&'static str, String)> {
    let document = Document::read(text.as_bytes()).unwrap();
    lint(&document, context).into_iter().map(|finding| (finding.check.code(), finding.at)).collect()
}

#[track_caller]
fn check(from: &str, to: &str, expected: &[(&str, &str)]) {
    let text = GOOD.replace(from, to);
    assert!(from.is_empty() || text != GOOD, "nothing was replaced");
    let found = found(&text, &context(Platform::Linux, "101.24112.0003"));
    let expected: Vec<(&str, String)> = expected.iter().map(|(code, at)| (*code, (*at).to_owned())).collect();
    assert_eq!(found, expected, "{text}");
}

const URL_AT: &str = "/antivirusEngine/offlineDefinitionUpdateUrl";

#[test]
fn what_is_right_has_no_findings() {
    check("", "", &[]);
}

#[test]
fn the_keys_of_every_year_are_known() {
    let fallback = "offlineDefinitionUpdateFallbackToCloud";
    check(fallback, FALLBACK_TYPO, &[("fallback_misspelt", "/antivirusEngine/offlineDefintionUpdateFallbackToCloud")]);
    // As the page of 2024-03 had it: everything in features.
    check(
        "\"features\":{",
        "\"features\":{\"offlineDefinitionUpdate\":\"enabled\",",
        &[("wrong_section", "/features/offlineDefinitionUpdate")],
    );
    check(
        "\"offlineDefinitionUpdate\":\"enabled\",",
        "",
        &[("offline_off", "/antivirusEngine/offlineDefinitionUpdate")],
    );
    check(
        "\"cloudService\":{",
        "\"automaticDefinitionUpdateEnabled\":true,\"cloudService\":{",
        &[("wrong_section", "/automaticDefinitionUpdateEnabled")],
    );
    check(
        "\"antivirusEngine\"",
        "\"antiVirusEngine\"",
        &[
            ("misspelt_key", "/antiVirusEngine"),
            ("wrong_section", "/antiVirusEngine/offlineDefinitionUpdate"),
            ("wrong_section", "/antiVirusEngine/offlineDefinitionUpdateUrl"),
            ("wrong_section", "/antiVirusEngine/offlineDefinitionUpdateFallbackToCloud"),
        ],
    );
    check(
        "definitionUpdatesInterval",
        "definitionUpdateInterval",
        &[("misspelt_key", "/cloudService/definitionUpdateInterval")],
    );
}

#[test]
fn types_words_and_bounds_are_held() {
    let automatic = "\"automaticDefinitionUpdateEnabled\":true";
    let at = "/cloudService/automaticDefinitionUpdateEnabled";
    check(automatic, "\"automaticDefinitionUpdateEnabled\":\"true\"", &[("wrong_type", at)]);
    check(automatic, "\"automaticDefinitionUpdateEnabled\":null", &[("wrong_type", at)]);
    check(automatic, "\"automaticDefinitionUpdateEnabled\":false", &[("automatic_off", at)]);
    let interval = "/cloudService/definitionUpdatesInterval";
    for (value, code) in [
        ("0", "out_of_bounds"),
        ("59", "out_of_bounds"),
        ("86401", "out_of_bounds"),
        ("-1", "out_of_bounds"),
        ("1e15", "out_of_bounds"),
        ("3600.5", "out_of_bounds"),
        ("\"14400\"", "wrong_type"),
        ("1202", "interval_often"),
    ] {
        check("14400", value, &[(code, interval)]);
    }
    let toggle = "/antivirusEngine/offlineDefinitionUpdate";
    check("Update\":\"enabled\",", "Update\":true,", &[("wrong_type", toggle)]);
    check("Update\":\"enabled\",", "Update\":\"Enabled\",", &[("wrong_word", toggle)]);
    check("\"real_time\"", "\"realtime\"", &[("wrong_word", "/antivirusEngine/enforcementLevel")]);
    let fallback = "/antivirusEngine/offlineDefinitionUpdateFallbackToCloud";
    check("ToCloud\":false", "ToCloud\":\"false\"", &[("wrong_type", fallback)]);
    check("ToCloud\":false", "ToCloud\":true", &[("fallback_on", fallback)]);
}

#[test]
fn passive_mode_never_updates() {
    let at = "/antivirusEngine/enforcementLevel";
    check("\"enforcementLevel\":\"real_time\",", "", &[("passive", at)]);
    check("\"real_time\"", "\"passive\"", &[("passive", at)]);
    check("\"real_time\"", "\"on_demand\"", &[("passive", at)]);
    // macOS is real_time by default.
    let text = GOOD.replace("\"enforcementLevel\":\"real_time\",", "").replace("/linux/", "/mac/");
    assert_eq!(found(&text, &context(Platform::Mac, "")), []);
    // Before scheduled scans it updates, and the finding is weaker.
    let text = GOOD.replace("\"real_time\"", "\"passive\"").replacen(
        '{',
        "{\"scheduledScan\":{\"checkForDefinitionsUpdate\":true},",
        1,
    );
    let findings = lint(&Document::read(text.as_bytes()).unwrap(), &context(Platform::Linux, "101.26032.0001"));
    assert_eq!((findings.len(), findings[0].check, findings[0].level), (1, Check::Passive, Level::Warn));
}

#[test]
fn addresses_that_break() {
    for (url, codes) in [
        ("http://mirror.corp:8000/linux/production", &["url_plain"][..]),
        ("mirror.corp:8000/linux/production/", &["url_no_scheme"]),
        ("www.mirror.corp/linux/production/", &["url_no_scheme"]),
        ("/mnt/mirror/linux/production", &[]),
        // A mount may stand on any folder above arch_*.
        ("/mnt/mirror/linux", &["url_folder"]),
        ("/mnt/defender/", &["url_folder"]),
        ("/mnt//mirror/linux/production//", &[]),
        ("/mnt/defender/arch_x86_64", &["url_arch"]),
        ("/mnt/linux/production/other", &["url_track"]),
        ("https://mirror.corp/linux/production//", &["url_slashes"]),
        ("https://mirror.corp/linux//production/", &["url_slashes"]),
        ("https://mirror.corp//linux/production", &["url_slashes"]),
        ("mnt/mirror/linux/production", &["url_unreadable"]),
        ("//server/share/linux/production", &["url_unreadable"]),
        ("smb://server/share/linux/production", &["url_scheme"]),
        ("file:///mnt/mirror/linux/production", &["url_scheme"]),
        ("https://mirror.corp/linux/production/arch_x86_64", &["url_arch"]),
        ("https://mirror.corp/linux/production/arch_x86_64/updates.zip", &["url_arch"]),
        ("https://mirror.corp/", &["url_track"]),
        ("https://mirror.corp/linux", &["url_track"]),
        ("https://mirror.corp/mac/production/", &["url_platform"]),
        ("https://mirror.corp/linux/production_back/", &["url_back"]),
        ("https://mirror.corp/rings/canary/linux/preview/", &[]),
        ("https://mirror.example:8443/linux/production/", &["example_left"]),
        ("https://mirror.example.net/linux/production/", &[]),
        ("https://eve:hunter2@mirror.corp/linux/production", &["url_credentials"]),
        ("https://mirror.corp/linux/production/?x=1", &["url_query"]),
        ("https://go.microsoft.com/fwlink/?linkid=2144709", &["url_query", "url_vendor", "url_track"]),
        ("http://127.0.0.1:8080/linux/production", &["url_plain", "url_loopback"]),
        ("https://0.0.0.0/linux/production", &["url_loopback"]),
        ("", &["url_unreadable", "url_track"]),
        ("https://", &["url_unreadable", "url_track"]),
        ("<EXAMPLE DO NOT USE>", &["example_left", "url_unreadable", "url_track"]),
    ] {
        let text = GOOD.replace("https://mirror.corp/linux/production/", url);
        let mut found: Vec<&str> = found(&text, &context(Platform::Linux, "101.24112.0003"))
            .iter()
            .map(|(code, at)| {
                assert_eq!(at, URL_AT, "{url}");
                *code
            })
            .collect();
        let mut codes = codes.to_vec();
        found.sort_unstable();
        codes.sort_unstable();
        assert_eq!(found, codes, "{url}");
        let told = format!("{:?}", lint(&Document::read(text.as_bytes()).unwrap(), &context(Platform::Linux, "")));
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn another_ring_than_the_one_asked_for_is_told() {
    let document = Document::read(GOOD.as_bytes()).unwrap();
    let mut context = context(Platform::Linux, "101.24112.0003");
    context.url = Some("https://mirror.corp/linux/production".to_owned());
    assert_eq!(lint(&document, &context), []);
    context.url = Some("https://Mirror.Corp:443/linux/production/".to_owned());
    assert_eq!(lint(&document, &context), [], "the same, written otherwise");
    context.url = Some("https://mirror.corp/rings/canary/linux/production/".to_owned());
    assert_eq!(lint(&document, &context)[0].check, Check::UrlRing);
}

#[test]
fn a_proxy_that_is_none_is_told_and_one_that_is_is_worth_a_note() {
    let at = "/cloudService/proxy";
    for (proxy, code) in [
        ("http://proxy.corp:8080/", "proxy_set"),
        ("", "proxy_unreadable"),
        ("None", "proxy_unreadable"),
        ("proxy:8080", "proxy_unreadable"),
    ] {
        check("\"cloudService\":{", &format!("\"cloudService\":{{\"proxy\":\"{proxy}\","), &[(code, at)]);
    }
}

#[test]
fn a_misspelt_key_beside_the_right_one_does_no_harm() {
    let fallback = "\"offlineDefinitionUpdateFallbackToCloud\":false";
    let both = format!("{fallback},\"{FALLBACK_TYPO}\":true");
    check(fallback, &both, &[("fallback_twice", "/antivirusEngine/offlineDefintionUpdateFallbackToCloud")]);
}

#[test]
fn what_no_agent_reads_is_told_apart() {
    let codes = |text: &str| {
        let document = Document::read(text.as_bytes()).unwrap();
        let found = passed_over(&document, &context(Platform::Linux, "101.26062.0007"));
        found.into_iter().map(|finding| finding.check.code()).collect::<Vec<_>>()
    };
    assert_eq!(codes(GOOD), [] as [&str; 0]);
    assert_eq!(codes(r#"{"antivirusEngine":[]}"#), ["section_no_object"]);
    assert_eq!(codes(r#"{"AntivirusEngine":{}}"#), ["misspelt_key"]);
    assert_eq!(codes(r#"{"features":{"offlineDefinitionUpdate":"enabled"}}"#), ["wrong_section"]);
}

#[test]
fn signatures_depend_on_the_agent() {
    let off = GOOD.replace("VerifySig\":\"enabled\"", "VerifySig\":\"disabled\"");
    let unset = GOOD.replace("\"offlineDefinitionUpdateVerifySig\":\"enabled\"", "");
    for (text, platform, agent, codes) in [
        (GOOD, Platform::Linux, "101.26062.0004", &[][..]),
        (GOOD, Platform::Linux, "101.26062.0005", &["verify_sig_deprecated"]),
        (GOOD, Platform::Linux, "", &["verify_sig_deprecated"]),
        (GOOD, Platform::Linux, "101.24012.0001", &["wrong_section", "offline_off"]),
        (GOOD, Platform::Linux, "101.23122.0002", &["agent_too_old", "wrong_section", "offline_off"]),
        (&off, Platform::Linux, "101.26062.0004", &["verify_sig_off"]),
        (&off, Platform::Linux, "101.26062.0007", &["verify_sig_deprecated"]),
        (&off, Platform::Linux, "", &["verify_sig_off"]),
        (&unset, Platform::Linux, "101.26062.0004", &["verify_sig_unset"]),
        (&unset, Platform::Linux, "", &[]),
        (&unset, Platform::Mac, "101.26062.0007", &["url_platform", "verify_sig_unset"]),
    ] {
        let found: Vec<&str> = found(text, &context(platform, agent)).into_iter().map(|(code, _)| code).collect();
        assert_eq!(found, codes, "{agent} {text}");
    }
}

/// Microsoft's own samples, from the vendor pages (values only where they matter).
#[test]
fn the_vendor_s_own_samples_have_their_known_faults() {
    let page_2025 = r#"{"cloudService":{"automaticDefinitionUpdateEnabled":true,"definitionUpdatesInterval":1202},"antivirusEngine":{"offlineDefinitionUpdateUrl":"http://172.22.199.67:8000/linux/production/","offlineDefinitionUpdateFallbackToCloud":false,"offlineDefinitionUpdate":"enabled"},"features":{"offlineDefinitionUpdateVerifySig":"enabled"}}"#;
    let codes = |text: &str, platform| {
        found(text, &context(platform, "101.26062.0007")).into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    assert_eq!(
        codes(page_2025, Platform::Linux),
        ["example_left", "passive", "url_plain", "interval_often", "verify_sig_deprecated"]
    );
    let sample = r#"{"antivirusEngine":{"info":1,"info":2},"features":{"offlineDefinitionUpdateVerifySig":"disabled"},"cloudService":{"proxy":"<EXAMPLE DO NOT USE> http://proxy.server:port/"}}"#;
    assert_eq!(
        codes(sample, Platform::Linux),
        ["example_left", "proxy_unreadable", "duplicate_key", "verify_sig_deprecated"]
    );
}

#[test]
fn keys_of_other_sections_are_nobody_s_business() {
    let text = r#"{"edr":{"tags":[],"groupIds":"x"},"exclusionSettings":{"exclusions":[]},"antivirusEngine":{"scanArchives":true,"maximumOnDemandScanThreads":2},"deviceControl":{},"networkProtection":{"enforcementLevel":"block"}}"#;
    let found = found(text, &context(Platform::Linux, "101.24112.0003"));
    assert_eq!(found, []);
}

proptest! {
    #[test]
    fn any_settings_have_an_end_and_findings_are_fit_to_show_c36_i10(
        section in prop::sample::select(vec!["antivirusEngine", "cloudService", "features", "x"]),
        key in prop_oneof![prop::sample::select(KEYS.iter().map(|key| key.name.to_owned()).collect::<Vec<_>>()), ".{0,12}"],
        value in prop_oneof![".{0,40}".prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)],
    ) {
        let mut members = Map::new();
        members.insert(key, value);
        let mut top = Map::new();
        top.insert(section.to_owned(), Value::Object(members));
        let text = Value::Object(top).to_string();
        let document = Document::read(text.as_bytes()).unwrap();
        for finding in lint(&document, &context(Platform::Linux, "")) {
            for text in [&finding.at, &finding.seen] {
                prop_assert!(!text.chars().any(char::is_control) && text.chars().count() <= 400, "{text:?}");
            }
        }
    }
}

#[test]
fn the_agent_decides_the_section_that_offline_updates_are_read_from() {
    let early = r#"{"cloudService":{"automaticDefinitionUpdateEnabled":true},"antivirusEngine":{"enforcementLevel":"real_time","offlineDefinitionUpdateUrl":"https://mirror.corp/linux/production/","offlineDefinitionUpdateFallbackToCloud":false},"features":{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateVerifySig":"enabled"}}"#;
    let codes = |text: &str, agent: &str| {
        found(text, &context(Platform::Linux, agent)).into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    assert_eq!(codes(early, "101.24012.0001"), [] as [&str; 0]);
    assert_eq!(codes(early, "101.24022.0001"), ["wrong_section", "offline_off"]);
    assert_eq!(codes(GOOD, "101.24012.0001"), ["wrong_section", "offline_off"]);
    assert!(codes(early, "101.23122.0002").contains(&"agent_too_old"));
}

#[test]
fn where_an_address_is_meant_settings_without_one_are_wrong() {
    let mut context = context(Platform::Linux, "101.24112.0003");
    for text in ["{}", r#"{"antivirusEngine":{"offlineDefinitionUpdate":"disabled"}}"#] {
        assert_eq!(found(text, &context), [], "nobody said what it should hold");
    }
    context.url = Some("https://mirror.corp/linux/production/".to_owned());
    for text in ["{}", r#"{"antivirusEngine":{"offlineDefinitionUpdate":"disabled"}}"#] {
        let codes: Vec<&str> = found(text, &context).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["offline_off", "url_missing"], "{text}");
    }
}

#[test]
fn on_macos_the_level_is_worth_a_note_and_no_more() {
    let mac = GOOD.replace("linux/production", "mac/production").replace("real_time", "passive");
    let document = Document::read(mac.as_bytes()).unwrap();
    let findings = lint(&document, &context(Platform::Mac, "101.26062.0007"));
    let passive = findings.iter().find(|finding| finding.check == Check::Passive).unwrap();
    assert_eq!(passive.level, crate::Level::Note, "{findings:?}");
}
