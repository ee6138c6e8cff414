//! Names that come from outside: routes, feeds, rings, digests, ranges of addresses.

use std::fmt::{Debug, Display};
use std::path::{Component, Path};
use std::str::FromStr;

use model::{Cidr, Digest, FeedId, RingName, RoutePath};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vendors::{Event, FolderView, Memory, Settings, SourceKind, Step};

use crate::{fit_to_show, reads_back};

/// Any text as each kind of name: what is taken is kept as it came, reads back, and leads nowhere else.
pub fn url_key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(route) = canonical::<RoutePath>(text) {
        stays_below(text);
        around(&route);
    }
    if let Some(feed) = canonical::<FeedId>(text) {
        stays_below(text.split('@').next().unwrap_or_default());
        named(&feed);
        followed(&feed);
    }
    if let Some(ring) = canonical::<RingName>(text) {
        assert!(ring.as_str().len() <= 32 && format!("/rings/{ring}").parse::<RoutePath>().is_ok() || reserved(text));
        stays_below(text);
    }
    canonical::<Digest>(text);
    range(text);
}

/// Windows' device names are ring names by their letters, and no routes.
fn reserved(text: &str) -> bool {
    let device = matches!(text, "con" | "prn" | "aux" | "nul");
    device || (text.len() == 4 && (text.starts_with("com") || text.starts_with("lpt")))
}

fn canonical<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    match text.parse::<T>() {
        Ok(name) => {
            assert_eq!(name.to_string(), text, "not kept as it came");
            reads_back(&name);
            fit_to_show(text);
            assert!(text.is_ascii() && !text.contains([' ', '%', '\\', ':', '"', '\'', '<', '&', '?', '#', ';', '*']));
            Some(name)
        }
        Err(error) => {
            fit_to_show(&error.to_string());
            let json = serde_json::to_string(text).unwrap_or_default();
            assert!(serde_json::from_str::<T>(&json).is_err(), "another way in takes {text:?}");
            None
        }
    }
}

/// As a file's name it would lie below whatever folder it is put in.
fn stays_below(text: &str) {
    let path = Path::new(text.strip_prefix('/').unwrap_or(text));
    assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{text:?} leads elsewhere");
    assert!(!text.contains("//") && !text.ends_with('/'), "{text:?} has two spellings");
}

fn around(route: &RoutePath) {
    assert!(route.is_under(route.as_str()) && route.is_under("/"));
    for (at, _) in route.as_str().match_indices('/').skip(1) {
        let (above, _) = route.as_str().split_at(at);
        assert!(route.is_under(above) && route.is_under(&format!("{above}/")), "{route} is not under {above}");
        assert!(above.parse::<RoutePath>().is_ok(), "{above} is a folder of a route, and no route");
    }
    assert!(!route.is_under(&format!("{route}x")) && !route.is_under(&format!("{route}/x")));
}

fn named(feed: &FeedId) {
    let path: Vec<&str> = feed.segments().collect();
    let date = feed.date().map(|date| format!("@{date}")).unwrap_or_default();
    assert_eq!(format!("{}/{}{date}", feed.vendor(), path.join("/")), feed.as_str());
}

/// Nothing in a feed's name makes its vendor's module ask for anything but a plain target.
fn followed(feed: &FeedId) {
    let module = vendors::registry(feed.vendor());
    let settings = Settings::default();
    let supported = module.configured(feed, &settings);
    for source in [SourceKind::Vendor, SourceKind::Folder] {
        match (module.session(feed, &settings, source, Memory::default()).next(Event::Start), &supported) {
            (Step::Ask(ask), Ok(())) => {
                let target = ask.target.0;
                assert!(target.starts_with('?') || target.parse::<RoutePath>().is_ok(), "{target:?}");
            }
            (Step::Refuse(refusal), Err(why)) => {
                fit_to_show(&refusal.note.detail);
                fit_to_show(why);
            }
            (step, supported) => panic!("{feed} is {supported:?}, and leads to {step:?}"),
        }
    }
    for base in module.back_bases(feed) {
        assert!(base.as_str().contains("_back"));
    }
    // What one finds in a folder is followed.
    let one = [feed.clone()];
    for found in module.find_in_folder(&Folder(&one), &one, &mut Settings::default()) {
        assert_eq!(module.supports(&found), Ok(()), "{found}");
    }
}

/// A folder that has a manifest of each feed's version, and every other file too.
struct Folder<'a>(&'a [FeedId]);

impl FolderView for Folder<'_> {
    fn list(&self, _: &str) -> Vec<String> {
        let names = self.0.iter().filter_map(|feed| feed.segments().next());
        names.map(|version| format!("artifacts-{version}.zip")).collect()
    }

    fn has_file(&self, _: &str) -> bool {
        true
    }
}

fn range(text: &str) {
    match text.parse::<Cidr>() {
        Ok(range) => {
            assert!(range.contains(range.network()));
            assert_eq!(range.to_string().parse::<Cidr>(), Ok(range), "{range} does not read back");
        }
        Err(error) => fit_to_show(&error.to_string()),
    }
}
