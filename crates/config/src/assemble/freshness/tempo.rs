//! Limits of the last check against the schedule: a limit that every wait between two runs exceeds tells nothing.

use std::time::Duration;

use model::{FeedId, FreshnessPolicy, Vendor};

use super::matches;
use crate::assemble::scope;
use crate::keys;
use crate::reader::{Reader, Scope};
use crate::units::show_duration;

/// Notes the feeds that are asked no more often than their limit for checks warns, by the nearest setting that says so.
pub(in crate::assemble) fn in_tempo(
    reader: &Reader<'_>,
    policy: &FreshnessPolicy,
    asked: impl Iterator<Item = (FeedId, Duration)>,
) {
    for (feed, schedule) in asked {
        let warn = policy.of(&feed).check.warn;
        if warn <= schedule {
            blame(reader, &feed, (warn, schedule));
        }
    }
}

fn blame(reader: &Reader<'_>, feed: &FeedId, (warn, schedule): (Duration, Duration)) {
    let (vendor, own) = match feed.vendor() {
        Vendor::Elastic => ("elastic", "elastic.freshness"),
        Vendor::Defender => ("defender", "defender.freshness"),
    };
    let (warn, schedule) = (show_duration(warn), show_duration(schedule));
    let message = format!(
        "warns of checks older than {warn}, and {vendor}.schedule asks only every {schedule}, so that it would warn before \
         each run; make check longer than the schedule, or the schedule shorter"
    );
    let nearest =
        by_feed(reader, feed).into_iter().chain([scope(reader, own), scope(reader, "freshness")].into_iter().flatten());
    for scope in nearest {
        if let Some(key) = ["check", "preset"].into_iter().find(|key| scope.has(key)) {
            return scope.wrong(key, message);
        }
    }
    if let Some(scope) = scope(reader, vendor) {
        scope.wrong("schedule", format!("asks every {schedule}, and freshness.check warns after {warn}, so that it would warn before each run; make the schedule shorter, or check longer"));
    }
}

/// The first section whose pattern fits, as it is the one that counts.
fn by_feed<'a>(reader: &'a Reader<'a>, feed: &FeedId) -> Option<Scope<'a>> {
    let fits = |scope: &Scope<'_>| scope.get::<String>("match").is_some_and(|pattern| matches(&pattern, feed.as_str()));
    reader.list(keys::section("freshness.feed")?).into_iter().find(fits)
}
