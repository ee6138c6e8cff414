use std::collections::BTreeSet;

use super::*;
use crate::Target;

#[test]
fn what_is_asked_for() {
    for (feed, target) in [
        ("defender/linux/production/x86_64", "?linkid=2144709"),
        ("defender/linux/production/arm64", "?linkid=2144709&arch=arm64"),
        ("defender/linux/preview/x86_64", "?linkid=2144709&engRing=3&sigRing=1"),
        ("defender/linux/preview/arm64", "?linkid=2144709&arch=arm64&engRing=3&sigRing=1"),
        ("defender/mac/production/x86_64", "?linkid=2120136"),
        ("defender/mac/preview/arm64", "?linkid=2120136&arch=arm64&engRing=3&sigRing=1"),
    ] {
        let settings = DefenderSettings::default();
        assert_eq!(place(feed).upstream_archive(&settings), Target(target.to_owned()));
        assert_eq!(place(feed).upstream_info(&settings), Target(format!("{target}&action=info")));
    }
}

#[test]
fn feeds_that_are_supported() {
    assert_eq!(Place::all().count(), 8);
    for place in Place::all() {
        Defender.supports(&place.feed().unwrap()).unwrap();
    }
    for feed in [
        "defender/windows/production/x86_64",
        "defender/linux/beta/x86_64",
        "defender/linux/production/amd64",
        "defender/Linux/production/x86_64",
        "elastic/9.0.0",
    ] {
        let why = Defender.supports(&feed.parse().unwrap()).unwrap_err();
        assert!(why.contains(feed) && why.contains("x86_64 and arm64"), "{why}");
    }
}

#[test]
fn routes_of_the_release_before() {
    let feed: FeedId = "defender/mac/preview/arm64".parse().unwrap();
    let back = |route: &str| Defender.back_route(&feed, &route.parse().unwrap()).map(|route| route.as_str().to_owned());
    assert_eq!(back("/mac/preview/arch_arm64/updates.zip").unwrap(), "/mac/preview_back/arch_arm64/updates.zip");
    assert_eq!(back("/mac/preview/arch_arm64/manifest.json").unwrap(), "/mac/preview_back/arch_arm64/manifest.json");
    for other in ["/mac/preview/arch_x86_64/updates.zip", "/mac/preview/arch_arm64", "/mac/preview/arch_arm64x/a", "/x"]
    {
        assert_eq!(back(other), None);
    }
    let bases: Vec<String> = Defender.back_bases(&feed).iter().map(ToString::to_string).collect();
    assert_eq!(bases, ["/mac/preview_back", "/mac/preview_back/arch_arm64"]);
    assert!(Defender.back_bases(&"elastic/9.0.0".parse().unwrap()).is_empty());
}

struct Folder(BTreeSet<&'static str>);

impl FolderView for Folder {
    fn list(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn has_file(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}

#[test]
fn feeds_in_a_folder() {
    let folder = Folder(BTreeSet::from([
        "/linux/production/arch_x86_64/updates.zip",
        "/linux/production/arch_x86_64/manifest.json",
        "/linux/production/arch_arm64/updates.zip",
        "/linux/production_back/arch_x86_64/updates.zip",
        "/mac/preview/arch_arm64/manifest.json",
        "/mac/preview/updates.zip",
    ]));
    let found: Vec<String> =
        Defender.find_in_folder(&folder, &[], &mut Settings::default()).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["defender/linux/production/x86_64", "defender/linux/production/arm64", "defender/mac/preview/arm64"]
    );
    assert!(Defender.find_in_folder(&Folder(BTreeSet::new()), &[], &mut Settings::default()).is_empty());
}

#[test]
fn a_stored_verdict_is_bound_to_what_it_depends_on() {
    let policy = |change: fn(&mut DefenderSettings)| {
        let mut settings = Settings::default();
        change(&mut settings.defender);
        Defender.policy(&settings)
    };
    let usual = policy(|_| {});
    assert_eq!(usual, policy(|of| of.attempts = 9));
    let others: [fn(&mut DefenderSettings); 4] = [
        |of| of.expected_members = MemberPolicy::Require,
        |of| of.member_patterns.clear(),
        |of| of.archive_cap = 1,
        |of| of.linux_link = 1,
    ];
    for other in others {
        assert_ne!(usual, policy(other));
    }
}
