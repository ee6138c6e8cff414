//! Whether Defender's files agree with each other: what a companion says, what lies beside it, what lies in `_back`.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Digest, VendorVersion, parse_http_date};

use crate::Check;
use crate::finding::Finding;
use crate::play::facts::{Facts, Played, Role};

/// A companion is written after its archive; file times may differ by so much all the same.
const SLACK: Duration = Duration::from_secs(60);

/// One release against the one in `_back`.
pub(crate) fn with_back(played: &Played, back: Option<&Played>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = written_together(played).into_iter().collect();
    let Some(back) = back.filter(|back| back.file(Role::Archive).is_some()) else { return findings };
    findings.extend(written_together(back));
    let on = back.file(Role::Archive).map_or(played.feed.as_str(), |facts| facts.route.as_str());
    let asked = "the versions of both";
    if let (Some(now), Some(before)) = (&played.version, &back.version) {
        let came = format!("{before} in _back, {now} beside it");
        findings.push(if before.version < now.version {
            Finding::ok(Check::Back, on, asked, came)
        } else {
            Finding::fail(Check::Back, on, asked, came)
        });
    }
    findings
}

/// Whether two archives claim one version, or one archive two.
pub(crate) fn among(walked: &[Played]) -> Vec<Finding> {
    let mut versions: BTreeMap<Digest, (&VendorVersion, &str)> = BTreeMap::new();
    let mut findings = Vec::new();
    for played in walked {
        let (Some(version), Some(archive)) = (&played.version, played.file(Role::Archive)) else { continue };
        let Some(digest) = archive.digest else { continue };
        match versions.get(&digest) {
            Some((other, route)) if *other != version => {
                let came = format!("the same bytes as {route}, which is called {other}, are called {version} here");
                findings.push(Finding::fail(Check::CompanionAgrees, &archive.route, "the companions' versions", came));
            }
            Some(_) => {}
            None => {
                versions.insert(digest, (version, &archive.route));
            }
        }
    }
    findings
}

fn written_together(played: &Played) -> Option<Finding> {
    let (archive, companion) = (played.file(Role::Archive)?, played.file(Role::Companion)?);
    let time = |facts: &Facts| parse_http_date(facts.head.field("last-modified")?);
    let (of_archive, of_companion) = (time(archive)?, time(companion)?);
    let (on, asked) = (companion.route.as_str(), "its Last-Modified, and the archive's");
    Some(if of_archive.since(of_companion) > SLACK {
        let came = format!("written {of_companion}, the archive {of_archive}: it may speak of the archive before");
        Finding::warn(Check::CompanionAgrees, on, asked, came)
    } else {
        Finding::ok(Check::CompanionAgrees, on, asked, "not older than the archive")
    })
}
