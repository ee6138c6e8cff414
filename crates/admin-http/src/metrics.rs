//! OpenMetrics, made anew for each scrape out of one snapshot.

mod alarms;
mod certificates;
mod demand;
mod freshness;
mod values;

use std::fmt;

use content_http::Stats;
use mirror::{FeedStatus, Status};
use model::{Level, Outcome, Reason, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use values::{counter, counters, gauge, gauges, signed};

/// What a scrape shows.
#[derive(Debug)]
pub struct Facts {
    /// The content side's counters.
    pub stats: Option<Stats>,
    /// The engine's view, or why it cannot be told.
    pub status: Option<Result<Status, String>>,
    /// How alarms stand, where they are looked after.
    pub alarms: Option<crate::AlarmFacts>,
    /// What endpoints ask for and is not held, where that is seen.
    pub demand: Option<crate::DemandFacts>,
}

pub(crate) fn render(facts: Facts) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("waystation");
    registry.register_collector(Box::new(facts));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Facts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let version = ConstGauge::new(1_i64);
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        let mut info = encoder.encode_descriptor("build", "The program that answers.", None, version.metric_type())?;
        version.encode(info.encode_family(&labels)?)?;
        if let Some(stats) = &self.stats {
            content(stats, &mut encoder)?;
            certificates::certificates(&stats.certificates, &mut encoder)?;
        }
        if let Some(facts) = &self.alarms {
            alarms::alarms(facts, &mut encoder)?;
        }
        if let Some(facts) = &self.demand {
            demand::demand(facts, &mut encoder)?;
        }
        match &self.status {
            Some(Ok(status)) => {
                gauge(&mut encoder, "catalog_readable", "Whether the catalog can be read.", 1)?;
                engine(status, &mut encoder)?;
                freshness::freshness(status, &mut encoder)
            }
            Some(Err(_)) => {
                gauge(&mut encoder, "catalog_readable", "Whether the catalog can be read.", 0)?;
                freshness::worst(Level::Fail, &mut encoder)
            }
            None => Ok(()),
        }
    }
}

fn content(stats: &Stats, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let answers = stats.requests.iter().map(|(status, count)| (vec![("status", status.to_string())], *count));
    counters(encoder, "http_answers", "Answers of the content side by status.", answers)?;
    let troubles = stats.troubles.iter().map(|(kind, count)| (vec![("kind", kind.as_str().to_owned())], *count));
    counters(encoder, "http_troubles", "What went wrong on the content side, by kind.", troubles)?;
    counter(encoder, "http_sent_bytes", "Bytes sent by the content side.", stats.bytes_sent)?;
    counter(encoder, "http_connections", "Connections accepted by the content side.", stats.connections_total)?;
    let open = i64::try_from(stats.connections_open).unwrap_or(i64::MAX);
    gauge(encoder, "http_open_connections", "Connections open on the content side.", open)?;
    let most = i64::try_from(stats.connections_most).unwrap_or(i64::MAX);
    let help = "How many may be open at once: limits.serve_connections, or fewer where descriptors leave no room.";
    gauge(encoder, "http_most_connections", help, most)?;
    let ring = |value: &dyn Fn(&content_http::RingStats) -> i64| {
        stats.rings.iter().map(|ring| (vec![("ring", ring.ring.to_string())], value(ring))).collect::<Vec<_>>()
    };
    let generation = ring(&|ring| signed(ring.generation.unwrap_or(0)));
    gauges(encoder, "ring_generation", "The generation that each ring serves; 0 before the first.", generation)?;
    let routes = ring(&|ring| i64::try_from(ring.routes).unwrap_or(i64::MAX));
    gauges(encoder, "ring_routes", "Paths that stand in the generation served.", routes)?;
    let broken = ring(&|ring| i64::try_from(ring.broken).unwrap_or(i64::MAX));
    gauges(
        encoder,
        "ring_broken_routes",
        "Paths that answer 503 because their bytes cannot be opened or read; they heal by themselves.",
        broken,
    )?;
    let refused_for = |reason| ring(&|ring| i64::from(ring.refused.as_ref().is_some_and(|why| why.reason == reason)));
    gauges(
        encoder,
        "ring_went_back",
        "Whether the ring's files are older than what is served, as those of a backup that was put in their place.",
        refused_for(Reason::RingWentBack),
    )?;
    let refused = refused_for(Reason::GenerationRefused);
    gauges(
        encoder,
        "ring_refused",
        "Whether the newest generation is not served because something about it is not whole.",
        refused,
    )
}

fn engine(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let followed: Vec<&FeedStatus> = status.feeds.iter().filter(|feed| feed.followed).collect();
    let label = |feed: &FeedStatus| ("feed", feed.feed.to_string());
    let outcomes = [Outcome::Published, Outcome::Current, Outcome::Held, Outcome::Quarantined, Outcome::Failed];
    let outcome = followed.iter().flat_map(|feed| {
        outcomes.map(|word| (vec![label(feed), ("outcome", word.to_string())], i64::from(feed.outcome == Some(word))))
    });
    gauges(encoder, "feed_outcome", "How the last run ended for each feed: 1 for the outcome it had.", outcome)?;
    let reason = followed
        .iter()
        .filter_map(|feed| feed.reason.map(|reason| (vec![label(feed), ("reason", reason.code().to_owned())], 1)));
    gauges(encoder, "feed_reason", "Why a feed does not stand as it should.", reason)?;
    let times = |time: &dyn Fn(&FeedStatus) -> Option<Timestamp>| {
        followed
            .iter()
            .filter_map(|feed| time(feed).map(|time| (vec![label(feed)], time.as_micros() / 1_000_000)))
            .collect::<Vec<_>>()
    };
    let checked = times(&|feed| feed.checked_at);
    gauges(encoder, "feed_last_check_seconds", "When a run last tried each feed, in seconds since 1970.", checked)?;
    let succeeded = times(&|feed| feed.succeeded_at);
    gauges(
        encoder,
        "feed_last_success_seconds",
        "When a run last found things in order, in seconds since 1970.",
        succeeded,
    )?;
    let changed = times(&|feed| feed.changed_at);
    gauges(encoder, "feed_last_change_seconds", "When the vendor's offer last changed as far as we saw.", changed)?;
    let failures = followed.iter().map(|feed| (vec![label(feed)], i64::from(feed.failures)));
    gauges(encoder, "feed_failures", "Runs in a row that failed.", failures)?;
    let waiting = i64::try_from(status.quarantined.len()).unwrap_or(i64::MAX);
    gauge(encoder, "quarantined_releases", "Releases that wait for the operator.", waiting)?;
    let damaged = [(vec![("ring", status.ring.ring.to_string())], i64::from(status.ring.fault.is_some()))];
    gauges(
        encoder,
        "ring_pointer_damaged",
        "Whether a ring's pointer is damaged: the newest whole generation is served, and the pointer is written again.",
        damaged,
    )?;
    let reserve = signed(status.reserve_bytes);
    gauge(encoder, "store_reserve_bytes", "Bytes that stay free where blobs lie: no fetch goes below.", reserve)?;
    match status.free_bytes {
        Some(free) => gauge(encoder, "store_free_bytes", "Bytes free where blobs lie.", signed(free)),
        None => Ok(()),
    }
}
