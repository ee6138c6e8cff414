//! `validate`: the vendor against the mirror, the mirror against endpoints.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use vendor_sim::{
    Change, DefenderChange, DefenderFeed, DefenderTarget, ElasticTarget, Fault, FaultRule, Kind, Pattern, Stack, Step,
    Times,
};

use crate::daemon::Running;
use crate::site::{Ended, Site, command};

const KEY: &str = "aWQ6aHVudGVyMg==";

/// A mirror that serves, and its address.
fn serving(site: &Site) -> (Running, String) {
    let mut running = Running::start(site, "serve");
    let address = running.event("serving content")["address"].as_str().unwrap().to_owned();
    (running, format!("http://{address}"))
}

/// Runs the binary with an Elasticsearch key in its environment.
fn with_key(site: &Site, arguments: &[&str]) -> Ended {
    let output: Output = command(site.path(), arguments).env("WAYSTATION_ELASTICSEARCH_API_KEY", KEY).output().unwrap();
    output.into()
}

/// An hour ago, or so many days, by this machine's clock.
#[allow(clippy::disallowed_methods, reason = "the stand-in compares with this machine's clock")]
fn report(agent: &str, days: u64, version: &str, applied: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let micros =
        i64::try_from(now.as_micros()).unwrap() - 3_600_000_000 - i64::try_from(days).unwrap() * 86_400_000_000;
    json!({
        "@timestamp": model::Timestamp::from_micros(micros).to_string(),
        "agent": {"id": agent, "version": version}, "host": {"hostname": format!("host-{agent}")},
        "Endpoint": {"policy": {"applied": {"actions": [{"name": "download_global_artifacts", "status": "success"}],
            "artifacts": {"global": {"version": applied, "update_age": days}}}}}
    })
}

#[test]
fn a_mirror_is_compared_with_the_vendor_and_walked() {
    let site = Site::builder().defender().build();
    let before = site.run(&["validate", "elastic", "--no-walk"]).with(1).stdout;
    assert!(before.contains("unserved"), "{before}");
    site.run(&["sync"]).with(0);
    let (_running, url) = serving(&site);
    for vendor in ["elastic", "defender"] {
        let rows = site.run(&["validate", vendor, "--url", &url, "--json"]).with(0).lines();
        assert_eq!((&rows[0]["state"], &rows[0]["level"]), (&json!("equal"), &json!("fine")), "{rows:?}");
        assert!(rows[0]["walked"]["files"].as_u64().unwrap() >= 1 && rows[0]["route"] == "same", "{rows:?}");
        assert!(rows.iter().all(|row| row["finding"]["level"] != "fail"), "{rows:?}");
    }
    site.vendors.publish_elastic("9.0.0", Change::of(1)).unwrap();
    let rows = site.run(&["validate", "elastic", "--no-walk", "--json"]).with(0).lines();
    assert_eq!(rows[0]["state"], "behind");
    assert!(rows[0]["rings"]["broad"]["version"].is_string());
    // The listener has no fixed port, so that the public address has to be told.
    assert!(site.run(&["validate", "elastic"]).with(0).stdout.contains("name the public address with --url"));

    site.vendors.inject(FaultRule {
        pattern: Pattern::Kind(Kind::Manifest),
        fault: "status-503".parse::<Fault>().unwrap(),
        times: Times::Always,
    });
    let told = site.run(&["validate", "elastic", "--no-walk"]).with(1).stdout;
    assert!(told.contains("unasked") && told.contains("server_error") && told.contains("--no-vendor"), "{told}");
    // A site that takes folders has no vendor to ask.
    let told = site.run(&["validate", "elastic", "--no-vendor", "--url", &url]).with(0).stdout;
    assert!(told.contains(" served ") && told.contains("nothing is wrong"), "{told}");
    site.vendors.clear_faults();
    site.vendors.inject(FaultRule {
        pattern: Pattern::Kind(Kind::Manifest),
        fault: "status-404".parse::<Fault>().unwrap(),
        times: Times::Always,
    });
    let told = site.run(&["validate", "elastic", "--no-walk"]).with(1).stdout;
    assert!(told.contains("unoffered") && told.contains("not_found"), "it was asked, and said no: {told}");
    let told = site.run(&["validate", "elastic", "--no-walk", "--ring", "nightly"]).with(2).stderr;
    assert!(told.contains("there is no ring nightly"), "{told}");
}

#[test]
fn a_version_that_is_offered_and_not_served_is_what_endpoints_would_not_get_u13() {
    let site = Site::builder().versions(&["9.0.0", "8.18.3"]).build();
    site.vendors.inject(FaultRule::always(Pattern::Target("8.18.3".to_owned()), Fault::Status(503)));
    site.run(&["sync"]).with(3);
    site.vendors.clear_faults();
    let (_running, url) = serving(&site);
    let told = site.run(&["validate", "elastic", "--url", &url]).with(1).stdout;
    assert!(told.contains("elastic/8.18.3: it is followed, and endpoints get nothing of it"), "{told}");
    assert!(told.contains("fail  not_found") && !told.contains("nothing is wrong"), "it was asked for, too: {told}");
    site.run(&["validate", "elastic", "--no-walk"]).with(1);
    site.run(&["validate", "elastic", "--no-walk", "--no-vendor"]).with(1);
    site.run(&["validate", "elastic", "--elasticsearch", "http://127.0.0.1:1", "--no-vendor"]).with(2);
}

#[test]
fn what_endpoints_would_not_get_ends_with_1_u13() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let (_running, url) = serving(&site);
    let nowhere = site.run(&["validate", "elastic", "--url", "http://127.0.0.1:1"]).with(1).stdout;
    assert!(nowhere.contains("fail  reached"), "{nowhere}");
    let prefix = format!("{url}/elsewhere");
    let told = site.run(&["validate", "elastic", "--url", &prefix]).with(1).stdout;
    assert!(told.contains("fail  not_found"), "{told}");
}

#[test]
fn a_route_that_gives_another_release_than_the_ring_is_told() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    // A host that has the same manifest one release behind, as a cache or an old copy has it: the vendor's own went back.
    site.vendors.publish_elastic("9.0.0", Change::regress()).unwrap();
    let url = site.vendors.elastic_url();
    let validate = ["validate", "elastic", "--no-vendor", "--quick", "--url", &url];
    let told = site.run(&validate).with(1).stdout;
    assert!(told.contains("elastic/9.0.0: endpoints are given 1.0.1048 at http://"), "{told}");
    assert!(told.contains(", and ring broad serves 1.0.1049: ") && !told.contains("nothing is wrong"), "{told}");
    // What is newer than the ring is none of it either: what it went back from may be served on somewhere.
    site.vendors.publish_elastic("9.0.0", Change { step: Step::To(2000), ..Change::of(1) }).unwrap();
    let rows = site.run(&[&validate[..], &["--json"]].concat()).with(1).lines();
    assert_eq!((&rows[0]["route"], &rows[0]["walked"]["vendor_version"]), (&json!("other"), &json!("1.0.2000")));
}

#[test]
fn other_bytes_of_the_same_version_are_told_wherever_they_come_from() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let (_running, mirror) = serving(&site);
    site.vendors.publish_elastic("9.0.0", Change::same_version()).unwrap();
    // The vendor's own host stands for a cache that passes on what this site refused.
    let url = site.vendors.elastic_url();
    let rows = site.run(&["validate", "elastic", "--no-vendor", "--url", &url, "--json"]).with(1).lines();
    assert_eq!((&rows[0]["state"], &rows[0]["route"]), (&json!("served"), &json!("other")), "{rows:?}");
    let told = site.run(&["validate", "elastic", "--no-vendor", "--quick", "--url", &url]).with(1).stdout;
    assert!(
        told.contains("endpoints are given other bytes of 1.0.1049") && !told.contains("nothing is wrong"),
        "{told}"
    );
    site.run(&["sync"]).with(3);
    let told = site.run(&["validate", "elastic", "--url", &mirror]).with(1).stdout;
    assert!(told.contains(" differs ") && !told.contains("nothing is wrong"), "{told}");
    site.run(&["validate", "elastic", "--no-vendor", "--url", &mirror]).with(0);
}

/// A dated manifest at two paths, in this folder beside the configuration.
fn at_two_paths(site: &Site, folder: &str) {
    let folder = site.path().join(folder);
    for target in ["8.18.3", "8.18.3@2026-01-15"] {
        site.vendors.write_elastic_tree(&folder, target).unwrap();
    }
    let manifest = |path: &str| folder.join("downloads/endpoint/manifest").join(path);
    std::fs::create_dir(manifest("pinned")).unwrap();
    let second = manifest("pinned/8.18.3-2026-01-15.zip");
    std::fs::copy(manifest("artifacts-8.18.3-2026-01-15.zip"), second).unwrap();
}

/// A site that serves a dated manifest at two paths, and where.
fn with_two_paths() -> (Site, Running, String) {
    let site = Site::builder().versions(&["8.18.3"]).build();
    let file = site.path().join("waystation.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[elastic]\n", "[elastic]\ndated = [\"8.18.3@2026-01-15\"]\n")).unwrap();
    at_two_paths(&site, "tree");
    site.run(&["sync", "--from", "tree"]).with(0);
    let (running, mirror) = serving(&site);
    (site, running, mirror)
}

#[test]
fn every_path_at_which_a_manifest_is_served_is_asked_for() {
    let (site, _running, mirror) = with_two_paths();
    let told = site.run(&["validate", "elastic", "--no-vendor", "--url", &mirror]).with(0).stdout;
    assert!(told.contains("nothing is wrong"), "{told}");
    // The vendor's own host has the manifest at one of the two.
    let url = site.vendors.elastic_url();
    let told = site.run(&["validate", "elastic", "--no-vendor", "--quick", "--url", &url]).with(1).stdout;
    assert!(told.contains("/pinned/8.18.3-2026-01-15.zip") && !told.contains("nothing is wrong"), "{told}");
}

/// Passes on to a mirror; `once` is done before the first request for what contains this is passed on.
fn passing_on(mirror: &str, asked: &'static [u8], once: impl FnOnce() + Send + 'static) -> String {
    let to = mirror.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let once = Arc::new(Mutex::new(Some(once)));
    std::thread::spawn(move || {
        for mut from in listener.incoming().map_while(Result::ok) {
            let (mut to, once) = (TcpStream::connect(&to).unwrap(), Arc::clone(&once));
            let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            std::thread::spawn(move || {
                let mut part = [0; 4096];
                while let Ok(read @ 1..) = from.read(&mut part) {
                    if part[..read].windows(asked.len()).any(|seen| seen == asked)
                        && let Some(once) = once.lock().unwrap().take()
                    {
                        once();
                    }
                    to.write_all(&part[..read]).unwrap();
                }
            });
        }
    });
    url
}

#[test]
fn what_is_published_while_the_second_path_is_asked_for_is_no_sign_of_a_cache() {
    let (site, _running, mirror) = with_two_paths();
    site.vendors.publish_elastic("8.18.3@2026-01-15", Change::of(1)).unwrap();
    at_two_paths(&site, "newer");
    let folder = site.path().to_owned();
    let url = passing_on(&mirror, b"/pinned/", move || {
        let _ = crate::site::waystation(&folder, &["sync", "--from", "newer"]).with(0);
    });
    let told = site.run(&["validate", "elastic", "--no-vendor", "--url", &url]).with(0).stdout;
    assert!(told.contains("nothing is wrong"), "{told}");
}

#[test]
fn a_route_that_learns_of_a_publication_some_moments_later_is_waited_for() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let (_running, url) = serving(&site);
    for _ in 0..3 {
        site.vendors.publish_elastic("9.0.0", Change::of(1)).unwrap();
        site.run(&["sync"]).with(0);
        let told = site.run(&["validate", "elastic", "--url", &url]).with(0).stdout;
        assert!(told.contains("nothing is wrong"), "{told}");
    }
}

#[test]
fn a_fleet_is_held_against_the_ring_and_against_any_mirror() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let served = site.run(&["feed", "show", "elastic/9.0.0", "--json"]).with(0).lines();
    let version = served[0]["served"]["vendor_version"]["version"].as_str().unwrap().to_owned();
    let stack = Stack::start(KEY).unwrap();
    let cluster = stack.url();
    let fleet = ["validate", "elastic", "--elasticsearch", &cluster, "--allow-plain-http"];
    let run = |rest: &[&str]| with_key(&site, &[&fleet, rest].concat());

    assert!(run(&[]).with(4).stdout.contains("no endpoint reported within 30 days"));
    stack.add_documents([report("a", 0, "9.0.0", &version), report("b", 0, "9.0.0", "1.0.0")]);
    let table = run(&[]).with(0).stdout;
    assert!(table.contains("1 equal, 1 behind") && table.contains("host-b") && !table.contains("host-a"), "{table}");
    let csv = run(&["--form", "csv"]).with(0).stdout;
    assert_eq!(csv.lines().count(), 3);
    let (_running, url) = serving(&site);
    let rows = run(&["--url", &url, "--json"]).with(0).lines();
    assert_eq!(rows[0]["versions"][0]["offered"], json!(version));

    // What the reference endpoint reports is read as what it is.
    let play = ["endpoint", "elastic", "update", "--state", "ep", "--version", "9.0.0", "--public-key", "key.pem"];
    stack.add_documents(site.run(&[&play[..], &["--base-url", &url, "--json"]].concat()).with(0).lines());
    let rows = run(&["--json"]).with(0).lines();
    let played = rows.iter().find(|row| row["host"] == "reference-endpoint").unwrap();
    assert_eq!((&played["state"], &played["level"]), (&json!("equal"), &json!("fine")), "{played}");

    stack.add_documents([report("c", 20, "9.0.0", &version), report("d", 0, "8.0.0", "1.0.0")]);
    let rows = run(&["--json"]).with(4).lines();
    let states: Vec<&str> = rows[1..].iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["unmirrored", "silent", "behind", "equal", "equal"]);

    let told = site.run(&fleet).with(2).stderr;
    assert!(told.contains("no API key") && told.contains("WAYSTATION_ELASTICSEARCH_API_KEY"), "{told}");
    let told = with_key(&site, &["validate", "elastic", "--elasticsearch", &cluster]).with(2).stderr;
    assert!(told.contains("--allow-plain-http"), "{told}");
}

#[test]
fn a_pinned_endpoint_is_held_against_its_date_where_that_is_known_to_lie_somewhere() {
    let site = Site::builder().build();
    let stack = Stack::start(KEY).unwrap();
    let cluster = stack.url();
    let mut pinned = report("a", 0, "8.18.3", "1.0.0");
    pinned["Endpoint"]["policy"]["applied"]["artifacts"]["global"]["snapshot"] = json!("2026-01-15");
    stack.add_documents([pinned, report("b", 0, "9.0.0", "1.0.0")]);
    // Any mirror will do: the vendor's own host has that date.
    let mirror = site.vendors.elastic_url();
    let row = || {
        let fleet = ["validate", "elastic", "--elasticsearch", &cluster, "--allow-plain-http", "--url", &mirror];
        let rows = with_key(&site, &[&fleet[..], &["--json"]].concat()).with(0).lines();
        rows.into_iter().find(|row| row["agent"] == "a").unwrap()
    };
    let told = row();
    assert!(told["offered"].is_null() && told["why"].as_str().unwrap().contains("was not asked for"), "{told}");
    let file = site.path().join("waystation.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let templates = ["/elsewhere/{version}/{date}.zip", "/downloads/endpoint/manifest/artifacts-{version}-{date}.zip"];
    std::fs::write(&file, format!("{text}dated_templates = {templates:?}\n")).unwrap();
    let told = row();
    assert!(told["feed"] == "elastic/8.18.3@2026-01-15" && told["offered"].is_string(), "{told}");
}

#[test]
fn an_endpoint_with_candidates_is_held_against_the_mirrors_candidates() {
    let site = Site::builder().build();
    let stack = Stack::start(KEY).unwrap();
    let cluster = stack.url();
    let ahead = site.vendors.elastic_release(ElasticTarget::Candidate("9.0.0".to_owned())).unwrap();
    let mut report = report("a", 0, "9.0.0", &ahead.manifest_version);
    report["Endpoint"]["policy"]["applied"]["artifacts"]["global"]["manifest_type"] = json!("candidate");
    stack.add_documents([report]);
    let mirror = site.vendors.elastic_url();
    let row = || {
        let fleet = ["validate", "elastic", "--elasticsearch", &cluster, "--allow-plain-http", "--url", &mirror];
        with_key(&site, &[&fleet[..], &["--json"]].concat()).with(0).lines().remove(1)
    };
    let told = row();
    assert!(told["state"] == "ahead" && told["why"].as_str().unwrap().contains("not known here"), "{told}");
    let file = site.path().join("waystation.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let templates = ["/downloads/endpoint/manifest/{track}/artifacts-{version}.zip"];
    std::fs::write(&file, format!("{text}track_templates = {templates:?}\n")).unwrap();
    let told = row();
    assert!(told["feed"] == "elastic/9.0.0/candidate" && told["state"] == "equal", "{told}");
}

#[test]
fn feeds_that_were_learned_before_the_section_went_are_told_so() {
    let site = Site::builder().defender().build();
    site.run(&["feed", "learn", "8.18.3"]).with(0);
    let file = site.path().join("waystation.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("[elastic]").unwrap();
    let (_, after) = rest.split_once("[defender]").unwrap();
    std::fs::write(&file, format!("{before}[defender]{after}")).unwrap();
    for verb in [&["feed", "check", "8.18.3"][..], &["validate", "elastic", "--no-walk"]] {
        let told = site.run(verb).with(1).stdout;
        assert!(told.contains("there is no [elastic] section") && !told.contains("dns_failed"), "{verb:?}: {told}");
    }
}

/// A mirror of Defender, a folder for reports, and the version that endpoints on x86_64 are to have.
fn with_reports() -> (Site, PathBuf, String) {
    let site = Site::builder().defender().build();
    let folder = site.path().join("health");
    std::fs::create_dir(&folder).unwrap();
    site.run(&["sync"]).with(0);
    let served = site.run(&["feed", "show", "defender/linux/production/x86_64", "--json"]).with(0).lines();
    let version = served[0]["served"]["vendor_version"]["version"].as_str().unwrap().to_owned();
    (site, folder, version)
}

#[test]
fn health_reports_are_held_against_their_ring() {
    let (site, folder, version) = with_reports();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let text = |version: &str, source: &str| {
        format!(
            "definitions_version : \"{version}\"\ndefinitions_status : \"up_to_date\"\n\
             definitions_update_source_uri : \"{source}\"\n\
             offline_definition_url_configured : \"https://m.example/linux/production/\" [managed]\n\
             offline_definition_update : \"enabled\" [managed]\n"
        )
    };
    let run = |rest: &[&str]| site.run(&[&["validate", "defender", "--health", "health"], rest].concat());
    let here = "https://m.example/linux/production/";
    write("good.txt", text(&version, here));
    write("late.txt", text("1.1.1.0", here));
    let told = run(&[]).with(0).stdout;
    assert!(told.starts_with("2 endpoints: 1 equal, 1 behind\n"), "{told}");
    assert!(told.contains("\nlate ") && !told.contains("\ngood "), "who is behind is named: {told}");
    // What lies below a folder is read too, and what cannot be a report is told.
    std::fs::create_dir_all(folder.join("siteB/.old")).unwrap();
    write("siteB/cloud.txt", text(&version, "https://go.microsoft.com/fwlink/?linkid=2144709"));
    write("siteB/.old/cloud.txt", text("1.1.1.0", here));
    let told = run(&[]).with(1).stdout;
    assert!(told.starts_with("3 endpoints: ") && told.contains("\nsiteB/cloud "), "{told}");
    std::fs::remove_dir_all(folder.join("siteB")).unwrap();
    let row = |arch: &str, code: i32| run(&["--arch", arch, "--json"]).with(code).lines()[0].clone();
    assert_eq!(row("x86_64", 0)["feed"], "defender/linux/production/x86_64");
    let arm = row("arm64", 4);
    assert_eq!((&arm["feed"], &arm["faults"]), (&Value::Null, &json!(["unserved"])), "it is not followed");
    // What the reference endpoint says of itself, with settings that were made for it.
    let (_running, url) = serving(&site);
    let made = site.run(&["configure", "defender", "--url", &url, "--allow-plain-http", "--enforcement", "real_time"]);
    std::fs::write(site.path().join("managed.json"), made.with(0).stdout).unwrap();
    let play = |rest: &[&str]| {
        site.run(&[&["endpoint", "defender"], rest, &["--state", "ep", "--settings", "managed.json"]].concat()).with(0)
    };
    play(&["update"]);
    write("played.txt", play(&["health", "--details", "definitions"]).stdout);
    assert_eq!(play(&["health", "--output", "json"]).lines().len(), 1, "as mdatp's own command has it");
    let rows = run(&["--json"]).with(0).lines();
    let played = rows.iter().find(|row| row["host"] == "played").unwrap();
    assert_eq!((&played["state"], &played["faults"]), (&json!("equal"), &json!([])), "{played}");
    write("cloud.txt", text(&version, "https://go.microsoft.com/fwlink/?linkid=2144709"));
    write("json.json", format!(r#"{{"definitionsVersion":"{version}","engineVersion":"1.1.1.1"}}"#));
    let told = run(&[]).with(1).stdout;
    assert!(told.contains("cloud_fallback on 1 endpoint: ") && told.contains("engine_drift on 1 endpoint: "), "{told}");
    write("page.txt", "<html>Sign in</html>".to_owned());
    assert!(run(&[]).with(1).stdout.contains("page: holds no value of `mdatp health`"));
    assert_eq!(run(&["--form", "csv"]).with(1).stdout.lines().count(), 7);
    assert_eq!(run(&["--json"]).with(1).lines().len(), 6);
    assert!(site.run(&["validate", "defender", "--health", "absent"]).with(2).stderr.contains("cannot read absent"));
}

#[test]
fn endpoints_of_another_mirror_ring_or_track_are_told() {
    let (site, folder, version) = with_reports();
    let (_running, url) = serving(&site);
    let write = |name: &str, base: &str| {
        let text = format!(
            "definitions_version : \"{version}\"\ndefinitions_update_source_uri : \"{base}\"\n\
             offline_definition_url_configured : \"{base}\" [managed]\n\
             offline_definition_update : \"enabled\" [managed]\n"
        );
        std::fs::write(folder.join(name), text).unwrap();
    };
    let health = ["validate", "defender", "--health", "health"];
    let run = |rest: &[&str]| site.run(&[&health[..], rest].concat());
    write("ours", &format!("{url}/linux/production/"));
    write("ring", &format!("{url}/rings/broad/linux/production/"));
    run(&["--url", &url]).with(0);
    write("other", "http://other.corp/linux/production/");
    assert!(
        run(&[]).with(0).stdout.contains("\n\nthe addresses of endpoints were held against no mirror's"),
        "nobody said where the mirror is"
    );
    let told = |rest: &[&str], code: i32| {
        let lines = run(&[rest, &["--json"]].concat()).with(code).lines();
        let fault = |row: &Value| format!("{} {} {}", row["host"], row["state"], row["faults"]).replace('"', "");
        lines.iter().map(fault).collect::<Vec<_>>()
    };
    let expected = ["other unknown [wrong_mirror]", "ours equal []", "ring equal []"];
    assert_eq!(told(&["--url", &url], 1), expected);
    assert_eq!(told(&["--also-at", &url], 1), expected, "what is offered comes out of the data folder");
    assert_eq!(told(&["--url", &url, "--also-at", "http://other.corp"], 0)[0], "other equal []");
    write("other", &format!("{url}/rings/nightly/linux/production/"));
    assert_eq!(told(&["--url", &url], 1)[0], "other unknown [unknown_ring]");
    write("other", &format!("{url}/linux/production_back/"));
    for rest in [&["--url", &url][..], &[]] {
        assert_eq!(told(rest, 4)[0], "other unknown [unserved,on_back]", "one release is held");
    }
    site.vendors.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    site.run(&["sync"]).with(0);
    // Another one, which has begun with it.
    let (_anew, anew) = serving(&site);
    for rest in [&["--url", &anew, "--also-at", &url][..], &[]] {
        assert_eq!(told(rest, 0)[0], "other equal [on_back]", "it went back");
    }
    // What the operator goes back from is rejected, as the data folder knows.
    let here = std::fs::read_to_string(folder.join("ours")).unwrap();
    let newest = site.vendors.defender_release(DefenderFeed::ALL[0]).unwrap().definitions.clone();
    std::fs::write(folder.join("other"), here.replace(&version, &newest)).unwrap();
    assert_eq!(told(&[], 0)[0], "other equal []");
    let releases = site.run(&["release", "list", "--json"]).with(0).lines();
    let good = releases.iter().find(|one| one.to_string().contains(&version)).unwrap()["number"].to_string();
    site.run(&["release", "admit", &good, "--reason", "the new one is bad"]).with(0);
    assert_eq!(told(&[], 1)[0], "other ahead [rejected_definitions]");
    let nowhere = run(&["--url", "http://127.0.0.1:1"]).with(1).stderr;
    assert!(nowhere.contains("serves nothing of Defender"), "{nowhere}");
    let told = run(&["--ring", "nightly"]).with(2).stderr;
    assert!(told.contains("there is no ring nightly"), "{told}");
}

/// What the drop-in downloader's state holds beside is in no folder that endpoints look into.
#[test]
fn endpoints_of_the_drop_in_downloader_are_held_against_what_its_folder_shows() {
    let (site, folder, _) = with_reports();
    for (back, code, expected) in [(true, 0, "equal [\"on_back\"]"), (false, 4, "unknown [\"unserved\",\"on_back\"]")] {
        let (state, keeps) = (format!("state-{back}"), site.path().join(format!("kept-{back}")));
        let settings = json!({
            "downloadFolder": keeps, "logFilePath": site.path().join("log"), "downloadLinuxUpdates": true,
            "backupPreviousUpdates": back,
        });
        std::fs::write(site.path().join("settings.json"), settings.to_string()).unwrap();
        let before = site.vendors.defender_release(DefenderFeed::ALL[0]).unwrap().definitions.clone();
        for _ in 0..2 {
            let mut downloader = command(site.path(), &["compat", "defender-downloader", "--state", &state]);
            let origin = site.vendors.defender_url();
            for (name, value) in [
                ("DEFENDER__ORIGIN", origin.as_str()),
                ("DEFENDER__REDIRECT_HOSTS", "127.0.0.1"),
                ("ORIGIN__ALLOW_PLAIN_HTTP", "true"),
                ("LIMITS__DISK_RESERVE", "1MiB"),
            ] {
                downloader.env(format!("WAYSTATION__{name}"), value);
            }
            Ended::from(downloader.output().unwrap()).with(0);
            site.vendors.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
        }
        let base = "http://mirror.corp/linux/production_back/";
        let text = format!(
            "definitions_version : \"{before}\"\ndefinitions_update_source_uri : \"{base}\"\n\
             offline_definition_url_configured : \"{base}\" [managed]\noffline_definition_update : \"enabled\" [managed]\n"
        );
        std::fs::write(folder.join("one"), text).unwrap();
        let config = format!("{state}/waystation.toml");
        let rows = site.run(&["--config", &config, "validate", "defender", "--health", "health", "--json"]);
        let row = rows.with(code).lines()[0].clone();
        assert_eq!(format!("{} {}", row["state"].as_str().unwrap(), row["faults"]), expected, "{row}");
    }
}

#[test]
fn an_endpoint_that_cannot_be_judged_is_not_called_in_order() {
    let (site, folder, version) = with_reports();
    let (_running, url) = serving(&site);
    let write = |definitions: &str, minutes: u64, address: &str| {
        let text = format!(
            "definitions_version : \"{definitions}\"\ndefinitions_updated_minutes_ago : {minutes}\n\
             definitions_update_source_uri : \"{address}\"\n\
             offline_definition_url_configured : \"{address}\" [managed]\n\
             offline_definition_update : \"enabled\" [managed]\n"
        );
        std::fs::write(folder.join("a.txt"), text).unwrap();
    };
    let health = ["validate", "defender", "--health", "health"];
    let row = |rest: &[&str], code: i32| site.run(&[&health, rest, &["--json"]].concat()).with(code).lines()[0].clone();
    let here = format!("{url}/linux/production/");
    // A track and a system that nothing is served of, by the data folder and by the mirror itself.
    for place in ["linux/preview/", "mac/production/"] {
        write(&version, 2, &format!("{url}/{place}"));
        for rest in [&[][..], &["--url", &url]] {
            let row = row(rest, 4);
            assert_eq!((&row["state"], &row["faults"]), (&json!("unknown"), &json!(["unserved"])), "{row}");
        }
    }
    write("", 2, &here);
    assert_eq!(row(&[], 1)["faults"], json!(["no_definitions"]));
    write(&version, 2, &format!("{url}/linux/production//"));
    assert_eq!(row(&["--url", &url], 1)["faults"], json!(["wrong_address"]));
    std::fs::write(folder.join("a.txt"), r#"{"$type":"error","message":"Could not connect to the daemon"}"#).unwrap();
    let told = row(&[], 1)["unread"].as_str().unwrap().to_owned();
    assert!(told.contains("the agent answers: Could not connect to the daemon"), "{told}");
    // Where nothing is at hand that it could be held against, nothing is judged.
    write("1.1.1.0", 28_800, &here);
    let elsewhere = tempfile::tempdir().unwrap();
    let reports = folder.display().to_string();
    let lone = ["validate", "defender", "--health", &reports];
    let told = crate::site::waystation(elsewhere.path(), &lone).with(2).stderr;
    assert!(told.contains("no configuration is at hand") && told.contains("--url"), "{told}");
    crate::site::waystation(elsewhere.path(), &[&lone[..], &["--url", &url]].concat()).with(4);
    let empty = Site::builder().defender().build();
    let told = empty.run(&lone).with(1).stderr;
    assert!(told.contains("nothing of Defender is served here yet"), "{told}");
}
