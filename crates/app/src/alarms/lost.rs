//! Lines of the access log that are lost: since when, and how many.

use std::time::Duration;

use model::Timestamp;

/// It is over once no line was lost for this long.
const OVER: Duration = Duration::from_secs(60);

/// What was lost of the access log, as it was looked at last.
#[derive(Debug, Default)]
pub(super) struct LostLines {
    count: u64,
    /// When it was looked last: what is lost then was not lost before that.
    looked: Option<Timestamp>,
    /// Since when lines are lost, and how many had been before.
    began: Option<(Timestamp, u64)>,
    /// When the last was, by a clock that nobody sets.
    last: Duration,
}

impl LostLines {
    /// Since when lines are lost, and how many were, where they are; `count` is of all that ever were.
    pub(super) fn look(&mut self, count: u64, (now, monotonic): (Timestamp, Duration)) -> Option<(Timestamp, u64)> {
        let before = self.looked.replace(now).map_or(now, |before| before.min(now));
        if count > self.count {
            self.began.get_or_insert((before, self.count));
            (self.count, self.last) = (count, monotonic);
        } else if monotonic.saturating_sub(self.last) >= OVER {
            self.began = None;
        }
        self.began.map(|(since, before)| (since, self.count.saturating_sub(before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_lost_until_none_was_for_a_minute_s32() {
        let mut lines = LostLines::default();
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let told: Vec<Option<(u64, u64)>> =
            [(0, 0), (15, 3), (30, 3), (60, 5), (75, 5), (119, 5), (120, 5), (135, 6), (300, 6)]
                .map(|(second, count)| {
                    let passed = Duration::from_secs(second);
                    lines
                        .look(count, (start.after(passed), passed))
                        .map(|(since, lost)| (since.since(start).as_secs(), lost))
                })
                .into();
        // Whoever looks sees it late: it was after the look before.
        let first = Some((0, 3));
        let more = Some((0, 5));
        assert_eq!(told, [None, first, first, more, more, more, None, Some((120, 1)), None]);
    }
}
