//! Takes values out of what was typed, and notes every mistake and every effective setting on the way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::keys::{self, Key, Section};
use crate::problem::{Place, Problem};
use crate::raw::{self, Node, Raw, Table};
use crate::setting::{Setting, name_of};

/// What gathers up while a document is read.
pub(crate) struct Reader<'a> {
    document: &'a Table,
    /// Where relative paths start.
    folder: &'a Path,
    problems: RefCell<Vec<Problem>>,
    settings: RefCell<BTreeMap<String, String>>,
}

/// One section of the document, given or not.
pub(crate) struct Scope<'a> {
    reader: &'a Reader<'a>,
    section: String,
    keys: &'static [Key],
    /// The section's name with its number, where it may stand several times.
    label: String,
    table: Option<&'a Table>,
    place: Place,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(document: &'a Table, folder: &'a Path) -> Self {
        Self { document, folder, problems: RefCell::default(), settings: RefCell::default() }
    }

    pub(crate) fn finish(self) -> (Vec<Problem>, BTreeMap<String, String>) {
        (self.problems.into_inner(), self.settings.into_inner())
    }

    pub(crate) fn problem(&self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { place, key: key.into(), message: message.into() });
    }

    /// A section that stands once; keys left out have their defaults, also when all of it is. None when something
    /// else stands in its place, which is noted.
    pub(crate) fn section(&'a self, section: &'static Section) -> Option<Scope<'a>> {
        let node = self.find(section.name);
        let place = node.map_or(Place::File, |node| node.place.clone());
        let table = match node.map(|node| &node.value) {
            _ if section.name.is_empty() => Some(self.document),
            None => None,
            Some(Raw::Table(table)) => Some(table),
            Some(other) => {
                let message = format!("is {}, not a section; write [{}]", name_of(other), section.name);
                self.problem(place, section.name, message);
                return None;
            }
        };
        Some(Scope {
            reader: self,
            section: section.name.to_owned(),
            keys: section.keys,
            label: section.name.to_owned(),
            table,
            place,
        })
    }

    /// Whether the section stands in the document at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The sections of a list; empty when none is given.
    pub(crate) fn list(&'a self, section: &'static Section) -> Vec<Scope<'a>> {
        let Some(node) = self.find(section.name) else { return Vec::new() };
        let Raw::List(items) = &node.value else {
            let message = format!("stands once; it may stand several times and is written [[{}]]", section.name);
            self.problem(node.place.clone(), section.name, message);
            return Vec::new();
        };
        let scope = |(index, item): (usize, &'a Node)| match &item.value {
            Raw::Table(table) => Some(Scope {
                reader: self,
                section: section.name.to_owned(),
                keys: section.keys,
                label: format!("{}.{}", section.name, index + 1),
                table: Some(table),
                place: item.place.clone(),
            }),
            other => {
                let message = format!("holds {}, not sections; write [[{}]]", name_of(other), section.name);
                self.problem(item.place.clone(), section.name, message);
                None
            }
        };
        items.iter().enumerate().filter_map(scope).collect()
    }

    /// A section with the defaults of every key, for a list that is not given.
    pub(crate) fn defaults(&'a self, section: &'static Section) -> Scope<'a> {
        let label = format!("{}.1", section.name);
        let section_name = section.name.to_owned();
        Scope { reader: self, section: section_name, keys: section.keys, label, table: None, place: Place::File }
    }

    fn find(&self, name: &str) -> Option<&'a Node> {
        let mut steps = name.split('.');
        let first = self.document.get(steps.next()?)?;
        steps.try_fold(first, |node, step| match &node.value {
            Raw::Table(table) => table.get(step),
            _ => None,
        })
    }
}

impl<'a> Scope<'a> {
    /// Where the key stands, or the section when it does not.
    pub(crate) fn place(&self, name: &str) -> Place {
        self.given(name).map_or_else(|| self.place.clone(), |node| node.place.clone())
    }

    /// Notes that a key's value is wrong for a reason beyond its form.
    pub(crate) fn wrong(&self, name: &str, message: impl Into<String>) {
        self.reader.problem(self.place(name), keys::joined(&self.section, name), message);
    }

    /// Whether the key is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// The value of a key that has a default; none when it is wrong, which is noted.
    pub(crate) fn get<T: Setting>(&self, name: &'static str) -> Option<T> {
        self.maybe(name)?.or_else(|| {
            self.wrong(name, format!("is missing; write for example {}", self.line(name)));
            None
        })
    }

    /// The value of a key that may be left out: some none then; none when it is wrong, which is noted.
    pub(crate) fn maybe<T: Setting>(&self, name: &'static str) -> Option<Option<T>> {
        let key = self.key(name)?;
        let Some((place, raw)) = self.value(key) else { return Some(None) };
        let value: T = self.read(key, &place, &raw, "")?;
        self.note(name, value.show());
        Some(Some(value))
    }

    /// The members of a list; empty when left out without a default; none when one is wrong, which is noted.
    pub(crate) fn each<T: Setting>(&self, name: &'static str) -> Option<Vec<T>> {
        let key = self.key(name)?;
        let Some((place, raw)) = self.value(key) else { return Some(Vec::new()) };
        let Raw::List(items) = &raw else {
            let message = format!("is {}, not a list; write for example {}", name_of(&raw), self.line(name));
            self.reader.problem(place, keys::joined(&self.section, name), message);
            return None;
        };
        let place_of = |item: &Node| if item.place == Place::File { place.clone() } else { item.place.clone() };
        let read: Vec<Option<T>> = items
            .iter()
            .zip(1_usize..)
            .map(|(item, number)| self.read(key, &place_of(item), &item.value, &format!("item {number} ")))
            .collect();
        let shown: Vec<String> = read.iter().flatten().map(Setting::show).collect();
        let unique = self.are_unique(name, &shown);
        let values = read.into_iter().collect::<Option<Vec<T>>>()?;
        if !unique {
            return None;
        }
        self.note(name, format!("[{}]", shown.join(", ")));
        Some(values)
    }

    /// The members of a list in which a text may stand again, or be empty; none when one is wrong, which is noted.
    pub(crate) fn sequence(&self, name: &'static str) -> Option<Vec<String>> {
        let key = self.key(name)?;
        let Some((place, raw)) = self.value(key) else { return Some(Vec::new()) };
        let text = |node: &Node| match &node.value {
            Raw::Text(text) => Some(text.clone()),
            _ => None,
        };
        let read = match &raw {
            Raw::List(items) => items.iter().map(text).collect::<Option<Vec<String>>>(),
            _ => None,
        };
        let Some(values) = read else {
            let message = format!("is not a list of texts; write for example {}", self.line(name));
            self.reader.problem(place, keys::joined(&self.section, name), message);
            return None;
        };
        self.note(name, format!("{values:?}"));
        Some(values)
    }

    /// Whether no value of a list stands in it again; each that does is noted once.
    fn are_unique(&self, name: &str, shown: &[String]) -> bool {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        shown.iter().for_each(|value| *counts.entry(value).or_default() += 1);
        counts.retain(|_, count| *count > 1);
        for (value, count) in &counts {
            let times = if *count == 2 { "twice".to_owned() } else { format!("{count} times") };
            self.wrong(name, format!("names {} {times}", crate::problem::quoted(value)));
        }
        counts.is_empty()
    }

    /// A path, made whole from the configuration file's folder.
    pub(crate) fn path(&self, name: &'static str) -> Option<Option<PathBuf>> {
        Some(self.maybe::<PathBuf>(name)?.map(|path| self.reader.folder.join(path)))
    }

    /// A list of paths, made whole.
    pub(crate) fn paths(&self, name: &'static str) -> Option<Vec<PathBuf>> {
        Some(self.each::<PathBuf>(name)?.into_iter().map(|path| self.reader.folder.join(path)).collect())
    }

    /// The inline table of a key, as a section of its own.
    pub(crate) fn inline(&self, name: &'static str) -> Option<Option<Scope<'a>>> {
        let Some(node) = self.given(name) else { return Some(None) };
        let keys::Kind::Table(keys) = self.key(name)?.kind else { return None };
        let Raw::Table(table) = &node.value else {
            self.wrong(
                name,
                format!("is {}, not a table; write for example {}", name_of(&node.value), self.line(name)),
            );
            return None;
        };
        let (label, section) = (keys::joined(&self.label, name), keys::joined(&self.section, name));
        Some(Some(Scope { reader: self.reader, section, keys, label, table: Some(table), place: node.place.clone() }))
    }

    fn given(&self, name: &str) -> Option<&'a Node> {
        self.table?.get(name)
    }

    fn key(&self, name: &'static str) -> Option<&'static Key> {
        let key = self.keys.iter().find(|key| key.name == name);
        if key.is_none() {
            self.wrong(name, "is not in the table of keys: a defect of this program");
        }
        key
    }

    /// What is given, or else the default.
    fn value(&self, key: &'static Key) -> Option<(Place, Raw)> {
        if let Some(node) = self.given(key.name) {
            return Some((node.place.clone(), node.value.clone()));
        }
        let document = raw::parse(&format!("value = {}", key.default?)).ok()?;
        document.into_iter().next().map(|(_, node)| (Place::File, node.value))
    }

    /// `which` says which part of the key's value this is, with a space behind it; nothing for all of it.
    fn read<T: Setting>(&self, key: &'static Key, place: &Place, raw: &Raw, which: &str) -> Option<T> {
        match T::read(raw, key.kind) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let message = format!("{which}{wrong}; write for example {}", self.line(key.name));
                self.reader.problem(place.clone(), keys::joined(&self.section, key.name), message);
                None
            }
        }
    }

    fn note(&self, name: &str, value: String) {
        // In the list of effective settings, which the history keeps, a line break would begin another setting.
        if value.contains(char::is_control) {
            self.wrong(name, "holds a line break or another control character");
        }
        self.reader.settings.borrow_mut().insert(keys::joined(&self.label, name), value);
    }

    fn line(&self, name: &str) -> String {
        let example = self.keys.iter().find(|key| key.name == name).map_or("", |key| key.example);
        format!("{name} = {example}")
    }
}
