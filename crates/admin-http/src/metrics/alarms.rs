//! How alarms stand, number by number.

use std::fmt;

use model::{Level, Reason};
use prometheus_client::encoding::DescriptorEncoder;

use super::values::{counter, counters, gauges};
use crate::AlarmFacts;

pub(super) fn alarms(facts: &AlarmFacts, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let counted = |(reason, level, count): &(Reason, Level, usize)| {
        let labels = vec![("reason", reason.code().to_owned()), ("level", level.as_str().to_owned())];
        (labels, i64::try_from(*count).unwrap_or(i64::MAX))
    };
    gauges(encoder, "alarms", "Alarms that stand, by reason and level.", facts.standing.iter().map(counted))?;
    let passed = "Alarms of the last hour that began and ended before anybody could look, by reason and level.";
    gauges(encoder, "alarms_passed", passed, facts.passed.iter().map(counted))?;
    let sends = facts.ways.iter().flat_map(|way| {
        let labels = |outcome: &str| vec![("to", way.name.clone()), ("outcome", outcome.to_owned())];
        [(labels("told"), way.told), (labels("failed"), way.failed)]
    });
    counters(encoder, "alarm_sends", "Attempts to tell, by way and outcome.", sends)?;
    let failing = facts.ways.iter().map(|way| (vec![("to", way.name.clone())], i64::from(way.failing)));
    gauges(encoder, "alarm_way_failing", "Whether a way to tell fails now.", failing)?;
    counter(encoder, "alarms_dropped", "Alarms that some way was never told of.", facts.dropped)?;
    let beats = facts.heartbeats.iter().map(|(outcome, count)| (vec![("outcome", (*outcome).to_owned())], *count));
    counters(encoder, "heartbeats", "Signs of life, by outcome: sent, failed, withheld.", beats)
}
