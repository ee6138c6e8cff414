//! Text from outside that is fit to show.

/// A text on one line, nothing hidden in it, and not longer than `most` characters.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (index, c) in text.chars().enumerate() {
        if index >= most {
            out.push('…');
            break;
        }
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if hidden { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}
