//! What is known to break.

mod address;
mod meaning;

use model::Version;
use serde_json::{Map, Value};

use super::Platform;
use super::keys::{self, ENGINE, FALLBACK, FALLBACK_TYPO, KEYS, Key, Kind, OFFLINE, SECTIONS, by_name, takes};
use crate::check::{Check, Finding};
use crate::document::Document;
use crate::json::step;
use crate::text::{shown, shown_url};

/// What is known of the endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Their system.
    pub platform: Platform,
    /// The oldest agent among them.
    pub agent: Option<Version>,
    /// The address that they should have.
    pub url: Option<String>,
}

/// How deep values are looked into for samples that were left in; files are no deeper.
const DEPTH: usize = 128;
/// How long a name must be before one that is nearly the same counts as a mistake.
const LONG: usize = 8;

/// Looks for what is known to break; worst first, among equals in the order of the file.
pub fn lint(document: &Document, context: &Context) -> Vec<Finding> {
    let (sections, at) = document.sections();
    let mut findings = document.findings().to_vec();
    if let Some(agent) = &context.agent
        && !context.platform.takes_offline_updates(agent)
    {
        let seen = format!("agent {agent}; first {}", context.platform.first_agent());
        findings.push(Finding::new(Check::AgentTooOld, "", seen));
    }
    for (name, value) in &sections {
        let place = step(&at, name);
        section_name(name, value, &place, &mut findings);
        if let Value::Object(members) = value {
            members_of(name, members, (&place, context), &mut findings);
        }
    }
    samples(&Value::Object(sections.clone()), &at, DEPTH, &mut findings);
    meaning::look(&sections, &at, context, &mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    findings
}

/// What of a file no agent is known to read, of all that [`lint`] looks for: what stands in the wrong place, is
/// misspelt, or is no section.
pub fn passed_over(document: &Document, context: &Context) -> Vec<Finding> {
    let is_passed = |finding: &Finding| {
        matches!(
            finding.check,
            Check::SectionNoObject
                | Check::MisspeltKey
                | Check::WrongSection
                | Check::FallbackMisspelt
                | Check::FallbackTwice
                | Check::SecondPayload
        )
    };
    lint(document, context).into_iter().filter(is_passed).collect()
}

/// A section that is nearly one, a key that stands at the top.
fn section_name(name: &str, value: &Value, place: &str, findings: &mut Vec<Finding>) {
    if SECTIONS.contains(&name) {
        if !value.is_object() {
            let seen = format!("{}, where an object is meant", kind_of(value));
            findings.push(Finding::new(Check::SectionNoObject, place, seen));
        }
        return;
    }
    if let Some(key) = by_name(name) {
        findings.push(moved(key, place));
    } else if let Some(near) = nearest(name, SECTIONS.iter().copied()) {
        findings.push(Finding::new(Check::MisspeltKey, place, format!("{near} is meant")));
    }
}

fn members_of(
    section: &str,
    members: &Map<String, Value>,
    (at, context): (&str, &Context),
    findings: &mut Vec<Finding>,
) {
    let early = context.platform.offline_section(context.agent.as_ref());
    for (name, value) in members {
        let place = step(at, name);
        let read_here = match keys::key(section, name) {
            Some(key) if key.name == OFFLINE => (section == early).then_some(key),
            None if name == OFFLINE && section == early => keys::key(ENGINE, OFFLINE),
            known => known,
        };
        if let Some(key) = read_here {
            findings.extend(wrong(key, value).map(|(check, seen)| Finding::new(check, &place, seen)));
        } else if name == FALLBACK_TYPO {
            let is_beside = section == ENGINE && members.contains_key(FALLBACK);
            let check = if is_beside { Check::FallbackTwice } else { Check::FallbackMisspelt };
            findings.push(Finding::new(check, &place, format!("{}; {FALLBACK} is meant", told(value))));
        } else if name == OFFLINE {
            findings.push(Finding::new(Check::WrongSection, &place, format!("read from {early}.{OFFLINE}")));
        } else if let Some(key) = by_name(name) {
            findings.push(moved(key, &place));
        } else if let Some(near) = nearest(name, KEYS.iter().map(|key| key.name)) {
            findings.push(Finding::new(Check::MisspeltKey, &place, format!("{near} is meant")));
        }
    }
}

fn moved(key: &Key, place: &str) -> Finding {
    Finding::new(Check::WrongSection, place, format!("read from {}.{}", key.section, key.name))
}

/// What is wrong with a value of a known key.
fn wrong(key: &Key, value: &Value) -> Option<(Check, String)> {
    let typed = || Some((Check::WrongType, format!("{} where {} is meant", told(value), takes(key.kind))));
    match (key.kind, value) {
        (Kind::Bool, Value::Bool(_)) | (Kind::Text, Value::String(_)) => None,
        (Kind::Toggle, Value::String(word)) if word == "enabled" || word == "disabled" => None,
        (Kind::Words(words), Value::String(word)) if words.contains(&word.as_str()) => None,
        (Kind::Toggle | Kind::Words(_), Value::String(word)) => {
            Some((Check::WrongWord, format!("\"{}\" where {} is meant", shown(word), takes(key.kind))))
        }
        (Kind::Whole { least, most }, Value::Number(number)) => match number.as_u64() {
            Some(number) if (least..=most).contains(&number) => None,
            _ => Some((Check::OutOfBounds, format!("{number}, where {} is meant", takes(key.kind)))),
        },
        _ => typed(),
    }
}

/// A value of the wrong type, without what may be a secret in it.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string \"{}\"", shown_url(text)),
        Value::Bool(_) | Value::Number(_) | Value::Null => value.to_string(),
        other => kind_of(other).to_owned(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The known name that a text is nearly, not the text itself. Short names are near to too much.
fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if !(LONG..=64).contains(&text.chars().count()) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let scored = known
        .filter(|name| *name != text && name.len() >= LONG)
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_ascii_lowercase()), name));
    scored.filter(|(steps, _)| *steps <= 2).min_by_key(|(steps, _)| *steps).map(|(_, name)| name)
}

/// Words of published samples, in lower case: no real value has them. The host of our own samples is one.
const SAMPLES: [&str; 11] = [
    "//mirror.example/",
    "//mirror.example:",
    "example do not use",
    "www.example.server.com",
    "example.server.com",
    "172.22.199.67",
    "172.xx.xxx.xx",
    "proxy.server:port",
    "canonicalizer.ucsuri.tcs",
    "<mirror",
    "your-mirror",
];

fn samples(value: &Value, at: &str, left: usize, findings: &mut Vec<Finding>) {
    let Some(left) = left.checked_sub(1) else { return };
    match value {
        Value::String(text) => {
            let lower = text.to_ascii_lowercase();
            if SAMPLES.iter().any(|sample| lower.contains(sample)) {
                findings.push(Finding::new(Check::ExampleLeft, at, shown_url(text)));
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| samples(item, &format!("{at}/{index}"), left, findings));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| samples(member, &step(at, name), left, findings));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
