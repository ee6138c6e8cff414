//! Points in time, as microseconds since 1970 in UTC, and the clock they come from.

use std::fmt;
use std::time::Duration;

use jiff::Span;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Later by `duration`; the far end of time if that overflows.
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Earlier by `duration`; the beginning of time if that overflows.
    pub fn before(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// From an RFC 3339 text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_microsecond()))
    }

    /// As an HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
    pub fn http_date(self) -> String {
        self.jiff().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    pub(crate) fn jiff(self) -> jiff::Timestamp {
        let ends = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(ends)
    }
}

/// RFC 3339 in UTC, to the second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.jiff().strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

/// Reads an HTTP date in any of the three forms that a recipient must take (RFC 9110, 5.6.7): IMF-fixdate, the one of
/// RFC 850, and that of C's `asctime`. Two digits of a year stand for the latest such year of which that date is not more
/// than 50 years ahead of `now`.
pub fn parse_http_date_by(text: &str, now: Timestamp) -> Option<Timestamp> {
    read_http_date(text, Some(now))
}

/// As [`parse_http_date_by`], for whoever has no clock: two digits of a year stand for 1969 to 2068.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    read_http_date(text, None)
}

fn read_http_date(text: &str, now: Option<Timestamp>) -> Option<Timestamp> {
    let read = |format: &str, text: &str| DateTime::strptime(format, text).ok();
    let civil = match text.strip_suffix(" GMT") {
        Some(stem) => read("%a, %d %b %Y %H:%M:%S", stem).or_else(|| rfc_850(stem, now))?,
        None => read("%a %b %e %H:%M:%S %Y", text)?,
    };
    let time = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp(time.as_microsecond()))
}

fn rfc_850(stem: &str, now: Option<Timestamp>) -> Option<DateTime> {
    let mut read = BrokenDownTime::parse("%A, %d-%b-%y %H:%M:%S", stem).ok()?;
    let Some(now) = now else { return read.to_datetime().ok() };
    let latest = now.jiff().to_zoned(TimeZone::UTC).datetime().saturating_add(Span::new().years(50));
    let year = latest.year() - latest.year().rem_euclid(100) + read.year()?.rem_euclid(100);
    // The day of the week is that of the year that is meant, which is not known yet.
    let weekday = read.weekday();
    read.set_weekday(None);
    read.set_year(Some(year)).ok()?;
    let is_ahead = read.to_datetime().map_or(year > latest.year(), |date| date > latest);
    read.set_weekday(weekday);
    read.set_year(Some(if is_ahead { year - 100 } else { year })).ok()?;
    read.to_datetime().ok()
}

/// Where the time comes from. Nothing in the program reads the system's clock but the one implementation
/// of this trait that the composition root chooses, so tests own time.
pub trait Clock: Send + Sync {
    /// The wall clock: may jump either way.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment: never goes back.
    fn monotonic(&self) -> Duration;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_round_trip() {
        let time = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(time.as_micros(), 784_111_777_000_000);
        assert_eq!(time.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(time.to_string(), "1994-11-06T08:49:37Z");
        for older in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_http_date(older), Some(time), "{older}");
        }
        for (year, full) in [("68", "2068"), ("69", "1969")] {
            let of = |date: String| parse_http_date(&date).map(|time| time.http_date());
            let day = if year == "68" { "Monday" } else { "Thursday" };
            let read = of(format!("{day}, 02-Jan-{year} 00:00:00 GMT"));
            assert!(read.as_ref().is_some_and(|date| date.contains(full)), "{read:?}");
        }
        for bad in [
            "",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT+1",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_digits_of_a_year_are_read_by_the_clock_v15() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        // RFC 9110, 5.6.7: more than 50 years ahead is the past.
        for (now, date, year) in [
            ("2026-11-22T00:00:00Z", "Sunday, 06-Nov-94 08:49:37 GMT", "1994"),
            ("2026-11-22T00:00:00Z", "Thursday, 02-Jan-70 00:00:00 GMT", "2070"),
            ("2026-11-22T00:00:00Z", "Sunday, 22-Nov-76 00:00:00 GMT", "2076"),
            ("2026-11-22T00:00:00Z", "Monday, 22-Nov-76 00:00:01 GMT", "1976"),
            ("2019-01-03T00:00:00Z", "Wednesday, 02-Jan-69 00:00:00 GMT", "2069"),
            ("2018-01-01T00:00:00Z", "Tuesday, 02-Jan-68 00:00:00 GMT", "1968"),
            ("1994-11-06T00:00:00Z", "Sunday, 06-Nov-94 08:49:37 GMT", "1994"),
            ("2040-01-01T00:00:00Z", "Wednesday, 29-Feb-68 00:00:00 GMT", "2068"),
        ] {
            let read = parse_http_date_by(date, at(now)).map(|time| time.to_string());
            assert!(read.as_ref().is_some_and(|read| read.starts_with(year)), "{date} at {now}: {read:?}");
        }
        let other = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse_http_date_by(other, at("2026-11-22T00:00:00Z")), parse_http_date(other));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow_s28() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
        assert!(!end.to_string().is_empty() && !Timestamp::from_micros(i64::MIN).http_date().is_empty());
        assert_eq!(Timestamp::from_micros(0).since(end), Duration::ZERO);
    }
}
