//! `waystation feed check`.

use app::Purpose;
use clap::Args;
use mirror::{Engine, FeedStatus};
use model::{FeedId, Note, Reason, RingName, Vendor, VendorVersion};
use serde::Serialize;

use super::dates::broken;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Tells whether agents can be upgraded to a version: offered, held, and served in which rings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation feed check 9.1.2
  waystation feed check 8.18.3@2026-01-15 --json

Run it before agents are upgraded: an endpoint whose version is not served stays without updates.

Exit codes:
  0  every ring serves it, and it is followed
  1  not every ring serves it, it is not renewed any more, or it could not be told
  2  wrong usage or configuration")]
pub(crate) struct Check {
    /// A version of Elastic Defend, or the name of a feed
    #[arg(value_name = "VERSION")]
    version: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    feed: FeedId,
    /// What the vendor offers; none where that could not be told, or there is nothing.
    offered: Option<VendorVersion>,
    /// Why nothing is offered, or why that could not be told.
    not_offered: Option<Note>,
    followed: bool,
    /// The rule of the vendor's for dates that it breaks, whatever the endpoint's build.
    #[serde(skip_serializing_if = "Option::is_none")]
    date_broken: Option<String>,
    /// What is held, served or not.
    held: Option<VendorVersion>,
    rings: Vec<InRing>,
}

#[derive(Debug, Serialize)]
struct InRing {
    ring: RingName,
    served: Option<VendorVersion>,
}

impl Found {
    /// What is served and not followed is renewed no longer, and goes with the next gc.
    fn is_ready(&self) -> bool {
        self.followed && self.is_served()
    }

    fn is_served(&self) -> bool {
        self.rings.iter().all(|ring| ring.served.is_some())
    }

    /// Rings that serve less than the vendor offers.
    fn behind(&self) -> Vec<&str> {
        let less = |ring: &&InRing| {
            let pair = ring.served.as_ref().zip(self.offered.as_ref());
            pair.is_some_and(|(served, offered)| served.version < offered.version)
        };
        self.rings.iter().filter(less).map(|ring| ring.ring.as_str()).collect()
    }
}

pub(crate) async fn run(args: &Check, context: &mut Context) -> Result<Exit, Failure> {
    let feed = named(&args.version)?;
    let config = context.config()?;
    let engine = context.engine(&config, "feed check", Purpose::Look).await?;
    let failed = |error: &mirror::EngineError| Failure::engine("feed check", error);
    let status = engine.status().await.map_err(|error| failed(&error))?;
    let known = status.feeds.iter().find(|known| known.feed == feed);
    let mut rings = Vec::new();
    for ring in config.rings() {
        let current = engine.ports().rings.current(&ring.name).await.map_err(|error| failed(&error.into()))?;
        let served = current.and_then(|current| current.generation.feeds.get(&feed).cloned());
        rings.push(InRing { ring: ring.name.clone(), served: served.map(|served| served.vendor_version) });
    }
    let (offered, not_offered) = match ask(&engine, &feed).await {
        Ok(version) => (Some(version), None),
        Err(note) => (None, Some(note)),
    };
    let held = known.and_then(held);
    let date_broken = broken(&feed, context)?;
    let found = Found { date_broken, followed: engine.follows(&feed), held, offered, not_offered, rings, feed };
    if args.json {
        context.out.json(&found)?;
    } else {
        page(&found, context)?;
    }
    Ok(if found.is_ready() { Exit::DONE } else { Exit::FAILED })
}

/// A version of Elastic's, or the whole name of a feed.
pub(super) fn named(text: &str) -> Result<FeedId, Failure> {
    let full = if text.contains('/') && text.split('/').next().is_some_and(is_vendor) {
        text.to_owned()
    } else {
        format!("elastic/{text}")
    };
    if full.contains('*') {
        let failure = Failure::usage(format!("'{text}' is a pattern: a feed is named by one version, such as 8.19.1"));
        return Err(failure.with_next("patterns go into elastic.versions; what one stands for is then followed"));
    }
    let feed: FeedId = full.parse().map_err(|error: model::FeedError| Failure::usage(error.to_string()))?;
    vendors::registry(feed.vendor()).supports(&feed).map_err(Failure::usage)?;
    Ok(feed)
}

fn is_vendor(text: &str) -> bool {
    Vendor::ALL.into_iter().any(|vendor| vendor.as_str() == text)
}

async fn ask(engine: &Engine, feed: &FeedId) -> Result<VendorVersion, Note> {
    engine.probe(feed).await
}

fn held(feed: &FeedStatus) -> Option<VendorVersion> {
    feed.served.as_ref().map(|served| served.vendor_version.clone()).or_else(|| feed.mark.clone())
}

fn page(found: &Found, context: &mut Context) -> Result<(), Failure> {
    let out = &mut context.out;
    out.line(format!("feed      {}", found.feed))?;
    match (&found.offered, &found.not_offered) {
        (Some(version), _) => out.line(format!("offered   {version} by the vendor"))?,
        (None, Some(note)) => out.line(format!("offered   not seen: {} ({})", note.detail, note.reason))?,
        (None, None) => out.line("offered   not asked")?,
    }
    out.line(format!("followed  {}", if found.followed { "yes" } else { "no" }))?;
    out.line(format!("held      {}", found.held.as_ref().map_or_else(|| "no".to_owned(), ToString::to_string)))?;
    for ring in &found.rings {
        let served =
            ring.served.as_ref().map_or_else(|| "not served".to_owned(), |version| format!("serves {version}"));
        out.line(format!("ring      {}: {served}", ring.ring))?;
    }
    out.line("")?;
    out.line(verdict(found))
}

fn verdict(found: &Found) -> String {
    let feed = &found.feed;
    if let Some(broken) = found.date_broken.as_ref().filter(|_| !found.is_ready()) {
        return format!("not ready, and no date for endpoints: {broken}");
    }
    if found.is_ready() {
        let behind = found.behind();
        return match behind.as_slice() {
            [] => "ready: every ring serves it".to_owned(),
            rings => format!(
                "ready: every ring serves it; the vendor offers more than {}: `waystation sync {feed}` fetches it",
                rings.join(", ")
            ),
        };
    }
    if found.is_served() {
        let follow = follow(feed);
        return format!(
            "not ready: it is served until the next gc, and not renewed, because it is not followed: `waystation feed \
             learn {feed}`{follow}"
        );
    }
    let served = found.rings.iter().any(|ring| ring.served.is_some());
    if served {
        return "not ready everywhere: upgrade agents of the rings that serve it alone, or promote it first".to_owned();
    }
    match (found.followed, &found.offered) {
        (true, _) => format!("not ready: fetch it first, with `waystation sync {feed}`"),
        (false, Some(_)) => {
            let follow = follow(feed);
            format!(
                "not ready: follow it first, with `waystation feed learn {feed}`{follow}, and run `waystation sync`"
            )
        }
        // What was answered says whether there is no such version, or only no answer.
        (false, None) => match found.not_offered.as_ref().map(|note| note.reason) {
            Some(Reason::NotFound) | None => {
                "not ready: the vendor does not offer it; check the version's spelling".to_owned()
            }
            Some(reason) => format!("not ready: it is not known whether the vendor offers it. {}", reason.remedy()),
        },
    }
}

/// Where else than by `feed learn` a feed is named.
fn follow(feed: &FeedId) -> &'static str {
    match (feed.vendor(), feed.date(), feed.segments().count()) {
        (Vendor::Elastic, None, 1) => " or in elastic.versions",
        (Vendor::Elastic, Some(_), 1) => " or in elastic.dated",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_and_not_followed_is_not_ready() {
        let version = |text: &str| Some(VendorVersion::plain(text.parse().unwrap()));
        let found = |followed, served| Found {
            feed: "elastic/9.0.0".parse().unwrap(),
            offered: version("1.0.101"),
            not_offered: None,
            followed,
            date_broken: None,
            held: version(served),
            rings: vec![InRing { ring: RingName::broad(), served: version(served) }],
        };
        assert!(!found(false, "1.0.101").is_ready());
        assert!(verdict(&found(false, "1.0.101")).contains("until the next gc, and not renewed"));
        assert!(found(true, "1.0.100").is_ready());
        assert!(verdict(&found(true, "1.0.100")).contains("offers more than broad"));
        assert_eq!(verdict(&found(true, "1.0.101")), "ready: every ring serves it");
    }

    #[test]
    fn a_vendor_that_was_not_reached_is_not_a_version_that_is_misspelt() {
        let told = |reason| {
            verdict(&Found {
                feed: "elastic/9.5.0".parse().unwrap(),
                offered: None,
                not_offered: Some(Note { reason, detail: String::new() }),
                followed: false,
                date_broken: None,
                held: None,
                rings: vec![InRing { ring: RingName::broad(), served: None }],
            })
        };
        assert!(told(Reason::NotFound).contains("check the version's spelling"));
        let unreached = told(Reason::ConnectFailed);
        assert_eq!(follow(&"elastic/9.5.0".parse().unwrap()), " or in elastic.versions");
        assert_eq!(follow(&"elastic/9.5.0@2026-01-15".parse().unwrap()), " or in elastic.dated");
        assert_eq!(follow(&"elastic/9.5.0/candidate".parse().unwrap()), "", "no setting names it");
        assert!(!unreached.contains("spelling") && unreached.contains("not known whether"), "{unreached}");
    }
}
