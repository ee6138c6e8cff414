//! The configuration's reference and its JSON schema, both out of the table of keys.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::keys::{self, Key, Kind, Section};
use crate::load::variable;
use crate::raw::{self, Node, Raw};

const HEAD: &str = "\
# Configuration

<!-- Written by `cargo xtask tidy --fix` from the table of keys in crates/config. -->

One file, `waystation.toml`: the one that `--config` names, else `WAYSTATION_CONFIG`, else the one in the working
folder, else `/etc/waystation/waystation.toml`. `waystation init` writes one with every key in it. Unknown keys are
errors. Relative paths start at the folder that holds the file.

Each key of a section that stands once can be overridden by an environment variable,
`WAYSTATION__<SECTION>__<KEY>`; lists are separated by commas there. Durations are whole numbers with `w`, `d`, `h`,
`m`, `s` or `ms`, largest first (`1h30m`). Sizes are whole numbers with `B`, `kB`, `MB`, `GB`, `TB` or `KiB`, `MiB`,
`GiB`, `TiB`, never without one (but for `\"0\"`); rates are sizes with `/s` behind them.
";

/// The reference in Markdown.
pub fn reference_markdown() -> String {
    let mut text = HEAD.to_owned();
    for section in keys::SECTIONS {
        let title = match (section.name, section.shape.is_list()) {
            ("", _) => "Top of the file".to_owned(),
            (name, true) => format!("`[[{name}]]`"),
            (name, false) => format!("`[{name}]`"),
        };
        let _ =
            write!(text, "\n## {title}\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n", section.doc);
        for key in section.keys {
            write_key(&mut text, key.name, key);
            if let Kind::Table(inner) = key.kind {
                for inner in inner {
                    write_key(&mut text, &format!("{}.{}", key.name, inner.name), inner);
                }
            }
        }
        if let Some(name) = section.keys.first().and_then(|key| variable(section, key.name)) {
            let more = if section.keys.len() > 1 { " and so on" } else { "" };
            let _ = write!(text, "\nIn the environment: `{name}`{more}.\n");
        }
    }
    let reserved: Vec<String> = keys::RESERVED.iter().map(|name| format!("`[{name}]`")).collect();
    let _ =
        write!(text, "\n## Reserved\n\n{} are kept for what follows, and refused until then.\n", reserved.join(", "));
    text
}

fn write_key(text: &mut String, name: &str, key: &Key) {
    let default = key.default.map_or_else(|| "·".to_owned(), |default| format!("`{default}`"));
    let example = match key.default {
        None if !matches!(key.kind, Kind::Secret) => format!(" Example: `{}`.", key.example),
        _ => String::new(),
    };
    // A bar would end the cell.
    let meaning = format!("{}{example}", key.doc).replace('|', "\\|");
    let _ = writeln!(text, "| `{name}` | {} | {default} | {meaning} |", shape(key.kind));
}

fn shape(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Url => "URL".to_owned(),
        Kind::Address => "address:port".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Number(least, most) => format!("{least} to {most}"),
        Kind::Duration(_) => "duration".to_owned(),
        Kind::Size => "size".to_owned(),
        Kind::Rate => "rate".to_owned(),
        Kind::Word(words) => words.join(", "),
        Kind::Texts | Kind::Arguments => "list of texts".to_owned(),
        Kind::Paths => "list of paths".to_owned(),
        Kind::Ranges => "list of addresses or ranges".to_owned(),
        Kind::Words(words) => format!("list of {}", words.join(", ")),
        Kind::Table(_) => "table".to_owned(),
    }
}

/// The JSON schema (draft 2020-12) that editors check and complete the file with.
pub fn schema() -> Value {
    let mut root = keys::section("").map_or_else(|| json!({}), object);
    if let Some(root) = root.as_object_mut() {
        root.insert("title".into(), json!("waystation.toml"));
        root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    }
    root
}

fn object(section: &Section) -> Value {
    let mut members = properties(section.keys);
    let below = |name: &&str| keys::section(&keys::joined(section.name, name)).filter(|below| !below.name.is_empty());
    for name in keys::names_in(section) {
        let Some(below) = below(&name) else { continue };
        let inner = object(below);
        let value = if below.shape.is_list() {
            json!({ "type": "array", "description": below.doc, "items": inner })
        } else {
            inner
        };
        members.insert(name.to_owned(), value);
    }
    json!({ "description": section.doc, "type": "object", "additionalProperties": false, "properties": members })
}

fn properties(keys: &[Key]) -> Map<String, Value> {
    keys.iter().map(|key| (key.name.to_owned(), property(key))).collect()
}

fn property(key: &Key) -> Value {
    let mut value = form(key.kind);
    if let Some(object) = value.as_object_mut() {
        object.insert("description".into(), json!(key.doc));
        if let Some(default) = key.default.and_then(plain) {
            object.insert("default".into(), default);
        }
        if let Some(example) = plain(key.example).filter(|_| !matches!(key.kind, Kind::Secret)) {
            object.insert("examples".into(), json!([example]));
        }
    }
    value
}

fn form(kind: Kind) -> Value {
    let list = |items: Value| json!({ "type": "array", "uniqueItems": true, "items": items });
    match kind {
        Kind::Text | Kind::Path | Kind::Secret | Kind::Address => json!({ "type": "string", "minLength": 1 }),
        Kind::Url => json!({ "type": "string", "pattern": "^https?://" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Duration(_) => {
            json!({ "type": "string", "pattern": "^(?=.)([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$" })
        }
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+ ?([kKmMgGtT][iI]?)?[bB]?$" }),
        Kind::Rate => json!({ "type": "string", "pattern": "^[0-9]+ ?([kKmMgGtT][iI]?)?[bB]?/s$" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Texts | Kind::Paths | Kind::Ranges => list(json!({ "type": "string", "minLength": 1 })),
        Kind::Arguments => json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
        Kind::Words(words) => list(json!({ "enum": words })),
        Kind::Table(keys) => {
            json!({ "type": "object", "additionalProperties": false, "properties": properties(keys) })
        }
    }
}

/// A TOML value as JSON.
fn plain(toml: &str) -> Option<Value> {
    let document = raw::parse(&format!("value = {toml}")).ok()?;
    document.into_iter().next().and_then(|(_, node)| as_json(node))
}

fn as_json(node: Node) -> Option<Value> {
    Some(match node.value {
        Raw::Text(text) => json!(text),
        Raw::Integer(number) => json!(number),
        Raw::Flag(flag) => json!(flag),
        Raw::List(items) => Value::Array(items.into_iter().map(as_json).collect::<Option<_>>()?),
        Raw::Table(table) => {
            let members = table.into_iter().map(|(name, node)| Some((name, as_json(node)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
        Raw::Other(_) => return None,
    })
}
