use std::io::{Cursor, ErrorKind, Read as _};

use serde_json::Value;
use vendor_sim::{DefenderFeed, Fault, FaultRule, Kind, Pattern, Simulator, Times, bad_paths, named_faults};

use crate::client::{Answer, ask, ask_briefly, get, get_with, small, start};

const PATH: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";

/// The answer to a request for the manifest under a fault by name.
fn under(simulator: &Simulator, fault: &str) -> Answer {
    under_with(simulator, fault, &[])
}

fn under_with(simulator: &Simulator, fault: &str, fields: &[&str]) -> Answer {
    simulator.clear_faults();
    let id = simulator.inject(FaultRule::once(Kind::Manifest, fault.parse().unwrap()));
    let answer = get_with(simulator, PATH, fields);
    assert_eq!(simulator.hits(id), 1, "{fault}");
    answer
}

fn json(bytes: &[u8]) -> Value {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    zip.by_name("manifest.json").unwrap().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn signature(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut signature = Vec::new();
    zip.by_name("manifest.sig").ok()?.read_to_end(&mut signature).unwrap();
    Some(signature)
}

#[test]
fn transfers_break_where_they_should_u01_u02_u03_u04_u05() {
    let simulator = start(small());
    let honest = get(&simulator, PATH).body;
    for fault in ["reset-before-head", "reset-in-head", "reset-at-half"] {
        assert_eq!(under(&simulator, fault).error, Some(ErrorKind::ConnectionReset), "{fault}");
    }
    assert_eq!((under(&simulator, "refuse").status, under(&simulator, "refuse").error), (0, None));
    let short = under(&simulator, "short-body");
    assert_eq!(short.header("Content-Length"), Some(honest.len().to_string().as_str()));
    assert_eq!((short.body.as_slice(), short.error), (&honest[..honest.len() / 2], None));
    let cut = under(&simulator, "close-delimited-cut");
    assert_eq!((cut.header("Content-Length"), cut.body.len()), (None, honest.len() / 2));
    assert_eq!(under(&simulator, "too-long").body.len(), honest.len() + 1000);
    let other = under(&simulator, "other-bytes").body;
    assert!(other.len() == honest.len() && other != honest);
}

#[test]
fn statuses_pages_and_waits_u08_u09_u14_u15_u16() {
    let simulator = start(small());
    let honest = get(&simulator, PATH).body;
    let page = under(&simulator, "html");
    assert_eq!((page.status, page.header("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!((under(&simulator, "empty-200").status, under(&simulator, "empty-200").body.len()), (200, 0));
    for status in [203, 226] {
        let answer = under(&simulator, &format!("status-{status}"));
        assert_eq!((answer.status, &answer.body), (status, &honest));
    }
    for status in [204, 205, 401, 403, 404, 407, 410, 500, 502, 503, 504] {
        assert_eq!(under(&simulator, &format!("status-{status}")).status, status);
    }
    assert!(under(&simulator, "status-407").header("Proxy-Authenticate").is_some());
    for (fault, status, value) in [
        ("retry-after-seconds", 429, "2"),
        ("retry-after-negative", 429, "-5"),
        ("retry-after-huge", 503, "1000000000000000000"),
        ("retry-after-text", 429, "soon"),
    ] {
        let answer = under(&simulator, fault);
        assert_eq!((answer.status, answer.header("Retry-After")), (status, Some(value)));
    }
    let date = under(&simulator, "retry-after-date");
    assert!(model::parse_http_date(date.header("Retry-After").unwrap()).is_some());
}

#[test]
fn redirects_lead_astray_u17_u18_u19_u21_u23() {
    let simulator = start(small());
    let to = |fault: &str| under(&simulator, fault).header("Location").unwrap_or_default().to_owned();
    assert_eq!(to("redirect-loop"), PATH);
    assert_eq!(to("redirect-chain"), "/simulated/chain/1");
    assert_eq!(get(&simulator, "/simulated/chain/41").header("Location"), Some("/simulated/chain/42"));
    assert_eq!(to("redirect-http"), format!("http://{}{PATH}", simulator.address()));
    assert_eq!(to("redirect-userinfo"), format!("http://user:secret@{}{PATH}", simulator.address()));
    assert_eq!(to("redirect-file"), "file:///etc/passwd");
    assert_eq!(to("redirect-decimal"), "http://2130706433:9/");
    assert_eq!(to("redirect:http://10.1.2.3/"), "http://10.1.2.3/");
}

#[test]
fn silence_and_floods_u24_u25_u26_u27() {
    let simulator = start(small());
    for fault in ["stall-before-head", "stall-in-head", "stall-mid-body", "stall-between-chunks", "slow-drip"] {
        simulator.clear_faults();
        simulator.inject(FaultRule::once(Kind::Manifest, fault.parse().unwrap()));
        let answer = ask_briefly(simulator.address(), "GET", PATH, &[]);
        assert_eq!(answer.error, Some(ErrorKind::WouldBlock), "{fault}");
        assert!(fault != "slow-drip" || answer.body.len() <= 1);
    }
    assert!(under(&simulator, "endless-body").body.len() > 60 << 20);
    assert!(under(&simulator, "huge-header").head.len() > 1 << 20);
    assert_eq!(
        under(&simulator, "many-headers").head.lines().filter(|line| line.starts_with("X-Field")).count(),
        10_000
    );
    assert!(under(&simulator, "endless-header").head.len() > 60 << 20);
}

#[test]
fn framing_lies_u28_u29_u30() {
    let simulator = start(small());
    let length = get(&simulator, PATH).body.len();
    let first_line = |fault: &str| {
        let body = under(&simulator, fault).body;
        String::from_utf8_lossy(&body[..body.windows(2).position(|two| two == b"\r\n").unwrap()]).into_owned()
    };
    assert_eq!(first_line("chunk-bad-hex"), "zz");
    assert_eq!(first_line("chunk-negative"), "-1");
    assert_eq!(first_line("chunk-too-big"), "10000000000000000");
    assert!(first_line("chunk-huge-extension").len() > 1 << 20);
    assert!(under(&simulator, "chunk-trailer-flood").body.len() > 60 << 20);
    assert!(!under(&simulator, "chunk-no-end").body.ends_with(b"0\r\n\r\n"));
    let both = under(&simulator, "length-and-chunked");
    assert!(both.header("Content-Length").is_some() && both.header("Transfer-Encoding").is_some());
    assert_eq!(under(&simulator, "two-lengths").head.matches("Content-Length").count(), 2);
    for (fault, value) in [
        ("length-plus", format!("+{length}")),
        ("length-list", format!("{length},{length}")),
        ("length-hex", "0x5".to_owned()),
        ("length-2-63", "9223372036854775808".to_owned()),
        ("length-2-64", "18446744073709551615".to_owned()),
    ] {
        assert_eq!(under(&simulator, fault).header("Content-Length"), Some(value.as_str()));
    }
}

#[test]
fn codings_ranges_and_validators_u31_u32_u36_u37_u42_u44_u45() {
    let simulator = start(small());
    let whole = get(&simulator, PATH);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(under(&simulator, "gzip-unasked").body.as_slice()).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, whole.body);
    assert_eq!(under(&simulator, "gzip-label").body, whole.body);
    assert_eq!(under(&simulator, "coding-br").header("Content-Encoding"), Some("br"));

    let range = &["Range: bytes=10-19"];
    let total = whole.body.len();
    let offset = under_with(&simulator, "partial-wrong-offset", range);
    assert_eq!(offset.header("Content-Range"), Some(format!("bytes 9-19/{total}").as_str()));
    let lying = under_with(&simulator, "partial-lying-offset", range);
    assert_eq!((lying.status, lying.body.as_slice()), (206, &whole.body[..10]));
    let wrong = under_with(&simulator, "partial-wrong-total", range);
    assert_eq!(wrong.header("Content-Range"), Some(format!("bytes 10-19/{}", total + 1).as_str()));
    let parts = under_with(&simulator, "partial-multipart", range);
    assert!(parts.header("Content-Type").unwrap().starts_with("multipart/byteranges"));
    assert_eq!(under_with(&simulator, "partial-no-content-range", range).header("Content-Range"), None);
    assert_eq!(under(&simulator, "partial-unasked").status, 206);
    assert_eq!(under_with(&simulator, "ignore-range", range).body, whole.body);

    assert_eq!(under(&simulator, "not-modified").status, 304);
    let bare = under(&simulator, "no-validators");
    assert_eq!((bare.header("ETag"), bare.header("Last-Modified"), bare.status), (None, None, 200));
    let etag = |fault: &str| under(&simulator, fault).header("ETag").unwrap().to_owned();
    assert!(etag("etag-weak").starts_with("W/\""));
    assert_eq!(etag("etag-empty"), "\"\"");
    assert!(
        !etag("etag-unquoted").contains('"') && etag("etag-huge").len() > 65_536 && etag("etag-dashed").contains('-')
    );
    let same = etag("etag-same");
    let echo = under_with(&simulator, "etag-same", &[&format!("If-None-Match: {same}")]);
    assert_eq!(echo.status, 304);
}

#[test]
fn manifests_lie_and_are_well_signed_u06_u07_u38_u39_u40_u52() {
    let simulator = start(small());
    let honest = json(&get(&simulator, PATH).body);
    let names: Vec<String> = honest["artifacts"].as_object().unwrap().keys().cloned().collect();
    let entry = |document: &Value| document["artifacts"][&names[0]].clone();
    let lying = |fault: &str| {
        let bytes = under(&simulator, fault).body;
        let mut text = Vec::new();
        zip::ZipArchive::new(Cursor::new(&bytes)).unwrap().by_index(0).unwrap().read_to_end(&mut text).unwrap();
        assert_eq!(signature(&bytes), Some(simulator.signing_key().sign(&text).unwrap()), "{fault}");
        json(&bytes)
    };
    for (fault, member) in [
        ("manifest-encoded-size", "encoded_size"),
        ("manifest-encoded-hash", "encoded_sha256"),
        ("manifest-decoded-size", "decoded_size"),
        ("manifest-decoded-hash", "decoded_sha256"),
    ] {
        let (mut wrong, right) = (entry(&lying(fault)), entry(&honest));
        assert_ne!(wrong[member], right[member], "{fault}");
        wrong[member] = right[member].clone();
        assert_eq!(wrong, right, "{fault}");
    }
    let swapped = entry(&lying("manifest-swapped-pairs"));
    assert_eq!(swapped["encoded_sha256"], entry(&honest)["decoded_sha256"]);
    assert_eq!(lying("manifest-older-version")["manifest_version"], "1.0.1048");
    assert_eq!(lying("manifest-leap")["manifest_version"], "1.0.999999");
    assert_ne!(lying("manifest-other-content"), honest);
    assert_eq!(lying("manifest-empty")["artifacts"].as_object().unwrap().len(), 0);
    assert_eq!(lying("manifest-shrunk")["artifacts"].as_object().unwrap().len(), 1);
    assert!(lying("manifest-grown")["artifacts"].as_object().unwrap().len() > 10_000);
    assert!(entry(&lying("manifest-missing-member")).get("encoded_sha256").is_none());
}

#[test]
fn manifests_are_malformed_c01_c12_c24_c32_c33() {
    let simulator = start(small());
    let honest = get(&simulator, PATH).body;
    for (id, fault) in bad_paths() {
        simulator.inject(FaultRule::once(Kind::Manifest, fault.clone()));
        let document = json(&get(&simulator, PATH).body);
        let first = document["artifacts"].as_object().unwrap().values().next().unwrap();
        let Fault::Manifest(vendor_sim::ManifestFault::BadPath(path)) = fault else { panic!("{id}") };
        assert_eq!(first["relative_url"], *path, "{id}");
    }
    let raw = |fault: &str| {
        let mut text = Vec::new();
        let bytes = under(&simulator, fault).body;
        zip::ZipArchive::new(Cursor::new(bytes)).unwrap().by_index(0).unwrap().read_to_end(&mut text).unwrap();
        text
    };
    let count = |text: &[u8], part: &str| String::from_utf8_lossy(text).matches(part).count();
    assert_eq!(count(&raw("manifest-duplicate-keys"), "\"schema_version\""), 2);
    assert_eq!(count(&raw("manifest-duplicate-entry-keys"), "\"relative_url\""), 11);
    assert_eq!(count(&raw("manifest-deep-nesting"), "["), 100_000);
    assert!(std::str::from_utf8(&raw("manifest-not-utf8")).is_err());
    assert!(under(&simulator, "manifest-stacked-zips").body.ends_with(&honest));
    assert!(under(&simulator, "manifest-trailing-bytes").body.starts_with(&honest));

    let good = signature(&honest).unwrap();
    assert_eq!(signature(&under(&simulator, "signature-missing").body), None);
    assert_eq!(signature(&under(&simulator, "signature-empty").body).unwrap().len(), 0);
    for fault in ["signature-bad", "signature-of-another", "signature-unknown-key", "signature-truncated"] {
        assert_ne!(signature(&under(&simulator, fault).body).unwrap(), good, "{fault}");
    }
}

#[test]
fn things_happen_between_requests_u34_u55() {
    let simulator = start(small());
    let before = json(&under(&simulator, "replaced-meanwhile").body);
    assert_eq!(before["manifest_version"], "1.0.1049");
    let urls = before["artifacts"].as_object().unwrap().values().map(|entry| entry["relative_url"].as_str().unwrap());
    let missing = urls.filter(|url| get(&simulator, url).status == 404).count();
    let others = simulator.elastic_release("8.18.3").unwrap();
    assert!(others.artifacts.iter().all(|artifact| get(&simulator, &artifact.relative_url).status == 200));
    assert_eq!((missing, json(&get(&simulator, PATH).body)["manifest_version"].clone()), (2, Value::from("1.0.1050")));

    let feed = DefenderFeed::ALL[0];
    let info = "/packages?ostype=linux&action=info";
    simulator.inject(FaultRule::once(Kind::Info, Fault::PublishAfterInfo));
    assert!(String::from_utf8(get(&simulator, info).body).unwrap().contains("1.459.553.0"));
    assert_eq!(simulator.defender_release(feed).unwrap().definitions, "1.459.554.0");
    simulator.inject(FaultRule::once(Kind::Info, "info-other-version".parse().unwrap()));
    assert!(String::from_utf8(get(&simulator, info).body).unwrap().contains("1.459.999.0"));
}

#[test]
fn rules_strike_whom_and_as_often_as_they_say() {
    let simulator = start(small());
    let artifacts = simulator.elastic_release("9.0.0").unwrap().artifacts.clone();
    let fault = || Fault::Status(404);
    simulator.inject(FaultRule::always(Kind::Artifact(3), fault()));
    let statuses: Vec<_> = artifacts.iter().map(|artifact| get(&simulator, &artifact.relative_url).status).collect();
    assert_eq!(statuses.iter().position(|status| *status == 404), Some(3));
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 1);
    simulator.clear_faults();
    let twice = FaultRule {
        pattern: Pattern::Target("artifacts-9.0.0.zip".to_owned()),
        fault: Fault::Status(500),
        times: Times::Count(2),
    };
    simulator.inject(twice);
    simulator.inject(FaultRule::once(Kind::Manifest, Fault::Html));
    let seen: Vec<_> = (0..4).map(|_| get(&simulator, PATH)).map(|a| (a.status, a.header("ETag").is_some())).collect();
    assert_eq!(seen, [(500, false), (500, false), (200, false), (200, true)], "one rule after the other");
    assert_eq!(simulator.log().last().unwrap().faults, Vec::<String>::new());
    simulator.inject(FaultRule::always(Pattern::Any, "no-validators".parse().unwrap()));
    simulator.inject(FaultRule::always(Pattern::Any, Fault::ShortBody));
    let both = get(&simulator, PATH);
    assert!(
        both.header("ETag").is_none() && both.header("Content-Length") != Some(both.body.len().to_string().as_str())
    );
}

#[test]
fn every_fault_passes_and_leaves_the_vendors_well_u60() {
    let simulator = start(small());
    let artifact = simulator.elastic_release("9.0.0").unwrap().artifacts[0].relative_url.clone();
    let archive = simulator.defender_release(DefenderFeed::ALL[0]).unwrap().content_target.clone();
    let targets = [PATH, &artifact, "/packages?ostype=linux&action=info", &archive];
    for (name, _, fault) in named_faults() {
        // The floods and the silences have tests of their own, and take their time.
        if matches!(fault, Fault::Script(_))
            || name.starts_with("endless")
            || name.contains("flood")
            || name.starts_with("stall")
            || name == "slow-drip"
        {
            continue;
        }
        let id = simulator.inject(FaultRule::always(Pattern::Any, fault));
        for target in targets {
            ask(simulator.address(), "HEAD", target, &[]);
            get(&simulator, target);
        }
        assert!(simulator.hits(id) > 0, "{name}");
        simulator.clear_faults();
    }
    assert!(targets[..3].iter().all(|target| get(&simulator, target).status == 200));
}
