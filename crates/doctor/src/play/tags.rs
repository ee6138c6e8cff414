//! ETags: their form, and what comes back when they are sent back.

use std::collections::BTreeMap;

use crate::Check;
use crate::finding::{Finding, clean};
use crate::play::Scene;
use crate::play::facts::{Facts, Role};
use crate::play::fetch::PLAIN;
use crate::wire::{Ask, Keep};

/// What the folder of the release before ends in.
const BACK: &str = "_back/";
/// A tag that is nobody's.
const OTHER: &str = "\"00000000000000000000000000000000\"";

/// The form of a file's tag.
pub(crate) fn form(facts: &Facts) -> Vec<Finding> {
    let route = facts.route.as_str();
    // What an endpoint polls for is what the vendor's page speaks of; on the others a bad tag costs less.
    let level = if facts.role == Role::Manifest { Finding::fail } else { Finding::warn };
    let Some(tag) = facts.head.etag() else {
        return vec![level(Check::EtagMissing, route, PLAIN.to_owned(), "no ETag".to_owned())];
    };
    let mut findings = Vec::new();
    let told = |check, came: String| level(check, route, PLAIN.to_owned(), came);
    let is_elastic = matches!(facts.role, Role::Manifest | Role::Artifact);
    let weak = tag.starts_with("W/");
    let inner = tag.trim_start_matches("W/");
    let quoted = inner.len() >= 2 && inner.starts_with('"') && inner.ends_with('"');
    if is_elastic && inner.contains('-') {
        findings.push(told(Check::EtagHyphen, "a hyphen in the tag".to_owned()));
    }
    if weak || !quoted {
        let what = if weak { "a weak tag" } else { "a tag without quotes" };
        findings.push(Finding::warn(Check::EtagForm, route, PLAIN, what));
    }
    if findings.is_empty() {
        let digits = inner.trim_matches('"');
        let ours = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let came = if ours { "strong, quoted, 32 hexadecimal digits" } else { "strong, quoted, without a hyphen" };
        let came = if is_elastic || ours { came } else { "strong and quoted" };
        findings.push(Finding::ok(Check::EtagForm, route, PLAIN, came));
    }
    findings
}

/// Files of different bytes under one tag: one finding for all of them. Tags that are made of a time are shared by what
/// was copied within one second: each file's next release comes at another time, so that is a warning. Where most files
/// have one tag it is made of nothing that changes with them; and a release that has the tag of the one before at
/// `_back` is taken for it.
pub(crate) fn shared<'a>(files: impl IntoIterator<Item = &'a Facts>) -> Option<Finding> {
    let mut known: BTreeMap<&str, Vec<&Facts>> = BTreeMap::new();
    for facts in files {
        let Some(tag) = facts.head.etag() else { continue };
        let same = known.entry(tag).or_default();
        if same.iter().all(|other| differ(other, facts)) {
            same.push(facts);
        }
    }
    let compared = known.values().map(Vec::len).sum::<usize>();
    let (tag, files) = known.iter().max_by_key(|(_, files)| files.len())?;
    let first = files.first()?;
    let asked = "the ETags of all files";
    if files.len() < 2 {
        let came = format!("{compared} files, each with a tag of its own");
        return (compared > 1).then(|| Finding::ok(Check::EtagShared, &first.route, asked, came));
    }
    let named: Vec<&str> = files.iter().take(3).map(|facts| facts.route.as_str()).collect();
    let came = format!("{} files of different bytes have the tag {tag}: {}", files.len(), named.join(", "));
    if let Some((one, other)) = known.values().find_map(|files| releases(files)) {
        let (tag, other) = (one.head.etag().unwrap_or_default(), &other.route);
        let came = format!("another release of it, at {other}, has the same tag {tag}");
        return Some(Finding::fail(Check::EtagShared, &one.route, asked, clean(&came)));
    }
    if files.len().saturating_mul(2) > compared {
        return Some(Finding::fail(Check::EtagShared, &first.route, asked, clean(&came)));
    }
    let came = format!("{came}; the other {} of {compared} have tags of their own or of fewer", compared - files.len());
    Some(Finding::warn(Check::EtagShared, &first.route, asked, clean(&came)))
}

/// Two releases of one manifest or archive among files: the one beside the other's `_back`.
fn releases<'a>(files: &[&'a Facts]) -> Option<(&'a Facts, &'a Facts)> {
    let polled = files.iter().copied().filter(|facts| facts.role.changes() && facts.role != Role::Companion);
    polled.clone().find_map(|facts| {
        let before =
            polled.clone().find(|other| other.route != facts.route && other.route.replace(BACK, "/") == facts.route)?;
        Some((facts, before))
    })
}

/// Whether two files surely have other bytes.
fn differ(one: &Facts, other: &Facts) -> bool {
    match (one.digest, other.digest) {
        (Some(one), Some(other)) => one != other,
        _ => one.size != other.size,
    }
}

/// Sends a file's tag back in each of its forms.
pub(crate) async fn round_trips(scene: &Scene<'_>, facts: &Facts) -> Vec<Finding> {
    let Some(tag) = facts.head.etag() else { return Vec::new() };
    let route = facts.route.as_str();
    let mut findings = Vec::new();
    match conditional(scene, route, tag).await {
        Ok((304, tags)) if tags.as_deref().is_none_or(|back| back == tag) => {
            let came = if tags.is_some() { "304 with the tag" } else { "304 without a tag" };
            findings.push(Finding::ok(Check::RoundTrip, route, "GET If-None-Match: its ETag", came));
        }
        Ok((304, tags)) => {
            let came = format!("304 with another tag: {}", tags.unwrap_or_default());
            findings.push(Finding::warn(Check::NotModified, route, "GET If-None-Match: its ETag", came));
        }
        Ok((status, _)) => {
            let came = format!("{status}, the whole file");
            findings.push(Finding::warn(Check::RoundTrip, route, "GET If-None-Match: its ETag", came));
        }
        Err(error) => findings.push(Finding::warn(Check::RoundTrip, route, "GET If-None-Match: its ETag", error)),
    }
    findings.push(other_tag(scene, route).await);
    // Where the plain form is not understood, the others say nothing new.
    if findings.iter().all(|finding| finding.level == crate::Level::Ok) {
        findings.push(forms(scene, route, tag).await);
    }
    findings
}

async fn other_tag(scene: &Scene<'_>, route: &str) -> Finding {
    let asked = "GET If-None-Match: another ETag";
    match conditional(scene, route, OTHER).await {
        Ok((200, _)) => Finding::ok(Check::NotModified, route, asked, "200"),
        Ok((status, _)) => Finding::fail(Check::NotModified, route, asked, status.to_string()),
        Err(error) => Finding::warn(Check::NotModified, route, asked, error),
    }
}

async fn forms(scene: &Scene<'_>, route: &str, tag: &str) -> Finding {
    let asked = "GET If-None-Match: a list with its ETag; `*`; weak; without quotes";
    let bare = tag.trim_start_matches("W/").trim_matches('"');
    let forms = [
        ("a list", format!("{OTHER}, {tag}")),
        ("`*`", "*".to_owned()),
        ("weak", format!("W/\"{bare}\"")),
        ("without quotes", bare.to_owned()),
    ];
    let mut missed = Vec::new();
    for (name, value) in forms {
        match conditional(scene, route, &value).await {
            Ok((304, _)) => {}
            Ok((status, _)) => missed.push(format!("{name}: {status}")),
            Err(error) => missed.push(format!("{name}: {error}")),
        }
    }
    if missed.is_empty() {
        Finding::ok(Check::IfNoneMatchList, route, asked, "304 to each")
    } else {
        Finding::warn(Check::IfNoneMatchList, route, asked, missed.join("; "))
    }
}

async fn conditional(scene: &Scene<'_>, route: &str, tag: &str) -> Result<(u16, Option<String>), String> {
    let ask = Ask::get(route).with("If-None-Match", tag);
    let got = scene.client.ask(&ask, Keep::Nothing).await.map_err(|error| model::error_chain(&error))?;
    Ok((got.head.status, got.head.etag().map(ToOwned::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::wire::Head;

    fn of(role: Role, tag: Option<&str>) -> Vec<(Check, Level)> {
        let fields = tag.iter().map(|tag| ("ETag".to_owned(), (*tag).to_owned())).collect();
        let head = Head { status: 200, minor: 1, fields };
        let facts =
            Facts { route: "/x".to_owned(), role, head, size: 1, digest: None, first: Vec::new(), last: Vec::new() };
        form(&facts).into_iter().map(|finding| (finding.check, finding.level)).collect()
    }

    #[test]
    fn each_wrong_form_is_found_v27() {
        use Check::{EtagForm, EtagHyphen, EtagMissing};
        for (tag, found) in [
            (Some("\"0123456789abcdef0123456789abcdef\""), vec![(EtagForm, Level::Ok)]),
            (Some("\"660d0f6673456\""), vec![(EtagForm, Level::Ok)]),
            (Some("\"6b021c82-1388\""), vec![(EtagHyphen, Level::Fail)]),
            (Some("W/\"6b021c821388\""), vec![(EtagForm, Level::Warn)]),
            (Some("6b021c821388"), vec![(EtagForm, Level::Warn)]),
            (Some("W/\"a-b\""), vec![(EtagHyphen, Level::Fail), (EtagForm, Level::Warn)]),
            (Some("\""), vec![(EtagForm, Level::Warn)]),
            (None, vec![(EtagMissing, Level::Fail)]),
        ] {
            assert_eq!(of(Role::Manifest, tag), found, "{tag:?}");
        }
        assert_eq!(of(Role::Artifact, Some("\"a-b\"")), [(EtagHyphen, Level::Warn)]);
        assert_eq!(of(Role::Archive, Some("\"a-b\"")), [(EtagForm, Level::Ok)], "Defender's agents never minded");
    }

    fn file(route: &str, role: Role, tag: &str, bytes: &str) -> Facts {
        let head = Head { status: 200, minor: 1, fields: vec![("ETag".to_owned(), format!("\"{tag}\""))] };
        let digest = Some(model::Digest::of(bytes.as_bytes()));
        Facts { route: route.to_owned(), role, head, size: 1, digest, first: Vec::new(), last: Vec::new() }
    }

    #[test]
    fn a_tag_of_a_time_is_told_from_one_tag_for_all_v27() {
        let artifacts = |tags: &[&str]| -> Vec<Facts> {
            let one = |(at, tag): (usize, &&str)| file(&format!("/a/{at}"), Role::Artifact, tag, &at.to_string());
            tags.iter().enumerate().map(one).collect()
        };
        let level = |files: &[Facts]| shared(files).map(|finding| finding.level);
        assert_eq!(level(&artifacts(&["1", "2", "3", "4"])), Some(Level::Ok));
        // Copied within one second, some of them.
        let found = shared(&artifacts(&["1", "1", "2", "2", "3"])).unwrap();
        assert_eq!(found.level, Level::Warn);
        assert!(
            found.came.starts_with("2 files of different bytes have the tag") && found.came.contains("of 5"),
            "{found:?}"
        );
        for most in [&["1", "1"][..], &["1", "1", "1"], &["1", "1", "1", "2", "3"]] {
            assert_eq!(level(&artifacts(most)), Some(Level::Fail), "{most:?}");
        }
        // The same bytes at two places are no two files.
        let same = [file("/a", Role::Artifact, "1", "x"), file("/b", Role::Artifact, "1", "x")];
        assert_eq!(level(&same), None);
        // A release that has the tag of the one before is taken for it, however many others have tags of their own.
        let place = |track: &str| format!("/linux/{track}/arch_x86_64/updates.zip");
        let mut files = artifacts(&["1", "2", "3", "4", "5", "6"]);
        files.push(file(&place("production"), Role::Archive, "t", "new"));
        files.push(file(&place("production_back"), Role::Archive, "t", "old"));
        let found = shared(&files).unwrap();
        assert_eq!((found.level, found.on[0].as_str()), (Level::Fail, place("production").as_str()));
        files[7] = file(&place("preview"), Role::Archive, "t", "old");
        assert_eq!(level(&files), Some(Level::Warn), "another feed's archive is never asked for in its place");
    }
}
