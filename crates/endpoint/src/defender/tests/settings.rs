use proptest::prelude::*;
use url::Url;

use super::world::{CLOUD, agent};
use crate::defender::{Agent, Assumptions, Managed, Plan, Platform, Schemeless, Site, system_of};
use crate::{Dial as _, Network, ProxyUse};

fn read(text: &str) -> Managed {
    Managed::read(text.as_bytes(), &agent("101.26062.0007"), &Assumptions::default()).unwrap()
}

fn site(url: &str, assumptions: &Assumptions) -> Result<Site, crate::Fail> {
    let text = format!(
        r#"{{"antivirusEngine":{{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":"{url}"}}}}"#
    );
    Plan::of(&read(&text), &agent("101.26062.0007"), assumptions, &Url::parse(CLOUD).unwrap()).first
}

#[test]
fn wrong_types_count_for_nothing_and_are_told() {
    let managed = read(
        r#"{"cloudService":{"automaticDefinitionUpdateEnabled":"false","definitionUpdatesInterval":"60"},
        "antivirusEngine":{"offlineDefinitionUpdate":true,"enforcementLevel":"realtime",
        "offlineDefinitionUpdateFallbackToCloud":"false","offlineDefinitionUpdateUrl":7}}"#,
    );
    assert!(managed.automatic.value && !managed.offline.value && managed.url.value.is_none());
    assert_eq!(managed.warnings.len(), 6, "{:#?}", managed.warnings);
}

#[test]
fn the_section_is_the_one_that_the_agent_reads() {
    let old = r#"{"features":{"offlineDefinitionUpdate":"enabled"}}"#;
    assert!(!read(old).offline.value);
    assert!(read(old).warnings.iter().any(|warning| warning.contains("is not read by agent")));
    let early = Managed::read(old.as_bytes(), &agent("101.24012.0001"), &Assumptions::default()).unwrap();
    assert!(early.offline.value, "{early:?}");
}

/// Who is told by the linter that its settings hold updates from a mirror is an endpoint that takes them from there.
#[test]
fn the_linter_and_the_endpoint_agree_on_who_takes_offline_updates() {
    use settings::defender::{Context, Platform as System, lint};
    use settings::{Check, Document};

    let engine = r#"{"antivirusEngine":{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":"https://m/SYSTEM/production/"}}"#;
    let features = r#"{"features":{"offlineDefinitionUpdate":"enabled"},"antivirusEngine":{"offlineDefinitionUpdateUrl":"https://m/SYSTEM/production/"}}"#;
    let agents =
        ["101.23122.0002", "101.24012.0001", "101.24012.0002", "101.24022.0001", "101.25012.0003", "101.26062.0007"];
    for (system, platform) in [(System::Linux, Platform::Linux), (System::Mac, Platform::Mac)] {
        for (version, text) in agents.iter().flat_map(|agent| [(agent, engine), (agent, features)]) {
            let text = text.replace("SYSTEM", system.as_str());
            let one = Agent { platform, ..agent(version) };
            let managed = Managed::read(text.as_bytes(), &one, &Assumptions::default()).unwrap();
            let context = Context { platform: system, agent: version.parse().ok(), url: None };
            let findings = lint(&Document::read(text.as_bytes()).unwrap(), &context);
            let is_off = |check: Check| matches!(check, Check::OfflineOff | Check::AgentTooOld);
            let works = !findings.iter().any(|finding| is_off(finding.check));
            assert_eq!(managed.offline.value, works, "{platform} {version} {text}: {findings:?}");
        }
    }
}

#[test]
fn bounds_are_held_and_the_vendors_own_sample_with_its_double_keys_is_read() {
    let managed = read(
        r#"{"info":"a","info":"b","cloudService":{"definitionUpdatesInterval":5,"definitionUpdateDue":99,
        "automaticDefinitionUpdateEnabled":true,"automaticDefinitionUpdateEnabled":false}}"#,
    );
    assert_eq!((managed.interval.value.as_secs(), managed.due.value.as_secs()), (60, 30 * 86_400));
    assert!(!managed.automatic.value, "the last one counts");
}

#[test]
fn what_is_no_object_is_refused_whole() {
    let agent = agent("101.26062.0007");
    for text in ["", "[]", "{", "nothing", "{\"a\":1} x"] {
        assert!(Managed::read(text.as_bytes(), &agent, &Assumptions::default()).is_err(), "{text:?}");
    }
    assert!(Managed::read(&vec![b' '; 5 << 20], &agent, &Assumptions::default()).is_err());
    let marked = Managed::read(b"\xef\xbb\xbf{}", &agent, &Assumptions::default());
    assert!(marked.is_ok());
}

#[test]
fn a_property_list_says_the_same() {
    let dictionary = "<dict><key>antivirusEngine</key><dict><key>offlineDefinitionUpdate</key><string>enabled</string>\
        <key>offlineDefinitionUpdateUrl</key><string>http://m/mac/production/</string></dict>\
        <key>cloudService</key><dict><key>definitionUpdatesInterval</key><integer>7200</integer>\
        <key>automaticDefinitionUpdateEnabled</key><false/></dict></dict>";
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
        \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">";
    let managed = read(&format!("{head}{dictionary}</plist>"));
    assert_eq!(managed.url.value.as_deref(), Some("http://m/mac/production/"));
    assert_eq!((managed.offline.value, managed.automatic.value), (true, false));
    assert_eq!(managed.interval.value.as_secs(), 7200);
}

#[test]
fn every_key_that_is_read_stands_in_the_table_of_keys() {
    let source = include_str!("../managed.rs");
    let quoted: Vec<&str> = source.split('"').skip(1).step_by(2).collect();
    let known = |name: &str| settings::defender::KEYS.iter().any(|key| key.name == name);
    let keys: Vec<&&str> = quoted
        .iter()
        .filter(|text| {
            text.starts_with("offline") || text.starts_with("definitionUpdate") || text.starts_with("automatic")
        })
        .filter(|text| text.chars().all(char::is_alphanumeric) && !text.contains("Defintion"))
        .collect();
    assert!(keys.len() > 5, "{keys:?}");
    for key in keys {
        assert!(known(key), "{key}");
    }
}

#[test]
fn an_address_of_the_other_system_is_refused_c39() {
    let refused = |path: &str| match site(&format!("https://h/{path}/"), &Assumptions::default()) {
        Err(fail) => fail.code == "settings_refused" && fail.detail.contains("does not load"),
        Ok(_) => false,
    };
    assert!(refused("mac/production") && refused("rings/canary/mac/preview_back"));
    assert!(!refused("linux/production") && !refused("mac/linux/production") && !refused("mac"));
    let mut take = Assumptions::default();
    take.assume("odd-archive=take").unwrap();
    assert!(site("https://h/mac/production/", &take).is_ok());
    let text = r#"{"antivirusEngine":{"offlineDefinitionUpdateUrl":"/srv/mac/production"}}"#;
    assert!(read(text).warnings.iter().any(|warning| warning.contains("does not load")), "and told beside");
}

#[test]
fn the_system_is_that_of_the_file_s_form() {
    assert_eq!(system_of(b"{}"), Some(Platform::Linux));
    assert_eq!(system_of(b"<plist version=\"1.0\"><dict/></plist>"), Some(Platform::Mac));
    assert_eq!(system_of(b"nothing"), None);
}

/// What an endpoint refuses the linter calls an error; and where an endpoint finds its archive the linter does not.
#[test]
fn the_linter_and_the_endpoint_agree_on_addresses_and_proxies() {
    use settings::defender::{Context, Platform as System, lint};
    use settings::{Document, Level};

    let worst = |text: &str| {
        let context = Context { platform: System::Linux, agent: "101.26062.0007".parse().ok(), url: None };
        let findings = lint(&Document::read(text.as_bytes()).unwrap(), &context);
        findings.first().map(|finding| finding.level)
    };
    let text = |url: &str, proxy: &str| {
        format!(
            r#"{{"cloudService":{{"proxy":"{proxy}"}},"antivirusEngine":{{"enforcementLevel":"real_time",
            "offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":"{url}"}}}}"#
        )
    };
    let good = "http://proxy.corp:8080/";
    for url in [
        "https://h/mac/production/",
        "https://h/linux/production/arch_arm64",
        "https://h/linux/production/arch_x86_64/updates.zip",
        "https://eve:hunter2@h/linux/production/",
        "h:8000/linux/production",
        "ftp://h/linux/production",
        "https://h/linux/production/#x",
        "/mnt/defender/arch_x86_64",
        "<EXAMPLE DO NOT USE>",
        "",
    ] {
        let fail = site(url, &Assumptions::default()).unwrap_err();
        assert_eq!(fail.code, "settings_refused", "{url}");
        assert!(!fail.detail.contains("hunter2"), "{fail}");
        assert_eq!(worst(&text(url, good)), Some(Level::Error), "{url}");
    }
    for url in
        ["/mnt/defender", "/mnt/defender/linux", "/mnt//x/linux/production//", "HTTPS://H.corp:443/linux/production"]
    {
        assert!(site(url, &Assumptions::default()).is_ok(), "{url}");
        assert!(worst(&text(url, good)) < Some(Level::Error), "{url}");
    }
    for proxy in ["None", "", "proxy:8080"] {
        let text = text("https://h.corp/linux/production/", proxy);
        let managed = read(&text);
        assert_eq!(managed.proxy.value, None, "{proxy}: left out");
        assert!(managed.warnings.iter().any(|warning| warning.contains("cloudService.proxy")), "{managed:?}");
        assert_eq!(worst(&text), Some(Level::Error), "{proxy}");
    }
}

#[test]
fn a_section_that_is_none_is_told() {
    let told = |text: &str, part: &str| {
        let managed = read(text);
        assert!(!managed.offline.value && managed.warnings.iter().any(|warning| warning.contains(part)), "{managed:?}");
    };
    told(r#"{"antivirusEngine":[]}"#, "/antivirusEngine is not read by agent 101.26062.0007: an array");
    told(r#"{"AntivirusEngine":{"offlineDefinitionUpdate":"enabled"}}"#, "antivirusEngine is meant");
    told(r#"{"offlineDefinitionUpdate":"enabled"}"#, "read from antivirusEngine.offlineDefinitionUpdate");
    told(r#"{"info":1,"info":2}"#, "/info stands twice");
}

#[test]
fn a_proxy_that_cannot_be_used_is_no_business_of_a_mirror_that_is_asked_straight() {
    let clock = std::sync::Arc::new(crate::case::FakeClock::at("2026-10-04T06:05:09Z"));
    let network = |proxy_use| Network {
        ca_pem: None,
        cloud: Some(Url::parse(CLOUD).unwrap()),
        cloud_hosts: Vec::new(),
        proxy_use,
        clock: clock.clone(),
    };
    let base = Url::parse("http://h:8000/linux/production/").unwrap();
    let bad = Some("http://proxy/with/a/path");
    assert!(network(ProxyUse::Cloud).mirror(&base, bad).is_ok());
    assert_eq!(network(ProxyUse::Cloud).cloud(bad).map(|_| ()).unwrap_err().code, "settings_refused");
    assert_eq!(network(ProxyUse::Everything).mirror(&base, bad).map(|_| ()).unwrap_err().code, "settings_refused");
}

#[test]
fn urls_and_folders() {
    let assumptions = Assumptions::default();
    let base = |url: &str| match site(url, &assumptions) {
        Ok(Site::Mirror { base, .. }) => base.to_string(),
        other => panic!("{url}: {other:?}"),
    };
    assert_eq!(base("http://h:8000/linux/production/"), "http://h:8000/linux/production/");
    assert_eq!(base("https://h/rings/canary/linux/production"), "https://h/rings/canary/linux/production/");
    assert!(matches!(site("/tmp/wdav-update/linux/production", &assumptions), Ok(Site::Folder { .. })));
    for bad in [
        "www.example.server.com:8000/linux/production/",
        "http://h/linux/production/arch_x86_64/",
        "<EXAMPLE DO NOT USE>",
        "ftp://h/linux/production",
        "http://h/linux/production/?x=1",
        "http://",
    ] {
        assert_eq!(site(bad, &assumptions).unwrap_err().code, "settings_refused", "{bad}");
    }
    let mut lenient = Assumptions::default();
    lenient.assume("scheme=http").unwrap();
    assert_eq!(lenient.schemeless, Schemeless::Http);
    let Ok(Site::Mirror { base, .. }) = site("www.example.server.com:8000/linux/production/", &lenient) else {
        panic!("a scheme was assumed")
    };
    assert_eq!(base.as_str(), "http://www.example.server.com:8000/linux/production/");
    assert!(lenient.assume("everything=fine").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = Managed::read(&bytes, &agent("101.26062.0007"), &Assumptions::default());
    }

    #[test]
    fn any_text_as_url_is_a_site_or_refused(text in "[ -~]{0,60}") {
        let quoted = serde_json::to_string(&text).unwrap();
        let settings = format!(
            r#"{{"antivirusEngine":{{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":{quoted}}}}}"#
        );
        let managed = read(&settings);
        let cloud = Url::parse(CLOUD).unwrap();
        if let Ok(Site::Mirror { base, .. }) =
            Plan::of(&managed, &agent("101.26062.0007"), &Assumptions::default(), &cloud).first
        {
            prop_assert!(base.path().ends_with('/'));
        }
    }
}
