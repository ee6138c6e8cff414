//! What was found about freshness, number by number.

use std::fmt;

use mirror::{FeedStatus, Status};
use model::{Finding, Level, SourcedTime};
use prometheus_client::encoding::DescriptorEncoder;

use super::values::{Labels, gauge, gauges, signed};

pub(super) fn freshness(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let findings = &status.freshness;
    worst(status.level(), encoder)?;
    let levels = findings.iter().map(|finding| (labels(finding), number(finding.level)));
    gauges(encoder, "feed_freshness", "How fresh each feed is in each measure: 0 fine, 1 warn, 2 fail.", levels)?;
    let reasons = findings.iter().filter_map(|finding| Some((with(finding, "reason", finding.reason?.code()), 1)));
    gauges(encoder, "feed_freshness_reason", "Why a feed is not fresh: 1 for the reason it has.", reasons)?;
    let ages = findings.iter().map(|finding| (labels(finding), signed(finding.age_seconds)));
    gauges(
        encoder,
        "feed_age_seconds",
        "Seconds since the last check in order (check), the age of what is held (age), and what a ring is behind (lag).",
        ages,
    )?;
    let limits = findings.iter().flat_map(|finding| {
        let pair = [(Level::Warn, finding.warn_seconds), (Level::Fail, finding.fail_seconds)];
        pair.map(|(level, limit)| (with(finding, "level", level.as_str()), signed(limit)))
    });
    gauges(encoder, "feed_age_limit_seconds", "Beyond how many seconds each age is a warning, and a failure.", limits)?;
    let followed = status.feeds.iter().filter(|feed| feed.followed);
    let clocks = followed.flat_map(clocks);
    gauges(
        encoder,
        "feed_clock_seconds",
        "When the vendor published, the mirror held and the endpoint reported, in seconds since 1970, and according to what.",
        clocks,
    )
}

/// The worst of all; where nothing can be told, nothing is fresh.
pub(super) fn worst(level: Level, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "The worst of all findings about freshness: 0 fine, 1 warn, 2 fail.";
    gauge(encoder, "freshness", help, number(level))
}

fn number(level: Level) -> i64 {
    match level {
        Level::Fine => 0,
        Level::Warn => 1,
        Level::Fail => 2,
    }
}

fn labels(finding: &Finding) -> Labels {
    let mut labels = vec![("feed", finding.feed.to_string()), ("measure", finding.measure.to_string())];
    labels.extend(finding.ring.iter().map(|ring| ("ring", ring.to_string())));
    labels
}

fn with(finding: &Finding, label: &'static str, value: &str) -> Labels {
    let mut labels = labels(finding);
    labels.push((label, value.to_owned()));
    labels
}

fn clocks(feed: &FeedStatus) -> Vec<(Labels, i64)> {
    let clocks = &feed.clocks;
    let all = [
        ("vendor", clocks.vendor),
        ("inside", clocks.inside),
        ("mirror", clocks.mirror),
        ("endpoint", clocks.endpoint),
    ];
    all.into_iter()
        .filter_map(|(clock, time)| {
            let SourcedTime { at, source } = time?;
            let labels = vec![
                ("feed", feed.feed.to_string()),
                ("clock", clock.to_owned()),
                ("source", source.as_str().to_owned()),
            ];
            Some((labels, at.as_micros().div_euclid(1_000_000)))
        })
        .collect()
}
