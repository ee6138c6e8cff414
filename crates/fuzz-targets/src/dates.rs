//! Dates in HTTP and in vendors' documents.

use model::{Timestamp, parse_http_date};

use crate::fit_to_show;

/// From 0000-01-01, which four digits of a year can say, to where the calendar ends: 9999-12-30T22:00:00Z.
const YEARS: std::ops::Range<i64> = -62_167_219_200..253_402_207_200;

/// Any text as an HTTP date and as an RFC 3339 one: what is read is written in the one preferred form, which reads
/// back. Any eight bytes as a time: it is written, and reads back to the second.
pub fn http_date(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(time) = parse_http_date(text) {
            let written = time.http_date();
            assert_eq!(parse_http_date(&written), Some(time), "{text:?} is written {written:?}");
            assert_eq!(time.as_micros() % 1_000_000, 0);
        }
        if let Some(time) = Timestamp::parse(text) {
            written(time);
        }
    }
    if let Ok(micros) = bytes.try_into().map(i64::from_le_bytes) {
        written(Timestamp::from_micros(micros));
    }
}

fn written(time: Timestamp) {
    let (http, rfc3339) = (time.http_date(), time.to_string());
    fit_to_show(&http);
    fit_to_show(&rfc3339);
    let second = time.as_micros().div_euclid(1_000_000);
    if YEARS.contains(&second) {
        let whole = Some(Timestamp::from_micros(second * 1_000_000));
        assert_eq!(http.len(), 29, "{http:?}");
        assert_eq!(parse_http_date(&http), whole, "{http:?}");
        assert_eq!(Timestamp::parse(&rfc3339), whole, "{rfc3339:?}");
    }
}
