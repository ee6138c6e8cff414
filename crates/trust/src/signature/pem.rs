//! The PEM envelope (RFC 7468), strictly: an operator's file is small, and a damaged one is told so.

use super::KeyError;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const WANTED: &str = "PUBLIC KEY";

/// The contents of all `PUBLIC KEY` blocks; text outside of blocks is skipped, another kind of block is refused.
pub(super) fn blocks(text: &str) -> Result<Vec<Vec<u8>>, KeyError> {
    let mut blocks = Vec::new();
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        let Some(label) = label_of(line, BEGIN) else { continue };
        let block = blocks.len() + 1;
        if label != WANTED {
            return Err(KeyError::Label { block, label: escaped(label) });
        }
        let body = body(&mut lines, block)?;
        blocks.push(decode(&body).ok_or(KeyError::Damaged { block, what: "its text is not base64" })?);
    }
    Ok(blocks)
}

fn label_of<'a>(line: &'a str, edge: &str) -> Option<&'a str> {
    line.strip_prefix(edge)?.strip_suffix(DASHES)
}

fn body<'a>(lines: &mut impl Iterator<Item = &'a str>, block: usize) -> Result<String, KeyError> {
    let mut body = String::new();
    for line in lines {
        match label_of(line, END) {
            Some(WANTED) => return Ok(body),
            Some(_) => return Err(KeyError::Damaged { block, what: "its END line names another kind" }),
            None if line.starts_with(BEGIN) => break,
            None => body.push_str(line.trim()),
        }
    }
    Err(KeyError::Damaged { block, what: "its END line is missing" })
}

/// Base64 with padding, of which every text has exactly one spelling.
fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = bytes.get(..bytes.len().checked_sub(padding)?)?;
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    for group in digits.chunks(4) {
        let bits = group.iter().try_fold(0u32, |bits, digit| Some(bits << 6 | u32::from(value(*digit)?)))?;
        let missing = 4usize.checked_sub(group.len())?;
        let [_, first, second, third] = (bits << (6 * missing)).to_be_bytes();
        let (kept, dropped) = match missing {
            0 => (3, 0),
            1 => (2, third),
            _ => (1, second),
        };
        if dropped != 0 {
            return None;
        }
        out.extend([first, second, third].iter().take(kept));
    }
    Some(out)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

fn escaped(label: &str) -> String {
    label.chars().take(40).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_spelling() {
        let good: [(&str, &[u8]); 4] = [("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo"), ("Zm9vYg==", b"foob")];
        for (text, bytes) in good {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["", "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v!!!!", "Zm 9"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
