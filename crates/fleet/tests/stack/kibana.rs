//! Policies: read, changed behind their lock, and every refusal explained.

use fleet::{Applied, Kibana, KibanaError};
use serde_json::{Value, json};
use settings::elastic::{Channel, System, Wanted};
use settings::{MirrorUrl, OverPlainHttp};
use vendor_sim::{Stack, StackFault};

use super::{KEY, access};

const BASE: &str = "/inputs/0/config/policy/value/linux/advanced/artifacts/global/base_url";

fn wanted() -> Wanted {
    Wanted {
        mirror: MirrorUrl::parse("https://mirror.example", OverPlainHttp::Refused).unwrap(),
        systems: System::ALL.to_vec(),
        channel: Some(Channel::Stable),
        interval: None,
        ca: None,
        past_proxies: false,
    }
}

fn stack() -> (Stack, Kibana) {
    let stack = Stack::start(KEY).unwrap();
    stack.add_policy("p1", "servers");
    let kibana = Kibana::new(access(&stack, KEY));
    (stack, kibana)
}

async fn apply(kibana: &Kibana) -> Result<Applied, KibanaError> {
    let planned = kibana.plan("p1", &wanted()).await?;
    kibana.apply("p1", &wanted(), planned).await
}

#[tokio::test]
async fn a_plan_changes_nothing_and_an_apply_what_it_said() {
    let (stack, kibana) = stack();
    let before = stack.policy("p1").unwrap();
    let planned = kibana.plan("p1", &wanted()).await.unwrap();
    assert_eq!((planned.name.as_str(), planned.changes.len(), planned.findings.len()), ("servers", 6, 0));
    assert_eq!((stack.policy("p1").unwrap(), stack.calls()), (before.clone(), vec!["GET p1".to_owned()]));

    assert_eq!(kibana.apply("p1", &wanted(), planned).await.unwrap(), Applied::Written);
    let after = stack.policy("p1").unwrap();
    assert_eq!(after.pointer(BASE), Some(&json!("https://mirror.example")));
    let others = |item: &Value| {
        let mut item = item.clone();
        for system in ["windows", "mac", "linux"] {
            *item.pointer_mut(&format!("/inputs/0/config/policy/value/{system}/advanced")).unwrap() = Value::Null;
        }
        for name in ["version", "revision", "updated_by"] {
            item[name] = Value::Null;
        }
        item
    };
    assert_eq!(others(&after), others(&before), "nothing else changed");
    // Once more: there is nothing to write, and nothing is written.
    let calls = stack.calls().len();
    assert_eq!(apply(&kibana).await.unwrap(), Applied::Nothing);
    assert_eq!(stack.calls().len(), calls + 1);
}

#[tokio::test]
async fn what_fleet_changes_by_itself_costs_nothing_and_what_a_person_changes_stops_all() {
    let (stack, kibana) = stack();
    stack.play(Some(StackFault::BusyFleet(2)));
    assert_eq!(apply(&kibana).await.unwrap(), Applied::Written);
    let item = stack.policy("p1").unwrap();
    let list = "/inputs/0/config/artifact_manifest/value/manifest_version";
    assert_eq!(item.pointer(list), Some(&json!("1.0.3")), "Fleet's own change stays");
    assert_eq!(item.pointer(BASE), Some(&json!("https://mirror.example")));

    let (stack, kibana) = self::stack();
    stack.play(Some(StackFault::BusyFleet(100)));
    let error = apply(&kibana).await.unwrap_err();
    assert!(matches!(error, KibanaError::Conflict(_)), "{error}");

    let (stack, kibana) = self::stack();
    let planned = kibana.plan("p1", &wanted()).await.unwrap();
    stack.play(Some(StackFault::BusyPerson));
    let told = kibana.apply("p1", &wanted(), planned).await.unwrap_err().to_string();
    assert!(told.contains("somebody changed the policy meanwhile (409)"), "{told}");
    let item = stack.policy("p1").unwrap();
    assert_eq!(item.pointer(BASE), None);
    assert_eq!(item.pointer("/inputs/0/config/policy/value/linux/malware/mode"), Some(&json!("detect")));
}

#[tokio::test]
async fn members_that_may_only_be_read_are_left_out() {
    let (stack, kibana) = stack();
    stack.play(Some(StackFault::ReadOnlyMembers(vec!["spaceIds".to_owned(), "secret_references".to_owned()])));
    assert_eq!(apply(&kibana).await.unwrap(), Applied::Written);
    assert_eq!(stack.policy("p1").unwrap()["spaceIds"], json!(["default"]));
    // What the change cannot do without is never left out.
    stack.play(Some(StackFault::ReadOnlyMembers(vec!["inputs".to_owned()])));
    let other = Wanted { interval: Some(600), ..wanted() };
    let planned = kibana.plan("p1", &other).await.unwrap();
    let told = kibana.apply("p1", &other, planned).await.unwrap_err().to_string();
    assert!(told.contains("(400)") && told.contains("request body.inputs"), "{told}");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (fault, parts) in [
        (StackFault::Protected, ["(403)", "Only superusers may change: windows.advanced"]),
        (StackFault::MayNotWrite, ["(403)", "Elastic Defend Policy Management: All"]),
        (StackFault::Forgetful, ["did not keep", "windows.advanced.artifacts.global.base_url"]),
        (StackFault::Html, ["other than JSON", "right address"]),
        (StackFault::Away, ["302", "no key is sent after it"]),
    ] {
        let (stack, kibana) = stack();
        stack.play(Some(fault.clone()));
        let told = apply(&kibana).await.unwrap_err().to_string();
        assert!(parts.iter().all(|part| told.contains(part)), "{fault:?}: {told}");
        assert_eq!(stack.policy("p1").unwrap().pointer(BASE), None);
        assert!(!told.contains("hunter2") && !told.contains(KEY), "{told}");
    }
    let (stack, kibana) = stack();
    let told = kibana.plan("nobody", &wanted()).await.unwrap_err().to_string();
    assert!(told.contains("(404)") && told.contains("--list"), "{told}");
    let stranger = Kibana::new(access(&stack, "eve:hunter2hunter2"));
    let told = stranger.plan("p1", &wanted()).await.unwrap_err().to_string();
    assert!(told.contains("(401)") && !told.contains("hunter2"), "{told}");
    stack.add_item(json!({"id": "log", "name": "nginx", "package": {"name": "nginx"}, "inputs": []}));
    let told = kibana.plan("log", &wanted()).await.unwrap_err().to_string();
    assert!(told.contains("integration 'nginx'"), "{told}");
}

#[tokio::test]
async fn what_was_written_and_cannot_be_read_back_is_not_said_to_be_unwritten() {
    for status in [401, 403, 404, 502] {
        let (stack, kibana) = stack();
        stack.play(Some(StackFault::BlindAfterWrite(status)));
        let told = apply(&kibana).await.unwrap_err().to_string();
        assert!(told.contains("took the change") && told.contains("without --apply"), "{told}");
        assert!(told.contains(&status.to_string()) && !told.contains("nothing was written"), "{told}");
        assert!(stack.policy("p1").unwrap().pointer(BASE).is_some());
    }
}

#[tokio::test]
async fn policies_are_listed_over_all_pages() {
    let (stack, kibana) = stack();
    for index in 0..250 {
        if index % 2 == 0 {
            stack.add_policy(&format!("d{index:03}"), "more");
        } else {
            stack.add_item(json!({"id": format!("n{index}"), "name": "nginx", "package": {"name": "nginx"}}));
        }
    }
    apply(&kibana).await.unwrap();
    let listed = kibana.list().await.unwrap();
    assert_eq!(listed.len(), 126);
    assert_eq!(listed[0].base_urls.len(), 3);
    assert_eq!(stack.calls().iter().filter(|call| *call == "GET package_policies").count(), 3);
}
