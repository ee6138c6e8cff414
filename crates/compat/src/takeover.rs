//! Which pairs that somebody left in the folder may be taken over instead of fetched again.
//!
//! Nothing in a pair proves that its two files belong together: the script fetches them one after the other, and the
//! vendor may publish in between. The vendor is asked for the head of its archive: where it still offers the version that
//! `manifest.json` names, the sizes must be equal. Where it has moved on, nobody can say what the pair is: it is replaced
//! by what is fetched, and is no release before.
//!
//! The engine fetches what a person brought from the vendor once, to have the vendor's word for it. Here that would fetch
//! again what is right: as long as the vendor offers that version in that size, such a feed is not asked for.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use config::Config;
use mirror::{Engine, EngineError};
use model::{FeedId, Generation, ItemKind};
use outbound::{Outbound, Request, Response};
use platform::fs::Folder;
use serde_json::Value;
use url::Url;
use vendors::defender::DefenderSettings;

/// The most of a companion that is read.
const COMPANION: u64 = 64 << 10;

/// What the vendor's word on pairs that somebody left comes to.
#[derive(Default)]
pub(crate) struct Judged {
    /// To be taken over.
    pub(crate) take: Vec<FeedId>,
    /// What the vendor still offers just so: there is nothing to fetch.
    pub(crate) spare: Vec<FeedId>,
}

/// A pair that somebody left.
struct Pair {
    feed: FeedId,
    /// The archive's size.
    size: u64,
    /// What its companion says, if it says anything.
    definitions: Option<String>,
}

/// What may be taken over from the folder, and what need not be fetched; `told` gets why something may not.
pub(crate) async fn judged(
    folder: &Path,
    config: &Config,
    (engine, outbound): (&Engine, &dyn Outbound),
    told: &mut Vec<String>,
) -> Result<Judged, EngineError> {
    let serving = engine.ports().rings.current(&engine.settings().ring).await?.map(|current| current.generation);
    let mut judged = Judged::default();
    for pair in pairs(folder, config, serving.as_ref()) {
        match judge(&pair, config, outbound).await {
            Ok(()) => {
                judged.take.push(pair.feed.clone());
                judged.spare.push(pair.feed);
            }
            Err(why) => told.push(format!("{}: what is in the folder is not taken over: {why}", pair.feed)),
        }
    }
    for pair in taken_over_before(config, engine, serving.as_ref()).await? {
        // Where the vendor cannot be asked, the run says so.
        if judge(&pair, config, outbound).await.is_ok() {
            judged.spare.push(pair.feed);
        }
    }
    Ok(judged)
}

/// What the ring serves out of the folder, and nobody but a person vouches for.
async fn taken_over_before(
    config: &Config,
    engine: &Engine,
    serving: Option<&Generation>,
) -> Result<Vec<Pair>, EngineError> {
    let mut found = Vec::new();
    for feed in config.feeds() {
        let Some(served) = serving.and_then(|serving| serving.feeds.get(&feed)) else { continue };
        let Some(record) = engine.ports().catalog.release(&served.release).await? else { continue };
        let release = record.release;
        let archive = release.items.iter().find(|item| item.kind == ItemKind::Artifact).map(|item| item.size);
        if let (Some(_), Some(size)) = (&release.provenance.folder, archive) {
            found.push(Pair { feed, size, definitions: Some(release.vendor_version.version.to_string()) });
        }
    }
    Ok(found)
}

/// What lies there of the feeds that the ring does not serve yet.
fn pairs(folder: &Path, config: &Config, serving: Option<&Generation>) -> Vec<Pair> {
    let Ok(root) = Folder::open(folder) else { return Vec::new() };
    let missing = |feed: &FeedId| serving.is_none_or(|serving| !serving.feeds.contains_key(feed));
    config.feeds().into_iter().filter(missing).filter_map(|feed| pair(&root, feed)).collect()
}

fn pair(root: &Folder, feed: FeedId) -> Option<Pair> {
    let at = place(&feed)?;
    let at = at.to_str()?;
    let (_, size) = root.open_regular(&format!("{at}/updates.zip")).ok()?;
    let (companion, _) = root.open_regular(&format!("{at}/manifest.json")).ok()?;
    let mut bytes = Vec::new();
    companion.take(COMPANION).read_to_end(&mut bytes).ok()?;
    let plain = bytes.strip_prefix(&[0xef, 0xbb, 0xbf][..]).unwrap_or(&bytes);
    let read: Option<Value> = serde_json::from_slice(plain).ok();
    let definitions = read.and_then(|read| Some(read.get("DefinitionVersion")?.as_str()?.to_owned()));
    Some(Pair { feed, size, definitions })
}

/// `linux/production/arch_x86_64`.
pub(crate) fn place(feed: &FeedId) -> Option<PathBuf> {
    let mut parts = feed.as_str().split('/').skip(1);
    let (platform, track, arch) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Path::new(platform).join(track).join(format!("arch_{arch}")))
}

/// Whether the vendor still offers a pair just so; if not, why that cannot be said.
async fn judge(pair: &Pair, config: &Config, outbound: &dyn Outbound) -> Result<(), String> {
    let Some(definitions) = pair.definitions.as_deref().filter(|version| !version.is_empty()) else {
        return Err("its manifest.json names no version".to_owned());
    };
    let head = head(pair, config, outbound).await?;
    let offered = head.exchange.urls.last().and_then(|url| version_in(url));
    if let Some(offered) = offered.filter(|offered| offered != definitions) {
        let shown: String = offered.chars().take(40).collect();
        return Err(format!(
            "the vendor is at {shown} by now, so nothing says whether updates.zip is what manifest.json calls it"
        ));
    }
    match head.length {
        Some(length) if length != pair.size => {
            Err(format!("updates.zip has {} bytes, and the vendor's has {length}", pair.size))
        }
        Some(_) => Ok(()),
        None => Err("the vendor does not say how large its archive is".to_owned()),
    }
}

async fn head(pair: &Pair, config: &Config, outbound: &dyn Outbound) -> Result<Response, String> {
    let defender = config.defender.as_ref().ok_or("nothing is followed")?;
    let url = address(&defender.origin, &pair.feed).ok_or("its address cannot be made")?;
    let redirect_hosts = defender.redirect_hosts.clone();
    let request = Request { redirect_hosts, head_only: true, ..Request::get(url) };
    outbound.get(request).await.map_err(|error| format!("the vendor could not be asked: {error}"))
}

/// Where the vendor has a feed's archive, as its script asks for it.
pub(crate) fn address(origin: &Url, feed: &FeedId) -> Option<Url> {
    let settings = DefenderSettings::default();
    let mut parts = feed.as_str().split('/').skip(1);
    let (platform, track, arch) = (parts.next()?, parts.next()?, parts.next()?);
    let link = if platform == "mac" { settings.mac_link } else { settings.linux_link };
    let arch = if arch == "arm64" { "&arch=arm64" } else { "" };
    let rings = if track == "preview" { "&engRing=3&sigRing=1" } else { "" };
    origin.join(&format!("?linkid={link}{arch}{rings}")).ok()
}

/// The version that the content's own address names, where it names one.
fn version_in(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let (_, version) = url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case("packageVersion"))?;
    (!version.is_empty()).then(|| version.into_owned())
}
