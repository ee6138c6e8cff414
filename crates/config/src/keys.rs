//! The one table of sections and keys.

mod alarm;
mod follow;
mod freshness;
mod history;
mod limits;
mod serving;
mod tree;

pub(crate) use alarm::FACILITIES;

/// What a key's value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text that the key's own rules take.
    Text,
    /// A path; relative ones start at the configuration file's folder.
    Path,
    /// A text that is shown nowhere.
    Secret,
    /// An `http` or `https` URL.
    Url,
    /// An address and a port.
    Address,
    /// True or false.
    Flag,
    /// A whole number between two others.
    Number(u64, u64),
    /// A duration of at least so many milliseconds.
    Duration(u64),
    /// A size in bytes.
    Size,
    /// A size a second.
    Rate,
    /// One word of a few.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of texts that may stand in it again, and be empty: a program and its arguments.
    Arguments,
    /// A list of paths.
    Paths,
    /// A list of address ranges.
    Ranges,
    /// A list of different words of a few.
    Words(&'static [&'static str]),
    /// An inline table with the keys of a section of its own.
    Table(&'static [Key]),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Its default as TOML; none where leaving it out means something else than any value.
    pub(crate) default: Option<&'static str>,
    /// A right value as TOML, for messages and for the template's commented lines.
    pub(crate) example: &'static str,
    /// What it means: full sentences.
    pub(crate) doc: &'static str,
    /// Whether the template sets it rather than showing it in a comment.
    pub(crate) set: bool,
}

/// One section: the top of the file, a `[table]`, or a `[[list]]` of tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    /// Empty for the top of the file.
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
}

/// How a section stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Once, and in the template.
    Table,
    /// Once; the template shows it in comments.
    Hidden,
    /// Any number of times, and in the template.
    List,
    /// Any number of times; the template shows it in comments.
    HiddenList,
}

impl Shape {
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::HiddenList)
    }

    pub(crate) fn is_hidden(self) -> bool {
        matches!(self, Self::Hidden | Self::HiddenList)
    }
}

/// Every section, in the order of the template and the reference.
pub(crate) const SECTIONS: &[Section] = &[
    serving::TOP,
    serving::SITE,
    serving::SERVE,
    serving::ACCESS_LOG,
    serving::ADMIN,
    follow::ORIGIN,
    follow::ELASTIC,
    freshness::ELASTIC,
    follow::ELASTIC_RETENTION,
    follow::DEFENDER,
    freshness::DEFENDER,
    follow::DEFENDER_RETENTION,
    serving::RING,
    freshness::COMMON,
    freshness::FEED,
    freshness::RING,
    serving::RETENTION,
    tree::TREE,
    alarm::ALARM,
    alarm::COMMAND,
    alarm::WEBHOOK,
    alarm::SYSLOG,
    alarm::EMAIL,
    alarm::HEARTBEAT,
    history::HISTORY,
    limits::LIMITS,
];

/// Sections whose names are kept for what follows.
pub(crate) const RESERVED: [&str; 4] = ["approval", "blobs", "bundle", "catalog"];

/// The section of that name.
pub(crate) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// What may stand in a table: keys, and the names of sections below it.
pub(crate) fn names_in(section: &Section) -> Vec<&'static str> {
    let below = SECTIONS.iter().filter_map(|other| child_of(other.name, section.name));
    section.keys.iter().map(|key| key.name).chain(below).collect()
}

fn child_of(name: &'static str, parent: &str) -> Option<&'static str> {
    let rest = if parent.is_empty() { name } else { name.strip_prefix(parent)?.strip_prefix('.')? };
    (!rest.is_empty() && !rest.contains('.')).then_some(rest)
}

/// `elastic` and `schedule` as `elastic.schedule`.
pub(crate) fn joined(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

const fn key(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default: None, example, doc, set: false }
}

impl Key {
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn set(mut self) -> Self {
        self.set = true;
        self
    }
}
