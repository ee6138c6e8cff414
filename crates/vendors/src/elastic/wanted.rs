//! What an endpoint wants, told from the path that it asks for: the vendor publishes one form of manifest's path, and
//! the others are learned from endpoints.

use model::{FeedId, RoutePath};

use super::{ElasticSettings, layout};

/// Everything that endpoints fetch lies below it.
pub const DOWNLOADS: &str = "/downloads";
/// The tracks that a path may name.
const TRACKS: [&str; 1] = ["candidate"];

/// A manifest that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The feed that it belongs to.
    pub feed: FeedId,
    /// The template that its path would be of, where no known one gives this path: a guess until the vendor has
    /// answered there with a manifest.
    pub guess: Option<String>,
}

/// A path with its version, date and track taken out.
struct Shape {
    template: String,
    version: String,
    date: Option<String>,
    track: Option<&'static str>,
}

/// The manifest that a path stands for; none if it stands for none.
pub fn wanted(path: &RoutePath, settings: &ElasticSettings) -> Option<Wanted> {
    let shape = shape(path)?;
    let track = shape.track.map(|track| format!("/{track}")).unwrap_or_default();
    let date = shape.date.as_ref().map(|date| format!("@{date}")).unwrap_or_default();
    let feed: FeedId = format!("elastic/{}{track}{date}", shape.version).parse().ok()?;
    layout::supports(&feed).ok()?;
    let known = layout::templates_of(&feed, settings).contains(&shape.template);
    if !known && shape.date.is_none() && shape.track.is_none() {
        return None;
    }
    Some(Wanted { feed, guess: (!known).then_some(shape.template) })
}

/// The templates that a dated feed, or one of a track, may lie at, in the order in which they are tried; one for any
/// other feed.
pub fn templates(feed: &FeedId, settings: &ElasticSettings) -> Vec<String> {
    layout::templates_of(feed, settings)
}

fn shape(path: &RoutePath) -> Option<Shape> {
    if !path.is_under(DOWNLOADS) || !path.as_str().ends_with(".zip") {
        return None;
    }
    let (text, date) = take(path.as_str(), "{date}", date_at)?;
    let (text, track) = take(&text, "{track}", track_at)?;
    let (template, version) = take(&text, "{version}", version_at)?;
    let track = track.and_then(|found| TRACKS.into_iter().find(|track| *track == found));
    Some(Shape { template, version: version?, date, track })
}

/// Replaces every place where `at` finds something by `mark`; none when it finds different things.
fn take(text: &str, mark: &str, at: fn(&str, usize) -> Option<usize>) -> Option<(String, Option<String>)> {
    let (mut made, mut found, mut place) = (String::new(), None::<String>, 0);
    while let Some(rest) = text.get(place..).filter(|rest| !rest.is_empty()) {
        let Some(end) = at(text, place) else {
            let next = rest.chars().next()?;
            made.push(next);
            place += next.len_utf8();
            continue;
        };
        let token = text.get(place..end)?;
        if found.as_deref().is_some_and(|known| known != token) {
            return None;
        }
        found = Some(token.to_owned());
        made.push_str(mark);
        place = end;
    }
    Some((made, found))
}

fn byte(text: &str, at: usize) -> u8 {
    text.as_bytes().get(at).copied().unwrap_or(b'/')
}

fn before(text: &str, at: usize) -> u8 {
    at.checked_sub(1).map_or(b'/', |at| byte(text, at))
}

/// Where a `YYYY-MM-DD` that begins here ends.
fn date_at(text: &str, start: usize) -> Option<usize> {
    let end = start.checked_add(10)?;
    let token = text.get(start..end)?;
    let alone = !before(text, start).is_ascii_digit() && !byte(text, end).is_ascii_digit();
    let date = format!("elastic/0.0.0@{token}").parse::<FeedId>().is_ok();
    (alone && date).then_some(end)
}

/// Where a track's name that begins here ends.
fn track_at(text: &str, start: usize) -> Option<usize> {
    let track = TRACKS.into_iter().find(|track| text.get(start..).is_some_and(|rest| rest.starts_with(track)))?;
    let end = start.checked_add(track.len())?;
    let alone = !before(text, start).is_ascii_alphanumeric() && !byte(text, end).is_ascii_alphanumeric();
    alone.then_some(end)
}

/// Where a version of three numbers that begins here ends, with a pre-release such as `-beta1` if there is one.
fn version_at(text: &str, start: usize) -> Option<usize> {
    if before(text, start).is_ascii_alphanumeric() || before(text, start) == b'.' {
        return None;
    }
    let mut at = start;
    for part in 0..3 {
        if part > 0 {
            at = (byte(text, at) == b'.').then_some(at + 1)?;
        }
        let digits = text.get(at..)?.bytes().take_while(u8::is_ascii_digit).count();
        at = (1..=9).contains(&digits).then_some(at + digits)?;
    }
    let rest = text.get(at..)?;
    let Some(pre) = rest.strip_prefix('-').filter(|pre| pre.starts_with(|c: char| c.is_ascii_alphabetic())) else {
        return Some(at);
    };
    let letters = pre.bytes().take_while(u8::is_ascii_alphanumeric).count();
    // What goes on as a name does is no pre-release.
    Some(if matches!(byte(pre, letters), b'.' | b'/') { at + 1 + letters } else { at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<(&str, Option<&str>)>) {
        let settings = ElasticSettings {
            dated_templates: vec!["/downloads/endpoint/manifest/artifacts-{version}-{date}.zip".to_owned()],
            ..ElasticSettings::default()
        };
        let found = path.parse().ok().and_then(|path| wanted(&path, &settings));
        let found = found.map(|found| (found.feed.to_string(), found.guess));
        let expected = expected.map(|(feed, guess)| (feed.to_owned(), guess.map(str::to_owned)));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn paths_tell_what_is_wanted() {
        const AT: &str = "/downloads/endpoint/manifest";
        check(&format!("{AT}/artifacts-9.0.0.zip"), Some(("elastic/9.0.0", None)));
        check(&format!("{AT}/artifacts-9.0.0-beta1.zip"), Some(("elastic/9.0.0-beta1", None)));
        check(&format!("{AT}/artifacts-9.0.0-SNAPSHOT.zip"), Some(("elastic/9.0.0-SNAPSHOT", None)));
        check(&format!("{AT}/artifacts-8.18.3-2026-01-15.zip"), Some(("elastic/8.18.3@2026-01-15", None)));
        for (path, template) in [
            ("/2026-01-15/artifacts-8.18.3.zip", "/{date}/artifacts-{version}.zip"),
            ("/artifacts-8.18.3.2026-01-15.zip", "/artifacts-{version}.{date}.zip"),
            ("/8.18.3/2026-01-15.zip", "/{version}/{date}.zip"),
            ("/8.18.3/artifacts-8.18.3_2026-01-15.zip", "/{version}/artifacts-{version}_{date}.zip"),
        ] {
            let guess = format!("{AT}{template}");
            check(&format!("{AT}{path}"), Some(("elastic/8.18.3@2026-01-15", Some(guess.as_str()))));
        }
        let guess = format!("{AT}/{{track}}/artifacts-{{version}}.zip");
        check(&format!("{AT}/candidate/artifacts-9.0.0.zip"), Some(("elastic/9.0.0/candidate", Some(guess.as_str()))));
        let guess = format!("{AT}/artifacts-{{version}}-{{track}}.zip");
        check(&format!("{AT}/artifacts-9.0.0-candidate.zip"), Some(("elastic/9.0.0/candidate", Some(guess.as_str()))));
        let guess = format!("{AT}/{{track}}/{{date}}/artifacts-{{version}}.zip");
        let both = format!("{AT}/candidate/2026-01-15/artifacts-9.0.0.zip");
        check(&both, Some(("elastic/9.0.0/candidate@2026-01-15", Some(guess.as_str()))));
    }

    #[test]
    fn other_paths_want_no_manifest() {
        for path in [
            "/",
            "/downloads/endpoint/manifest/artifacts-9.0.zip",
            "/downloads/endpoint/manifest/artifacts-9.0.0.1.zip",
            "/downloads/endpoint/manifest/artifacts-9.0.0.tar",
            "/downloads/endpoint/manifest/artifacts-.zip",
            "/downloads/endpoint/manifest/8.18.3/artifacts-9.0.0.zip",
            "/downloads/kibana/manifest/artifacts-9.0.0.zip",
            "/other/2026-01-15/artifacts-9.0.0.zip",
            "/downloads/2026-13-45/artifacts-9.0.0.zip",
            "/downloads/endpoint/manifest/artifacts-12026-01-151-9.0.0.zip",
        ] {
            check(path, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_wanted_lies_where_it_was_asked_for(path in "/downloads(/[a-z0-9{}.-]{1,24}){1,3}[.]zip") {
            let mut settings = ElasticSettings::default();
            let Some((route, found)) = path.parse::<RoutePath>().ok().and_then(|route| {
                let found = wanted(&route, &settings)?;
                Some((route, found))
            }) else { return Ok(()) };
            if let Some(guess) = found.guess {
                settings.dated_templates.push(guess.clone());
                settings.track_templates.push(guess);
            }
            proptest::prop_assert_eq!(layout::manifest_route(&found.feed, &settings), Ok(route));
        }
    }
}
