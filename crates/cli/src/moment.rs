//! Times as people type them.

use std::str::FromStr;
use std::time::Duration;

use model::Timestamp;

/// How long each unit is, in seconds.
const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];

/// What pages show of a time is as fine as this, in microseconds.
const SECOND: i64 = 1_000_000;

/// Longer ago than this, in seconds, is a slip of the hand: about two hundred years.
const LONGEST: u64 = 200 * 366 * 86_400;

/// A moment: a point in time, or so long before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    /// When that is.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.before(span),
        }
    }

    /// The last instant of it that is not ahead of `now`. Pages show whole seconds: who copies the time of an entry from
    /// one means what was once that entry was there.
    pub(crate) fn end(self, now: Timestamp) -> Timestamp {
        let at = self.resolve(now);
        let is_whole = matches!(self, Self::At(_)) && at.as_micros().rem_euclid(SECOND) == 0;
        if is_whole && at <= now { at.after(Duration::from_micros(999_999)).min(now) } else { at }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let whole = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
        let spaced = || Timestamp::parse(&format!("{}Z", text.replacen(' ', "T", 1)));
        if let Some(at) = whole.or_else(spaced) {
            return Ok(Self::At(at));
        }
        let span = text.strip_suffix("ago").map(str::trim_end).and_then(span);
        if span.is_some_and(|span| span.as_secs() > LONGEST) {
            return Err("is more than 200 years ago".to_owned());
        }
        span.map(Self::Ago).ok_or_else(|| {
            "write 2026-08-15T12:00:00Z, 2026-08-15 (its beginning in UTC), or such as '2h ago' (s, m, h, d, w)"
                .to_owned()
        })
    }
}

/// `1d12h`.
fn span(text: &str) -> Option<Duration> {
    let mut total = 0_u64;
    let mut count = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            count.push(c);
            continue;
        }
        let (_, seconds) = UNITS.iter().find(|(unit, _)| *unit == c)?;
        total = total.checked_add(count.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        count.clear();
    }
    (!text.is_empty() && count.is_empty()).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let day = Timestamp::parse("2026-08-15T00:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-08-15", Some(Moment::At(day))),
            ("2026-08-15T00:00:00Z", Some(Moment::At(day))),
            ("2026-08-15T02:00:00+02:00", Some(Moment::At(day))),
            ("2026-08-15 00:00:00", Some(Moment::At(day))),
            ("2h ago", Some(Moment::Ago(Duration::from_secs(7200)))),
            ("1d12h ago", Some(Moment::Ago(Duration::from_secs(129_600)))),
            ("0s ago", Some(Moment::Ago(Duration::ZERO))),
            ("2h", None),
            ("ago", None),
            ("yesterday", None),
            ("h ago", None),
            ("99999999d ago", None),
            ("99999999999999999999d ago", None),
            ("2026-13-01", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Moment>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_time_to_the_second_is_the_end_of_it_a21() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2026-08-15T12:00:00.25Z");
        for (text, end) in [
            ("2026-08-15T11:00:00Z", "2026-08-15T11:00:00.999999Z"),
            ("2026-08-15T11:00:00.5Z", "2026-08-15T11:00:00.5Z"),
            ("2026-08-15T12:00:00Z", "2026-08-15T12:00:00.25Z"),
            ("2026-08-15T13:00:00Z", "2026-08-15T13:00:00Z"),
            ("1h ago", "2026-08-15T11:00:00.25Z"),
        ] {
            assert_eq!(text.parse::<Moment>().unwrap().end(now), at(end), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = text.parse::<Moment>();
        }
    }
}
