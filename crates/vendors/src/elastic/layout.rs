//! Where things lie at Elastic's host, and so in a copy of it and on a mirror.

use model::{FeedId, RoutePath, Version};

use super::ElasticSettings;
use crate::json::shown;

/// Where a version's manifest lies.
pub(super) const MANIFEST: &str = "/downloads/endpoint/manifest/artifacts-{version}.zip";
pub(super) const MANIFESTS: &str = "/downloads/endpoint/manifest";

/// What no manifest may lay an artifact under: our own routes, all manifests, the other vendor's layout.
const NOT_THEIRS: [&str; 5] = ["/rings", "/waystation", MANIFESTS, "/linux", "/mac"];

/// A feed's name, taken apart.
struct Parts<'a> {
    version: &'a str,
    track: Option<&'a str>,
    date: Option<&'a str>,
}

fn parts(feed: &FeedId) -> Parts<'_> {
    let mut segments = feed.segments();
    Parts { version: segments.next().unwrap_or_default(), track: segments.next(), date: feed.date() }
}

/// The feed of files that no manifest names.
pub(super) const FORWARDED: &str = "elastic/forwarded";

/// Whether the feed is one that Elastic has.
pub(super) fn supports(feed: &FeedId) -> Result<(), String> {
    let Parts { version, track, .. } = parts(feed);
    if feed.as_str() == FORWARDED {
        return Ok(());
    }
    let full = version.parse::<Version>().is_ok()
        && version
            .split('-')
            .next()
            .and_then(|core| core.parse::<Version>().ok())
            .is_some_and(|core| core.is_dotted(3));
    if !full {
        return Err(format!("'{version}' is not a full version of Elastic Endpoint, such as 9.0.0 or 9.0.0-beta1"));
    }
    match track {
        None | Some("candidate") => Ok(()),
        Some("stable") => Err(format!("stable is meant where no track is named: elastic/{version}")),
        Some(other) => {
            Err(format!("Elastic has no track '{other}'; there is candidate, and stable, which is left out"))
        }
    }
}

/// Where the feed's manifest lies under these settings.
pub(super) fn manifest_route(feed: &FeedId, settings: &ElasticSettings) -> Result<RoutePath, String> {
    supports(feed)?;
    let parts = parts(feed);
    let template = fitting(&parts, settings).next().ok_or_else(|| unknown(&parts))?;
    path_of(template, &parts)
        .map_err(|error| format!("the template '{}' gives no path for {feed}: {error}", shown(template)))
}

/// Every path that a template gives for the feed.
pub(super) fn routes_of(feed: &FeedId, settings: &ElasticSettings) -> Vec<RoutePath> {
    let parts = parts(feed);
    fitting(&parts, settings).filter_map(|template| path_of(template, &parts).ok()).collect()
}

fn path_of(template: &str, parts: &Parts<'_>) -> Result<RoutePath, model::RouteError> {
    let path = template
        .replace("{version}", parts.version)
        .replace("{track}", parts.track.unwrap_or_default())
        .replace("{date}", parts.date.unwrap_or_default());
    path.parse()
}

/// The templates that fit a feed, in the order in which they are tried.
pub(super) fn templates_of(feed: &FeedId, settings: &ElasticSettings) -> Vec<String> {
    fitting(&parts(feed), settings).map(str::to_owned).collect()
}

fn fitting<'a>(parts: &Parts<'_>, settings: &'a ElasticSettings) -> impl Iterator<Item = &'a str> {
    let (dated, tracked) = (parts.date.is_some(), parts.track.is_some());
    let templates = match (parts.track, parts.date) {
        (None, None) => std::slice::from_ref(&settings.manifest_template),
        (_, Some(_)) => &settings.dated_templates,
        (Some(_), None) => &settings.track_templates,
    };
    let fits = move |template: &&String| {
        template.contains("{version}")
            && template.contains("{date}") == dated
            && template.contains("{track}") == tracked
    };
    templates.iter().filter(fits).map(String::as_str)
}

fn unknown(parts: &Parts<'_>) -> String {
    match (parts.track, parts.date) {
        (None, None) => "the manifest path has no {version} in it".to_owned(),
        (_, Some(_)) => "dated path unknown: Elastic does not publish where dated manifests lie, no template says \
                         it for this feed, and the vendor has answered no endpoint's request for one yet"
            .to_owned(),
        (Some(track), None) => format!(
            "{track} path unknown: Elastic does not publish where {track} manifests lie, and no template says it"
        ),
    }
}

/// Whether an artifact may lie there: neither in our own places, nor in another vendor's, nor where a manifest of
/// any version lies.
pub(super) fn may_hold_artifact(route: &RoutePath, manifest: &RoutePath, settings: &ElasticSettings) -> bool {
    // As the least discerning file system compares: trees are laid out on Windows too.
    let lower = route.as_str().to_ascii_lowercase();
    let Ok(lower) = lower.parse::<RoutePath>() else { return false };
    route != manifest
        && !NOT_THEIRS.iter().any(|prefix| lower.is_under(prefix))
        && !is_of(&settings.manifest_template, route.as_str())
}

/// Whether a path is what the template gives for some version.
fn is_of(template: &str, path: &str) -> bool {
    let Some((before, after)) = template.split_once("{version}") else { return false };
    let middle = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    middle.is_some_and(|version| !version.is_empty() && !version.contains('/'))
}
