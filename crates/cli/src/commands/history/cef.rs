//! Entries in ArcSight's Common Event Format: one line each, whatever they hold.

use catalog::{Entry, EntryKind};
use serde_json::Value;

use super::particulars;
use super::what::what;
use crate::show;

/// One line, without its end.
pub(super) fn line(entry: &Entry, site: &str) -> String {
    let data = particulars(entry);
    let head = ["CEF:0", "Waystation", "waystation", env!("CARGO_PKG_VERSION"), entry.kind.as_str(), &name(entry)]
        .map(header)
        .join("|");
    let millis = entry.at.as_micros().div_euclid(1000).to_string();
    let mut members: Vec<(&str, String)> = vec![
        ("rt", millis),
        ("externalId", entry.seq.to_string()),
        ("dvchost", site.to_owned()),
        ("suid", entry.actor.uid.to_string()),
        ("spid", entry.actor.pid.to_string()),
        ("sproc", entry.actor.verb.clone()),
    ];
    for (name, member) in [("outcome", "outcome"), ("reason", "reason"), ("act", "act")] {
        members.extend(data.get(member).and_then(Value::as_str).map(|text| (name, text.to_owned())));
    }
    // What happened to an alarm, or to the process: the same data hold no act.
    if data.get("act").is_none() {
        members.extend(data.get("event").and_then(Value::as_str).map(|event| ("act", event.to_owned())));
    }
    members.extend([
        ("cs1Label", "subject".to_owned()),
        ("cs1", entry.subject.clone()),
        ("cs2Label", "digest".to_owned()),
        ("cs2", entry.digest.to_string()),
        ("cs3Label", "previous".to_owned()),
        ("cs3", entry.previous.to_string()),
        ("cs4Label", "data".to_owned()),
        ("cs4", entry.data.clone()),
    ]);
    // Not `suser`, which is taken for a fact.
    let claim = show::claim(&entry.actor);
    members.extend(claim.into_iter().flat_map(|claim| [("cs5Label", "claimed login".to_owned()), ("cs5", claim)]));
    members.push(("msg", what(entry)));
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}={}", extension(value))).collect();
    format!("{head}|{}|{}", severity(entry, &data), members.join(" "))
}

fn name(entry: &Entry) -> String {
    match entry.kind {
        EntryKind::Check => "A feed was checked",
        EntryKind::Verdict => "A verdict was reached",
        EntryKind::PublicationIntended => "A publication is about to happen",
        EntryKind::PublicationDone => "A ring was published",
        EntryKind::PublicationAbandoned => "A publication did not happen",
        EntryKind::Act => "The operator acted",
        EntryKind::Upkeep => "Upkeep",
        EntryKind::ConfigChange => "The configuration is another",
        EntryKind::Alarm => "An alarm",
        EntryKind::Process => "A process began or ended",
        EntryKind::Pruned => "Old history was let go",
        EntryKind::Carried => "An entry that was let go and still matters",
    }
    .to_owned()
}

/// From 0 to 10, as the format has it.
fn severity(entry: &Entry, data: &Value) -> u8 {
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    match entry.kind {
        EntryKind::Check if text("outcome") == "failed" => 6,
        EntryKind::Verdict if text("verdict") == "quarantined" => 7,
        EntryKind::Act if data.get("refused").is_some() => 6,
        // What is over is news, and no trouble any more.
        EntryKind::Alarm if text("event") == "recovered" => 3,
        EntryKind::Alarm if text("level") == "fail" => 8,
        EntryKind::Alarm | EntryKind::Act | EntryKind::ConfigChange => 5,
        EntryKind::PublicationAbandoned => 5,
        EntryKind::Check if text("outcome") == "quarantined" => 5,
        _ => 2,
    }
}

/// Escaped for the part between the bars.
fn header(text: &str) -> String {
    show::clean(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// Escaped for a member's value.
fn extension(text: &str) -> String {
    show::clean(text).replace('\\', "\\\\").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use catalog::Actor;
    use model::{Digest, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn entry(subject: &str, verb: &str, data: &str) -> Entry {
        Entry {
            seq: 7,
            at: Timestamp::from_micros(1_800_000_000_123_456),
            actor: Actor { login: Some("eve|x=y\nz".to_owned()), ..Actor::new(1000, 42, verb) },
            kind: EntryKind::Act,
            subject: subject.to_owned(),
            data: data.to_owned(),
            previous: Digest::of(b"a"),
            digest: Digest::of(b"b"),
        }
    }

    /// Reads a line as its consumer does: seven bars that are not escaped, then members.
    fn read(line: &str) -> (Vec<String>, Vec<(String, String)>) {
        let mut parts = vec![String::new()];
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' if parts.len() < 8 => parts.last_mut().unwrap().extend(chars.next()),
                '|' if parts.len() < 8 => parts.push(String::new()),
                c => parts.last_mut().unwrap().push(c),
            }
        }
        let extension = parts.pop().unwrap();
        // A key is what stands before a sign that is not escaped, back to the space before it.
        let (mut members, mut text, mut escaped) = (Vec::<(String, String)>::new(), String::new(), false);
        for c in extension.chars() {
            match c {
                c if escaped => {
                    text.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '=' => {
                    let (value, key) = text.rsplit_once(' ').map_or(("", text.as_str()), |(value, key)| (value, key));
                    if let Some(last) = members.last_mut() {
                        last.1 = value.to_owned();
                    }
                    members.push((key.to_owned(), String::new()));
                    text = String::new();
                }
                c => text.push(c),
            }
        }
        members.last_mut().unwrap().1 = text;
        (parts, members)
    }

    #[test]
    fn hostile_text_stays_where_it_belongs_c36() {
        for hostile in [
            "x|10|act=admit",
            "a\nCEF:0|Fake|fake|1|act|x|10|",
            "\\| cs1=forged",
            "$(id); `id` <img onerror=x> {{7*7}}",
            "\u{1b}[2J\u{202e}",
            "tail\\",
            "a= b=c ",
        ] {
            let data = serde_json::json!({ "act": hostile, "why": hostile, "outcome": hostile }).to_string();
            let line = line(&entry(hostile, hostile, &data), "dmz-1");
            assert!(!line.chars().any(show::is_hidden), "{line}");
            let (parts, members) = read(&line);
            assert_eq!((parts.len(), parts[0].as_str(), parts[4].as_str()), (7, "CEF:0", "act"), "{line}");
            let keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
            let expected = [
                "rt",
                "externalId",
                "dvchost",
                "suid",
                "spid",
                "sproc",
                "outcome",
                "act",
                "cs1Label",
                "cs1",
                "cs2Label",
                "cs2",
                "cs3Label",
                "cs3",
                "cs4Label",
                "cs4",
                "cs5Label",
                "cs5",
                "msg",
            ];
            assert_eq!(keys, expected, "{line}");
            let value = |name: &str| members.iter().find(|(key, _)| key == name).unwrap().1.clone();
            assert_eq!(value("cs1"), show::clean(hostile), "{line}");
            assert_eq!(value("externalId"), "7");
        }
    }

    #[test]
    fn an_alarm_weighs_by_what_happened_to_it() {
        for (event, level, severity) in [
            ("raised", "warn", "5"),
            ("raised", "fail", "8"),
            ("worse", "fail", "8"),
            ("better", "warn", "5"),
            ("changed", "fail", "8"),
            ("recovered", "fail", "3"),
            ("recovered", "warn", "3"),
            ("passed", "fail", "8"),
        ] {
            let data = serde_json::json!({ "event": event, "level": level, "reason": "was_down" }).to_string();
            let entry = Entry { kind: EntryKind::Alarm, ..entry("x", "run", &data) };
            let (parts, members) = read(&line(&entry, "dmz-1"));
            assert_eq!(parts[6], severity, "{event} {level}");
            assert!(members.contains(&("act".to_owned(), event.to_owned())), "{event} {level}");
        }
    }

    proptest! {
        #[test]
        fn any_text_makes_one_line_of_the_same_shape_c36(text in "(?s).{0,48}") {
            let data = serde_json::json!({ "act": text, "why": text }).to_string();
            let line = line(&entry(&text, &text, &data), "dmz-1");
            prop_assert!(!line.chars().any(show::is_hidden));
            let (parts, members) = read(&line);
            prop_assert_eq!((parts.len(), members.len()), (7, 18));
        }
    }
}
