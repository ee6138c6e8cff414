//! This machine's clock against those of the vendors' hosts. It is told, and never set.

use std::time::Duration;

use model::{Exchange, Timestamp, parse_http_date};

use crate::Check;
use crate::finding::Finding;

/// Apart by more is worth a warning.
const WARN: Duration = Duration::from_secs(60);
/// Apart by more makes certificates and ages wrong.
const FAIL: Duration = Duration::from_secs(600);

/// What another clock said, and when ours heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) from: String,
    pub(crate) theirs: Timestamp,
    pub(crate) ours: Timestamp,
}

impl Heard {
    /// Out of an answer, if it is dated and came from the host itself.
    pub(crate) fn of(host: &str, exchange: &Exchange) -> Option<Self> {
        let field = |name: &str| exchange.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let theirs = parse_http_date(field("date")?)?;
        // What a cache kept is as old as it says.
        let age = field("age").and_then(|age| age.trim().parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
        Some(Self { from: host.to_owned(), theirs: theirs.after(age), ours: exchange.at })
    }

    fn apart(&self) -> Duration {
        self.ours.since(self.theirs).max(self.theirs.since(self.ours))
    }
}

/// What those clocks say of ours.
pub(crate) fn weigh(heard: &[Heard]) -> Vec<Finding> {
    let asked = "the Date of the vendors' answers";
    // One host may be wrong; ours is wrong when all of them say so.
    let Some(nearest) = heard.iter().min_by_key(|heard| heard.apart()) else {
        let came = "no host answered with a Date: there is nothing to compare with";
        return vec![Finding::warn(Check::Clock, "this machine", asked, came)];
    };
    let apart = nearest.apart();
    let side = if nearest.theirs > nearest.ours { "behind" } else { "ahead of" };
    let came = format!("{} s {side} {}", apart.as_secs(), nearest.from);
    let level = match apart {
        apart if apart > FAIL => Finding::fail,
        apart if apart > WARN => Finding::warn,
        _ => Finding::ok,
    };
    vec![level(Check::Clock, "this machine", asked.to_owned(), came)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    fn heard(from: &str, offset: i64) -> Heard {
        let ours = Timestamp::from_micros(1_000_000_000_000_000);
        Heard { from: from.to_owned(), theirs: Timestamp::from_micros(ours.as_micros() + offset * 1_000_000), ours }
    }

    #[test]
    fn a_clock_that_is_off_by_an_hour_is_found_s28() {
        for (offsets, level, words) in [
            (vec![0], Level::Ok, "0 s"),
            (vec![3600], Level::Fail, "3600 s behind a"),
            (vec![-3600, -3601], Level::Fail, "3600 s ahead of a"),
            (vec![120], Level::Warn, "120 s behind a"),
            (vec![31_536_000, 2], Level::Ok, "2 s behind b"),
            (vec![], Level::Warn, "nothing to compare"),
        ] {
            let names = ["a", "b"];
            let all: Vec<Heard> = offsets.iter().zip(names).map(|(offset, name)| heard(name, *offset)).collect();
            let found = weigh(&all);
            assert_eq!(found[0].level, level, "{offsets:?}");
            assert!(found[0].came.contains(words), "{}", found[0].came);
        }
    }
}
