//! Preconditions (RFC 9110, 13): pure.

use model::{Timestamp, parse_http_date_by};

/// The values of a header that may stand several times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values<'a> {
    values: [&'a [u8]; Values::MOST],
    count: usize,
}

impl<'a> Values<'a> {
    const MOST: usize = 4;

    /// Adds a value; false when there are too many.
    pub(crate) fn push(&mut self, value: &'a [u8]) -> bool {
        match self.values.get_mut(self.count) {
            Some(slot) => {
                *slot = value;
                self.count += 1;
                true
            }
            None => false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.values.into_iter().take(self.count)
    }
}

/// What a request demands of the selected representation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions<'a> {
    pub(crate) if_match: Values<'a>,
    pub(crate) if_none_match: Values<'a>,
    pub(crate) if_modified_since: Option<&'a [u8]>,
    pub(crate) if_unmodified_since: Option<&'a [u8]>,
}

/// What the preconditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Answer as if there were none.
    Holds,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl Conditions<'_> {
    /// Evaluates them in the order of RFC 9110, 13.2.2, for a representation with this strong tag (quotes
    /// included) and this modification time; without one, conditions on dates say nothing.
    ///
    /// "Not modified since" holds for the very date of these bytes, and for later ones up to `now`. A date that lies
    /// ahead is no word on what was seen then: some clock is wrong, and bytes once too often are better than old ones.
    pub(crate) fn evaluate(&self, etag: &[u8], modified: Option<Timestamp>, now: Timestamp) -> Precondition {
        let failed = if self.if_match.is_empty() {
            dates(self.if_unmodified_since, modified, now).is_some_and(|(date, modified)| modified > date)
        } else {
            !self.if_match.iter().any(|list| strong_match(list, etag))
        };
        if failed {
            return Precondition::Failed;
        }
        let unmodified = if self.if_none_match.is_empty() {
            let honest = |date, modified| date == modified || modified < date && date <= seconds(now);
            dates(self.if_modified_since, modified, now).is_some_and(|(date, modified)| honest(date, modified))
        } else {
            self.if_none_match.iter().any(|list| weak_match(list, etag))
        };
        if unmodified { Precondition::NotModified } else { Precondition::Holds }
    }
}

/// Whether `If-Range` lets a range of this representation be sent: only for its very tag. A date is not proof
/// enough that the bytes are the same (two releases may share a second), so it gets the whole file.
pub(crate) fn if_range_holds(value: &[u8], etag: &[u8]) -> bool {
    value.trim_ascii() == etag
}

/// `If-Match`: `*` or a list that holds the very tag; a weak tag never matches.
fn strong_match(list: &[u8], etag: &[u8]) -> bool {
    list.trim_ascii() == b"*" || members(list).any(|member| member == etag)
}

/// `If-None-Match`: `*` or a list that holds the tag, weak or strong, with or without its quotes.
fn weak_match(list: &[u8], etag: &[u8]) -> bool {
    if list == etag || list.trim_ascii() == b"*" {
        return true;
    }
    let bare = etag.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(etag);
    members(list).any(|member| {
        let opaque = member.strip_prefix(b"W/").unwrap_or(member);
        opaque == etag || opaque == bare
    })
}

/// The members of a comma-separated list of tags; a comma inside quotes does not separate.
fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    list.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    })
    .map(<[u8]>::trim_ascii)
    .filter(|member| !member.is_empty())
}

/// The seconds of a condition's date and of the modification, when both are there.
fn dates(value: Option<&[u8]>, modified: Option<Timestamp>, now: Timestamp) -> Option<(i64, i64)> {
    let modified = seconds(modified?);
    let text = std::str::from_utf8(value?).ok()?.trim_matches([' ', '\t']);
    Some((seconds(parse_http_date_by(text, now)?), modified))
}

/// As far as an HTTP date can tell times apart.
pub(crate) fn seconds(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use model::parse_http_date;

    const TAG: &[u8] = b"\"0123456789abcdef\"";
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const AHEAD: &str = "Sun, 06 Nov 1994 08:49:39 GMT";

    fn check(headers: &[(&str, &str)], expected: Precondition) {
        let mut conditions = Conditions::default();
        for (name, value) in headers {
            let value = value.as_bytes();
            match *name {
                "im" => assert!(conditions.if_match.push(value)),
                "inm" => assert!(conditions.if_none_match.push(value)),
                "ims" => conditions.if_modified_since = Some(value),
                _ => conditions.if_unmodified_since = Some(value),
            }
        }
        // The file's own time has a fraction that no HTTP date can carry.
        let modified = Timestamp::from_micros(parse_http_date(AT).unwrap().as_micros() + 900_000);
        let now = parse_http_date(AFTER).unwrap();
        assert_eq!(conditions.evaluate(TAG, Some(modified), now), expected, "{headers:?}");
    }

    #[test]
    fn if_none_match_v15() {
        use Precondition::{Holds, NotModified};
        let tag = std::str::from_utf8(TAG).unwrap();
        let weak = format!("W/{tag}");
        check(&[("inm", tag)], NotModified);
        check(&[("inm", &weak)], NotModified);
        check(&[("inm", "0123456789abcdef")], NotModified);
        check(&[("inm", "W/0123456789abcdef")], NotModified);
        check(&[("inm", "*")], NotModified);
        check(&[("inm", " * ")], NotModified);
        check(&[("inm", &format!("\"a\", {weak} , \"b\""))], NotModified);
        check(&[("inm", &format!("\"a,b\",{tag}"))], NotModified);
        check(&[("inm", "\"x\""), ("inm", tag)], NotModified);
        check(&[("inm", &format!(",,{tag},"))], NotModified);
        check(&[("inm", "\"0123456789abcde\"")], Holds);
        check(&[("inm", "\"0123456789ABCDEF\"")], Holds);
        check(&[("inm", "\"\"")], Holds);
        check(&[("inm", "")], Holds);
        check(&[("inm", "\"a,0123456789abcdef,b\"")], Holds);
        check(&[("inm", &"\"x\", ".repeat(1000))], Holds);
        check(&[("inm", "w/\"0123456789abcdef\"")], Holds);
    }

    #[test]
    fn if_match_is_strong_v15() {
        use Precondition::{Failed, Holds};
        let tag = std::str::from_utf8(TAG).unwrap();
        check(&[("im", tag)], Holds);
        check(&[("im", "*")], Holds);
        check(&[("im", &format!("\"a\", {tag}"))], Holds);
        check(&[("im", &format!("W/{tag}"))], Failed);
        check(&[("im", "0123456789abcdef")], Failed);
        check(&[("im", "")], Failed);
    }

    #[test]
    fn dates_v15() {
        use Precondition::{Failed, Holds, NotModified};
        check(&[("ims", AT)], NotModified);
        check(&[("ims", AFTER)], NotModified);
        check(&[("ims", AHEAD)], Holds);
        check(&[("ius", AHEAD)], Holds);
        check(&[("ims", BEFORE)], Holds);
        check(&[("ims", "yesterday")], Holds);
        check(&[("ims", "")], Holds);
        check(&[("ius", AT)], Holds);
        check(&[("ius", AFTER)], Holds);
        check(&[("ius", BEFORE)], Failed);
        check(&[("ius", "junk")], Holds);
        // Sixty-six years ahead would be the other reading.
        check(&[("ius", "Sunday, 06-Nov-60 08:49:37 GMT")], Failed);
    }

    #[test]
    fn a_date_of_a_clock_that_is_wrong_counts_only_where_it_is_the_very_one_v15() {
        let (ours, now) = (parse_http_date(AHEAD), parse_http_date(AT).unwrap());
        for (date, expected) in [(AT, Precondition::Holds), (AHEAD, Precondition::NotModified)] {
            let conditions = Conditions { if_modified_since: Some(date.as_bytes()), ..Conditions::default() };
            assert_eq!(conditions.evaluate(TAG, ours, now), expected, "{date}");
        }
    }

    #[test]
    fn dates_say_nothing_of_what_has_none_v15() {
        for value in [BEFORE, AFTER] {
            let conditions = Conditions {
                if_modified_since: Some(value.as_bytes()),
                if_unmodified_since: Some(value.as_bytes()),
                ..Conditions::default()
            };
            assert_eq!(
                conditions.evaluate(TAG, None, Timestamp::from_micros(i64::MAX)),
                Precondition::Holds,
                "{value}"
            );
        }
    }

    #[test]
    fn precedence_v15() {
        use Precondition::{Failed, Holds, NotModified};
        let tag = std::str::from_utf8(TAG).unwrap();
        check(&[("im", tag), ("ius", BEFORE)], Holds);
        check(&[("im", "\"x\""), ("inm", tag)], Failed);
        check(&[("im", tag), ("inm", tag)], NotModified);
        check(&[("inm", "\"x\""), ("ims", AFTER)], Holds);
        check(&[("inm", tag), ("ims", BEFORE)], NotModified);
        check(&[("ius", BEFORE), ("inm", tag)], Failed);
    }

    #[test]
    fn if_range_never_splices_v15() {
        let tag = std::str::from_utf8(TAG).unwrap();
        assert!(if_range_holds(TAG, TAG));
        for other in
            [format!("W/{tag}"), "\"x\"".into(), "0123456789abcdef".into(), AT.into(), "*".into(), String::new()]
        {
            assert!(!if_range_holds(other.as_bytes(), TAG), "{other}");
        }
    }
}
