//! Feeds, templates, folders, settings.

use std::sync::Arc;

use model::FeedId;
use trust::KeyRing;

use crate::elastic::{Elastic, ElasticSettings, SignatureMode};
use crate::{FolderView, Settings, VendorModule as _};

fn feed(text: &str) -> FeedId {
    text.parse().unwrap()
}

fn settings(change: impl FnOnce(&mut ElasticSettings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings.elastic);
    settings
}

#[test]
fn full_versions_and_known_tracks_are_supported() {
    for text in
        ["9.0.0", "8.18.3", "9.0.0-beta1", "9.0.0/candidate", "8.18.3@2026-01-15", "8.18.3/candidate@2026-01-15"]
    {
        assert_eq!(Elastic.supports(&feed(&format!("elastic/{text}"))), Ok(()), "{text}");
    }
    assert_eq!(Elastic.supports(&feed("elastic/forwarded")), Ok(()));
    for (text, words) in [
        ("9.0", "full version"),
        ("9", "full version"),
        ("9.0.0.1", "full version"),
        ("latest", "full version"),
        ("forwarded/candidate", "full version"),
        ("forwarded@2026-01-15", "full version"),
        ("9.0.x", "full version"),
        ("9.0.0/stable", "meant where no track is named"),
        ("9.0.0/rapid", "no track 'rapid'"),
    ] {
        let error = Elastic.supports(&feed(&format!("elastic/{text}"))).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[track_caller]
fn check_route(text: &str, change: impl FnOnce(&mut ElasticSettings), expected: Result<&str, &str>) {
    let settings = settings(change);
    let result = super::super::layout::manifest_route(&feed(text), &settings.elastic);
    assert_eq!(Elastic.configured(&feed(text), &settings).is_ok(), expected.is_ok());
    match (result, expected) {
        (Ok(route), Ok(expected)) => assert_eq!(route.as_str(), expected),
        (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
        (result, _) => panic!("{result:?}"),
    }
}

#[test]
fn each_feed_has_one_manifest_path() {
    check_route("elastic/9.0.0-beta1", |_| (), Ok("/downloads/endpoint/manifest/artifacts-9.0.0-beta1.zip"));
    check_route("elastic/9.0.0/candidate", |_| (), Err("candidate path unknown"));
    check_route("elastic/9.0.0@2026-01-15", |_| (), Err("dated path unknown"));
    check_route("elastic/9.0.0/stable", |_| (), Err("no track is named"));
    let tracks =
        |s: &mut ElasticSettings| s.track_templates = vec!["/m/{version}".into(), "/m/{track}-{version}.zip".into()];
    check_route("elastic/9.0.0/candidate", tracks, Ok("/m/candidate-9.0.0.zip"));
    let dates = |s: &mut ElasticSettings| {
        s.dated_templates = vec!["/m/{track}/{date}/{version}".into(), "/m/{version}-{date}.zip".into()];
    };
    check_route("elastic/9.0.0@2026-01-15", dates, Ok("/m/9.0.0-2026-01-15.zip"));
    check_route("elastic/9.0.0/candidate@2026-01-15", dates, Ok("/m/candidate/2026-01-15/9.0.0"));
    check_route("elastic/9.0.0", |s| s.manifest_template = "/m.zip".into(), Err("no {version}"));
    check_route("elastic/9.0.0", |s| s.manifest_template = "/m/../{version}".into(), Err("gives no path"));
    check_route("elastic/9.0.0", |s| s.manifest_template = "https://h/{version}".into(), Err("gives no path"));
    check_route("elastic/9.0.0", |s| s.manifest_template = "/\u{1b}[2J{version}".into(), Err("/\\u{1b}[2J{version}'"));
}

/// Paths below the folder of manifests; those with 7.0.0 in them are no plain files.
struct Folder(&'static [&'static str]);

const MANIFESTS: &str = "/downloads/endpoint/manifest";

impl Folder {
    fn paths(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|name| if name.starts_with('/') { (*name).to_owned() } else { format!("{MANIFESTS}/{name}") })
            .collect()
    }

    fn find(&self, followed: &[&str], settings: &mut Settings) -> Vec<String> {
        let followed: Vec<FeedId> = followed.iter().map(|name| feed(name)).collect();
        Elastic.find_in_folder(self, &followed, settings).iter().map(ToString::to_string).collect()
    }
}

impl FolderView for Folder {
    fn list(&self, path: &str) -> Vec<String> {
        let below = format!("{path}/");
        let all = self.paths();
        let mut names: Vec<String> =
            all.iter().filter_map(|path| path.strip_prefix(&below)?.split('/').next().map(str::to_owned)).collect();
        names.dedup();
        names
    }

    fn has_file(&self, path: &str) -> bool {
        !path.contains("7.0.0") && self.paths().iter().any(|known| known == path)
    }
}

#[test]
fn a_folder_names_its_feeds() {
    let folder = Folder(&[
        "artifacts-9.0.0.zip",
        "artifacts-8.18.3.zip",
        "artifacts-9.1.0-beta1.zip",
        "artifacts-7.0.0.zip",
        "artifacts-9.0.0.zip.part",
        "artifacts-9.0.0@2026-01-15.zip",
        "artifacts-9.0.0/candidate.zip",
        "artifacts-..zip",
        "artifacts-.zip",
        "artifacts-\u{1b}[2J.zip",
        "index.html",
    ]);
    let found = folder.find(&[], &mut Settings::default());
    let expected = [
        "elastic/8.18.3",
        "elastic/9.0.0",
        "elastic/9.0.0/candidate",
        "elastic/9.0.0@2026-01-15",
        "elastic/9.1.0-beta1",
    ];
    assert_eq!(found, expected);
    assert_eq!(Folder(&[]).find(&["elastic/9.0.0"], &mut Settings::default()), [""; 0]);
}

#[test]
fn a_folder_shows_where_dated_manifests_and_those_of_a_track_lie() {
    let folder = Folder(&[
        "artifacts-9.0.0.zip",
        "2026-01-15/artifacts-8.18.3.zip",
        "artifacts-8.18.4-2026-01-15.zip",
        "candidate/artifacts-9.0.0.zip",
        "/downloads/endpoint/dated/9.0.0/2026-02-02.zip",
        "/downloads/endpoint/art/blocklist-1.2.3-2026-02-02.zip",
        "/downloads/kibana/manifest/2026-02-02/artifacts-8.19.0.zip",
        "/downloads/.waystation/2026-02-02/artifacts-8.19.1.zip",
        "/elsewhere/8.19.2@2026-02-02",
    ]);
    let mut settings = settings(|s| s.dated_templates = vec!["/elsewhere/{version}@{date}".to_owned()]);
    let followed = [
        "elastic/8.18.3@2026-01-15",
        "elastic/8.19.0@2026-02-02",
        "elastic/8.19.1@2026-02-02",
        "elastic/8.19.2@2026-02-02",
        "elastic/9.0.0@2026-02-02",
        "elastic/forwarded",
    ];
    let found = folder.find(&followed, &mut settings);
    let expected = [
        "elastic/8.18.3@2026-01-15",
        "elastic/8.18.4@2026-01-15",
        "elastic/8.19.2@2026-02-02",
        "elastic/9.0.0",
        "elastic/9.0.0/candidate",
        "elastic/9.0.0@2026-02-02",
    ];
    assert_eq!(found, expected);
    let forms = [
        "/elsewhere/{version}@{date}",
        "/downloads/endpoint/manifest/{date}/artifacts-{version}.zip",
        "/downloads/endpoint/dated/{version}/{date}.zip",
    ];
    assert_eq!(settings.elastic.dated_templates, forms, "what was known is tried first");
    assert!(settings.elastic.track_templates.is_empty(), "nobody follows the candidate");
    folder.find(&["elastic/9.0.0/candidate"], &mut settings);
    assert_eq!(settings.elastic.track_templates, ["/downloads/endpoint/manifest/{track}/artifacts-{version}.zip"]);
}

#[test]
fn a_folder_without_an_end_is_looked_through_in_the_end() {
    struct Endless;
    impl FolderView for Endless {
        fn list(&self, path: &str) -> Vec<String> {
            let form = path.len();
            vec!["a".to_owned(), "b".to_owned(), format!("{form}-9.0.0-2026-01-15.zip")]
        }

        fn has_file(&self, _: &str) -> bool {
            true
        }
    }
    let mut settings = Settings::default();
    let found = Elastic.find_in_folder(&Endless, &[feed("elastic/9.0.0@2026-01-15")], &mut settings);
    assert_eq!(found, [feed("elastic/9.0.0@2026-01-15")]);
    assert!(settings.elastic.dated_templates.len() <= 16);
}

#[test]
fn the_policy_covers_mode_and_keys() {
    let of = |change: fn(&mut ElasticSettings)| Elastic.policy(&settings(change));
    let base = of(|_| ());
    assert_eq!(base, of(|s| s.manifest_cap = 1));
    assert_ne!(base, of(|s| s.signature = SignatureMode::Require));
    assert_ne!(base, of(|s| s.keys = Arc::new(KeyRing::empty())));
}

#[test]
fn nothing_is_served_beside_a_release() {
    let route = "/downloads/a".parse().unwrap();
    assert_eq!(Elastic.back_route(&feed("elastic/9.0.0"), &route), None);
    assert_eq!(Elastic.back_bases(&feed("elastic/9.0.0")), []);
}

#[test]
fn modes_have_one_word() {
    for mode in [SignatureMode::Off, SignatureMode::Warn, SignatureMode::Require] {
        assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
    }
    assert_eq!(ElasticSettings::default().signature, SignatureMode::Warn);
}
