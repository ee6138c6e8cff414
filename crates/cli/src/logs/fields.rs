//! Fields as text: `message name=value name="value with spaces"`.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::show;

/// The longest value that is shown, in characters.
const MAX_VALUE: usize = 1024;

/// Writes fields so that no value passes for another field.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut text = Text::default();
        fields.record(&mut text);
        let parts = [text.message, text.others];
        let shown: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        writer.write_str(&shown.join(" "))
    }
}

#[derive(Default)]
struct Text {
    message: String,
    others: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // What `%` wraps shows itself as it displays.
        self.put(field.name(), &format!("{value:?}"));
    }
}

impl Text {
    fn put(&mut self, name: &str, value: &str) {
        if name == "message" {
            self.message = show::clean(&cut(value));
            return;
        }
        if !self.others.is_empty() {
            self.others.push(' ');
        }
        // Writing to memory has no way to fail.
        let _ = write!(self.others, "{name}={}", quoted(value));
    }
}

/// A value as it is, where nothing in it can be mistaken; else in quotes, with what is odd escaped.
fn quoted(value: &str) -> String {
    let value = cut(value);
    let odd = |c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\') || show::is_hidden(c);
    if !value.is_empty() && !value.contains(odd) {
        return value;
    }
    let mut shown = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            c => shown.push_str(&show::clean(c.encode_utf8(&mut [0; 4]))),
        }
    }
    shown.push('"');
    shown
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_passes_for_another_field_c36() {
        for (value, shown) in [
            ("elastic/9.0.0", "elastic/9.0.0"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("x reason=none", "\"x reason=none\""),
            ("\"x\" level=INFO", "\"\\\"x\\\" level=INFO\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("\u{1b}[2J\u{202e}", "\"\\u{1b}[2J\\u{202e}\""),
            ("c:\\x", "\"c:\\\\x\""),
        ] {
            assert_eq!(quoted(value), shown);
        }
        assert!(quoted(&"x".repeat(100_000)).chars().count() <= MAX_VALUE + 3);
    }

    proptest::proptest! {
        #[test]
        fn any_value_is_one_word_or_one_quoted_text_c36(value in "(?s).{0,64}") {
            let shown = quoted(&value);
            proptest::prop_assert!(!shown.chars().any(show::is_hidden));
            let mut inside = shown.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or("").chars();
            while let Some(c) = inside.next() {
                proptest::prop_assert!(c != '"', "{shown}");
                if c == '\\' { inside.next(); }
            }
            proptest::prop_assert!(shown.starts_with('"') || !shown.contains([' ', '=', '"']));
        }
    }
}
