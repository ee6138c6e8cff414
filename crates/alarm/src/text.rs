//! Texts from outside, made safe for a terminal, a header, a log line and an environment.

/// One line of at most `most` characters: what a terminal, a log or a mail program would act on is escaped.
pub(crate) fn line(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        let piece = if hidden { c.escape_default().to_string() } else { c.to_string() };
        count += piece.chars().count();
        if count > most {
            out.push('…');
            break;
        }
        out.push_str(&piece);
    }
    out
}

/// The same with everything escaped that is not printable ASCII.
pub(crate) fn ascii(text: &str, most: usize) -> String {
    let escaped = text.chars().flat_map(|c| {
        let plain = c == ' ' || c.is_ascii_graphic();
        if plain { vec![c] } else { c.escape_default().collect() }
    });
    escaped.take(most).collect()
}

/// A span of time for people: its two largest units.
pub(crate) fn span(duration: std::time::Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)] {
        if seconds >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", seconds / size));
            seconds %= size;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// Host and port of a URL, and nothing else of it: the rest may be secret.
pub(crate) fn peer(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn spans() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (86_405, "1 d")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn one_line_and_nothing_to_act_on_c36(text in ".{0,80}|[\\r\\n\\x1b\\x00\\u{202e}]{0,20}", most in 1usize..60) {
            let line = line(&text, most);
            prop_assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{2028}'), "{line:?}");
            prop_assert!(line.chars().count() <= most + 1);
            let ascii = ascii(&text, most);
            prop_assert!(ascii.bytes().all(|b| (b' '..=b'~').contains(&b)) && ascii.len() <= most);
        }
    }
}
