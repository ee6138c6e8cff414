//! Which manifests lie in a folder that was copied from Elastic's host, or from a mirror of it. Where dated manifests and
//! those of a track lie is not published: there their paths tell it, as endpoints' requests do.

use std::collections::VecDeque;

use model::{FeedId, RoutePath, Vendor};

use super::wanted::{DOWNLOADS, wanted};
use super::{ElasticSettings, is_forwarded, layout};
use crate::FolderView;

/// How many folders are looked into.
const FOLDERS: usize = 20_000;
/// How deep they lie below the root.
const DEPTH: usize = 12;
/// How many archives are looked at.
const ARCHIVES: usize = 20_000;
/// How many forms of paths that the settings do not have are taken from the folder.
const FORMS: usize = 16;
/// Manifests of the same form, and none that an endpoint asks for.
const KIBANA: &str = "/downloads/kibana";

/// The feeds whose manifests lie there. Forms of paths at which a followed one does, and that are not known, are added to
/// the settings.
pub(super) fn find(folder: &dyn FolderView, followed: &[FeedId], settings: &mut ElasticSettings) -> Vec<FeedId> {
    let mut feeds = plain(folder, settings);
    let lies = |feed: &&FeedId| {
        feed.vendor() == Vendor::Elastic
            && !is_forwarded(feed)
            && layout::supports(feed).is_ok()
            && layout::routes_of(feed, settings).iter().any(|route| folder.has_file(route.as_str()))
    };
    feeds.extend(followed.iter().filter(lies).cloned());
    let mut forms = 0;
    for path in archives(folder) {
        let Some(found) = wanted(&path, settings) else { continue };
        let Some(form) = found.guess else {
            feeds.push(found.feed);
            continue;
        };
        if followed.contains(&found.feed) && forms < FORMS {
            forms += 1;
            let dated = form.contains("{date}");
            if dated { &mut settings.dated_templates } else { &mut settings.track_templates }.push(form);
            feeds.push(found.feed);
        } else if path.is_under(layout::MANIFESTS) {
            // Elsewhere it may as well be an artifact with a date in its name.
            feeds.push(found.feed);
        }
    }
    feeds.sort();
    feeds.dedup();
    feeds
}

/// The versions whose manifests lie where the vendor publishes that they do.
fn plain(folder: &dyn FolderView, settings: &ElasticSettings) -> Vec<FeedId> {
    let feed = |name: &String| {
        let version = name.strip_prefix("artifacts-")?.strip_suffix(".zip")?;
        let feed: FeedId = format!("elastic/{version}").parse().ok()?;
        let ours = layout::supports(&feed).is_ok() && feed.date().is_none() && feed.segments().count() == 1;
        let path = format!("{}/{name}", layout::MANIFESTS);
        // A date behind the version is no pre-release.
        let route: RoutePath = path.parse().ok()?;
        let is_other = wanted(&route, settings).is_some_and(|wanted| wanted.feed != feed);
        (ours && !is_other && folder.has_file(&path)).then_some(feed)
    };
    folder.list(layout::MANIFESTS).iter().filter_map(feed).collect()
}

/// Every archive that may be a manifest, those beside the published ones first.
fn archives(folder: &dyn FolderView) -> Vec<RoutePath> {
    let mut found = Vec::new();
    let mut waiting = VecDeque::from([(layout::MANIFESTS.to_owned(), 0), (DOWNLOADS.to_owned(), 0)]);
    for _ in 0..FOLDERS {
        let Some((at, depth)) = waiting.pop_front() else { break };
        let mut names = folder.list(&at);
        names.sort_unstable();
        for name in names.iter().filter(|name| !name.starts_with('.')) {
            let path = format!("{at}/{name}");
            if path == layout::MANIFESTS || path == KIBANA {
                continue;
            }
            if !name.ends_with(".zip") {
                if depth < DEPTH && waiting.len() < FOLDERS {
                    waiting.push_back((path, depth + 1));
                }
            } else if found.len() < ARCHIVES
                && let Ok(route) = path.parse::<RoutePath>()
                && folder.has_file(&path)
            {
                found.push(route);
            }
        }
    }
    found
}
