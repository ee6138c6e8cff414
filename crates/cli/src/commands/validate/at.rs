//! The mirror that reports are held against: what its rings offer, and where endpoints reach it.

use std::collections::BTreeSet;

use app::Purpose;
use config::Config;
use fleet::Offers;
use fleet::health::{Mirror, feeds_of, ring_below};
use model::{Bound, FeedId, FreshnessPolicy, Preset, RingName, Vendor};
use settings::{MirrorUrl, OverPlainHttp};
use url::Url;

use super::defender::Defender;
use super::health::Reports;
use super::rings;
use super::walk::Walk;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// The most rings that a mirror is asked for.
const RINGS: usize = 50;

/// The mirror, as far as it is known.
pub(super) struct Known {
    rings: Vec<Offers>,
    pub(super) addresses: Vec<Url>,
    otherwise: Option<RingName>,
    arch: Option<String>,
    bound: Bound,
}

impl Known {
    pub(super) fn held(&self) -> Mirror<'_> {
        Mirror {
            rings: &self.rings,
            addresses: &self.addresses,
            otherwise: self.otherwise.as_ref(),
            arch: self.arch.as_deref(),
            bound: self.bound,
        }
    }
}

/// What rings offer; of a mirror that is named, what it serves on the rings that endpoints' addresses name. Where neither
/// is known nothing could be held against anything, and no endpoint be called in order.
pub(super) async fn at(
    args: &Defender,
    config: Option<&Config>,
    context: &Context,
    reports: &Reports,
) -> Result<Known, Failure> {
    let mut addresses = Vec::new();
    let mut otherwise = args.ring.clone();
    let mut mirror = None;
    if let Some(url) = &args.route.url {
        let (root, ring) = root_of(url)?;
        if let (Some(named), Some(ring)) = (&otherwise, &ring)
            && named != ring
        {
            return Err(Failure::usage(format!("--url names ring {ring} and --ring {named}: one of them is wrong")));
        }
        otherwise = otherwise.or(ring);
        addresses.push(root.url().clone());
        mirror = Some(root);
    }
    for address in &args.also_at {
        addresses.push(root_of(address)?.0.url().clone());
    }
    let rings = match mirror {
        Some(mirror) => served(args, config, context, named(mirror, reports, &addresses, &otherwise)?).await?,
        None => held(config, context).await?,
    };
    if let Some(ring) = &otherwise
        && !rings.is_empty()
        && rings.iter().all(|offers| offers.ring.as_ref() != Some(ring))
    {
        let names: Vec<&str> = rings.iter().filter_map(|offers| Some(offers.ring.as_ref()?.as_str())).collect();
        return Err(Failure::usage(format!("there is no ring {ring}; the configuration has {}", names.join(", "))));
    }
    if rings.iter().all(|offers| offers.feeds.keys().all(|feed| feed.vendor() != Vendor::Defender)) {
        let text = "nothing of Defender is served here yet, so no endpoint can be held against it";
        let failure = Failure::usage(text).with_exit(Exit::FAILED);
        return Err(failure.with_next("`waystation status` says why, or name the mirror with --url"));
    }
    let bound =
        config.map_or_else(|| FreshnessPolicy::preset(Preset::Stig).defender, |config| config.freshness.defender).age;
    Ok(Known { rings, addresses, otherwise, arch: args.arch.clone(), bound })
}

/// A mirror's own address, and the ring that it goes on to.
fn root_of(text: &str) -> Result<(MirrorUrl, Option<RingName>), Failure> {
    let parse =
        |text: &str| MirrorUrl::parse(text, OverPlainHttp::Accepted).map_err(|error| Failure::usage(error.to_string()));
    let url = parse(text)?;
    let text = url.text();
    match text.rsplit_once("/rings/") {
        Some((root, ring)) if !ring.contains('/') => Ok((parse(root)?, ring.parse().ok())),
        _ => Ok((url, None)),
    }
}

/// A mirror, and what it is asked for.
struct Asked {
    mirror: MirrorUrl,
    /// Beside the one at its root.
    rings: BTreeSet<RingName>,
    /// Beside those of the configuration.
    feeds: BTreeSet<FeedId>,
}

/// The rings and feeds that endpoints' addresses name at this mirror.
fn named(
    mirror: MirrorUrl,
    reports: &Reports,
    addresses: &[Url],
    otherwise: &Option<RingName>,
) -> Result<Asked, Failure> {
    let mut asked = Asked { mirror, rings: otherwise.iter().cloned().collect(), feeds: BTreeSet::new() };
    for (_, report) in reports.each() {
        let Ok(health) = report else { continue };
        let Some(address) = health.get("offline_definition_url_configured") else { continue };
        asked.rings.extend(ring_below(address, addresses));
        asked.feeds.extend(feeds_of(address));
        if asked.rings.len() > RINGS {
            let told = format!("endpoints name more than {RINGS} rings of the mirror: give the reports in parts");
            return Err(Failure::usage(told));
        }
    }
    Ok(asked)
}

async fn served(
    args: &Defender,
    config: Option<&Config>,
    context: &Context,
    asked: Asked,
) -> Result<Vec<Offers>, Failure> {
    let mut all = Vec::new();
    for ring in asked.rings.into_iter().map(Some).chain([None]) {
        // Without a configuration the mirror is asked for every feed that there is.
        let followed: BTreeSet<FeedId> =
            config.iter().flat_map(|config| config.feeds().into_iter().chain(asked.feeds.iter().cloned())).collect();
        let walk = Walk {
            mirror: &asked.mirror,
            ring: ring.as_ref(),
            config,
            feeds: followed.into_iter().filter(|feed| feed.vendor() == Vendor::Defender).collect(),
            versions_alone: true,
        };
        let report = args.route.walk(walk, context).await?;
        let ring = ring.or_else(|| config.map(|config| config.default_ring().clone()));
        all.push(Offers { ring, ..rings::seen(&report, config) });
    }
    if all.iter().all(|offers| offers.feeds.is_empty()) {
        let mirror = asked.mirror.text();
        let next = format!("`waystation doctor {mirror}` tells why");
        return Err(Failure::usage(format!("{mirror} serves nothing of Defender"))
            .with_exit(Exit::FAILED)
            .with_next(next));
    }
    Ok(all)
}

/// What the data folder of this machine has.
async fn held(config: Option<&Config>, context: &Context) -> Result<Vec<Offers>, Failure> {
    let Some(config) = config else {
        let failure = Failure::usage("no configuration is at hand: there is nothing to hold endpoints against");
        return Err(failure.with_next("name the mirror with --url, or the configuration with --config"));
    };
    if matches!(config.data_dir.join("catalog").try_exists(), Ok(false)) {
        return Ok(Vec::new());
    }
    let engine = context.engine(config, "validate", Purpose::Look).await?;
    let mut offers = rings::offers(&engine, config, Vendor::Defender).await?;
    // What the drop-in downloader keeps from it is what endpoints get: the release before only where it stands there.
    if let Some(written) = compat::written_from(config) {
        let bases = |feed: &FeedId| vendors::registry(feed.vendor()).back_bases(feed);
        let stands = |feed: &FeedId| bases(feed).iter().any(|base| written.iter().any(|it| it.is_under(base.as_str())));
        offers.iter_mut().for_each(|offers| offers.back.retain(|feed, _| stands(feed)));
    }
    Ok(offers)
}
