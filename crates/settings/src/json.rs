//! JSON as people write it: read whole, in its order, with what two readers could read differently told, not refused.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize as _;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Number, Value};

/// A text, read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) value: Value,
    /// Pointers to keys that stand twice in one object; the last one is in `value`, as most readers have it.
    pub(crate) twice: Vec<String>,
    /// Pointers to numbers that cannot be written again as they stand.
    pub(crate) inexact: Vec<String>,
}

/// Reads a text whole.
///
/// # Errors
/// Where and why it is not JSON.
pub(crate) fn read(text: &str) -> Result<Reading, String> {
    let notes = RefCell::new((Vec::new(), Vec::new()));
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Node { at: String::new(), notes: &notes };
    let value = seed.deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    let (twice, inexact) = notes.into_inner();
    Ok(Reading { value, twice, inexact })
}

/// A step of a JSON pointer (RFC 6901).
pub(crate) fn step(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Writes a value with this indentation, and a line's end behind it.
pub(crate) fn write(value: &Value, indent: &str) -> String {
    let mut bytes = Vec::new();
    let mut writer =
        serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indent.as_bytes()));
    // Writing a value into memory does not fail; if it ever did, the compact form says the same.
    match value.serialize(&mut writer).ok().and_then(|()| String::from_utf8(bytes).ok()) {
        Some(text) => text + "\n",
        None => value.to_string() + "\n",
    }
}

/// What its lines are indented with: as its first indented line is.
pub(crate) fn indent_of(text: &str) -> String {
    let indented = text.lines().skip(1).find(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    let found = indented.map(|line| line.chars().take_while(|c| matches!(c, ' ' | '\t')).take(8).collect());
    found.unwrap_or_else(|| "  ".to_owned())
}

type Notes = RefCell<(Vec<String>, Vec<String>)>;

struct Node<'a> {
    at: String,
    notes: &'a Notes,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // Beyond 2^53 a whole number may have been rounded; its text is gone.
        if value.abs() >= 9_007_199_254_740_992.0 {
            self.notes.borrow_mut().1.push(self.at);
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) =
            items.next_element_seed(Node { at: format!("{}/{}", self.at, array.len()), notes: self.notes })?
        {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let at = step(&self.at, &key);
            let value = members.next_value_seed(Node { at: at.clone(), notes: self.notes })?;
            if object.insert(key, value).is_some() {
                self.notes.borrow_mut().0.push(at);
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_that_stand_twice_are_told_and_the_last_one_counts_c12() {
        let reading = read(r#"{"a":{"x/y":1,"x/y":2},"b":[{"c":1,"c":1}]}"#).unwrap();
        assert_eq!(reading.twice, ["/a/x~1y", "/b/0/c"]);
        assert_eq!(reading.value.to_string(), r#"{"a":{"x/y":2},"b":[{"c":1}]}"#);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place_c13_c18() {
        for (text, part) in [
            ("{\"a\": 1,}", "line 1 column 9"),
            ("{\n // x\n}", "line 2"),
            ("{} {}", "trailing"),
            ("", "EOF"),
            ("{\"a\": NaN}", "line 1"),
            (&"[".repeat(10_000), "recursion"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(part), "{text:.20}: {told}");
        }
    }

    #[test]
    fn numbers_that_would_be_rounded_are_told_c16() {
        let reading = read(r#"{"a":18446744073709551616,"b":18446744073709551615,"c":1.5,"d":-1e300}"#).unwrap();
        assert_eq!(reading.inexact, ["/a", "/d"]);
    }

    #[test]
    fn indentation_stays_as_it_was() {
        for indent in ["  ", "    ", "\t"] {
            let value = serde_json::json!({"b": {"z": 1, "a": [true]}, "a": "x"});
            let text = write(&value, indent);
            assert_eq!(indent_of(&text), indent);
            assert_eq!(write(&read(&text).unwrap().value, &indent_of(&text)), text);
        }
        assert_eq!(indent_of("{}"), "  ");
    }

    proptest! {
        #[test]
        fn any_text_has_an_end_i10(text in ".{0,64}") {
            if let Ok(reading) = read(&text) {
                let again = read(&write(&reading.value, "  ")).unwrap();
                prop_assert!(again.twice.is_empty());
            }
        }
    }
}
