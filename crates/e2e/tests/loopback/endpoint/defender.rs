//! The vendor page from "Configure the endpoints" to "Troubleshooting", replayed.

use std::process::Stdio;
use std::time::Duration;

use e2e::{Site, until};

use super::{Endpoint, write};
use crate::vendor::{FEEDS, vendor};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The agent of the page of 2025: from 101.26062.0005 on one line differs and one is new.
const PAGE: &str = "101.25042.0002";
/// Our page, which shows each output beside the vendor's.
const DOCUMENT: &str = include_str!("../../../../../docs/reference-endpoint.md");
/// The address of the vendor's sample.
const ADDRESS: &str = "http://172.22.199.67:8000/linux/production/";

/// The page's sample, with our address.
pub(super) fn sample(base: &str) -> String {
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

pub(super) fn site_with(base: &vendor_sim::Simulator) -> Site {
    Site::new(&[e2e::defender(&base.defender_url(), &["linux"], &["production"])])
}

pub(super) fn endpoint<'s>(site: &'s Site, settings: &str) -> Endpoint<'s> {
    let settings = write(site, "mdatp_managed.json", settings);
    Endpoint::new(site, "defender", &["--settings".to_owned(), settings, "--agent".to_owned(), PAGE.to_owned()])
}

pub(super) fn field(endpoint: &Endpoint<'_>, name: &str) -> String {
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
    assert_eq!(version, "1.459.553.0", "as our page has it");
    let documented = |text: &str| assert!(DOCUMENT.contains(&text.replace(&base, ADDRESS)), "our page lacks: {text}");
    for line in &lines {
        let (key, value) = line.split_once(':').unwrap();
        let mut rows = DOCUMENT.lines().filter(|row| row.starts_with(&format!("| `{}` |", key.trim())));
        let row = rows.next().unwrap_or_else(|| panic!("our page lacks {key}"));
        let shown = format!("| `{}` |", value.trim().replace(&base, ADDRESS));
        assert!(row.ends_with(&shown) || key.starts_with("definitions_updated"), "{row} is not {shown}");
    }
    documented(&format!("`{base}: {version} (engine 1.1.26080.3), "));
    assert!(updated.text().contains(&format!("{base}: {version} (engine 1.1.26080.3), ")), "{}", updated.text());
    documented("`Security intelligence is up to date`");
    // "mdatp health --details --definitions" is a misprint, and no silent one.
    ours.act(&["health", "--details", "--definitions"]).expect(2);
    // "Make sure that definitions_update_source_uri is equal to offline_definition_url_configured".
    assert_eq!(field(&ours, "definitions_update_source_uri"), field(&ours, "offline_definition_url_configured"));
    // "Try performing the connectivity test".
    let test = ours.act(&["connectivity", "test"]).expect(0).text();
    assert_eq!(test, format!("Testing connection with {base}arch_x86_64/updates.zip ... [OK]\n"));
    documented(&format!("`{}`", test.trim()));
    serve.finish();

    // The mirror is gone: the update fails, says why, and what is in use stays.
    let failed = ours.act(&["update"]).expect(1);
    assert!(failed.text().contains("connect_failed"), "{}", failed.text());
    documented(&format!("`{}`", failed.text().lines().last().unwrap()));
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
