//! Paths below the vendor's prefix that no known manifest names: a newer manifest may name them, an older one may have,
//! and only what none does is forwarded, marked as what it is. And what is passed on of the vendor's answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use e2e::whole::manifest_path;
use e2e::{Answer, Daemon, Site, get, get_with, until};
use model::Digest;
use vendor_sim::{
    Change, ElasticArtifact, ElasticSettings, Fault, FaultRule, Pattern, Point, Settings, Simulator, Step,
};

const PATIENCE: Duration = Duration::from_secs(90);
const VERSION: &str = "9.0.0";
const OTHER: &str = "9.1.2";
const TRUST: &str = "waystation-trust";

fn vendor() -> Simulator {
    let versions = vec![VERSION.to_owned(), OTHER.to_owned()];
    let elastic = ElasticSettings { versions, artifacts: 8, artifact_size: 8 * 1024, ..ElasticSettings::default() };
    Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap()
}

/// A proxy that looks at nothing by itself for an hour.
fn proxy(vendor: &Simulator, lines: &str) -> (Site, Daemon) {
    let origin = vendor.elastic_url();
    let site =
        Site::new(&[format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\nrevalidate = \"1h\"\n{lines}")]);
    let run = site.start("run");
    (site, run)
}

/// The same, with the manifest of one version asked for and served.
fn proxy_with_one(vendor: &Simulator, lines: &str) -> (Site, Daemon) {
    let (site, run) = proxy(vendor, lines);
    assert_eq!(get(run.content, &manifest_path(VERSION)).unwrap().status, 200);
    (site, run)
}

/// Publishes, and gives the artifact that is new with it.
fn publish(vendor: &Simulator, change: Change) -> ElasticArtifact {
    let before = vendor.elastic_release(VERSION).unwrap();
    vendor.publish_elastic(VERSION, change).unwrap();
    let now = vendor.elastic_release(VERSION).unwrap();
    let is_new = |one: &&ElasticArtifact| !before.artifacts.iter().any(|old| old.relative_url == one.relative_url);
    now.artifacts.iter().find(is_new).unwrap().clone()
}

fn spoil(vendor: &Simulator, artifact: &ElasticArtifact) {
    vendor.inject(FaultRule::always(Pattern::Target(artifact.relative_url.clone()), Fault::OtherBytes));
}

fn is_right(answer: &Answer, artifact: &ElasticArtifact) -> bool {
    answer.status == 200 && Digest::of(&answer.body) == artifact.encoded_sha256
}

/// Asks until it is answered with bytes; those are the right ones each time.
fn served(mirror: SocketAddr, artifact: &ElasticArtifact) -> Answer {
    until("the artifact is served", PATIENCE, || {
        let answer = get(mirror, &artifact.relative_url).unwrap();
        assert!(answer.status != 200 || is_right(&answer, artifact), "a body that its manifest does not name");
        (answer.status == 200).then_some(answer)
    })
}

#[test]
fn an_artifact_of_a_manifest_that_was_not_read_yet_comes_in_by_its_proof_i1() {
    let vendor = vendor();
    let (_site, run) = proxy_with_one(&vendor, "");
    let artifact = publish(&vendor, Change::of(2));
    let answer = served(run.content, &artifact);
    assert_eq!(answer.header(TRUST), None, "its manifest proves it");
    let newest = vendor.elastic_release(VERSION).unwrap();
    assert_eq!(get(run.content, &manifest_path(VERSION)).unwrap().body, newest.manifest[..]);
    assert_eq!(vendor.requests().containing(&artifact.relative_url), 1);
    run.finish();
}

#[test]
fn a_corrupt_artifact_of_a_manifest_that_was_not_read_yet_is_never_passed_on_u05() {
    let vendor = vendor();
    let (_site, run) = proxy_with_one(&vendor, "");
    let before = get(run.content, &manifest_path(VERSION)).unwrap();
    let artifact = publish(&vendor, Change::of(2));
    spoil(&vendor, &artifact);
    let refused = get(run.content, &artifact.relative_url).unwrap();
    assert_eq!((refused.status, refused.body.len()), (503, 0));
    run.wait_said("not forwarded");
    assert_eq!(get(run.content, &manifest_path(VERSION)).unwrap().body, before.body, "the last good one stays");
    vendor.clear_faults();
    served(run.content, &artifact);
    run.finish();
}

#[test]
fn what_a_quarantined_or_rejected_release_names_does_not_come_in_by_another_way_u38() {
    let vendor = vendor();
    let (site, run) = proxy_with_one(&vendor, "");
    let artifact = publish(&vendor, Change { step: Step::Back(1), ..Change::of(2) });
    assert_eq!(get(run.content, &artifact.relative_url).unwrap().status, 503);
    let listed = site.act(&["release", "list", "--json"]).expect(0).lines();
    let waiting = listed.iter().find(|release| release["state"] == "quarantined").unwrap();
    site.act(&["release", "reject", &waiting["number"].to_string(), "--reason", "a test"]).expect(0);
    until("what was rejected is not found", PATIENCE, || {
        let answer = get(run.content, &artifact.relative_url).unwrap();
        assert_ne!(answer.status, 200);
        (answer.status == 404).then_some(())
    });
    run.finish();
}

#[test]
fn what_a_manifest_is_found_to_name_otherwise_is_forwarded_no_longer_i1() {
    let vendor = vendor();
    let (site, run) = proxy(&vendor, "");
    let artifact = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().clone();
    spoil(&vendor, &artifact);
    let forwarded = get(run.content, &artifact.relative_url).unwrap();
    assert_eq!((forwarded.status, forwarded.header(TRUST)), (200, Some("transport-only")));
    assert!(!is_right(&forwarded, &artifact), "nobody could know");
    let serve = site.start("serve");
    let beside = until("a server beside it serves it", PATIENCE, || {
        get(serve.content, &artifact.relative_url).ok().filter(|answer| answer.status == 200)
    });
    assert_eq!(beside.header(TRUST), Some("transport-only"));
    serve.finish();
    // Now its manifest is read, whose set is refused for those very bytes.
    assert_eq!(get(run.content, &manifest_path(OTHER)).unwrap().status, 503);
    until("the bytes are gone", PATIENCE, || {
        (get(run.content, &artifact.relative_url).unwrap().status == 503).then_some(())
    });
    vendor.clear_faults();
    let answer = served(run.content, &artifact);
    assert_eq!(answer.header(TRUST), None);
    run.finish();
}

#[test]
fn while_a_manifest_cannot_be_read_nothing_is_forwarded() {
    let vendor = vendor();
    let (_site, run) = proxy_with_one(&vendor, "");
    let artifact = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().clone();
    for status in [500, 403] {
        let manifest = Pattern::Target(manifest_path(VERSION));
        vendor.inject(FaultRule::always(manifest, Fault::Status(status)));
        assert_eq!(get(run.content, &artifact.relative_url).unwrap().status, 503, "{status}");
        assert_eq!(vendor.requests().containing(&artifact.relative_url), 0, "{status}");
        vendor.clear_faults();
    }
    let answer = served(run.content, &artifact);
    assert_eq!(answer.header(TRUST), Some("transport-only"));
    run.finish();
}

/// The blob of these bytes.
fn blob(site: &Site, bytes: &[u8]) -> std::path::PathBuf {
    let digest = Digest::of(bytes).to_string();
    site.data().join("blobs").join(&digest[..2]).join(digest)
}

#[test]
fn a_forwarded_file_that_is_lost_here_and_other_at_the_vendor_ends_alone_s18() {
    let vendor = vendor();
    let own = vendor.elastic_release(OTHER).unwrap().artifacts.clone();
    let (lost, other) = (&own[own.len() - 1], &own[own.len() - 2]);
    let (site, run) = proxy(&vendor, "");
    let bytes = served(run.content, lost).body;
    std::fs::remove_file(blob(&site, &bytes)).unwrap();
    spoil(&vendor, lost);
    assert!(is_right(&get(run.content, &other.relative_url).unwrap(), other), "no other path waits for it");
    run.finish();
}

#[test]
fn what_the_vendor_does_not_confirm_is_told_for_each_forwarded_path_and_for_no_feed_that_nobody_asks_for_i5() {
    let vendor = vendor();
    let artifact = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().clone();
    let (site, run) = proxy_with_one(&vendor, "schedule = \"1s\"\n");
    assert_eq!(served(run.content, &artifact).header("age"), None);
    let metric = |feed: &str| {
        let metrics = String::from_utf8(get(run.admin, "/metrics").unwrap().body).unwrap();
        metrics.contains(&format!("waystation_unconfirmed_age_seconds{{feed=\"{feed}\"}}"))
    };
    let aged = |path: &str| get(run.content, path).unwrap().header("age").is_some();
    vendor.inject(FaultRule::always(Pattern::Any, Fault::Status(503)));
    until("its age is told", PATIENCE, || aged(&artifact.relative_url).then_some(()));
    until("as a metric, too", PATIENCE, || metric("elastic/forwarded").then_some(()));
    vendor.clear_faults();
    until("the vendor is back", PATIENCE, || (!aged(&artifact.relative_url)).then_some(()));
    site.act(&["feed", "forget", VERSION]).expect(0);
    vendor.inject(FaultRule::always(Pattern::Any, Fault::Status(503)));
    until("what is forwarded is not confirmed", PATIENCE, || metric("elastic/forwarded").then_some(()));
    assert!(!metric(&format!("elastic/{VERSION}")), "nobody asks for it");
    until("who asks all the same is told its age", PATIENCE, || aged(&manifest_path(VERSION)).then_some(()));
    run.finish();
}

#[test]
fn what_is_to_be_refused_from_now_on_is_served_no_longer() {
    let vendor = vendor();
    let (site, run) = proxy(&vendor, "");
    let artifact = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().clone();
    served(run.content, &artifact);
    run.finish();
    let origin = vendor.elastic_url();
    site.configure(&[format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\nunknown_paths = \"refuse\"\n")]);
    let run = site.start("run");
    until("it is not found", PATIENCE, || {
        (get(run.content, &artifact.relative_url).unwrap().status == 404).then_some(())
    });
    run.finish();
}

#[test]
fn the_vendors_safe_headers_come_with_manifests_and_artifacts_and_the_tag_is_ours() {
    let vendor = vendor();
    let (site, run) = proxy_with_one(&vendor, "");
    let artifact = vendor.elastic_release(VERSION).unwrap().artifacts[0].relative_url.clone();
    let paths = [manifest_path(VERSION), artifact];
    let told = |answer: &Answer, name: &str| answer.header(name).map(str::to_owned);
    let check = |mirror: SocketAddr| {
        for path in &paths {
            let (ours, theirs) = (get(mirror, path).unwrap(), get(vendor.address(), path).unwrap());
            for name in ["last-modified", "content-type"] {
                assert!(told(&theirs, name).is_some(), "{path}");
                assert_eq!(told(&ours, name), told(&theirs, name), "{name} of {path}");
            }
            assert_eq!(ours.header("etag"), Some(Digest::of(&ours.body).etag().as_str()));
            let date = told(&ours, "last-modified").unwrap();
            assert_eq!(get_with(mirror, path, &[("If-Modified-Since", &date)]).unwrap().status, 304);
        }
    };
    check(run.content);
    run.finish();
    let run = site.start("run");
    check(run.content);
    run.finish();
    let serve = site.start("serve");
    check(serve.content);
    serve.finish();
    let origin = vendor.elastic_url();
    site.configure(&[format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\npass_headers = []\n")]);
    let run = site.start("run");
    let (ours, theirs) = (get(run.content, &paths[1]).unwrap(), get(vendor.address(), &paths[1]).unwrap());
    assert_ne!(told(&ours, "last-modified"), told(&theirs, "last-modified"), "none is to be passed on");
    run.finish();
}

/// What a network of caches would add to each of the vendor's answers.
const CACHED: &str = "public, max-age=86400, immutable";

/// The vendor behind a network of caches: its answers, and [`CACHED`] with each. It ends with the test's process.
fn cached(vendor: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(&connection, vendor));
        }
    });
    address
}

fn answer(mut connection: &TcpStream, vendor: SocketAddr) {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let Some(first) = lines.next() else { return };
    lines.by_ref().for_each(drop);
    let theirs = get(vendor, first.split(' ').nth(1).unwrap()).unwrap();
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\nCache-Control: {CACHED}\r\n", theirs.status);
    for (name, value) in theirs.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // Whoever is gone needs no answer.
    let _ = connection.write_all(&[head.as_bytes(), b"\r\n", &theirs.body].concat());
}

#[test]
fn how_long_a_cache_may_keep_something_is_passed_on_where_that_is_wished_and_never_for_what_changes() {
    let vendor = vendor();
    let origin = format!("http://{}", cached(vendor.address()));
    let artifact = vendor.elastic_release(VERSION).unwrap().artifacts[0].relative_url.clone();
    let unnamed = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().relative_url.clone();
    for (lines, expected) in [("", "no-cache"), ("pass_headers = [\"cache-control\"]\n", CACHED)] {
        let section = format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\nrevalidate = \"1h\"\n{lines}");
        let site = Site::new(&[section]);
        let run = site.start("run");
        let told = |path: &str| get(run.content, path).unwrap().header("cache-control").map(str::to_owned);
        assert_eq!(told(&manifest_path(VERSION)).as_deref(), Some("no-cache"), "it is polled");
        assert_eq!(told(&artifact).as_deref(), Some(expected));
        assert_eq!(told(&unnamed).as_deref(), Some("no-cache"), "nothing binds its bytes to its address");
        run.finish();
    }
}

#[test]
fn a_proxy_learns_into_the_one_ring_that_there_is_and_a_second_is_refused() {
    let vendor = vendor();
    let (site, run) = proxy(&vendor, "");
    let in_ring = |ring: &str| get(run.content, &format!("/rings/{ring}{}", manifest_path(VERSION))).unwrap().status;
    assert_eq!((in_ring("canary"), vendor.requests().requests), (404, 0), "nobody is given another ring's base");
    assert_eq!(in_ring("broad"), 200);
    run.finish();
    let origin = vendor.elastic_url();
    let elastic = format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\n");
    let rings = "[[ring]]\nname = \"canary\"\n[[ring]]\nname = \"broad\"\nafter = \"canary\"\n";
    site.configure(&[elastic, rings.to_owned()]);
    let refused = site.act(&["run"]).expect(2);
    assert!(refused.text().contains("is not in this version"), "{}", refused.text());
}

/// A manifest at a path of a form that nobody knows.
const STRAY: &str = "/downloads/endpoint/manifest/snap/20260115/whole.zip";

/// The vendor behind a host that has one more path: what lies at `from` lies at `to`, too.
fn with_alias(vendor: SocketAddr, from: String, to: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut first = String::new();
            let mut lines = BufReader::new(connection.try_clone().unwrap());
            lines.read_line(&mut first).unwrap();
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            lines.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let theirs = get(vendor, if path == to { &from } else { &path }).unwrap();
            let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", theirs.status);
            for (name, value) in theirs.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            // Whoever is gone needs no answer.
            let _ = connection.write_all(&[head.as_bytes(), b"\r\n", &theirs.body].concat());
        }
    });
    address
}

#[test]
fn a_manifest_at_a_path_of_no_known_form_is_never_passed_on_unproven_nor_is_what_it_names() {
    let vendor = vendor();
    let origin = format!("http://{}", with_alias(vendor.address(), manifest_path(OTHER), STRAY));
    let elastic = format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\nrevalidate = \"1h\"\n");
    let site = Site::new(&[elastic]);
    let run = site.start("run");
    assert_eq!(get(run.content, STRAY).unwrap().status, 503);
    let own = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().clone();
    assert_eq!(get(run.content, &own.relative_url).unwrap().status, 503, "nobody proves what it names");
    let told = until("it is told why", PATIENCE, || {
        let lines = site.act(&["feed", "wanted", "--json"]).expect(0).lines();
        lines.into_iter().find(|line| line["path"] == STRAY && line["tried"]["reason"] == "path_unknown")
    });
    assert!(told["tried"]["detail"].as_str().unwrap().contains("elastic.dated_templates"), "{told}");
    run.finish();
    let run = site.start("run");
    assert_eq!(get(run.content, &own.relative_url).unwrap().status, 503, "nor does anybody after a restart");
    // Once the manifest is held where it is known to lie, the other path has the very same bytes.
    let held = get(run.content, &manifest_path(OTHER)).unwrap();
    assert_eq!(held.status, 200);
    let copy = until("the second path is served", PATIENCE, || {
        get(run.content, STRAY).ok().filter(|answer| answer.status == 200)
    });
    assert_eq!(copy.body, held.body);
    assert!(is_right(&get(run.content, &own.relative_url).unwrap(), &own));
    run.finish();
}

/// Where a second form of a dated manifest lies.
const SECOND: &str = "/downloads/endpoint/manifest/2026-01-15/artifacts-8.18.3.zip";
const FIRST: &str = "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip";

#[test]
fn a_second_path_of_a_dated_manifest_is_served_with_the_same_bytes_or_answered_at_once() {
    let elastic = ElasticSettings { artifacts: 8, artifact_size: 8 * 1024, ..ElasticSettings::default() };
    let vendor = Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap();
    let origin = format!("http://{}", with_alias(vendor.address(), FIRST.to_owned(), SECOND));
    let elastic = format!("[elastic]\norigin = \"{origin}\"\nmode = \"proxy\"\nrevalidate = \"1h\"\n");
    let site = Site::new(&[elastic]);
    let run = site.start("run");
    let first = get(run.content, FIRST).unwrap();
    assert_eq!(first.status, 200);
    let second = get(run.content, SECOND).unwrap();
    assert_eq!((second.status, second.body == first.body), (200, true));
    let made_up = SECOND.replace("/manifest/", "/manifest/made-up/");
    assert!(matches!(get(run.content, &made_up).unwrap().status, 404 | 503));
    run.finish();
}

#[test]
fn a_run_that_ends_while_it_fetches_leaves_nothing_behind_that_keeps_others_from_being_forwarded_s01() {
    let vendor = vendor();
    let own = vendor.elastic_release(OTHER).unwrap().artifacts.clone();
    let (gone, good) = (own[own.len() - 1].clone(), own[own.len() - 2].clone());
    let stalls = FaultRule::always(Pattern::Target(gone.relative_url.clone()), Fault::Stall(Point::BeforeHead));
    vendor.inject(stalls);
    let (site, run) = proxy(&vendor, "wait = \"100ms\"\n");
    assert_eq!(get(run.content, &gone.relative_url).unwrap().status, 503);
    until("the vendor is asked", PATIENCE, || (vendor.requests().containing(&gone.relative_url) > 0).then_some(()));
    // What stalls keeps no other from being forwarded.
    served(run.content, &good);
    drop(run);
    vendor.clear_faults();
    vendor.inject(FaultRule::always(Pattern::Target(gone.relative_url.clone()), Fault::Status(404)));
    let third = vendor.elastic_release(OTHER).unwrap().artifacts[own.len() - 3].clone();
    let run = site.start("run");
    served(run.content, &third);
    served(run.content, &good);
    run.finish();
}

#[test]
fn what_is_forwarded_stays_while_the_vendor_gives_something_else_in_its_place_u08() {
    let vendor = vendor();
    let artifact = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().clone();
    let (_site, run) = proxy(&vendor, "schedule = \"1s\"\n");
    served(run.content, &artifact);
    for fault in [Fault::Html, Fault::Status(403), Fault::Status(500)] {
        let before = vendor.requests().containing(&artifact.relative_url);
        let rule = vendor.inject(FaultRule::always(Pattern::Target(artifact.relative_url.clone()), fault.clone()));
        until("it was asked for again", PATIENCE, || (vendor.hits(rule) > 1).then_some(()));
        assert!(is_right(&get(run.content, &artifact.relative_url).unwrap(), &artifact), "{fault:?}");
        assert!(vendor.requests().containing(&artifact.relative_url) > before);
        vendor.clear_faults();
    }
    vendor.inject(FaultRule::always(Pattern::Target(artifact.relative_url.clone()), Fault::Status(404)));
    until("it leaves once the vendor has it no longer", PATIENCE, || {
        (get(run.content, &artifact.relative_url).unwrap().status == 404).then_some(())
    });
    run.finish();
}

#[test]
fn a_page_is_no_file_and_a_refusal_no_absence_u08_u14() {
    let vendor = vendor();
    let artifact = vendor.elastic_release(OTHER).unwrap().artifacts.last().unwrap().clone();
    let (_site, run) = proxy(&vendor, "");
    for fault in [Fault::Html, Fault::Status(403)] {
        vendor.clear_faults();
        vendor.inject(FaultRule::always(Pattern::Any, fault.clone()));
        assert_eq!(get(run.content, &artifact.relative_url).unwrap().status, 503, "{fault:?}");
        let version = if fault == Fault::Html { VERSION } else { OTHER };
        assert_eq!(get(run.content, &manifest_path(version)).unwrap().status, 503, "{fault:?}");
    }
    run.finish();
}

#[test]
fn made_up_paths_keep_no_manifest_from_being_fetched_v32() {
    let vendor = vendor();
    vendor.inject(FaultRule::always(Pattern::Target("made-up".to_owned()), Fault::Stall(Point::BeforeHead)));
    let (_site, run) = proxy(&vendor, "wait = \"30s\"\n");
    let mirror = run.content;
    for number in 0..80 {
        std::thread::spawn(move || drop(get(mirror, &format!("/downloads/made-up/{number}"))));
    }
    until("they are asked for", PATIENCE, || (vendor.requests().containing("made-up") > 4).then_some(()));
    assert_eq!(get(mirror, &manifest_path(VERSION)).unwrap().status, 200);
    drop(run);
}
