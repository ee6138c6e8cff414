//! Who really answers TLS for a host: an intercepting proxy gives itself away by who issued its certificate.

use config::{Config, Proxy};
use model::Timestamp;
use url::Url;

use crate::tls::Roots;
use crate::wire::{Connection, Place, Waits, Way};

/// What a look at a host's certificates brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Who issued the last certificate presented.
    pub(crate) issuer: String,
    /// Whether a public root vouches for them.
    pub(crate) public: bool,
}

/// Looks at the certificates that are presented for a URL's host; nothing where no handshake is made.
pub(crate) async fn look(config: &Config, url: &Url, now: Timestamp, waits: Waits) -> Option<Looked> {
    let place = Place::of(url).filter(|place| place.tls)?;
    let way = way(config, url)?;
    let connection = Connection::open(&place, &way, waits).await.ok()?;
    let handshake = connection.handshake.as_ref()?;
    let issuer = crate::tls::issuer(&handshake.chain)?;
    let public = Roots::public().judge(&handshake.chain, &place.name, now).is_ok();
    Some(Looked { issuer, public })
}

/// The way that requests to a URL take; none where it cannot be taken here (a proxy that itself speaks TLS).
pub(crate) fn way(config: &Config, url: &Url) -> Option<Way> {
    let Some(proxy) = config.origin.proxy.as_ref().filter(|_| !is_excepted(&config.origin.no_proxy, url)) else {
        return Some(Way::Direct);
    };
    if proxy.url.scheme() != "http" {
        return None;
    }
    let host = proxy.url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(Way::Tunnel { host, port: proxy.url.port_or_known_default()?, authorization: authorization(proxy) })
}

/// Names and suffixes alone: for a range of addresses the tunnel is tried, and at worst tells nothing.
fn is_excepted(no_proxy: &[String], url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    no_proxy.iter().any(|entry| {
        let entry = entry.trim().trim_start_matches('*');
        let name = entry.split(':').next().unwrap_or_default();
        entry.is_empty() || host == name || (name.starts_with('.') && host.ends_with(name))
    })
}

fn authorization(proxy: &Proxy) -> Option<String> {
    let user = proxy.user.as_ref()?;
    let password = proxy.password.as_ref().map(|password| password.expose()).unwrap_or_default();
    Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4usize {
            let digit = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or(0);
            let shown = DIGITS.get(digit).map_or('A', |digit| char::from(*digit));
            text.push(if place <= three.len() { shown } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_the_standard_has_it() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("user:p", "dXNlcjpw")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn hosts_without_proxy_are_asked_directly_u49() {
        let url = Url::parse("https://mirror.internal/").unwrap();
        for entry in ["mirror.internal", ".internal", "*.internal", "*", "mirror.internal:443"] {
            assert!(is_excepted(&[entry.to_owned()], &url), "{entry}");
        }
        assert!(!is_excepted(&["other.internal".to_owned(), "10.0.0.0/8".to_owned()], &url));
    }
}
