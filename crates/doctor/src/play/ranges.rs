//! Parts of files.

use crate::Check;
use crate::finding::Finding;
use crate::play::Scene;
use crate::play::facts::Facts;
use crate::wire::{Ask, Got, Keep};

/// A file must be larger than this to be asked for in parts.
const LEAST: u64 = 24;
/// The part asked for: first and last byte.
const PART: (usize, usize) = (5, 14);
/// The part asked for from the end.
const SUFFIX: usize = 8;

/// Asks for parts: from the middle, from the end, from behind the end, and on conditions.
pub(crate) async fn look(scene: &Scene<'_>, facts: &Facts) -> Vec<Finding> {
    if facts.size < LEAST {
        return Vec::new();
    }
    let mut findings = vec![middle(scene, facts).await];
    // Whoever knows no parts has nothing to say to the rest.
    if findings.iter().any(|finding| finding.check == Check::Ranges && finding.level != crate::Level::Ok) {
        return findings;
    }
    findings.push(suffix(scene, facts).await);
    findings.push(behind(scene, facts).await);
    findings.extend(on_condition(scene, facts).await);
    findings
}

async fn part(scene: &Scene<'_>, facts: &Facts, range: &str, tag: Option<&str>) -> Result<Got, String> {
    let mut ask = Ask::get(&facts.route).with("Range", format!("bytes={range}"));
    if let Some(tag) = tag {
        ask = ask.with("If-Range", tag);
    }
    scene.client.ask(&ask, Keep::Start(256)).await.map_err(|error| model::error_chain(&error))
}

/// Whether a 206 is the part that was asked for; if not, how it is not.
fn wrong(got: &Got, first: u64, bytes: &[u8], size: u64) -> Option<String> {
    let last = first + (bytes.len() as u64).saturating_sub(1);
    let expected = format!("bytes {first}-{last}/{size}");
    let said = got.head.field("content-range").unwrap_or("none");
    if said != expected && said != format!("bytes {first}-{last}/*") {
        return Some(format!("206 with Content-Range {said} instead of {expected}"));
    }
    (got.body != bytes).then(|| format!("206 with {} bytes that are not those of the file", got.body.len()))
}

async fn middle(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let (first, last) = PART;
    let range = format!("{first}-{last}");
    let (route, asked) = (facts.route.as_str(), format!("GET Range: bytes={range}"));
    let bytes = facts.first.get(first..=last).unwrap_or_default();
    match part(scene, facts, &range, None).await {
        Err(error) => Finding::warn(Check::Ranges, route, asked, error),
        Ok(got) if got.head.status == 206 => match wrong(&got, first as u64, bytes, facts.size) {
            Some(how) => Finding::fail(Check::RangeBytes, route, asked, how),
            None => Finding::ok(Check::Ranges, route, asked, "206, the right bytes"),
        },
        Ok(got) => Finding::warn(Check::Ranges, route, asked, format!("{}, the whole file", got.head.status)),
    }
}

async fn suffix(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let range = format!("-{SUFFIX}");
    let (route, asked) = (facts.route.as_str(), format!("GET Range: bytes={range}"));
    let got = match part(scene, facts, &range, None).await {
        Err(error) => return Finding::warn(Check::Ranges, route, asked, error),
        Ok(got) => got,
    };
    if got.head.status != 206 {
        return Finding::warn(Check::Ranges, route, asked, got.head.status.to_string());
    }
    // The end is known only of a file that was fetched whole.
    let tail = facts.last.get(facts.last.len().saturating_sub(SUFFIX)..).unwrap_or_default();
    let tail = if facts.digest.is_some() { tail } else { got.body.as_slice() };
    match wrong(&got, facts.size - SUFFIX as u64, tail, facts.size) {
        Some(how) => Finding::fail(Check::RangeBytes, route, asked, how),
        None => Finding::ok(Check::Ranges, route, asked, "206, the right bytes"),
    }
}

async fn behind(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let (route, asked) = (facts.route.as_str(), "GET Range: behind the end");
    let range = format!("{}-", facts.size);
    match part(scene, facts, &range, None).await {
        Err(error) => Finding::warn(Check::RangeUnsatisfiable, route, asked, error),
        Ok(got) if got.head.status == 416 => Finding::ok(Check::RangeUnsatisfiable, route, asked, "416"),
        Ok(got) => Finding::warn(Check::RangeUnsatisfiable, route, asked, got.head.status.to_string()),
    }
}

async fn on_condition(scene: &Scene<'_>, facts: &Facts) -> Vec<Finding> {
    let Some(tag) = facts.head.etag() else { return Vec::new() };
    let (first, last) = PART;
    let (route, range) = (facts.route.as_str(), format!("{first}-{last}"));
    let mut findings = Vec::new();
    let asked = "GET Range If-Range: another ETag";
    findings.push(match part(scene, facts, &range, Some("\"another\"")).await {
        Err(error) => Finding::warn(Check::IfRange, route, asked, error),
        Ok(got) if got.head.status == 200 => Finding::ok(Check::IfRange, route, asked, "200, the whole file"),
        Ok(got) => Finding::fail(Check::IfRange, route, asked, format!("{}, a part all the same", got.head.status)),
    });
    // A weak tag is never equal to itself here (RFC 9110, 13.1.5).
    if !tag.starts_with("W/") {
        let asked = "GET Range If-Range: its ETag";
        findings.push(match part(scene, facts, &range, Some(tag)).await {
            Err(error) => Finding::warn(Check::IfRange, route, asked, error),
            Ok(got) if got.head.status == 206 => Finding::ok(Check::IfRange, route, asked, "206"),
            Ok(got) => Finding::warn(Check::IfRange, route, asked, format!("{}, not the part", got.head.status)),
        });
    }
    findings
}
