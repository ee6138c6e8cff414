//! Durations, sizes and rates as people write them.

use std::time::Duration;

const DURATIONS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// `1h30m`, `35d`, `500ms`: whole numbers, each with its unit, largest first.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = DURATIONS.iter();
    let mut total = 0u64;
    while !rest.is_empty() {
        let (count, behind) = number(rest)?;
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at_checked(letters)?;
        // Going on where the last unit was found keeps units in order and each at most once.
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(count.checked_mul(*millis)?)?;
        rest = next;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// The shortest text that [`duration`] reads back as the same.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in DURATIONS.iter().filter(|(unit, _)| *unit != "w") {
        if millis / size > 0 {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `50GB`, `64 MiB`, `4096B`: a whole number and its unit. Only `0` needs none: whoever leaves one out may mean any.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (count, unit) = number(text)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let factor = match unit {
        "" if text == "0" => 1,
        _ => SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    count.checked_mul(factor)
}

/// A [`size`] a second: `50MB/s`.
pub(crate) fn rate(text: &str) -> Option<u64> {
    size(text.strip_suffix("/s")?)
}

/// The shortest text that [`size`] reads back as the same.
pub(crate) fn show_size(bytes: u64) -> String {
    SIZES
        .iter()
        .filter(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .map(|(unit, factor)| format!("{}{unit}", bytes / factor))
        .min_by_key(String::len)
        .unwrap_or_else(|| format!("{bytes}B"))
}

fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("35d", Some(35 * 86_400)),
            ("1h30m", Some(5400)),
            ("90s", Some(90)),
            ("0s", Some(0)),
            ("1w", Some(604_800)),
            ("1d12h", Some(129_600)),
            ("", None),
            ("5", None),
            ("h", None),
            ("1 h", None),
            ("1h1h", None),
            ("30m1h", None),
            ("1.5h", None),
            ("-1h", None),
            ("1H", None),
            ("1 hour", None),
            ("99999999999999999999d", None),
            ("999999999999999w", None),
        ] {
            assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(duration("1s500ms"), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn sizes_and_rates() {
        for (text, bytes) in [
            ("50GB", Some(50_000_000_000)),
            ("1GiB", Some(1 << 30)),
            ("250MB", Some(250_000_000)),
            ("64 MiB", Some(64 << 20)),
            ("1KB", Some(1000)),
            ("17B", Some(17)),
            ("17", None),
            ("17 ", None),
            ("00", None),
            ("0B", Some(0)),
            ("0", Some(0)),
            ("", None),
            ("GB", None),
            ("1.5GB", None),
            ("-1GB", None),
            ("1 GB free", None),
            ("20000000TB", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        assert_eq!(rate("50MB/s"), Some(50_000_000));
        assert_eq!(rate("50MB"), None);
        assert_eq!(rate("50/s"), None);
    }

    proptest! {
        #[test]
        fn shown_texts_read_back(value in any::<u64>(), millis in 0u64..1 << 50) {
            prop_assert_eq!(size(&show_size(value)), Some(value));
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(time)), Some(time));
        }

        #[test]
        fn no_text_panics_s36(text in "\\PC{0,24}") {
            let _ = (duration(&text), size(&text), rate(&text));
        }
    }
}
