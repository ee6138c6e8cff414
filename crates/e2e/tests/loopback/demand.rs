//! What endpoints ask for and is not held: wanted, learned, carried across an air gap, and fetched while they wait.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::whole::{manifest_path, read_manifest};
use e2e::{Answer, Daemon, Site, get, get_with, until};
use serde_json::Value;
use vendor_sim::{Change, ElasticSettings, Fault, FaultRule, Pattern, Settings, Simulator};

const PATIENCE: Duration = Duration::from_secs(60);
const DATED: &str = "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip";
const CANDIDATE: &str = "/downloads/endpoint/manifest/candidate/artifacts-9.0.0.zip";

fn vendor(versions: &[&str]) -> Simulator {
    let versions = versions.iter().map(ToString::to_string).collect();
    let elastic = ElasticSettings { versions, artifacts: 12, artifact_size: 8 * 1024, ..ElasticSettings::default() };
    Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap()
}

fn site(vendor: &Simulator, lines: &str) -> Site {
    Site::new(&[format!("[elastic]\norigin = \"{}\"\n{lines}", vendor.elastic_url())])
}

/// Everything that the manifest at a path names is served; how many artifacts that is.
fn walk(mirror: SocketAddr, path: &str) -> usize {
    let manifest = get(mirror, path).unwrap();
    assert_eq!(manifest.status, 200, "{path}");
    let manifest = read_manifest(&manifest.body);
    let artifacts = manifest["artifacts"].as_object().unwrap();
    for artifact in artifacts.values() {
        let answer = get(mirror, artifact["relative_url"].as_str().unwrap()).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(model::Digest::of(&answer.body).to_string(), artifact["encoded_sha256"].as_str().unwrap());
    }
    artifacts.len()
}

fn wanted(site: &Site, count: usize) -> Vec<Value> {
    until("what was asked for is wanted", PATIENCE, || {
        let lines = site.act(&["feed", "wanted", "--json"]).expect(0).lines();
        (lines.len() == count).then_some(lines)
    })
}

fn served(mirror: SocketAddr, path: &str) -> Answer {
    until(&format!("{path} is served"), PATIENCE, || get(mirror, path).ok().filter(|answer| answer.status == 200))
}

#[test]
fn what_the_closed_side_wants_the_connected_side_fetches() {
    let vendor = vendor(&["8.18.3", "9.0.0"]);
    let closed = site(&vendor, "versions = [\"9.0.0\"]\n");
    let run = closed.start("run");
    served(run.content, &manifest_path("9.0.0"));
    for path in [&manifest_path("8.18.3"), DATED, &manifest_path("8.18.3"), "/favicon.ico", "/downloads/x"] {
        assert_eq!(get(run.content, path).unwrap().status, 404);
    }
    let list = wanted(&closed, 3);
    assert_eq!((list[0]["feed"].as_str(), list[0]["count"].as_u64()), (Some("elastic/8.18.3"), Some(2)), "{list:?}");
    until("the API shows what was gathered", PATIENCE, || {
        let api = get(run.admin, "/api/v1/wanted").unwrap();
        let shown: Value = serde_json::from_slice(&api.body).unwrap();
        let marked = shown.as_array().unwrap().iter().filter(|entry| entry["held_at_another_path"] == false).count();
        (marked == 3).then_some(())
    });
    let metrics = String::from_utf8(get(run.admin, "/metrics").unwrap().body).unwrap();
    assert!(metrics.contains("waystation_wanted 3\n"), "{metrics}");
    closed.act(&["feed", "wanted", "--export", "wanted.json"]).expect(0);
    run.finish();

    let connected = site(&vendor, "versions = [\"9.0.0\"]\n");
    let list = closed.folder().join("wanted.json");
    let synced = connected.sync(&["--wanted", list.to_str().unwrap()]).expect(0);
    assert_eq!(synced.outcomes(), ["published", "published"], "{}", synced.text());
    assert_eq!(
        connected.act(&["feed", "list", "--json"]).lines().len(),
        3,
        "what the configuration names, and what was brought"
    );
    let serve = connected.start("serve");
    walk(serve.content, &manifest_path("8.18.3"));
    walk(serve.content, DATED);
}

#[test]
fn what_is_asked_for_is_learned_synced_and_served_without_a_restart() {
    let vendor = vendor(&["8.18.3", "9.0.0"]);
    let site = site(&vendor, "versions = [\"9.0.0\"]\ndated = [\"9.0.0@2026-02-02\"]\nauto_learn = true\n");
    let run = site.start("run");
    served(run.content, &manifest_path("9.0.0"));
    let dated = site.act(&["feed", "show", "elastic/9.0.0@2026-02-02", "--json"]).expect(0).lines();
    assert_eq!(dated[0]["reason"], "dated_path_unknown", "{dated:?}");
    assert_eq!(get(run.content, &manifest_path("8.18.3")).unwrap().status, 404);
    assert_eq!(get(run.content, &manifest_path("7.0.0")).unwrap().status, 404);
    assert_eq!(get(run.content, DATED).unwrap().status, 404);
    served(run.content, &manifest_path("8.18.3"));
    served(run.content, DATED);
    walk(run.content, &manifest_path("8.18.3"));
    walk(run.content, DATED);
    let learned: Vec<String> =
        site.act(&["feed", "list", "--json"]).lines().iter().map(|feed| feed["feed"].to_string()).collect();
    assert!(!learned.iter().any(|feed| feed.contains("7.0.0")), "the vendor has no such: {learned:?}");
    until("what came of asking is told", PATIENCE, || {
        let list = wanted(&site, 1);
        assert_eq!(list[0]["feed"], "elastic/7.0.0");
        (list[0]["tried"]["reason"] == "not_found").then_some(())
    });
    // Where dated manifests lie is known by now.
    run.wait_said("feed=elastic/9.0.0@2026-02-02 outcome=failed reason=not_found");
    site.act(&["feed", "forget", "8.18.3"]).expect(0);
    run.finish();
    let again = site.act(&["gc", "--plan", "--json"]).expect(0).text();
    assert!(again.contains("elastic/8.18.3\"") && !again.contains("8.18.3@2026-01-15"), "{again}");
}

#[test]
fn a_pattern_takes_every_patch_level_that_the_vendor_has() {
    let vendor = vendor(&["8.19.0", "8.19.1", "8.19.3", "8.18.3"]);
    let site = site(&vendor, "versions = [\"8.19.*\"]\n");
    let run = site.start("run");
    for version in ["8.19.0", "8.19.1", "8.19.3"] {
        served(run.content, &manifest_path(version));
    }
    assert_eq!(get(run.content, &manifest_path("8.18.3")).unwrap().status, 404);
    run.finish();
}

#[test]
fn the_preflight_tells_what_is_offered_held_and_served() {
    let vendor = vendor(&["8.18.3", "9.0.0"]);
    let site = site(&vendor, "versions = [\"9.0.0\"]\n");
    site.sync(&[]).expect(0);
    assert!(site.act(&["feed", "check", "9.0.0"]).expect(0).text().contains("ready: every ring serves it"));
    assert!(site.act(&["feed", "check", "8.18.3"]).expect(1).text().contains("follow it first"));
    assert!(site.act(&["feed", "check", "9.9.9"]).expect(1).text().contains("answered 404"));
    assert!(site.act(&["feed", "check", "nine"]).expect(2).text().contains("not a full version"));
    let dates =
        |date: &str| site.act(&["feed", "check-date", "8.18.3", "--built", "2020-01-01", "--date", date, "--json"]);
    let broken = dates("2019-12-31").expect(1).lines();
    assert_eq!(broken[0]["rules"][1]["holds"], false, "{broken:?}");
    assert_eq!(broken[0]["rules"][2]["holds"], false, "{broken:?}");
    for built in ["soon", "9999-01-01"] {
        site.act(&["feed", "check-date", "8.18.3", "--built", built, "--date", "2026-01-01"]).expect(2);
    }
    let early = site.act(&["feed", "check", "8.18.3@2020-01-01"]).expect(1).text();
    assert!(early.contains("longer ago than the vendor keeps"), "{early}");
}

fn proxy(vendor: &Simulator, lines: &str) -> (Site, Daemon) {
    let site = site(vendor, &format!("mode = \"proxy\"\nrevalidate = \"1s\"\n{lines}"));
    let run = site.start("run");
    (site, run)
}

#[test]
fn a_cold_proxy_asks_the_vendor_once_however_many_endpoints_ask_v36() {
    let vendor = vendor(&["9.0.0", "9.1.2"]);
    let (_site, run) = proxy(&vendor, "");
    let mirror = run.content;
    let endpoints: Vec<_> = (0..40)
        .map(|number| {
            let path = manifest_path(if number % 2 == 0 { "9.0.0" } else { "9.1.2" });
            std::thread::spawn(move || walk(mirror, &path))
        })
        .collect();
    for endpoint in endpoints {
        assert_eq!(endpoint.join().unwrap(), 12);
    }
    let seen = vendor.requests();
    let artifacts: Vec<_> = seen.by_target.iter().filter(|(target, _)| !target.contains("/manifest/")).collect();
    assert!(artifacts.iter().all(|(_, count)| **count == 1), "{artifacts:?}");
    run.finish();
}

#[test]
fn what_the_vendor_does_not_have_is_asked_for_once_and_leaves_no_record() {
    let vendor = vendor(&["9.0.0"]);
    let site = site(&vendor, "mode = \"proxy\"\n");
    let run = site.start("run");
    for _ in 0..20 {
        assert_eq!(get(run.content, &manifest_path("9.9.9")).unwrap().status, 404);
    }
    assert_eq!(vendor.requests().containing("9.9.9"), 1);
    assert_eq!(get(run.content, "/elsewhere").unwrap().status, 404);
    assert_eq!(vendor.requests().requests, 1, "nothing outside of /downloads is asked for");
    assert_eq!(site.act(&["feed", "list", "--json"]).lines(), Vec::<Value>::new());
    run.finish();
}

#[test]
fn a_proxy_learns_dated_and_candidate_manifests_and_follows_the_vendor() {
    let vendor = vendor(&["8.18.3", "9.0.0"]);
    let (site, run) = proxy(&vendor, "");
    for path in [&manifest_path("9.0.0"), DATED, CANDIDATE] {
        assert_eq!(walk(run.content, path), 12, "{path}");
    }
    let first = get(run.content, &manifest_path("9.0.0")).unwrap();
    vendor.publish_elastic("9.0.0", Change::of(2)).unwrap();
    let second = until("the newer manifest is served", PATIENCE, || {
        get(run.content, &manifest_path("9.0.0")).ok().filter(|answer| answer.body != first.body)
    });
    let etag = |answer: &Answer| answer.header("etag").unwrap().to_owned();
    assert_ne!(etag(&first), etag(&second));
    assert!(etag(&second).trim_matches('"').bytes().all(|byte| byte.is_ascii_hexdigit()), "ours, not the vendor's");
    let same = get_with(run.content, &manifest_path("9.0.0"), &[("If-None-Match", &etag(&second))]).unwrap();
    assert_eq!(same.status, 304);
    run.finish();
    // What was learned outlives the process.
    let run = site.start("run");
    for path in [&manifest_path("9.0.0"), DATED, CANDIDATE] {
        walk(run.content, path);
    }
    run.finish();
}

#[test]
fn while_the_vendor_is_down_the_last_good_is_served_with_its_age_i5() {
    let vendor = vendor(&["9.0.0", "9.1.2"]);
    let (_site, run) = proxy(&vendor, "wait = \"200ms\"\n");
    let path = manifest_path("9.0.0");
    let answer = until("it is served", PATIENCE, || get(run.content, &path).ok().filter(|answer| answer.status == 200));
    assert_eq!(answer.header("age"), None);
    vendor.inject(FaultRule::always(Pattern::Any, Fault::Status(503)));
    let aged = until("its age is told", PATIENCE, || {
        get(run.content, &path).ok().filter(|answer| answer.header("age").is_some())
    });
    assert_eq!((aged.status, &aged.body), (200, &answer.body));
    let metrics = String::from_utf8(get(run.admin, "/metrics").unwrap().body).unwrap();
    assert!(metrics.contains("waystation_unconfirmed_age_seconds{feed=\"elastic/9.0.0\"}"), "{metrics}");
    // What is not held cannot be had: later, not never.
    let cold = get(run.content, &manifest_path("9.1.2")).unwrap();
    assert_eq!((cold.status, cold.header("retry-after")), (503, Some("30")));
    vendor.clear_faults();
    let fresh = until("the vendor is back", PATIENCE, || {
        get(run.content, &path).ok().filter(|answer| answer.header("age").is_none())
    });
    assert_eq!(fresh.body, answer.body);
    run.finish();
}

#[test]
fn a_set_that_is_not_whole_is_never_begun_to_be_served_i1() {
    let vendor = vendor(&["9.0.0"]);
    let release = vendor.elastic_release("9.0.0").unwrap();
    let bad = release.artifacts[3].relative_url.clone();
    vendor.inject(FaultRule::always(Pattern::Target(bad), Fault::Status(404)));
    let (_site, run) = proxy(&vendor, "");
    let cold = get(run.content, &manifest_path("9.0.0")).unwrap();
    assert_eq!(cold.status, 503, "the vendor offers it, and it cannot be had now");
    assert!(cold.body.is_empty());
    run.finish();
}

#[test]
fn paths_that_no_manifest_names_are_forwarded_or_refused() {
    let vendor = vendor(&["9.0.0", "9.1.2"]);
    let release = vendor.elastic_release("9.1.2").unwrap();
    let path = release.artifacts.last().unwrap().relative_url.clone();
    let (site, run) = proxy(&vendor, "");
    let forwarded = get(run.content, &path).unwrap();
    assert_eq!(forwarded.status, 200);
    assert_eq!(forwarded.header("content-type"), Some("application/octet-stream"));
    for _ in 0..5 {
        assert_eq!(get(run.content, &path).unwrap().body, forwarded.body);
    }
    assert_eq!(vendor.requests().containing(&path), 1);
    let feed = site.act(&["feed", "show", "elastic/forwarded", "--json"]).expect(0).lines();
    assert_eq!(feed[0]["served"]["trust"]["checked"], "transport-only", "{feed:?}");
    // A manifest that names the path has it from then on.
    assert_eq!(walk(run.content, &manifest_path("9.1.2")), 12);
    run.finish();

    let refusing = self::site(&vendor, "mode = \"proxy\"\nunknown_paths = \"refuse\"\n");
    let run = refusing.start("run");
    vendor.reset_counters();
    assert_eq!(get(run.content, &path).unwrap().status, 404);
    assert_eq!(vendor.requests().requests, 0);
    run.finish();
}

#[test]
fn a_serve_beside_run_leaves_word_of_what_it_lacks() {
    let vendor = vendor(&["8.18.3", "9.0.0"]);
    let site = site(&vendor, "versions = [\"9.0.0\"]\nauto_learn = true\n");
    let run = site.start("run");
    let serve = site.start("serve");
    served(serve.content, &manifest_path("9.0.0"));
    assert_eq!(get(serve.content, &manifest_path("8.18.3")).unwrap().status, 404);
    served(serve.content, &manifest_path("8.18.3"));
    serve.finish();
    run.finish();
}
