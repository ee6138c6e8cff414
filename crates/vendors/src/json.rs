//! JSON that every reader reads alike: no key twice, no depth, count or length beyond a cap, nothing after it.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What a document may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes in all.
    pub bytes: usize,
    /// How deep objects and arrays may lie in each other.
    pub depth: usize,
    /// The most values, keys not counted.
    pub nodes: usize,
    /// The most bytes of a string or a key.
    pub string: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, depth: 32, nodes: 200_000, string: 64 << 10 }
    }
}

/// Why a text is not taken; says where, and shows hostile text only escaped.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads a document whole. Members keep their order.
///
/// # Errors
/// It is not JSON in UTF-8 without a byte order mark, has a key twice in one object, is followed by something
/// else than white space, or passes a limit.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError(format!("has more than {} bytes", limits.bytes)));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError(format!("is not UTF-8 at byte {}", error.valid_up_to())))?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError("starts with a byte order mark".to_owned()));
    }
    let nodes = Cell::new(limits.nodes);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Node { limits, nodes: &nodes, depth: 0 }.deserialize(&mut reader).map_err(told)?;
    reader.end().map_err(told)?;
    Ok(value)
}

/// A size: a whole number from 0 to 2^53 - 1, which every reader of JSON holds exactly.
pub fn size(value: &Value) -> Option<u64> {
    value.as_u64().filter(|size| *size < 1 << 53)
}

/// Text from outside as a message may show it.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

fn told(error: serde_json::Error) -> JsonError {
    JsonError(error.to_string())
}

/// Reads one value, spending from a budget that the whole document shares.
#[derive(Clone, Copy)]
struct Node<'a> {
    limits: &'a Limits,
    nodes: &'a Cell<usize>,
    depth: usize,
}

impl Node<'_> {
    fn spend<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.nodes.get().checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format!("more than {} values", self.limits.nodes)))?;
        self.nodes.set(left);
        Ok(())
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= self.limits.depth {
            return Err(E::custom(format!("nested deeper than {}", self.limits.depth)));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn text<E: serde::de::Error>(&self, text: String) -> Result<String, E> {
        if text.len() > self.limits.string {
            return Err(E::custom(format!("a string of more than {} bytes", self.limits.string)));
        }
        Ok(text)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.spend()?;
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

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(value.to_owned()).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let key = self.text(key)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key '{}' is there twice", shown(&key))));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests;
