//! Times of the week that come again, and the time zone that they are meant in.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::Timestamp;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const DAY: u16 = 24 * 60;

/// A span of hours on some days of every week: `22:00-06:00`, `sat,sun 00:00-24:00`, `mon-fri 18:00-08:00`.
///
/// One whose end is not after its beginning goes on into the day after, and belongs to the day that it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days that it begins on, as bits from Monday on.
    days: u8,
    /// Minutes since midnight.
    from: u16,
    /// Minutes since midnight, at most 24:00.
    to: u16,
}

/// Why a text is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no span of hours such as 22:00-06:00, sat,sun 00:00-24:00 or mon-fri 18:00-08:00")]
pub struct WindowError;

impl Window {
    /// Whether this moment lies in it, by the clocks of `zone`. Its beginning does, its end does not.
    pub fn contains(&self, at: Timestamp, zone: &Zone) -> bool {
        let local = zone.0.to_datetime(at.jiff());
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let today = self.begins_on(local.weekday());
        if self.from < self.to {
            return today && (self.from..self.to).contains(&minute);
        }
        let yesterday = self.begins_on(local.weekday().previous());
        (today && minute >= self.from) || (yesterday && minute < self.to)
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.days & bit(day) != 0
    }
}

fn bit(day: Weekday) -> u8 {
    1 << u8::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let (days, hours) = match text.rsplit_once(' ') {
            Some((days, hours)) => (self::days(days.trim())?, hours),
            None => (0x7f, text),
        };
        let (from, to) = hours.split_once('-').ok_or(WindowError)?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        if from == to || from == DAY {
            return Err(WindowError);
        }
        Ok(Self { days, from, to })
    }
}

fn days(text: &str) -> Result<u8, WindowError> {
    let day = |name: &str| {
        let found = DAYS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        found.ok_or(WindowError)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let count = (last + 7 - first) % 7 + 1;
        let named = DAYS.iter().cycle().skip(first).take(count);
        bits |= named.fold(0, |bits, (_, day)| bits | bit(*day));
    }
    Ok(bits)
}

fn minutes(text: &str) -> Result<u16, WindowError> {
    let number = |text: &str| match text.len() {
        2 if text.bytes().all(|b| b.is_ascii_digit()) => text.parse::<u16>().map_err(|_| WindowError),
        _ => Err(WindowError),
    };
    let (hour, minute) = text.split_once(':').ok_or(WindowError)?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour * 60 + minute;
    if minute < 60 && total <= DAY { Ok(total) } else { Err(WindowError) }
}

/// The form that reads back as the same.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != 0x7f {
            let named = DAYS.iter().filter(|(_, day)| self.begins_on(*day)).map(|(name, _)| *name);
            write!(f, "{} ", named.collect::<Vec<_>>().join(","))?;
        }
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// A time zone, from the program's own data: two machines with the same program agree on it.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a text names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no time zone's name such as Europe/Berlin or UTC")]
pub struct ZoneError;

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        TimeZoneDatabase::bundled().get(text).map(Self).map_err(|_| ZoneError)
    }
}

/// Its name.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn inside(window: &str, moment: &str) -> bool {
        window.parse::<Window>().unwrap().contains(at(moment), &zone("Europe/Berlin"))
    }

    #[test]
    fn hours_of_every_day_and_of_some() {
        // 2026-11-20 is a Friday; Berlin is an hour ahead of UTC then.
        for (window, moment, expected) in [
            ("22:00-06:00", "2026-11-20T20:59:59Z", false),
            ("22:00-06:00", "2026-11-20T21:00:00Z", true),
            ("22:00-06:00", "2026-11-21T04:59:59Z", true),
            ("22:00-06:00", "2026-11-21T05:00:00Z", false),
            ("09:00-17:00", "2026-11-20T08:00:00Z", true),
            ("09:00-17:00", "2026-11-20T16:00:00Z", false),
            ("sat,sun 00:00-24:00", "2026-11-20T22:59:59Z", false),
            ("sat,sun 00:00-24:00", "2026-11-20T23:00:00Z", true),
            ("sat,sun 00:00-24:00", "2026-11-22T22:59:59Z", true),
            ("sat,sun 00:00-24:00", "2026-11-22T23:00:00Z", false),
            // Friday's night lasts into Saturday, which has none of its own.
            ("mon-fri 18:00-08:00", "2026-11-21T06:59:59Z", true),
            ("mon-fri 18:00-08:00", "2026-11-21T18:00:00Z", false),
            ("fri-mon 12:00-13:00", "2026-11-22T11:30:00Z", true),
            ("fri-mon 12:00-13:00", "2026-11-24T11:30:00Z", false),
        ] {
            assert_eq!(inside(window, moment), expected, "{window} at {moment}");
        }
    }

    #[test]
    fn nights_in_which_clocks_change_r10() {
        // 2026-03-29: 02:00 becomes 03:00, at 01:00 UTC. 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC.
        for (moment, expected) in [
            ("2026-03-28T20:59:00Z", false),
            ("2026-03-28T21:00:00Z", true),
            ("2026-03-29T03:59:00Z", true),
            ("2026-03-29T04:00:00Z", false),
            ("2026-10-24T19:59:00Z", false),
            ("2026-10-24T20:00:00Z", true),
            ("2026-10-25T04:59:00Z", true),
            ("2026-10-25T05:00:00Z", false),
        ] {
            assert_eq!(inside("22:00-06:00", moment), expected, "{moment}");
        }
        // An hour that comes twice lies in the window both times; one that does not come is not missed.
        assert!(inside("02:00-03:00", "2026-10-25T00:30:00Z") && inside("02:00-03:00", "2026-10-25T01:30:00Z"));
        assert!(!inside("02:00-03:00", "2026-03-29T00:59:00Z") && !inside("02:00-03:00", "2026-03-29T01:00:00Z"));
    }

    #[test]
    fn what_is_no_window_or_zone_s36() {
        for bad in [
            "",
            "22-06",
            "22:00",
            "25:00-01:00",
            "10:60-11:00",
            "10:00-10:00",
            "24:00-01:00",
            "day 10:00-11:00",
            "1:00-2:00",
            "+1:00-02:00",
        ] {
            assert_eq!(bad.parse::<Window>(), Err(WindowError), "{bad}");
        }
        for bad in ["", "Berlin", "../etc/passwd", "Europe/Nowhere", "+01:00"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
        assert_eq!(zone("Europe/Berlin").to_string(), "Europe/Berlin");
        assert_eq!((zone("UTC"), Zone::utc().to_string().as_str()), (Zone::utc(), "UTC"));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(days in 1u8..0x80, from in 0u16..DAY, to in 0u16..=DAY) {
            prop_assume!(from != to);
            let window = Window { days, from, to };
            prop_assert_eq!(window.to_string().parse::<Window>(), Ok(window));
        }

        #[test]
        fn no_text_and_no_time_panics_s28(text in "\\PC{0,24}", micros in any::<i64>()) {
            let _ = (text.parse::<Window>(), text.parse::<Zone>());
            let night: Window = "22:00-06:00".parse().unwrap();
            let _ = night.contains(Timestamp::from_micros(micros), &zone("America/Sao_Paulo"));
        }
    }
}
