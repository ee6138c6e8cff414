//! Times and lines for people.

use std::time::Duration;

/// A time that something took.
pub(super) fn took(time: Duration) -> String {
    match time.as_millis() {
        0 => "under 1 ms".to_owned(),
        millis @ 1..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// Words in lines of at most `width` characters; a word that is longer has a line of its own.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut length = 0;
    for word in text.split(' ') {
        let more = word.chars().count();
        match lines.last_mut() {
            Some(line) if length + 1 + more <= width => {
                line.push(' ');
                line.push_str(word);
                length += 1 + more;
            }
            _ => {
                lines.push(word.to_owned());
                length = more;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_unit() {
        for (micros, text) in [(0, "under 1 ms"), (999, "under 1 ms"), (34_567, "34 ms"), (2_345_678, "2.3 s")] {
            assert_eq!(took(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn lines_keep_their_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("https://a.very.long.example/ x", 5), ["https://a.very.long.example/", "x"]);
        assert_eq!(wrapped("", 5), [""]);
    }
}
