//! Property lists as XML: read without loss, written as Apple's own tools write them.
//!
//! Numbers, dates and data keep their text, so that what is merged comes out as it went in. Binary property lists and
//! signed profiles are refused with what to do.

use serde_json::{Map, Number, Value as Json};

use crate::json::step;

/// How deep dictionaries and arrays may lie in each other.
const DEPTH: usize = 64;
/// The most elements and texts.
const NODES: u32 = 100_000;

/// A value of a property list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Dict(Vec<(String, Value)>),
    Array(Vec<Value>),
    Text(String),
    Integer(String),
    Real(String),
    Bool(bool),
    Date(String),
    Data(String),
}

/// A property list, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) value: Value,
    /// Pointers to keys that stand twice in one dictionary.
    pub(crate) twice: Vec<String>,
    /// Comments, which are not kept.
    pub(crate) comments: usize,
}

/// Reads a property list.
///
/// # Errors
/// Why it is none, or one that is not taken.
pub(crate) fn read(text: &str) -> Result<Reading, String> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, nodes_limit: NODES, ..Default::default() };
    let document =
        roxmltree::Document::parse_with_options(text, options).map_err(|error| format!("is not XML: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "plist" {
        return Err("has another root element than <plist>".to_owned());
    }
    let mut twice = Vec::new();
    let mut inside = root.children().filter(roxmltree::Node::is_element);
    let (Some(first), None) = (inside.next(), inside.next()) else {
        return Err("<plist> holds not one value".to_owned());
    };
    let value = value(first, "", DEPTH, &mut twice)?;
    Ok(Reading { value, twice, comments: document.descendants().filter(roxmltree::Node::is_comment).count() })
}

fn value(node: roxmltree::Node<'_, '_>, at: &str, left: usize, twice: &mut Vec<String>) -> Result<Value, String> {
    let left = left.checked_sub(1).ok_or_else(|| format!("is nested deeper than {DEPTH}"))?;
    let name = node.tag_name().name();
    Ok(match name {
        "dict" => Value::Dict(dict(node, at, left, twice)?),
        "array" => {
            let mut items = Vec::new();
            for child in elements(node)? {
                items.push(value(child, &format!("{at}/{}", items.len()), left, twice)?);
            }
            Value::Array(items)
        }
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "string" => Value::Text(text(node)?),
        "integer" => Value::Integer(text(node)?.trim().to_owned()),
        "real" => Value::Real(text(node)?.trim().to_owned()),
        "date" => Value::Date(text(node)?.trim().to_owned()),
        "data" => Value::Data(text(node)?.trim().to_owned()),
        other => return Err(format!("has <{}>, which is no value", crate::text::shown(other))),
    })
}

fn dict(
    node: roxmltree::Node<'_, '_>,
    at: &str,
    left: usize,
    twice: &mut Vec<String>,
) -> Result<Vec<(String, Value)>, String> {
    let mut members: Vec<(String, Value)> = Vec::new();
    let mut key: Option<String> = None;
    for child in elements(node)? {
        match (key.take(), child.tag_name().name()) {
            (None, "key") => key = Some(text(child)?),
            (None, _) => return Err(format!("has a value without <key> at {}", crate::text::shown(at))),
            (Some(name), "key") => return Err(format!("has <key>{}</key> without a value", crate::text::shown(&name))),
            (Some(name), _) => {
                let place = step(at, &name);
                let value = value(child, &place, left, twice)?;
                if members.iter().any(|(known, _)| *known == name) {
                    twice.push(place);
                }
                members.push((name, value));
            }
        }
    }
    match key {
        None => Ok(members),
        Some(name) => Err(format!("has <key>{}</key> without a value", crate::text::shown(&name))),
    }
}

/// The elements directly inside; text between them is a mistake.
fn elements<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
) -> Result<impl Iterator<Item = roxmltree::Node<'a, 'input>>, String> {
    let stray = node
        .children()
        .filter(|child| child.is_text())
        .filter_map(|child| child.text())
        .find(|text| !text.trim().is_empty());
    match stray {
        Some(text) => Err(format!("has the text '{}' between its values", crate::text::shown(text.trim()))),
        None => Ok(node.children().filter(roxmltree::Node::is_element)),
    }
}

fn text(node: roxmltree::Node<'_, '_>) -> Result<String, String> {
    if node.children().any(|child| child.is_element()) {
        return Err(format!("has elements inside <{}>", crate::text::shown(node.tag_name().name())));
    }
    Ok(node.children().filter(roxmltree::Node::is_text).filter_map(|child| child.text()).collect())
}

/// Writes it as a whole document.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n",
    );
    put(value, 0, &mut out);
    out.push_str("</plist>\n");
    out
}

fn put(value: &Value, depth: usize, out: &mut String) {
    let tabs = "\t".repeat(depth);
    let mut leaf = |name: &str, text: &str| out.push_str(&format!("{tabs}<{name}>{}</{name}>\n", escaped(text)));
    match value {
        Value::Text(text) => leaf("string", text),
        Value::Integer(text) => leaf("integer", text),
        Value::Real(text) => leaf("real", text),
        Value::Date(text) => leaf("date", text),
        Value::Data(text) => leaf("data", text),
        Value::Bool(true) => out.push_str(&format!("{tabs}<true/>\n")),
        Value::Bool(false) => out.push_str(&format!("{tabs}<false/>\n")),
        Value::Array(items) if items.is_empty() => out.push_str(&format!("{tabs}<array/>\n")),
        Value::Dict(members) if members.is_empty() => out.push_str(&format!("{tabs}<dict/>\n")),
        Value::Array(items) => {
            out.push_str(&format!("{tabs}<array>\n"));
            items.iter().for_each(|item| put(item, depth + 1, out));
            out.push_str(&format!("{tabs}</array>\n"));
        }
        Value::Dict(members) => {
            out.push_str(&format!("{tabs}<dict>\n"));
            for (key, value) in members {
                out.push_str(&format!("{tabs}\t<key>{}</key>\n", escaped(key)));
                put(value, depth + 1, out);
            }
            out.push_str(&format!("{tabs}</dict>\n"));
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;")
}

impl Value {
    /// A member of a dictionary.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(members) = self else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// A member of a dictionary, or an item of an array.
    pub(crate) fn go_mut(&mut self, step: &str) -> Option<&mut Self> {
        match self {
            Self::Dict(members) => members.iter_mut().find(|(name, _)| name == step).map(|(_, value)| value),
            Self::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// A member of a dictionary, or an item of an array.
    pub(crate) fn go(&self, step: &str) -> Option<&Self> {
        match self {
            Self::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => self.get(step),
        }
    }

    /// As JSON, for who only looks: dates and data are texts.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Dict(members) => {
                let members = members.iter().map(|(key, value)| (key.clone(), value.to_json()));
                Json::Object(members.collect::<Map<String, Json>>())
            }
            Self::Array(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Bool(value) => Json::Bool(*value),
            Self::Integer(text) => {
                let whole = text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
                whole.map_or_else(|_| Json::String(text.clone()), Json::Number)
            }
            Self::Real(text) => {
                let number = text.parse::<f64>().ok().and_then(Number::from_f64);
                number.map_or_else(|| Json::String(text.clone()), Json::Number)
            }
            Self::Text(text) | Self::Date(text) | Self::Data(text) => Json::String(text.clone()),
        }
    }

    /// From JSON; nulls, which property lists do not have, are left out.
    pub(crate) fn from_json(value: &Json) -> Option<Self> {
        Some(match value {
            Json::Null => return None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) if number.is_f64() => Self::Real(number.to_string()),
            Json::Number(number) => Self::Integer(number.to_string()),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::Array(items.iter().filter_map(Self::from_json).collect()),
            Json::Object(members) => Self::Dict(
                members.iter().filter_map(|(key, value)| Some((key.clone(), Self::from_json(value)?))).collect(),
            ),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n";

    #[test]
    fn what_is_read_is_written_again_byte_for_byte() {
        let text = format!(
            "{HEAD}<dict>\n\t<key>b</key>\n\t<dict>\n\t\t<key>on</key>\n\t\t<true/>\n\t\t<key>n</key>\n\t\t<integer>0018446744073709551616</integer>\n\t\t<key>r</key>\n\t\t<real>1.10</real>\n\t</dict>\n\t<key>a &amp; &lt;z</key>\n\t<array>\n\t\t<string> x </string>\n\t\t<date>2026-01-15T12:00:00Z</date>\n\t\t<data>AAEC</data>\n\t\t<dict/>\n\t\t<array/>\n\t\t<false/>\n\t</array>\n</dict>\n</plist>\n"
        );
        let reading = read(&text).unwrap();
        assert_eq!(write(&reading.value), text);
        assert!(reading.twice.is_empty());
    }

    #[test]
    fn hostile_lists_end_in_words_c13_c35() {
        let deep = format!("{HEAD}{}", "<array>".repeat(50_000));
        let deep_whole = format!("{HEAD}{}{}</plist>", "<array>".repeat(20_000), "</array>".repeat(20_000));
        let laughs = "<!DOCTYPE plist [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;\"><!ENTITY g \"&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;\"><!ENTITY h \"&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;\">]><plist><string>&h;</string></plist>";
        for text in [
            deep.as_str(),
            &deep_whole,
            laughs,
            "<!DOCTYPE plist SYSTEM 'file:///etc/passwd' [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><plist><string>&x;</string></plist>",
            "<plist/>",
            "<plist><dict><key>a</key></dict></plist>",
            "<plist><dict><key>a</key><key>b</key></dict></plist>",
            "<plist><dict><string>a</string></dict></plist>",
            "<plist><dict>text</dict></plist>",
            "<plist><set/></plist>",
            "<plist><string><b/></string></plist>",
            "<html/>",
            "",
        ] {
            assert!(read(text).is_err(), "{text:.60}");
        }
    }

    #[test]
    fn keys_that_stand_twice_are_told_c12() {
        let reading = read("<plist><dict><key>a</key><true/><key>a</key><false/><!-- x --></dict></plist>").unwrap();
        assert_eq!((reading.twice, reading.comments), (vec!["/a".to_owned()], 1));
    }

    proptest! {
        #[test]
        fn texts_survive_c36(text in "[ -~äöü\n\t]{0,32}", key in "[ -~]{1,8}") {
            let value = Value::Dict(vec![(key, Value::Text(text))]);
            prop_assert_eq!(read(&write(&value)).unwrap().value, value);
        }
    }
}
