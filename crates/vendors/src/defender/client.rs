//! The same documents as whoever applies them reads them: one archive, and what says which versions it holds.

use model::{FeedId, VendorVersion};

use super::archive::Whole;
use super::place::Place;
use super::{DefenderSettings, companion as script, info as xml};
use crate::{Inspection, Target};

/// Where the vendor has an archive and the document that names its versions, each to be appended to the link's base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// `updates.zip`.
    pub archive: Target,
    /// The XML.
    pub info: Target,
}

/// Reads the `manifest.json` that stands beside an archive.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn companion(body: &[u8]) -> Result<VendorVersion, String> {
    script::parse(body)
}

/// Reads the XML that names the versions on offer.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn info(body: &[u8]) -> Result<VendorVersion, String> {
    xml::parse(body).map(|read| read.version)
}

/// The proof that an archive is whole and holds what a feed's archives hold.
///
/// # Errors
/// The feed is none of Defender's.
pub fn inspection(feed: &FeedId, settings: &DefenderSettings) -> Result<Box<dyn Inspection>, String> {
    Ok(Box::new(Whole::new(Place::of(feed)?, settings)))
}

/// Where the vendor has a feed.
///
/// # Errors
/// The feed is none of Defender's.
pub fn upstream(feed: &FeedId, settings: &DefenderSettings) -> Result<Pair, String> {
    let place = Place::of(feed)?;
    Ok(Pair { archive: place.upstream_archive(settings), info: place.upstream_info(settings) })
}
