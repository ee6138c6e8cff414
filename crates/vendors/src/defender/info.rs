//! The XML that names the versions on offer.

use model::{Timestamp, VendorVersion, Version};

/// The most bytes of it.
pub(super) const CAP: u64 = 64 << 10;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) version: VendorVersion,
    pub(super) time: Option<Timestamp>,
}

/// Reads it; order, white space, comments, attributes and other elements do not matter.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<Info, String> {
    if body.len() as u64 > CAP {
        return Err("is larger than 64 KiB".to_owned());
    }
    let text = std::str::from_utf8(body).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    // Document types are refused by default, and with them entities.
    let document = roxmltree::Document::parse(text).map_err(|error| not_well_formed(&error))?;
    let root = document.root_element();
    if root.tag_name().name() != "versions" {
        return Err("has another root element than <versions>".to_owned());
    }
    let signatures = only(root, "signatures")?;
    let version = version(signatures, "signatures")?;
    let engine = self::version(only(root, "engine")?, "engine")?;
    // The date is for people and freshness alone: an odd one is none.
    let time = signatures.attribute("date").map(str::trim).and_then(Timestamp::parse);
    Ok(Info { version: VendorVersion { version, engine: Some(engine) }, time })
}

/// The reader quotes what it met, whatever that is and however long.
fn not_well_formed(error: &roxmltree::Error) -> String {
    let message = error.to_string();
    let mut shown = "is not well-formed XML: ".to_owned();
    for c in message.chars().take(120) {
        match c {
            ' '..='~' => shown.push(c),
            odd => shown.extend(odd.escape_unicode()),
        }
    }
    shown
}

fn only<'d>(root: roxmltree::Node<'d, 'd>, name: &str) -> Result<roxmltree::Node<'d, 'd>, String> {
    let mut found = root.children().filter(|node| node.is_element() && node.tag_name().name() == name);
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        (None, _) => Err(format!("has no <{name}>")),
        (Some(_), Some(_)) => Err(format!("has <{name}> twice")),
    }
}

fn version(node: roxmltree::Node<'_, '_>, name: &str) -> Result<Version, String> {
    if node.children().any(|child| child.is_element()) {
        return Err(format!("has elements inside <{name}>"));
    }
    let text: String = node.children().filter(|child| child.is_text()).filter_map(|child| child.text()).collect();
    quad(&text).ok_or_else(|| format!("has no version of four numbers in <{name}>"))
}

/// Four numbers with dots between them.
pub(super) fn quad(text: &str) -> Option<Version> {
    text.trim().parse::<Version>().ok().filter(|version| version.is_dotted(4))
}
