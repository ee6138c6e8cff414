//! Which pairs that somebody left in the folder may be taken over instead of fetched again.
//!
//! Nothing in a pair proves that its two files belong together: the script fetches them one after the other, and the
//! vendor may publish in between. The vendor is asked for the head of its archive: where it still offers the version that
//! `manifest.json` names, the sizes must be equal. Where it has moved on, nobody can say what the pair is: it is replaced
//! by what is fetched, and is no release before.
//!
//! The engine fetches what a person brought from the vendor once, to have the vendor's word for it. Here that would fetch
//! again what is right: as long as the vendor offers that version in that size, such a feed is not asked for.

use std::path::{Path, PathBuf};

use catalog::ReleaseFilter;
use config::Config;
use mirror::{Engine, EngineError};
use model::{Digest, FeedId, Generation, ItemKind, Release, Version};
use outbound::{Outbound, Request, Response};
use platform::fs::Folder;
use url::Url;
use vendors::defender::DefenderSettings;

use crate::archive;
use crate::run::CompatError;

/// What the vendor's word on pairs that somebody left comes to.
#[derive(Default)]
pub(crate) struct Judged {
    /// To be taken over.
    pub(crate) take: Vec<FeedId>,
    /// What the vendor still offers just so: there is nothing to fetch.
    pub(crate) spare: Vec<FeedId>,
    /// What is newer in the folder than all that the state knows of it.
    pub(crate) ahead: Vec<Ahead>,
}

/// A pair that is newer than all that the state knows: the state is an older one, brought back from a copy, or somebody
/// else fills the folder as well.
#[derive(Clone, Debug)]
pub(crate) struct Ahead {
    pub(crate) feed: FeedId,
    /// What the pair says that it is.
    pub(crate) definitions: Version,
    /// What the pair in `_back` says that it is, where there is one.
    pub(crate) back: Option<Version>,
}

/// A pair that lies in the folder.
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
) -> Result<Judged, CompatError> {
    let serving = serving(engine).await?;
    let mut judged = Judged::default();
    for pair in pairs(folder, config) {
        let known = known(engine, &pair.feed).await?;
        // Of what the state has a release, the folder is no tree that somebody left.
        let ahead = match known.is_empty() {
            true => None,
            false => match ahead(folder, &pair, &known, engine).await? {
                Some(ahead) => Some(ahead),
                None => continue,
            },
        };
        match judge(&pair, config, outbound).await {
            Ok(()) => {
                judged.take.push(pair.feed.clone());
                judged.spare.push(pair.feed);
            }
            Err(why) if ahead.is_none() => {
                told.push(format!("{}: what is in the folder is not taken over: {why}", pair.feed));
            }
            // Whether it stays ahead shows when the vendor was asked.
            Err(_) => {}
        }
        judged.ahead.extend(ahead);
    }
    for pair in taken_over_before(config, engine, serving.as_ref()).await? {
        // Where the vendor cannot be asked, the run says so.
        if judge(&pair, config, outbound).await.is_ok() {
            judged.spare.push(pair.feed);
        }
    }
    Ok(judged)
}

pub(crate) async fn serving(engine: &Engine) -> Result<Option<Generation>, EngineError> {
    Ok(engine.ports().rings.current(&engine.settings().ring).await?.map(|current| current.generation))
}

/// All that the state ever had of a feed, also what it was told not to take.
async fn known(engine: &Engine, feed: &FeedId) -> Result<Vec<Release>, EngineError> {
    let filter = ReleaseFilter { feed: Some(feed.clone()), ..ReleaseFilter::default() };
    Ok(engine.ports().catalog.releases(&filter).await?.into_iter().map(|found| found.release).collect())
}

/// Whether a pair is whole, and newer than all that is known of its feed.
async fn ahead(folder: &Path, pair: &Pair, known: &[Release], engine: &Engine) -> Result<Option<Ahead>, CompatError> {
    let said: Option<Version> = pair.definitions.as_deref().and_then(|text| text.parse().ok());
    let newest = known.iter().map(|release| &release.vendor_version.version).max();
    let Some(definitions) = said.filter(|said| newest.is_none_or(|newest| said > newest)) else { return Ok(None) };
    let settings = engine.vendor_settings().defender;
    let (root, feed) = (folder.to_owned(), pair.feed.clone());
    let read = move || archive::whole(&root, &feed, &settings);
    let digest = tokio::task::spawn_blocking(read).await.map_err(|error| CompatError::Task(error.to_string()))?;
    // A companion alone that was altered makes no release of an archive that is known.
    let is_news = |digest: &Digest| !known.iter().flat_map(|release| &release.items).any(|item| item.digest == *digest);
    let back = || {
        let at = with_back(&place(&pair.feed)?);
        archive::definitions(&Folder::open(folder).ok()?, at.to_str()?)?.parse().ok()
    };
    Ok(digest.filter(is_news).map(|_| Ahead { feed: pair.feed.clone(), definitions, back: back() }))
}

/// What the ring serves out of the folder, and nobody but a person vouches for, as far as its bytes are held.
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
        let Some(size) = archive.filter(|_| release.provenance.folder.is_some()) else { continue };
        if is_held(engine, &release).await? {
            found.push(Pair { feed, size, definitions: Some(release.vendor_version.version.to_string()) });
        }
    }
    Ok(found)
}

/// Bytes that are gone, or were set aside as damaged, are fetched like any other.
async fn is_held(engine: &Engine, release: &Release) -> Result<bool, EngineError> {
    let digests: Vec<Digest> = release.items.iter().map(|item| item.digest).collect();
    let held = engine.ports().blobs.find_all(&digests).await?;
    Ok(release.items.iter().zip(held).all(|(item, held)| held.is_some_and(|held| held.size() == item.size)))
}

/// What lies in the folder of what is followed.
fn pairs(folder: &Path, config: &Config) -> Vec<Pair> {
    let Ok(root) = Folder::open(folder) else { return Vec::new() };
    config.feeds().into_iter().filter_map(|feed| pair(&root, feed)).collect()
}

fn pair(root: &Folder, feed: FeedId) -> Option<Pair> {
    let at = place(&feed)?;
    let at = at.to_str()?;
    let (_, size) = root.open_regular(&format!("{at}/updates.zip")).ok()?;
    root.open_regular(&format!("{at}/manifest.json")).ok()?;
    let definitions = archive::definitions(root, at);
    Some(Pair { feed, size, definitions })
}

/// `linux/production/arch_x86_64`.
pub(crate) fn place(feed: &FeedId) -> Option<PathBuf> {
    let mut parts = feed.as_str().split('/').skip(1);
    let (platform, track, arch) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Path::new(platform).join(track).join(format!("arch_{arch}")))
}

/// `linux/production_back/arch_x86_64` of `linux/production/arch_x86_64`.
pub(crate) fn with_back(place: &Path) -> PathBuf {
    let mut parts: Vec<String> = place.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if let Some(track) = parts.get_mut(1) {
        track.push_str("_back");
    }
    parts.iter().collect()
}

/// Whether the vendor still offers a pair just so; if not, why that cannot be said.
async fn judge(pair: &Pair, config: &Config, outbound: &dyn Outbound) -> Result<(), String> {
    let Some(definitions) = pair.definitions.as_deref().filter(|version| !version.is_empty()) else {
        return Err("its manifest.json names no version".to_owned());
    };
    let head = head(pair, config, outbound).await?;
    let offered = head.exchange.urls.last().and_then(|url| version_in(url));
    if let Some(offered) = offered.filter(|offered| offered != definitions) {
        let shown: String = offered.escape_default().take(40).collect();
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
