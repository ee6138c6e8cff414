//! A file of settings, whichever form it has: read, looked at, changed in place, written again.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::check::{Check, Finding};
use crate::text::shown;
use crate::{json, plist};

/// The preference domain of Defender on macOS.
pub(crate) const DOMAIN: &str = "com.microsoft.wdav";
/// The largest file that is read, in bytes.
const LARGEST: usize = 4 << 20;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `mdatp_managed.json`.
    Json,
    /// A property list of the domain's own keys, as Jamf takes it.
    Plist,
    /// A configuration profile, as Intune and Apple's own tools take it.
    Profile,
}

/// A file of settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    tree: Tree,
    format: Format,
    /// The way from the top to the object that holds the sections.
    way: Vec<String>,
    /// What is worth telling of the file itself.
    findings: Vec<Finding>,
    /// Why it cannot be written again without loss.
    lossy: Option<String>,
    comments: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Json { value: Value, indent: String },
    Plist(plist::Value),
}

/// One change that a merge makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Where: a JSON pointer.
    pub at: String,
    /// What stood there; none where nothing did.
    pub before: Option<Value>,
    /// What stands there now.
    pub after: Value,
}

/// Why a file cannot be read, or not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is neither JSON nor a property list.
    #[error("it {0}")]
    Unreadable(String),
    /// It is a form that macOS reads, and nothing here does.
    #[error("it {0}")]
    NotHere(&'static str),
    /// It holds no settings.
    #[error("it {0}")]
    NotSettings(String),
    /// Something stands where a section would go.
    #[error("{at} is no object: settings cannot be put into it")]
    NoSection {
        /// Where.
        at: String,
    },
    /// Writing it again would lose something.
    #[error("it cannot be changed without loss: {0}")]
    Lossy(String),
}

impl DocumentError {
    /// As a finding.
    pub fn finding(&self) -> Finding {
        let check = match self {
            Self::Unreadable(_) | Self::NotHere(_) => Check::Unreadable,
            _ => Check::NotSettings,
        };
        Finding::new(check, "", self.to_string())
    }
}

impl Document {
    /// Reads a file, in whichever form it is.
    ///
    /// # Errors
    /// [`DocumentError`] when it holds no settings that could be read.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > LARGEST {
            return Err(DocumentError::Unreadable(format!("has more than {LARGEST} bytes")));
        }
        if let Some(error) = foreign(bytes) {
            return Err(error);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| DocumentError::Unreadable(format!("is not UTF-8 at byte {}", error.valid_up_to())))?;
        let (text, marked) = match text.strip_prefix('\u{feff}') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let mut document = if text.trim_start().starts_with('<') { Self::plist(text) } else { Self::json(text) }?;
        if marked {
            document.findings.push(Finding::new(Check::ByteOrderMark, "", "U+FEFF in front"));
        }
        Ok(document)
    }

    fn json(text: &str) -> Result<Self, DocumentError> {
        let reading =
            json::read(text).map_err(|why| DocumentError::Unreadable(format!("is not JSON: {}", shown(&why))))?;
        if !reading.value.is_object() {
            return Err(DocumentError::NotSettings("is JSON, and no object".to_owned()));
        }
        let rounded = reading.inexact.first().map(|at| format!("the number at {} would be rounded", shown(at)));
        let tree = Tree::Json { value: reading.value, indent: json::indent_of(text) };
        let mut document = Self::new(tree, Format::Json, Vec::new(), &reading.twice, rounded);
        let told = |at: &String| Finding::new(Check::RoundedNumber, at.as_str(), "would be rounded");
        document.findings.extend(reading.inexact.iter().map(told));
        Ok(document)
    }

    fn plist(text: &str) -> Result<Self, DocumentError> {
        let reading = plist::read(text).map_err(|why| DocumentError::Unreadable(shown(&why)))?;
        let (format, way, others) = way(&reading.value)?;
        let mut document = Self::new(Tree::Plist(reading.value), format, way, &reading.twice, None);
        document.comments = reading.comments;
        let second = |at: String| Finding::new(Check::SecondPayload, at, format!("another payload of {DOMAIN}"));
        document.findings.extend(others.into_iter().map(second));
        Ok(document)
    }

    fn new(tree: Tree, format: Format, way: Vec<String>, twice: &[String], rounded: Option<String>) -> Self {
        let findings = twice.iter().map(|at| Finding::new(Check::DuplicateKey, at.as_str(), "stands twice")).collect();
        let doubled = twice.first().map(|at| format!("{} stands twice, and one of them would go", shown(at)));
        Self { tree, format, way, findings, lossy: doubled.or(rounded), comments: 0 }
    }

    /// An empty `mdatp_managed.json`.
    pub fn empty() -> Self {
        let tree = Tree::Json { value: Value::Object(Map::new()), indent: "  ".to_owned() };
        Self::new(tree, Format::Json, Vec::new(), &[], None)
    }

    /// A property list of its own that holds nothing.
    pub(crate) fn empty_plist() -> Self {
        Self::new(Tree::Plist(plist::Value::Dict(Vec::new())), Format::Plist, Vec::new(), &[], None)
    }

    /// A profile with an empty payload of Defender's.
    pub(crate) fn of_profile(profile: plist::Value) -> Result<Self, DocumentError> {
        let (format, way, _) = way(&profile)?;
        Ok(Self::new(Tree::Plist(profile), format, way, &[], None))
    }

    /// Its form.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What is worth telling of the file itself.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Comments in it, which are not written again.
    pub fn comments(&self) -> usize {
        self.comments
    }

    /// The object that holds the sections, and the pointer to it.
    pub fn sections(&self) -> (Map<String, Value>, String) {
        let at = self.way.iter().fold(String::new(), |at, name| json::step(&at, name));
        let value = match &self.tree {
            Tree::Json { value, .. } => value.clone(),
            Tree::Plist(top) => {
                self.way.iter().try_fold(top, |value, name| value.go(name)).map_or(Value::Null, plist::Value::to_json)
            }
        };
        match value {
            Value::Object(members) => (members, at),
            _ => (Map::new(), at),
        }
    }

    /// Sets a key of a section; nothing is told when it stands there already. A section that is missing is added at
    /// the end, and so is a key.
    ///
    /// # Errors
    /// [`DocumentError`] when there is no place for it, or writing the file again would lose something.
    pub fn set(&mut self, section: &str, key: &str, after: Value) -> Result<Option<Change>, DocumentError> {
        if let Some(why) = &self.lossy {
            return Err(DocumentError::Lossy(why.clone()));
        }
        let (sections, at) = self.sections();
        let at_section = json::step(&at, section);
        let before = match sections.get(section) {
            None => None,
            Some(Value::Object(members)) => members.get(key).cloned(),
            Some(_) => return Err(DocumentError::NoSection { at: at_section }),
        };
        if before.as_ref() == Some(&after) {
            return Ok(None);
        }
        match &mut self.tree {
            Tree::Json { value, .. } => put_json(value, section, key, after.clone()),
            Tree::Plist(top) => {
                let holder = self.way.iter().try_fold(top, |value, name| value.go_mut(name));
                if let (Some(holder), Some(value)) = (holder, plist::Value::from_json(&after)) {
                    put_plist(holder, section, key, value);
                }
            }
        }
        Ok(Some(Change { at: json::step(&at_section, key), before, after }))
    }

    /// Writes it.
    pub fn write(&self) -> String {
        match &self.tree {
            Tree::Json { value, indent } => json::write(value, indent),
            Tree::Plist(value) => plist::write(value),
        }
    }
}

/// What bytes are that are no text of ours at all.
fn foreign(bytes: &[u8]) -> Option<DocumentError> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, _, 0, ..] | [0, _, 0, _, ..] => {
            Some(DocumentError::Unreadable("is UTF-16: save it as UTF-8".to_owned()))
        }
        [b'b', b'p', b'l', b'i', b's', b't', ..] => {
            Some(DocumentError::NotHere("is a binary property list: `plutil -convert xml1 FILE` makes it XML"))
        }
        // A signed profile is a CMS envelope in DER.
        [0x30, 0x80..=0x84, ..] => Some(DocumentError::NotHere(
            "is a signed profile: check and merge what was signed (`security cms -D -i FILE`), then sign it again",
        )),
        _ => None,
    }
}

/// The way to Defender's settings in a property list: the payload of its type in a profile, the managed preferences of
/// its domain in one, or the top of a list that is no profile. And where further payloads of Defender's stand.
fn way(top: &plist::Value) -> Result<(Format, Vec<String>, Vec<String>), DocumentError> {
    let none = |what: &str| Err(DocumentError::NotSettings(what.to_owned()));
    let plist::Value::Dict(_) = top else { return none("is a property list, and no dictionary") };
    let Some(plist::Value::Array(payloads)) = top.get("PayloadContent") else {
        return Ok((Format::Plist, Vec::new(), Vec::new()));
    };
    let here = |(index, payload)| {
        let inside = into_payload(payload)?;
        let place = ["PayloadContent".to_owned(), format!("{index}")];
        Some(place.into_iter().chain(inside).collect::<Vec<String>>())
    };
    let mut ways = payloads.iter().enumerate().filter_map(here);
    let Some(first) = ways.next() else { return none("is a profile without a payload of com.microsoft.wdav") };
    let at = |way: Vec<String>| way.iter().fold(String::new(), |at, name| json::step(&at, name));
    Ok((Format::Profile, first, ways.map(at).collect()))
}

/// The way on from a payload to Defender's settings in it, if it is one of Defender's.
fn into_payload(payload: &plist::Value) -> Option<Vec<String>> {
    let Some(plist::Value::Text(kind)) = payload.get("PayloadType") else { return None };
    if kind == DOMAIN {
        return Some(Vec::new());
    }
    let inner = ["PayloadContent", DOMAIN, "Forced", "0", "mcx_preference_settings"];
    let managed = inner.iter().try_fold(payload, |value, name| value.go(name));
    let is_managed = kind == "com.apple.ManagedClient.preferences" && matches!(managed, Some(plist::Value::Dict(_)));
    is_managed.then(|| inner.map(str::to_owned).to_vec())
}

fn put_json(top: &mut Value, section: &str, key: &str, after: Value) {
    let Value::Object(sections) = top else { return };
    let members = sections.entry(section).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(members) = members {
        members.insert(key.to_owned(), after);
    }
}

fn put_plist(holder: &mut plist::Value, section: &str, key: &str, after: plist::Value) {
    let plist::Value::Dict(sections) = holder else { return };
    let place = match sections.iter().position(|(name, _)| name == section) {
        Some(place) => place,
        None => {
            sections.push((section.to_owned(), plist::Value::Dict(Vec::new())));
            sections.len() - 1
        }
    };
    let Some((_, plist::Value::Dict(members))) = sections.get_mut(place) else { return };
    match members.iter_mut().find(|(name, _)| name == key) {
        Some((_, value)) => *value = after,
        None => members.push((key.to_owned(), after)),
    }
}

#[cfg(test)]
mod tests;
