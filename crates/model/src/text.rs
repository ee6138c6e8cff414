//! Text that is fit to show.

use std::error::Error;

/// An error and its causes, in one line: what is printed, logged or recorded once, where the error is handled.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// Whether a character controls a terminal, or reorders or hides text.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A text from outside that is fit to show: on one line, nothing hidden in it, and no more than `most` of its
/// characters.
pub fn shown(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (index, c) in text.chars().enumerate() {
        if index >= most {
            out.push('…');
            break;
        }
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// At most `most` characters, with everything escaped that is not printable ASCII.
pub(crate) fn escaped(text: &str, most: usize) -> String {
    text.chars().take(most).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn causes_follow_what_they_caused() {
        let text = error_chain(&Outer(std::fmt::Error));
        assert_eq!(text, format!("cannot open the door: {}", std::fmt::Error));
    }

    #[test]
    fn nothing_unprintable_c07() {
        assert_eq!(escaped("a\u{1b}[0m\u{202e}b", 64), "a\\u{1b}[0m\\u{202e}b");
        assert_eq!(escaped("aaaa", 2), "aa");
    }
}
