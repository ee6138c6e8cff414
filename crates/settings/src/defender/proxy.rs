//! `cloudService.proxy`, as an agent is given it.

use url::Url;

/// A proxy in the form that Microsoft documents, `http://host:port/`; none for any other text. What an agent makes of
/// those is not published.
pub fn proxy(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.contains("://"))?;
    let is_proxy = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    is_proxy.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_a_scheme_a_host_and_no_path() {
        for text in ["http://proxy.corp:8080", "http://proxy.corp:8080/", "https://10.0.0.1", "http://eve:x@proxy:1/"] {
            assert!(proxy(text).is_some(), "{text}");
        }
        for text in [
            "",
            "None",
            "proxy:8080",
            "proxy.corp:8080",
            "http:8080",
            "socks5://p:1",
            "http://",
            "http://p/x",
            "http://p/?x",
        ] {
            assert_eq!(proxy(text), None, "{text}");
        }
    }
}
