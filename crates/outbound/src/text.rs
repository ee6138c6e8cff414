//! Texts from outside, made safe to print.

use reqwest::header::HeaderValue;
use url::Url;

/// The longest URL in errors and records.
const MAX_URL: usize = 512;

/// The URL without credentials and fragment, cut at 512 bytes. The query stays: vendors' addresses live in it.
pub(crate) fn safe_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    // Both fail only on URLs that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    escape(url.as_str().as_bytes(), MAX_URL)
}

/// A header's value as text, cut at `max` bytes.
pub(crate) fn safe_value(value: &HeaderValue, max: usize) -> String {
    escape(value.as_bytes(), max)
}

/// Everything but printable ASCII becomes an escape; the result has at most `max` bytes and cuts no escape.
pub(crate) fn escape(bytes: &[u8], max: usize) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        let piece = if c == ' ' || c.is_ascii_graphic() { c.to_string() } else { c.escape_default().to_string() };
        if out.len() + piece.len() > max {
            break;
        }
        out.push_str(&piece);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_lose_credentials_and_fragment_u14() {
        let url = Url::parse("https://user:secret@example.com/a?linkid=1#part").unwrap();
        assert_eq!(safe_url(&url), "https://example.com/a?linkid=1");
        let long = Url::parse(&format!("https://example.com/{}", "a".repeat(9000))).unwrap();
        assert_eq!(safe_url(&long).len(), MAX_URL);
    }

    proptest! {
        #[test]
        fn escaped_texts_are_printable_and_short_c36(bytes in proptest::collection::vec(any::<u8>(), 0..400), max in 0usize..300) {
            let text = escape(&bytes, max);
            prop_assert!(text.len() <= max);
            prop_assert!(text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
        }
    }
}
