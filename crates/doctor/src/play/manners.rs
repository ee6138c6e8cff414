//! One file, asked for in every way.

use crate::Check;
use crate::finding::Finding;
use crate::play::Scene;
use crate::play::facts::{Facts, Played, Role};
use crate::play::{ranges, tags};
use crate::wire::{Ask, Keep};

/// How long a cache may keep what changes under its address.
const MAX_AGE: u64 = 3600;

/// The files of a feed that are looked at so closely: what endpoints poll for, and the largest thing it names.
pub(crate) fn chosen(played: &Played) -> Vec<&Facts> {
    let largest = played.files.iter().filter(|facts| facts.role == Role::Artifact).max_by_key(|facts| facts.size);
    [played.file(Role::Manifest), played.file(Role::Archive), played.file(Role::Companion), largest]
        .into_iter()
        .flatten()
        .collect()
}

/// Looks at one file from all sides.
pub(crate) async fn look(scene: &Scene<'_>, facts: &Facts) -> Vec<Finding> {
    let mut findings = tags::round_trips(scene, facts).await;
    findings.extend(head(scene, facts).await);
    findings.extend(ranges::look(scene, facts).await);
    findings.push(coding(scene, facts).await);
    findings.extend(caching(facts));
    findings
}

async fn head(scene: &Scene<'_>, facts: &Facts) -> Vec<Finding> {
    let route = facts.route.as_str();
    let got = match scene.client.ask(&Ask::head(route), Keep::Nothing).await {
        Ok(got) => got,
        Err(error) => return vec![Finding::warn(Check::Head, route, "HEAD", model::error_chain(&error))],
    };
    if got.head.status != 200 {
        return vec![Finding::warn(Check::Head, route, "HEAD", got.head.status.to_string())];
    }
    let mut findings = Vec::new();
    for name in ["Content-Length", "Content-Type"] {
        let (one, other) = (facts.head.field(name), got.head.field(name));
        if one != other {
            let shown = |value: Option<&str>| value.unwrap_or("none").to_owned();
            let came = format!("{name}: {} for GET, {} for HEAD", shown(one), shown(other));
            findings.push(Finding::warn(Check::Head, route, "HEAD", came));
        }
    }
    let (one, other) = (facts.head.etag(), got.head.etag());
    if one == other {
        findings.push(Finding::ok(Check::EtagStable, route, "GET and HEAD", "the same ETag"));
    } else {
        let came = format!("{} for GET, {} for HEAD", one.unwrap_or("none"), other.unwrap_or("none"));
        findings.push(Finding::warn(Check::EtagStable, route, "GET and HEAD", came));
    }
    if findings.iter().all(|finding| finding.check != Check::Head) {
        findings.push(Finding::ok(Check::Head, route, "HEAD", "200, as GET"));
    }
    findings
}

/// Clients that can unpack say so; the bytes must stay as they are all the same.
async fn coding(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let route = facts.route.as_str();
    let ask = Ask::get(route).with("Accept-Encoding", "gzip, deflate, br");
    match scene.client.ask(&ask, Keep::Nothing).await {
        Err(error) => Finding::warn(Check::Coding, route, ask.shown(), model::error_chain(&error)),
        Ok(got) => match got.head.coding() {
            Some(coding) => Finding::fail(Check::Coding, route, ask.shown(), format!("Content-Encoding: {coding}")),
            None => Finding::ok(Check::Coding, route, ask.shown(), "no coding"),
        },
    }
}

fn caching(facts: &Facts) -> Vec<Finding> {
    if !facts.role.changes() {
        return Vec::new();
    }
    let route = facts.route.as_str();
    let mut findings = Vec::new();
    let rule = facts.head.field("cache-control").unwrap_or_default().to_ascii_lowercase();
    if let Some(age) = facts.head.field("age").and_then(|age| age.trim().parse::<u64>().ok())
        && age > MAX_AGE
    {
        findings.push(Finding::warn(Check::Caching, route, "GET", format!("Age: {age}: out of a cache")));
    }
    let directive = |name: &str| rule.split(',').find_map(|part| part.trim().strip_prefix(name)?.parse::<u64>().ok());
    let kept = directive("s-maxage=").or_else(|| directive("max-age=")).unwrap_or(0);
    if (kept > MAX_AGE || rule.contains("immutable")) && !rule.contains("no-cache") && !rule.contains("no-store") {
        findings.push(Finding::warn(Check::Caching, route, "GET", format!("Cache-Control: {rule}")));
    }
    if findings.is_empty() {
        let came = if rule.is_empty() { "no word on caching".to_owned() } else { format!("Cache-Control: {rule}") };
        findings.push(Finding::ok(Check::Caching, route, "GET", came));
    }
    findings
}
