//! Text from outside that is fit to show.

/// The longest text from outside that a finding shows, in characters.
const MOST: usize = 200;

/// A text on one line, nothing hidden in it, and not endless.
pub(crate) fn shown(text: &str) -> String {
    model::shown(text, MOST)
}

/// A URL without user, password, query and fragment: what a finding may show of it. What is no URL is shown up to
/// the `@`, behind which the host would stand.
pub fn shown_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return shown(text) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    shown(&format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_and_no_secret_is_shown_c36_i13() {
        assert_eq!(shown("a\nb\u{1b}[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
        assert_eq!(shown(&"x".repeat(10_000)).chars().count(), MOST + 1);
        assert_eq!(shown_url("https://eve:hunter2@mirror.example:1/a?key=hunter2#x"), "https://mirror.example:1/a");
        assert_eq!(shown_url("mirror.example:8000/linux"), "mirror.example:8000/linux");
    }
}
