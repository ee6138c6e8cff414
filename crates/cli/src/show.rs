//! Sizes, times and foreign texts, as people read them.

use std::time::Duration;

use catalog::Actor;
pub(crate) use model::is_hidden;
use model::{Note, Timestamp, VendorVersion};

/// A text with nothing in it that a terminal or a log would act on.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Who acted: the user id, which the system vouches for, and what the environment claims, which anybody can set.
pub(crate) fn person(actor: &Actor) -> String {
    match claim(actor) {
        Some(claim) => format!("uid {} (says {claim})", actor.uid),
        None => format!("uid {}", actor.uid),
    }
}

/// Who the environment claims that somebody is.
pub(crate) fn claim(actor: &Actor) -> Option<String> {
    let sudo = actor.sudo_uid.map(|uid| format!("uid {uid} before sudo"));
    let claims: Vec<String> = actor.login.as_deref().map(clean).into_iter().chain(sudo).collect();
    (!claims.is_empty()).then(|| claims.join(", "))
}

/// A size, in powers of ten.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in UNITS {
        if count >= size {
            let tenths = u128::from(count) * 10 / u128::from(size);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A span, in its largest fitting unit.
pub(crate) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// How long ago `then` was.
pub(crate) fn ago(now: Timestamp, then: Option<Timestamp>) -> String {
    match then {
        None => "never".to_owned(),
        Some(then) if then > now => "ahead of this machine's clock".to_owned(),
        Some(then) => format!("{} ago", span(now.since(then))),
    }
}

/// A time and how long ago it was.
pub(crate) fn at(now: Timestamp, then: Option<Timestamp>) -> String {
    match then {
        None => "never".to_owned(),
        Some(time) => format!("{time} ({})", ago(now, then)),
    }
}

/// A version, or a dash.
pub(crate) fn version(version: Option<&VendorVersion>) -> String {
    version.map_or_else(dash, ToString::to_string)
}

/// What stands where nothing is known.
pub(crate) fn dash() -> String {
    "-".to_owned()
}

/// A note, with its code.
pub(crate) fn note(note: &Note) -> String {
    format!("{}: {}", note.reason, note.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_ten() {
        for (size, text) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_999_999, "1.9 MB"), (u64::MAX, "18446744.0 TB")]
        {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn who_acted_is_the_uid_and_a_claim_is_told_as_one_a21() {
        let root = Actor::new(0, 1, "release admit");
        assert_eq!(person(&root), "uid 0");
        let ceo = Actor { login: Some("ceo".to_owned()), ..root.clone() };
        assert_eq!(person(&ceo), "uid 0 (says ceo)");
        assert_eq!(person(&Actor { sudo_uid: Some(7), ..ceo }), "uid 0 (says ceo, uid 7 before sudo)");
        assert_eq!(person(&Actor { sudo_uid: Some(7), ..root }), "uid 0 (says uid 7 before sudo)");
    }

    #[test]
    fn spans_and_ages_s28() {
        let now = Timestamp::from_micros(10 * 86_400_000_000);
        for (seconds, text) in
            [(0, "0 s ago"), (59, "59 s ago"), (3599, "59 min ago"), (7200, "2 h ago"), (259_200, "3 d ago")]
        {
            assert_eq!(ago(now, Some(now.before(Duration::from_secs(seconds)))), text);
        }
        assert_eq!(ago(now, None), "never");
        assert_eq!(ago(now, Some(Timestamp::from_micros(i64::MAX))), "ahead of this machine's clock");
    }

    #[test]
    fn nothing_hidden_is_left_c07_c36() {
        assert_eq!(clean("a\nb\u{1b}[0m\u{202e}c\u{9b}ä"), "a\\nb\\u{1b}[0m\\u{202e}c\\u{9b}ä");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_shown_on_one_line_c36(text in "(?s).{0,64}") {
            assert!(!clean(&text).chars().any(is_hidden));
        }
    }
}
