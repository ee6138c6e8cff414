use proptest::prelude::*;

use settings::elastic::{Channel, System};

use crate::elastic::{Policy, PolicyError, Snapshot};

/// As Kibana's API answers, in the shape that its documentation shows.
const PACKAGE: &str = r#"{"item":{"id":"b372","name":"endpoint-1","revision":7,"version":"WzMwOTcsMV0=",
 "inputs":[{"type":"endpoint","enabled":true,"streams":[],"config":{
   "integration_config":{"value":{"type":"endpoint","endpointConfig":{"preset":"EDRComplete"}}},
   "artifact_manifest":{"value":{"artifacts":{}}},
   "policy":{"value":{
     "global_manifest_version":"2026-01-15",
     "windows":{"advanced":{"artifacts":{"global":{"base_url":"https://mirror.example:8443","channel":"stable"}}}},
     "linux":{"advanced":{"artifacts":{"global":{"base_url":"https://mirror.example:8443/rings/canary",
       "interval":"600","proxy_url":"http://proxy:3128","proxy_disable":"true","channel":"rapid"}},
       "allow_cloud_features":"sample-collection,artifacts-update"}}}}}}]}}"#;

#[test]
fn a_policy_as_kibana_gives_it() {
    let policy = Policy::read(PACKAGE.as_bytes(), System::Linux).unwrap();
    assert_eq!((policy.id.as_str(), policy.name.as_str(), policy.revision), ("b372", "endpoint-1", 7));
    assert_eq!(policy.base_url, "https://mirror.example:8443/rings/canary");
    assert_eq!((policy.interval.as_secs(), policy.channel), (600, Channel::Rapid));
    assert_eq!((policy.proxy, policy.snapshot), (None, Snapshot::Date("2026-01-15".to_owned())));
    assert!(policy.allows_updates);
    let windows = Policy::read(PACKAGE.as_bytes(), System::Windows).unwrap();
    assert_eq!((windows.base_url.as_str(), windows.channel), ("https://mirror.example:8443", Channel::Stable));
    let mac = Policy::read(PACKAGE.as_bytes(), System::Mac).unwrap();
    assert_eq!(mac.base_url, "https://artifacts.security.elastic.co", "settings are per system");
    assert!(mac.warnings[0].contains("the vendor itself is asked"), "{:?}", mac.warnings);
    let named = mac.at("http://m:8080", System::Mac).unwrap();
    assert_eq!((named.base_url.as_str(), named.warnings.len()), ("http://m:8080", 0));
}

#[test]
fn nested_and_dotted_settings_alone() {
    let nested = r#"{"linux":{"advanced":{"artifacts":{"global":{"base_url":"http://m:8080","interval":60}}}}}"#;
    assert_eq!(Policy::read(nested.as_bytes(), System::Linux).unwrap().interval.as_secs(), 60);
    let dotted = r#"{"linux.advanced.artifacts.global.base_url":"http://m:8080/",
        "linux.advanced.allow_cloud_features":"none"}"#;
    let policy = Policy::read(dotted.as_bytes(), System::Linux).unwrap();
    assert_eq!(policy.base_url, "http://m:8080/", "as it is written");
    assert!(!policy.allows_updates && policy.warnings.len() == 1);
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let setting = |json: &str| Policy::read(json.as_bytes(), System::Linux).unwrap_err().to_string();
    for (json, says) in [
        (r#"{"linux":{"advanced":{"artifacts":{"global":{"base_url":"mirror:8080/x"}}}}}"#, "base_url"),
        (r#"{"linux":{"advanced":{"artifacts":{"global":{"interval":"soon"}}}}}"#, "interval"),
        (r#"{"linux":{"advanced":{"artifacts":{"global":{"channel":"fast"}}}}}"#, "channel"),
        (r#"{"linux":{},"global_manifest_version":"2026-02-30"}"#, "global_manifest_version"),
        (r#"{"linux":{},"global_manifest_version":7}"#, "global_manifest_version"),
        (r#"{"a":1}"#, "holds neither"),
        (r#"{"linux":{},"linux":{}}"#, "the policy"),
        ("[]", "holds neither"),
    ] {
        assert!(setting(json).contains(says), "{json}: {}", setting(json));
    }
    assert!(matches!(Policy::read(b"{", System::Linux), Err(PolicyError::Json(_))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = Policy::read(&bytes, System::Linux);
    }
}
