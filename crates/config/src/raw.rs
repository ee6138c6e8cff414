//! What was typed: a tree of values that know their place.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::keys::{self, Kind, Section};
use crate::problem::{Place, Problem, quoted};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Raw,
}

/// A value as TOML has it.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// A kind that no key takes: its name.
    Other(&'static str),
}

/// The members of a table, each with the place of its key.
pub(crate) type Table = BTreeMap<String, Node>;

/// The deepest nesting that is read; the deepest that means anything is 3.
const DEEPEST: usize = 16;

/// Reads a document; on broken TOML all that is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Table, Vec<Problem>> {
    let lines = Lines::of(text);
    if let Some(line) = too_deep(text) {
        return Err(vec![syntax(Place::Line(line), "a key or value is nested too deeply")]);
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(lines.table(document.get_ref()));
    }
    Err(errors
        .iter()
        .map(|error| {
            let place = error.span().map_or(Place::File, |span| lines.place(span.start));
            syntax(place, &format!("not valid TOML: {}", error.message().replace('\n', ", ")))
        })
        .collect())
}

fn syntax(place: Place, message: &str) -> Problem {
    Problem { place, key: String::new(), message: message.to_owned() }
}

/// The line of the first key with more dots than any key has. A parser builds one table inside another for each,
/// and a few hundred thousand would take the stack with them when dropped.
fn too_deep(text: &str) -> Option<usize> {
    let dots = |line: &str| {
        let code = line.split('#').next().unwrap_or_default();
        code.split(['"', '\'']).step_by(2).map(|part| part.matches('.').count()).max().unwrap_or(0)
    };
    text.lines()
        .position(|line| line.matches('.').count() > 64 * DEEPEST && dots(line) > DEEPEST)
        .map(|index| index + 1)
}

struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { starts: breaks.map(|(at, _)| at + 1).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        Place::Line(self.starts.partition_point(|start| *start <= offset) + 1)
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let place = self.place(key.span().start);
                (key.get_ref().to_string(), Node { place, value: self.value(value.get_ref()) })
            })
            .collect()
    }

    fn value(&self, value: &DeValue<'_>) -> Raw {
        match value {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Raw::Other("a number too large"), Raw::Integer),
            DeValue::Boolean(flag) => Raw::Flag(*flag),
            DeValue::Float(_) => Raw::Other("a number with a fraction"),
            DeValue::Datetime(_) => Raw::Other("a date"),
            DeValue::Array(items) => Raw::List(
                items
                    .iter()
                    .map(|item| Node { place: self.place(item.span().start), value: self.value(item.get_ref()) })
                    .collect(),
            ),
            DeValue::Table(table) => Raw::Table(self.table(table)),
        }
    }
}

/// Lays `WAYSTATION__SECTION__KEY` variables over the document.
pub(crate) fn overlay(document: &mut Table, environment: &[(String, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix("WAYSTATION__") else { continue };
        let place = Place::Variable(name.clone());
        match known(rest) {
            Some((section, key)) => set(document, section, key, Node { place, value: read(key.kind, value) }),
            None => problems.push(Problem { place, key: String::new(), message: unknown_variable(rest) }),
        }
    }
    problems
}

/// Every section and key that a variable may set: those that stand once.
fn settable() -> impl Iterator<Item = (&'static Section, &'static keys::Key)> {
    let once = keys::SECTIONS.iter().filter(|section| !section.shape.is_list());
    let all = once.flat_map(|section| section.keys.iter().map(move |key| (section, key)));
    // An inline table has no spelling that a shell would like.
    all.filter(|(_, key)| !matches!(key.kind, Kind::Table(_)))
}

fn variable(section: &Section, key: &keys::Key) -> String {
    keys::joined(section.name, key.name).replace('.', "__").to_ascii_uppercase()
}

fn known(rest: &str) -> Option<(&'static Section, &'static keys::Key)> {
    settable().find(|(section, key)| variable(section, key) == rest)
}

fn unknown_variable(rest: &str) -> String {
    let lists = keys::SECTIONS.iter().filter(|section| section.shape.is_list());
    if lists
        .into_iter()
        .any(|section| rest.starts_with(&keys::joined(section.name, "").replace('.', "__").to_ascii_uppercase()))
    {
        return "sections that may stand several times are set in the file alone".to_owned();
    }
    let names: Vec<String> = settable().map(|(section, key)| variable(section, key)).collect();
    let nearest = names.iter().max_by(|a, b| likeness(rest, a).total_cmp(&likeness(rest, b)));
    match nearest {
        Some(name) => format!("no key has this name; the nearest is WAYSTATION__{name}"),
        None => "no key has this name".to_owned(),
    }
}

/// How alike two names are, from 0 to 1.
pub(crate) fn likeness(a: &str, b: &str) -> f64 {
    let short = |text: &str| text.chars().take(64).collect::<String>();
    strsim::normalized_damerau_levenshtein(&short(a), &short(b))
}

fn set(document: &mut Table, section: &Section, key: &keys::Key, node: Node) {
    let mut table = document;
    for step in section.name.split('.').filter(|step| !step.is_empty()) {
        let below = table
            .entry(step.to_owned())
            .or_insert_with(|| Node { place: node.place.clone(), value: Raw::Table(Table::new()) });
        match &mut below.value {
            Raw::Table(below) => table = below,
            // The file has something else where the section should be; reading that reports it.
            _ => return,
        }
    }
    table.insert(key.name.to_owned(), node);
}

/// A variable's text as the value that its key takes; lists are separated by commas.
fn read(kind: Kind, text: &str) -> Raw {
    match kind {
        Kind::Number(..) => text.parse().map_or_else(|_| Raw::Text(text.to_owned()), Raw::Integer),
        Kind::Flag => text.parse().map_or_else(|_| Raw::Text(text.to_owned()), Raw::Flag),
        Kind::Texts | Kind::Arguments | Kind::Paths | Kind::Ranges | Kind::Words(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Raw::List(items.map(|item| Node { place: Place::File, value: Raw::Text(item.to_owned()) }).collect())
        }
        _ => Raw::Text(text.to_owned()),
    }
}

/// Reports every key of the document that the table of keys does not have.
pub(crate) fn unknown(document: &Table, top: &'static Section) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(document, top, &mut problems);
    problems
}

fn walk(table: &Table, section: &'static Section, problems: &mut Vec<Problem>) {
    for (name, node) in table {
        if let Some(below) = keys::section(&keys::joined(section.name, name)).filter(|below| !below.name.is_empty()) {
            match &node.value {
                Raw::Table(table) => walk(table, below, problems),
                Raw::List(items) => {
                    for item in items {
                        if let Raw::Table(table) = &item.value {
                            walk(table, below, problems);
                        }
                    }
                }
                _ => {}
            }
        } else if let Some(key) = section.keys.iter().find(|key| key.name == name) {
            if let (Kind::Table(keys), Raw::Table(table)) = (key.kind, &node.value) {
                let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                let strangers = table.iter().filter(|(name, _)| !names.contains(&name.as_str()));
                let path = keys::joined(section.name, key.name);
                problems.extend(strangers.map(|(name, node)| stranger(&path, name, node, &names)));
            }
        } else if section.name.is_empty() && keys::RESERVED.contains(&name.as_str()) {
            let message = "this section is reserved for what follows, and not in this version; remove it".to_owned();
            problems.push(Problem { place: node.place.clone(), key: name.clone(), message });
        } else {
            problems.push(stranger(section.name, name, node, &keys::names_in(section)));
        }
    }
}

fn stranger(section: &str, name: &str, node: &Node, names: &[&str]) -> Problem {
    let shown = quoted(name);
    let elsewhere = keys::SECTIONS.iter().find(|other| {
        other.name != section && !other.name.contains('.') && other.keys.iter().any(|key| key.name == name)
    });
    let is_section = keys::SECTIONS.iter().any(|other| other.name == name && !other.shape.is_list());
    let nearest = names.iter().max_by(|a, b| likeness(name, a).total_cmp(&likeness(name, b)));
    let message = match (nearest.filter(|nearest| likeness(name, nearest) >= 0.5), elsewhere) {
        _ if is_section => format!("unknown key; [{name}] is a section of its own"),
        (Some(nearest), _) => format!("unknown key; the nearest is {}", quoted(nearest)),
        (None, Some(other)) if other.name.is_empty() => {
            "unknown key; it belongs to the top of the file, before the first section".to_owned()
        }
        (None, Some(other)) if other.shape.is_list() => format!("unknown key; it belongs to [[{}]]", other.name),
        (None, Some(other)) => format!("unknown key; it belongs to [{}]", other.name),
        (None, None) => format!("unknown key; here stand {}", names.join(", ")),
    };
    let key = keys::joined(section, shown.trim_matches('\''));
    Problem { place: node.place.clone(), key, message }
}
