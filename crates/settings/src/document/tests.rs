#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

const MANAGED: &str = "{\n    \"edr\": {\n        \"tags\": [\n            {\n                \"key\": \"GROUP\",\n                \"value\": \"x\"\n            }\n        ]\n    },\n    \"antivirusEngine\": {\n        \"threatTypeSettings\": [],\n        \"enforcementLevel\": \"real_time\"\n    },\n    \"zz\": 1.50\n}\n";

#[test]
fn a_merge_changes_what_it_says_and_nothing_else() {
    let mut document = Document::read(MANAGED.as_bytes()).unwrap();
    assert_eq!(document.set("antivirusEngine", "enforcementLevel", json!("real_time")).unwrap(), None);
    let change = document.set("antivirusEngine", "offlineDefinitionUpdate", json!("enabled")).unwrap().unwrap();
    assert_eq!((change.at.as_str(), change.before), ("/antivirusEngine/offlineDefinitionUpdate", None));
    document.set("cloudService", "definitionUpdatesInterval", json!(7200)).unwrap();
    let expected = MANAGED
        .replace(
            "\"enforcementLevel\": \"real_time\"\n",
            "\"enforcementLevel\": \"real_time\",\n        \"offlineDefinitionUpdate\": \"enabled\"\n",
        )
        .replace(
            "\"zz\": 1.50\n",
            "\"zz\": 1.5,\n    \"cloudService\": {\n        \"definitionUpdatesInterval\": 7200\n    }\n",
        );
    assert_eq!(document.write(), expected);
}

#[test]
fn what_would_lose_something_is_refused_c12_c16() {
    for (text, part) in [
        ("{\"a\":{},\"a\":{}}", "stands twice"),
        ("{\"a\":{\"n\":18446744073709551616}}", "would be rounded"),
        ("{\"cloudService\":\"x\"}", "is no object"),
    ] {
        let mut document = Document::read(text.as_bytes()).unwrap();
        // The check tells what a merge refuses.
        let context = crate::defender::Context { platform: crate::defender::Platform::Linux, agent: None, url: None };
        let found = crate::defender::lint(&document, &context);
        let codes = ["duplicate_key", "rounded_number", "section_no_object"];
        assert!(found.iter().any(|finding| codes.contains(&finding.check.code())), "{text}: {found:?}");
        let told = document.set("cloudService", "definitionUpdatesInterval", json!(1)).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn files_of_another_kind_are_told_apart_c17() {
    for (bytes, part) in [
        (&b"\xff\xfe{\0}\0"[..], "UTF-16"),
        (b"{\0}\0", "UTF-16"),
        (b"bplist00\x01", "plutil -convert xml1"),
        (b"\x30\x82\x10\x00xx", "signed profile"),
        (b"\xc3\x28", "is not UTF-8"),
        (b"[]", "no object"),
        (b"<plist><array/></plist>", "no dictionary"),
        (b"<html>Sign in</html>", "<plist>"),
        (b"<plist><dict><key>PayloadContent</key><array/></dict></plist>", "without a payload"),
        (b"antivirusEngine:\n  x: 1\n", "is not JSON"),
        (b"", "is not JSON"),
    ] {
        let told = Document::read(bytes).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
    // What macOS reads is no broken file, and only not looked into here.
    for bytes in [&b"bplist00\x01"[..], b"\x30\x82\x10\x00xx"] {
        assert!(matches!(Document::read(bytes), Err(DocumentError::NotHere(_))));
    }
    assert!(Document::read(&vec![b' '; LARGEST + 1]).is_err());
    let marked = Document::read("\u{feff}{}".as_bytes()).unwrap();
    assert_eq!(marked.findings()[0].check, Check::ByteOrderMark);
}

#[test]
fn settings_are_found_in_every_kind_of_profile() {
    let plain = "<plist><dict><key>antivirusEngine</key><dict/></dict></plist>";
    let own = "<plist><dict><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.x</string></dict><dict><key>PayloadType</key><string>com.microsoft.wdav</string><key>antivirusEngine</key><dict/></dict></array></dict></plist>";
    let managed = "<plist><dict><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.ManagedClient.preferences</string><key>PayloadContent</key><dict><key>com.microsoft.wdav</key><dict><key>Forced</key><array><dict><key>mcx_preference_settings</key><dict><key>antivirusEngine</key><dict/></dict></dict></array></dict></dict></dict></array></dict></plist>";
    for (text, format, at) in [
        (plain, Format::Plist, ""),
        (own, Format::Profile, "/PayloadContent/1"),
        (
            managed,
            Format::Profile,
            "/PayloadContent/0/PayloadContent/com.microsoft.wdav/Forced/0/mcx_preference_settings",
        ),
    ] {
        let mut document = Document::read(text.as_bytes()).unwrap();
        let (sections, found) = document.sections();
        assert_eq!((document.format(), found.as_str(), !sections.is_empty()), (format, at, true));
        let change = document.set("antivirusEngine", "offlineDefinitionUpdate", json!("enabled")).unwrap().unwrap();
        assert_eq!(change.at, format!("{at}/antivirusEngine/offlineDefinitionUpdate"));
        let again = Document::read(document.write().as_bytes()).unwrap();
        assert_eq!(again.sections().0["antivirusEngine"]["offlineDefinitionUpdate"], "enabled");
    }
}

#[test]
fn a_second_payload_of_defender_s_is_told() {
    let payload = |toggle: &str| {
        format!(
            "<dict><key>PayloadType</key><string>com.microsoft.wdav</string><key>antivirusEngine</key><dict>\
             <key>offlineDefinitionUpdate</key><string>{toggle}</string></dict></dict>"
        )
    };
    let profile =
        |payloads: &str| format!("<plist><dict><key>PayloadContent</key><array>{payloads}</array></dict></plist>");
    let told = |text: String| Document::read(text.as_bytes()).unwrap().findings().to_vec();
    assert_eq!(told(profile(&payload("enabled"))), []);
    let twice = told(profile(&format!("{}{}", payload("enabled"), payload("disabled"))));
    assert_eq!((twice.len(), twice[0].check, twice[0].at.as_str()), (1, Check::SecondPayload, "/PayloadContent/1"));
    assert_eq!(twice[0].level, crate::Level::Error);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[ -~äö\u{1b}]{0,12}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z/~]{1,6}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Every other key keeps its value and its place, whatever stood in the file.
    #[test]
    fn nothing_else_changes(
        members in prop::collection::vec(("[a-zA-Z]{1,6}", values()), 0..6),
        section in "[a-z]{1,4}",
        key in "[a-z]{1,4}",
    ) {
        let before = Value::Object(members.into_iter().collect());
        let text = json::write(&before, "  ");
        let mut document = Document::read(text.as_bytes()).unwrap();
        match document.set(&section, &key, json!("new")) {
            Err(error) => {
                let no_section = matches!(error, DocumentError::NoSection { .. });
                prop_assert!(no_section);
            }
            Ok(_) => {
                let mut after: Value = serde_json::from_str(&document.write()).unwrap();
                prop_assert_eq!(&after[&section][&key], "new");
                let order: Vec<String> = after.as_object().unwrap().keys().cloned().collect();
                let was: Vec<String> = before.as_object().unwrap().keys().cloned().collect();
                prop_assert_eq!(&order[..was.len()], &was[..]);
                match before[&section].get(&key) {
                    Some(old) => after[&section][&key] = old.clone(),
                    None => { after[&section].as_object_mut().unwrap().shift_remove(&key); }
                }
                if before.get(&section).is_none() {
                    after.as_object_mut().unwrap().shift_remove(&section);
                }
                prop_assert_eq!(after, before);
            }
        }
    }

    #[test]
    fn any_bytes_have_an_end_i10(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Document::read(&bytes);
    }
}
