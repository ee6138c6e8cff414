//! An event as one line of bounded length.

use model::Clock as _;
use platform::SystemClock;
use serde_json::{Map, Value, json};

use crate::arguments::LogForm;
use crate::show;

/// The longest line, its end included.
pub(super) const MAX_LINE: usize = 8192;
/// The longest text of a JSON field in a line that was too long, in characters.
const MAX_TEXT: usize = 512;
/// The most fields of such a line.
const MAX_FIELDS: usize = 12;

/// Now, as lines have it: UTC, to the millisecond.
pub(super) fn now() -> String {
    let now = SystemClock::new().now();
    let seconds = now.to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), now.as_micros().rem_euclid(1_000_000) / 1000)
}

/// An event as one line: nothing in it starts another, and nothing in it moves a terminal.
pub(super) fn one(event: &[u8], form: LogForm) -> String {
    let text = String::from_utf8_lossy(event);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut line = match form {
        LogForm::Text => show::clean(text),
        LogForm::Json => json_line(text),
    };
    if line.len() >= MAX_LINE {
        line = match form {
            LogForm::Text => cut_text(&line),
            LogForm::Json => json_line(&cut_json(text)),
        };
    }
    line.push('\n');
    line
}

/// A line of our own making, in the form of the others.
pub(super) fn ours(form: LogForm, message: &str, fields: &[(&str, Value)]) -> String {
    let (time, target) = (now(), "waystation::logs");
    let text = match form {
        LogForm::Text => {
            let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{time}  WARN {target}: {message}{fields}")
        }
        LogForm::Json => {
            let mut object = json!({ "timestamp": time, "level": "WARN", "message": message, "target": target });
            if let Some(object) = object.as_object_mut() {
                object.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            }
            object.to_string()
        }
    };
    one(text.as_bytes(), form)
}

/// JSON escapes controls itself; what is left hides or reorders text.
fn json_line(text: &str) -> String {
    text.chars().map(|c| if show::is_hidden(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

fn cut_text(line: &str) -> String {
    const MARK: &str = " …cut";
    let mut end = MAX_LINE - MARK.len() - 1;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", line.get(..end).unwrap_or_default())
}

/// The same object with its texts cut and its fields few; what is no object becomes one that says so.
fn cut_json(text: &str) -> String {
    let mut kept = Map::new();
    if let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) {
        for (name, value) in object.into_iter().take(MAX_FIELDS) {
            let value = match value {
                Value::String(text) => Value::String(text.chars().take(MAX_TEXT).collect()),
                Value::Array(_) | Value::Object(_) => Value::String("…".to_owned()),
                other => other,
            };
            kept.insert(name, value);
        }
    }
    kept.insert("cut".to_owned(), Value::from(text.len()));
    let shown = Value::Object(kept).to_string();
    if json_line(&shown).len() < MAX_LINE { shown } else { json!({ "cut": text.len() }).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_c36() {
        let hostile = "WARN feed=a\n2026-01-01 ERROR forged\u{1b}[2J\u{202e}\n";
        let text = one(hostile.as_bytes(), LogForm::Text);
        assert_eq!(text, "WARN feed=a\\n2026-01-01 ERROR forged\\u{1b}[2J\\u{202e}\n");
        let json = one("{\"a\":\"x\u{202e}\u{9b}y\"}\n".as_bytes(), LogForm::Json);
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "x\u{202e}\u{9b}y");
        assert!(json.is_ascii());
    }

    #[test]
    fn a_line_has_a_longest_length_i6() {
        let long = "ä".repeat(100_000);
        for form in [LogForm::Text, LogForm::Json] {
            let event = match form {
                LogForm::Text => format!("INFO x: {long}\n"),
                LogForm::Json => json!({ "level": "INFO", "message": "x", "detail": long }).to_string(),
            };
            let line = one(event.as_bytes(), form);
            assert!(line.len() <= MAX_LINE && line.ends_with('\n') && line.lines().count() == 1);
            if form == LogForm::Json {
                let value: Value = serde_json::from_str(&line).unwrap();
                assert_eq!((value["message"].as_str(), value["cut"].is_u64()), (Some("x"), true));
            }
        }
        assert!(one(&vec![0x80; 1 << 20], LogForm::Json).len() <= MAX_LINE);
        let bidi = json!({ "message": "\u{202e}".repeat(100_000) }).to_string();
        assert!(one(bidi.as_bytes(), LogForm::Json).len() <= MAX_LINE);
    }

    #[test]
    fn lines_of_our_own_look_like_the_others() {
        let fields = [("lines", Value::from(3))];
        let text = ours(LogForm::Text, "lost", &fields);
        assert!(text.ends_with("Z  WARN waystation::logs: lost lines=3\n"), "{text}");
        let value: Value = serde_json::from_str(&ours(LogForm::Json, "lost", &fields)).unwrap();
        assert_eq!((value["level"].as_str(), value["lines"].as_u64()), (Some("WARN"), Some(3)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_one_line_c36(event in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for form in [LogForm::Text, LogForm::Json] {
                let line = one(&event, form);
                proptest::prop_assert!(!line.trim_end_matches('\n').chars().any(show::is_hidden));
            }
        }
    }
}
