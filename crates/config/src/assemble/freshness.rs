//! Limits of freshness: presets, and what stands nearer than they do.

mod tempo;

use std::collections::BTreeMap;

use model::{Bound, FeedId, FreshnessLimits, FreshnessPolicy, Preset, RingName, Vendor};

use super::scope;
use crate::keys;
use crate::problem::quoted;
use crate::reader::{Reader, Scope};
use crate::types::Ring;

pub(super) use tempo::in_tempo;

/// What one section says; what it leaves out comes from the next.
#[derive(Clone, Copy, Default)]
struct Own {
    preset: Option<Preset>,
    check: Option<Bound>,
    age: Option<Bound>,
    lag: Option<Bound>,
}

impl Own {
    /// These limits of a vendor, over `next`.
    fn over(self, next: FreshnessLimits, vendor: Vendor) -> FreshnessLimits {
        let next = self.preset.map_or(next, |preset| preset.limits(vendor));
        FreshnessLimits {
            check: self.check.unwrap_or(next.check),
            age: self.age.unwrap_or(next.age),
            lag: self.lag.unwrap_or(next.lag),
        }
    }
}

/// Weighs every section of limits; `feeds` and `rings` are what limits may name, none where that has mistakes itself.
pub(super) fn freshness(
    reader: &Reader<'_>,
    feeds: Option<&[&FeedId]>,
    rings: Option<&[Ring]>,
) -> Option<FreshnessPolicy> {
    let common = own(&scope(reader, "freshness")?);
    let elastic = own(&scope(reader, "elastic.freshness")?);
    let defender = own(&scope(reader, "defender.freshness")?);
    let by_feed = by_feed(reader, feeds);
    let by_ring = by_ring(reader, rings);
    let (common, elastic, defender) = (common?, elastic?, defender?);
    let limits = |vendor: Vendor| {
        let own = match vendor {
            Vendor::Elastic => elastic,
            Vendor::Defender => defender,
        };
        own.over(common.over(Preset::Stig.limits(vendor), vendor), vendor)
    };
    let feeds = by_feed?.into_iter().map(|(feed, own)| {
        let vendor = feed.vendor();
        (feed, own.over(limits(vendor), vendor))
    });
    Some(FreshnessPolicy {
        elastic: limits(Vendor::Elastic),
        defender: limits(Vendor::Defender),
        feeds: feeds.collect(),
        rings: by_ring?,
    })
}

fn own(scope: &Scope<'_>) -> Option<Own> {
    let preset = scope.maybe::<String>("preset");
    let (check, age, lag) = (bound(scope, "check"), bound(scope, "age"), bound(scope, "lag"));
    let preset = preset?.as_deref().and_then(Preset::from_word);
    Some(Own { preset, check: check?, age: age?, lag: lag? })
}

fn bound(scope: &Scope<'_>, name: &'static str) -> Option<Option<Bound>> {
    let Some(inner) = scope.inline(name)? else { return Some(None) };
    let (warn, fail) = (inner.get("warn"), inner.get("fail"));
    let bound = Bound { warn: warn?, fail: fail? };
    if bound.warn > bound.fail {
        inner.wrong("warn", "is longer than fail beside it, so that the failure would come before its warning");
        return None;
    }
    Some(Some(bound))
}

fn by_feed(reader: &Reader<'_>, feeds: Option<&[&FeedId]>) -> Option<BTreeMap<FeedId, Own>> {
    let mut found = BTreeMap::new();
    let mut whole = true;
    for scope in reader.list(keys::section("freshness.feed")?) {
        let (pattern, own) = (scope.get::<String>("match"), own(&scope));
        let (Some(pattern), Some(own)) = (pattern, own) else {
            whole = false;
            continue;
        };
        let Some(feeds) = feeds else { continue };
        let matched: Vec<&FeedId> = feeds.iter().copied().filter(|feed| matches(&pattern, feed.as_str())).collect();
        if matched.is_empty() {
            let known: Vec<&str> = feeds.iter().map(|feed| feed.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            scope.wrong("match", format!("{} matches no feed that is followed, which are: {known}", quoted(&pattern)));
            whole = false;
        }
        for feed in matched {
            found.entry(feed.clone()).or_insert(own);
        }
    }
    whole.then_some(found)
}

/// Whether a name is as the pattern has it; a `*` stands for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        // The first place where a part fits leaves most to those behind it.
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

fn by_ring(reader: &Reader<'_>, rings: Option<&[Ring]>) -> Option<BTreeMap<RingName, Bound>> {
    let mut found = BTreeMap::new();
    let mut whole = true;
    for scope in reader.list(keys::section("freshness.ring")?) {
        let (name, lag) = (scope.get::<String>("name"), bound(&scope, "lag"));
        let (Some(name), Some(lag)) = (name, lag) else {
            whole = false;
            continue;
        };
        let Some(rings) = rings else { continue };
        let known = rings.iter().find(|ring| ring.name.as_str() == name);
        match (known, lag) {
            (Some(ring), Some(lag)) if !found.contains_key(&ring.name) => {
                found.insert(ring.name.clone(), lag);
                continue;
            }
            (Some(_), Some(_)) => scope.wrong("name", format!("{} has limits above already", quoted(&name))),
            (None, _) => scope.wrong("name", format!("{} is no ring of this site", quoted(&name))),
            (_, None) => scope.wrong("lag", "is missing; write for example lag = { warn = \"6h\", fail = \"1d\" }"),
        }
        whole = false;
    }
    whole.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("elastic/9.0.0", "elastic/9.0.0", true),
            ("elastic/9.0.0", "elastic/9.0.01", false),
            ("elastic/8.*", "elastic/8.18.3@2026-01-15", true),
            ("elastic/8.*", "elastic/9.8.0", false),
            ("*", "elastic/9.0.0", true),
            ("*/preview/*", "defender/linux/preview/arm64", true),
            ("*/preview/*", "defender/linux/production/arm64", false),
            ("defender/*/arm64", "defender/linux/production/arm64", true),
            ("*.0*.0", "elastic/9.0.0", true),
            ("*0.0*0.0", "elastic/9.0.0", false),
            ("", "elastic/9.0.0", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
