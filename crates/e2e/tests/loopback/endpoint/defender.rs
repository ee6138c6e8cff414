//! The vendor page from "Configure the endpoints" to "Troubleshooting", replayed.

use std::process::Stdio;
use std::time::Duration;

use e2e::{Site, until};
use vendor_sim::DefenderChange;

use super::{Endpoint, write};
use crate::vendor::{FEEDS, vendor};

const PATIENCE: Duration = Duration::from_secs(60);
/// The agent of the page of 2025: from 101.26062.0005 on one line differs and one is new.
const PAGE: &str = "101.25042.0002";

/// The page's sample, with our address.
fn sample(base: &str) -> String {
    format!(
        r#"{{
  "cloudService": {{
    "automaticDefinitionUpdateEnabled": true,
    "definitionUpdatesInterval": 1202
  }},
  "antivirusEngine": {{
    "offlineDefinitionUpdateUrl": "{base}",
    "offlineDefinitionUpdateFallbackToCloud":false,
    "offlineDefinitionUpdate": "enabled"
  }},
  "features": {{
    "offlineDefinitionUpdateVerifySig": "enabled"
  }}
}}"#
    )
}

fn site_with(base: &vendor_sim::Simulator) -> Site {
    Site::new(&[e2e::defender(&base.defender_url(), &["linux"], &["production"])])
}

fn endpoint<'s>(site: &'s Site, settings: &str) -> Endpoint<'s> {
    let settings = write(site, "mdatp_managed.json", settings);
    Endpoint::new(site, "defender", &["--settings".to_owned(), settings, "--agent".to_owned(), PAGE.to_owned()])
}

fn field(endpoint: &Endpoint<'_>, name: &str) -> String {
    endpoint.act(&["health", "--details", "definitions", "--field", name]).expect(0).text().trim().to_owned()
}

#[test]
fn the_vendors_page_step_by_step() {
    let vendor = vendor(64 * 1024);
    let site = site_with(&vendor);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let base = format!("http://{}/linux/production/", serve.content);
    let ours = endpoint(&site, &sample(&base));

    // "Verify the configuration": before an update nothing is there, and the settings show as managed.
    assert_eq!(field(&ours, "definitions_status"), "\"unavailable\"");
    // "Manual update".
    let updated = ours.act(&["update"]).expect(0);
    assert!(updated.text().ends_with("Security intelligence is up to date\n"), "{}", updated.text());
    // The page's output, line for line and column for column; only values are ours.
    let version = &vendor.defender_release(FEEDS[0]).unwrap().definitions;
    let shown = ours.act(&["health", "--details", "definitions"]).expect(0).text();
    let lines: Vec<&str> = shown.lines().collect();
    let expected = [
        "automatic_definition_update_enabled         : true [managed]".to_owned(),
        "definitions_updated                         : ".to_owned(),
        "definitions_updated_minutes_ago             : ".to_owned(),
        format!("definitions_version                         : \"{version}\""),
        "definitions_status                          : \"up_to_date\"".to_owned(),
        format!("definitions_update_source_uri               : \"{base}\""),
        "definitions_update_fail_reason              : \"\"".to_owned(),
        format!("offline_definition_url_configured           : \"{base}\" [managed]"),
        "offline_definition_update                   : \"enabled\" [managed]".to_owned(),
        "offline_definition_update_verify_sig        : \"enabled\" [managed]".to_owned(),
        "offline_definition_update_fallback_to_cloud : false [managed]".to_owned(),
    ];
    assert_eq!(lines.len(), expected.len(), "{shown}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected.as_str()), "{line} is not {expected}");
    }
    // "Make sure that definitions_update_source_uri is equal to offline_definition_url_configured".
    assert_eq!(field(&ours, "definitions_update_source_uri"), field(&ours, "offline_definition_url_configured"));
    // "Try performing the connectivity test".
    let test = ours.act(&["connectivity", "test"]).expect(0).text();
    assert_eq!(test, format!("Testing connection with {base}arch_x86_64/updates.zip ... [OK]\n"));
    serve.finish();

    // The mirror is gone: the update fails, says why, and what is in use stays.
    let failed = ours.act(&["update"]).expect(1);
    assert!(failed.text().contains("connect_failed"), "{}", failed.text());
    assert!(field(&ours, "definitions_update_fail_reason").contains("connect_failed"));
    assert_eq!(field(&ours, "definitions_version"), format!("\"{version}\""));
    let test = ours.act(&["connectivity", "test"]).expect(1).text();
    assert!(test.contains("... [ERROR]\n\tconnect_failed"), "{test}");
}

#[test]
fn the_pages_sample_does_nothing_by_itself_and_in_real_time_it_does() {
    let vendor = vendor(64 * 1024);
    let site = site_with(&vendor);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let base = format!("http://{}/linux/production/", serve.content);
    let ours = endpoint(&site, &sample(&base));
    let state = site.folder().join("endpoint-defender");
    let settings = site.folder().join("mdatp_managed.json");
    let mut command = site.command(["endpoint", "defender", "run", "--json", "--state"]);
    command.arg(&state).arg("--settings").arg(&settings).args(["--agent", PAGE]);
    let log = std::fs::File::create(site.folder().join("run.log")).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(log).spawn().unwrap();
    let said = || std::fs::read_to_string(site.folder().join("run.log")).unwrap();
    // The default level on Linux is passive, which the page's sample does not change.
    until("it says that it is idle", PATIENCE, || said().contains("\"idle\"").then_some(()));
    assert_eq!(field(&ours, "definitions_status"), "\"unavailable\"");
    // The settings are read again all the time.
    let real_time = sample(&base)
        .replace("\"antivirusEngine\": {", "\"antivirusEngine\": {\n    \"enforcementLevel\": \"real_time\",");
    write(&site, "mdatp_managed.json", &real_time);
    until("it updates", PATIENCE, || said().contains("\"outcome\":\"updated\"").then_some(()));
    until("it waits for the next one", PATIENCE, || said().contains("\"waiting\"").then_some(()));
    assert_eq!(field(&ours, "definitions_status"), "\"up_to_date\"");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(until("it ends", PATIENCE, || child.try_wait().unwrap()).success());
    serve.finish();
}

#[test]
fn a_bad_release_is_left_behind_through_production_back() {
    let vendor = vendor(64 * 1024);
    let site = site_with(&vendor);
    let version = |vendor: &vendor_sim::Simulator| vendor.defender_release(FEEDS[0]).unwrap().definitions.clone();
    site.sync(&[]).expect(0);
    let good = version(&vendor);
    vendor.publish_defender(FEEDS[0], DefenderChange::default()).unwrap();
    site.sync(&[]).expect(0);
    let bad = version(&vendor);
    assert_ne!(good, bad);
    let serve = site.start("serve");
    let root = format!("http://{}/linux", serve.content);
    let ours = endpoint(&site, &sample(&format!("{root}/production/")));
    ours.act(&["update"]).expect(0);
    assert_eq!(field(&ours, "definitions_version"), format!("\"{bad}\""));
    let back = endpoint(&site, &sample(&format!("{root}/production_back")));
    let went = back.act(&["update"]).expect(0);
    assert!(went.text().contains(&format!("went back from {bad}")), "{}", went.text());
    assert_eq!(field(&back, "definitions_version"), format!("\"{good}\""));
    serve.finish();
}

#[test]
fn the_scripts_folder_is_as_good_as_a_mirror() {
    let vendor = vendor(64 * 1024);
    let site = Site::new(&[]);
    let folder = site.folder().join("wdav-update");
    vendor.write_defender_tree(&folder).unwrap();
    let ours = endpoint(&site, &sample(&folder.join("linux/production").display().to_string()));
    ours.act(&["update", "--arch", "arm64"]).expect(0);
    assert_eq!(field(&ours, "definitions_status"), "\"up_to_date\"");
    std::fs::remove_dir_all(&folder).unwrap();
    let gone = ours.act(&["update", "--arch", "arm64"]).expect(1);
    assert!(gone.text().contains("not_in_folder"), "{}", gone.text());
    assert_eq!(field(&ours, "definitions_status"), "\"up_to_date\"");
}
