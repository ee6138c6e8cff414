//! The address that a ring's endpoints are given.

use config::Config;
use model::RingName;
use settings::{MirrorUrl, OverPlainHttp};

use crate::context::Context;
use crate::failure::Failure;

/// The configuration, where there is one: settings can be made on a machine that has none.
pub(crate) fn configuration(context: &Context) -> Result<Option<Config>, Failure> {
    let named = context.given().is_some()
        || context.environment.iter().any(|(name, value)| name == "WAYSTATION_CONFIG" && !value.is_empty());
    if named || config::find(None, &context.environment).is_ok() {
        return context.config().map(Some);
    }
    Ok(None)
}

/// A ring's address below a mirror's, as the configuration has its rings and listeners.
pub(super) fn of_ring(
    url: &str,
    ring: Option<&RingName>,
    plain: OverPlainHttp,
    config: Option<&Config>,
) -> Result<MirrorUrl, Failure> {
    let usage = |error: settings::MirrorUrlError| Failure::usage(error.to_string());
    let mirror = MirrorUrl::parse(url, plain).map_err(usage)?;
    if let Some(config) = config {
        known(ring, config)?;
        below_prefix(&mirror, config)?;
    }
    // The ring at the end of the chain stands at the root.
    let ring = ring.filter(|ring| config.is_none_or(|config| config.default_ring() != **ring));
    mirror.ring(ring).map_err(usage)
}

fn known(ring: Option<&RingName>, config: &Config) -> Result<(), Failure> {
    let Some(ring) = ring else { return Ok(()) };
    if config.rings().iter().any(|known| known.name == *ring) {
        return Ok(());
    }
    let rings: Vec<&str> = config.rings().iter().map(|known| known.name.as_str()).collect();
    Err(Failure::usage(format!("there is no ring {ring}; the configuration has {}", rings.join(", "))))
}

/// Where every listener stands below a prefix, an address without one leads nowhere.
fn below_prefix(mirror: &MirrorUrl, config: &Config) -> Result<(), Failure> {
    let below = |prefix: &str| {
        mirror.prefix().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if config.serve.iter().any(|serve| below(&serve.path_prefix)) {
        return Ok(());
    }
    let prefixes: Vec<&str> = config.serve.iter().map(|serve| serve.path_prefix.as_str()).collect();
    let text = format!("{} is not below a listener's path_prefix ({})", mirror.text(), prefixes.join(", "));
    Err(Failure::usage(text).with_next("append the prefix, unless a proxy in front adds it: then leave out --config"))
}
