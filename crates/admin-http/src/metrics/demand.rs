//! What endpoints ask for and is not held.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use super::values::{counter, counters, gauge, gauges, signed};
use crate::DemandFacts;

pub(super) fn demand(facts: &DemandFacts, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    counter(
        encoder,
        "wanted_dropped",
        "Requests for what is not held that could not be kept in mind: the spool is full, or cannot be written.",
        facts.dropped,
    )?;
    if let Some(wanted) = facts.wanted {
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        gauge(encoder, "wanted", "Different things that endpoints asked for and that are not held.", wanted)?;
    }
    let Some(learned) = facts.learned else { return Ok(()) };
    let learned = i64::try_from(learned).unwrap_or(i64::MAX);
    gauge(encoder, "learned_feeds", "Feeds that are followed because they were asked for.", learned)?;
    let flying = i64::try_from(facts.flying).unwrap_or(i64::MAX);
    gauge(encoder, "demand_fetches_open", "Fetches under way because something was asked for.", flying)?;
    let fetches = facts.fetches.iter().map(|(word, count)| (vec![("outcome", (*word).to_owned())], *count));
    counters(
        encoder,
        "demand_fetches",
        "Fetches because something was asked for, by outcome; full: not begun, too many were under way.",
        fetches,
    )?;
    let ages = facts.unconfirmed.iter();
    let ages = ages.map(|(feed, age)| (vec![("feed", feed.to_string())], signed(age.as_secs()))).collect::<Vec<_>>();
    gauges(
        encoder,
        "unconfirmed_age_seconds",
        "In proxy mode: how long ago the vendor last confirmed what is served, for feeds where it fails to.",
        ages,
    )
}
