//! The address guard: hosts that the configuration names may have any address, all others only public ones.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Reason;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use crate::address::special;
use crate::failure::Failure;
use crate::host::HostName;
use crate::settings::Names;
use crate::text::escape;

/// Whose addresses are checked.
#[derive(Debug)]
pub(crate) enum Guard {
    /// All but those of these hosts.
    Except(HashSet<HostName>),
    /// Nobody's: for the script, which connects to nothing.
    Off,
}

impl Guard {
    /// A guard that lets through any address of `named`; texts that are no hosts name none.
    pub(crate) fn except(named: &[String]) -> Self {
        Self::Except(named.iter().filter_map(|text| HostName::parse(text)).collect())
    }

    fn is_named(&self, host: &HostName) -> bool {
        match self {
            Self::Except(named) => named.contains(host),
            Self::Off => true,
        }
    }

    /// Refuses what the URL alone gives away: literal addresses in any spelling, and `localhost`.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), Failure> {
        let Some(host) = HostName::of(url) else {
            return Err(Failure::new(Reason::AddressRefused, "the URL's host is no name"));
        };
        if self.is_named(&host) {
            return Ok(());
        }
        let word = host.address().and_then(special).or(host.is_localhost().then_some("loopback"));
        match word {
            Some(word) => Err(Failure::new(
                Reason::AddressRefused,
                format!("{} is a {word} address and the configuration does not name it", host.as_str()),
            )),
            None => Ok(()),
        }
    }

    /// The addresses that `name` may be reached at.
    fn keep(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ResolveError> {
        let first = found.first().copied().ok_or(ResolveError::Empty)?;
        if HostName::parse(name).is_some_and(|host| self.is_named(&host)) {
            return Ok(found);
        }
        let public: Vec<SocketAddr> = found.into_iter().filter(|address| special(address.ip()).is_none()).collect();
        if public.is_empty() {
            let word = special(first.ip()).unwrap_or("special");
            return Err(ResolveError::Refused { name: escape(name.as_bytes(), 253), first, word });
        }
        Ok(public)
    }
}

/// Why a name gave no address to connect to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("name resolution failed")]
    Failed(#[source] std::io::Error),
    #[error("the name has no addresses")]
    Empty,
    #[error("{name} resolves to {word} addresses only")]
    Refused { name: String, first: SocketAddr, word: &'static str },
}

impl ResolveError {
    /// The failure; a name looked up while there is a proxy is the proxy's own.
    pub(crate) fn failure(&self, proxy: Option<&str>) -> Failure {
        let detail = match self {
            Self::Failed(cause) => {
                format!("the name could not be resolved: {}", escape(cause.to_string().as_bytes(), 256))
            }
            Self::Empty => "the name has no addresses".to_owned(),
            Self::Refused { name, first, word } => {
                format!("{name} leads to {} ({word}), and the configuration does not name this host", first.ip())
            }
        };
        match (proxy, self) {
            (Some(proxy), _) => {
                Failure::new(Reason::ProxyFailed, format!("the proxy {proxy} cannot be found: {detail}"))
            }
            (None, Self::Refused { .. }) => Failure::new(Reason::AddressRefused, detail),
            (None, _) => Failure::new(Reason::DnsFailed, detail),
        }
    }
}

/// A resolver behind the guard. What it returns is what is connected to: nothing looks a name up twice, so an answer
/// that changes in between changes nothing (U20).
pub(crate) struct Resolver {
    guard: Arc<Guard>,
    names: Arc<dyn Names>,
    asked: AtomicUsize,
}

impl Resolver {
    pub(crate) fn new(guard: Arc<Guard>, names: Arc<dyn Names>) -> Self {
        Self { guard, names, asked: AtomicUsize::new(0) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, names) = (Arc::clone(&self.guard), Arc::clone(&self.names));
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let found = names.look_up(name.as_str()).await.map_err(ResolveError::Failed)?;
            let kept = turned(guard.keep(name.as_str(), found)?, turn);
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// The addresses with a later third of each family in front each time: they are tried one after the other and share
/// one limit, so that many dead ones in front would shut out a live one behind them for ever.
fn turned(addresses: Vec<SocketAddr>, turn: usize) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    for family in [&mut first, &mut second] {
        let third = family.len().div_ceil(3);
        // A few are all tried in time, in the order that the system prefers.
        if family.len() > 3 {
            family.rotate_left(turn % 3 * third);
        }
    }
    first.append(&mut second);
    first
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn private_answers_are_dropped_and_public_ones_kept_u20_u48() {
        let guard = Guard::except(&["Internal.Example".to_owned()]);
        let mixed = addresses(&["10.0.0.1", "8.8.8.8", "::1", "127.0.0.1", "2606:4700::1111"]);
        assert_eq!(guard.keep("rebind.test", mixed.clone()).unwrap(), addresses(&["8.8.8.8", "2606:4700::1111"]));
        assert_eq!(guard.keep("internal.example", mixed.clone()).unwrap(), mixed);
        let private = addresses(&["169.254.169.254", "::ffff:10.0.0.1"]);
        let refused = guard.keep("rebind.test", private).unwrap_err().failure(None);
        assert_eq!(refused.reason, Reason::AddressRefused);
        assert!(refused.detail.contains("169.254.169.254 (link-local)"), "{}", refused.detail);
        assert_eq!(guard.keep("x.test", Vec::new()).unwrap_err().failure(None).reason, Reason::DnsFailed);
    }

    #[test]
    fn many_addresses_take_turns_u48() {
        let few = addresses(&["1.1.1.1", "2606::1", "2.2.2.2", "3.3.3.3"]);
        let sorted = addresses(&["1.1.1.1", "2.2.2.2", "3.3.3.3", "2606::1"]);
        assert!((0..5).all(|turn| turned(few.clone(), turn) == sorted));
        let many: Vec<SocketAddr> = (1..=100).map(|last| SocketAddr::from(([9, 9, 9, last], 0))).collect();
        let begins: Vec<SocketAddr> = (0..4).map(|turn| turned(many.clone(), turn)[0]).collect();
        assert_eq!(begins, [many[0], many[34], many[68], many[0]]);
        for turn in 0..3 {
            let mut again = turned(many.clone(), turn);
            again.sort();
            assert_eq!(again, many, "none is lost");
        }
        assert_eq!(turned(Vec::new(), 1), []);
    }

    #[test]
    fn literals_and_localhost_u19() {
        let guard = Guard::except(&["192.168.7.7".to_owned(), "::1".to_owned()]);
        for text in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://0/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://169.254.169.254/latest",
            "http://[fd00::1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://localhost../",
            "http://１２７.0.0.1/",
            "http://[64:ff9b::a00:1]/",
        ] {
            let refused = guard.check_url(&Url::parse(text).unwrap()).unwrap_err();
            assert_eq!(refused.reason, Reason::AddressRefused, "{text}");
        }
        for text in [
            "http://192.168.7.7/",
            "http://[::1]:8080/",
            "http://8.8.8.8/",
            "http://example.com/",
            "http://0xc0a80707/",
        ] {
            assert_eq!(guard.check_url(&Url::parse(text).unwrap()), Ok(()), "{text}");
        }
    }
}
