//! The commented file that `waystation init` writes.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::keys::{self, Key, Kind, Section};

const WIDTH: usize = 100;

const HEAD: &str = "\
# Waystation's configuration.
#
# Every key is here. A commented key shows its default, or what its comment calls an example; remove the '#' to set it.
# Environment variables WAYSTATION__SECTION__KEY override keys of sections that stand once.
";

static TEMPLATE: LazyLock<String> = LazyLock::new(|| {
    let mut text = HEAD.to_owned();
    for section in keys::SECTIONS {
        write_section(&mut text, section);
    }
    text
});

/// A configuration with every key, its meaning and its default; it is itself valid.
pub fn template() -> &'static str {
    &TEMPLATE
}

fn write_section(text: &mut String, section: &Section) {
    text.push('\n');
    comment(text, section.doc);
    if section.name.is_empty() {
        text.push('\n');
    }
    let hidden = if section.shape.is_hidden() { "# " } else { "" };
    if !section.name.is_empty() {
        let (open, close) = if section.shape.is_list() { ("[[", "]]") } else { ("[", "]") };
        let _ = writeln!(text, "{hidden}{open}{}{close}", section.name);
    }
    for key in section.keys {
        comment(text, &sentence(key));
        let value = key.default.filter(|_| !key.set).unwrap_or(if key.set { set_value(key) } else { key.example });
        let mark = if key.set { "" } else { "# " };
        let _ = writeln!(text, "{mark}{} = {value}", key.name);
    }
}

fn set_value(key: &Key) -> &'static str {
    key.default.unwrap_or(key.example)
}

/// What a key means, with the keys of its inline table, and whether the value shown is an example.
fn sentence(key: &Key) -> String {
    let mut text = key.doc.to_owned();
    if let Kind::Table(keys) = key.kind {
        for key in keys {
            let _ = write!(text, " {}: {}", key.name, key.doc);
        }
    }
    if key.default.is_none() && !key.set {
        text.push_str(" (An example.)");
    }
    text
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
