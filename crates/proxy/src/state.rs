//! What was learned, as it is written down.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Digest, Exchange, FeedId, ItemKind, RoutePath, Timestamp};
use serde::{Deserialize, Serialize};
use vendors::elastic::{Forwarded, ForwardedPath};

use crate::Named;
use crate::due::is_due;

/// How many guesses at the form of a path wait for the vendor's answer.
const GUESSES: usize = 16;
/// How many forms of paths are remembered.
const PROVEN: usize = 16;
/// How many paths are forwarded.
pub(crate) const FORWARDED: usize = 200;

/// Why a feed is followed that the configuration does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Endpoints asked for it.
    Asked,
    /// A pattern among the versions stands for it.
    Pattern,
    /// The operator named it, or brought a list that does.
    Operator,
}

impl Why {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "endpoints asked for it",
            Self::Pattern => "a pattern stands for it",
            Self::Operator => "the operator named it",
        }
    }
}

/// A feed that is followed though the configuration does not name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedFeed {
    /// Which.
    pub feed: FeedId,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: Why,
}

/// How many feeds are learned in all, whatever for.
const FEEDS: usize = 1000;

/// Whether one more may be learned. What the configuration names, or has a pattern for, takes no room from what
/// endpoints ask for, nor they from it; whatever it was learned for.
pub(crate) fn has_room(learned: &[LearnedFeed], named: &Named, (feed, why): (&FeedId, Why), most: usize) -> bool {
    if learned.iter().any(|known| known.feed == *feed) {
        return true;
    }
    let free = why == Why::Pattern || named.covers(feed);
    learned.len() < FEEDS.max(most) && (free || counted(learned, named) < most)
}

/// How many feeds count as learned.
pub(crate) fn counted(learned: &[LearnedFeed], named: &Named) -> usize {
    learned.iter().filter(|known| known.why != Why::Pattern && !named.covers(&known.feed)).count()
}

/// A path that no manifest names, as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForwardedFile {
    pub(crate) route: RoutePath,
    /// None only where an earlier program wrote down what it was about to fetch.
    pub(crate) digest: Option<Digest>,
    pub(crate) size: u64,
    pub(crate) fetched_at: Timestamp,
    /// The answer that brought it.
    #[serde(default)]
    pub(crate) brought: Option<Exchange>,
    /// When the vendor last gave these bytes; when it was looked after last where that is not said.
    #[serde(default)]
    pub(crate) confirmed_at: Option<Timestamp>,
    /// Whether its bytes are those of a manifest that is served at another path.
    #[serde(default)]
    pub(crate) is_copy: bool,
    /// How often in a row the vendor lacked it.
    #[serde(default)]
    pub(crate) missed: u32,
}

impl ForwardedFile {
    /// When the vendor last gave these bytes, as far as that can be known: no later than now.
    pub(crate) fn confirmed_by(&self, now: Timestamp) -> Timestamp {
        self.confirmed_at.unwrap_or(self.fetched_at).min(now)
    }

    /// Since when the vendor has not given these bytes, where it did not when it was last asked, or was not asked for
    /// longer than `late`.
    pub(crate) fn unconfirmed(&self, now: Timestamp, late: Duration) -> Option<Timestamp> {
        let confirmed = self.confirmed_at.unwrap_or(self.fetched_at);
        (confirmed < self.fetched_at || is_due(confirmed, now, late)).then(|| confirmed.min(now))
    }
}

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    form: u32,
    #[serde(default)]
    pub(crate) feeds: Vec<LearnedFeed>,
    /// Forms of manifests' paths at which the vendor has answered.
    #[serde(default)]
    pub(crate) proven: Vec<String>,
    /// Forms that endpoints' requests suggest.
    #[serde(default)]
    pub(crate) guesses: Vec<String>,
    #[serde(default)]
    pub(crate) serial: u64,
    #[serde(default)]
    pub(crate) forwarded: Vec<ForwardedFile>,
    /// When the vendor was last asked what each pattern stands for.
    #[serde(default)]
    pub(crate) probed: BTreeMap<String, Timestamp>,
}

impl State {
    pub(crate) fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Self { form: 1, ..self.clone() })
    }

    /// Reads it back; none if a newer program wrote it, or it is damaged.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut state: Self = serde_json::from_str(text).ok()?;
        state.forwarded.retain(|file| file.digest.is_some());
        (state.form <= 1).then_some(state)
    }

    /// The form turned out right; whether that is news.
    pub(crate) fn prove(&mut self, template: &str) -> bool {
        self.guesses.retain(|guess| guess != template);
        let news = !self.proven.iter().any(|known| known == template);
        if news {
            if self.proven.len() >= PROVEN {
                self.proven.remove(0);
            }
            self.proven.push(template.to_owned());
        }
        news
    }

    /// The form may be right; whether that is news.
    pub(crate) fn guess(&mut self, template: &str) -> bool {
        let known = self.proven.iter().chain(&self.guesses).any(|known| known == template);
        if !known {
            if self.guesses.len() >= GUESSES {
                self.guesses.remove(0);
            }
            self.guesses.push(template.to_owned());
        }
        !known
    }

    /// Adds forms of paths and forwarded paths to settings: what is proven is tried first, guesses last.
    pub(crate) fn furnish(&self, settings: &mut vendors::Settings, cap: u64) {
        let elastic = &mut settings.elastic;
        for (dated, templates) in [(true, &mut elastic.dated_templates), (false, &mut elastic.track_templates)] {
            let fits = |template: &&String| template.contains("{date}") == dated;
            let proven = self.proven.iter().filter(fits).cloned();
            let mut all: Vec<String> = proven.collect();
            let more = templates.iter().chain(self.guesses.iter().filter(fits));
            for template in more {
                if !all.contains(template) {
                    all.push(template.clone());
                }
            }
            *templates = all;
        }
        let path = |file: &ForwardedFile| ForwardedPath {
            route: file.route.clone(),
            held: file.digest.map(|digest| (digest, file.size)),
            brought: file.brought.clone(),
            kind: if file.is_copy { ItemKind::Manifest } else { ItemKind::Artifact },
        };
        let paths = self.forwarded.iter().map(path).collect();
        elastic.forwarded = Forwarded { serial: self.serial, paths, cap: cap.min(elastic.artifact_cap) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_proven_is_tried_first_and_guesses_last() {
        let mut state = State::default();
        for guess in ["/downloads/{version}/{date}.zip", "/downloads/{date}/{version}.zip"] {
            assert!(state.guess(guess) && !state.guess(guess));
        }
        assert!(state.prove("/downloads/{date}/{version}.zip") && !state.prove("/downloads/{date}/{version}.zip"));
        let mut settings = vendors::Settings::default();
        settings.elastic.dated_templates = vec!["/downloads/configured/{version}-{date}.zip".to_owned()];
        state.furnish(&mut settings, 10);
        let expected = [
            "/downloads/{date}/{version}.zip",
            "/downloads/configured/{version}-{date}.zip",
            "/downloads/{version}/{date}.zip",
        ];
        assert_eq!(settings.elastic.dated_templates, expected);
        assert!(settings.elastic.track_templates.is_empty());
    }

    #[test]
    fn what_a_pattern_stands_for_takes_no_room_from_what_is_asked_for() {
        let at = Timestamp::from_micros(0);
        let learned =
            |number: u32, why| LearnedFeed { feed: format!("elastic/9.0.{number}").parse().unwrap(), since: at, why };
        let mut all: Vec<LearnedFeed> = (0..5).map(|number| learned(number, Why::Pattern)).collect();
        let feed = |version: &str| format!("elastic/{version}").parse::<FeedId>().unwrap();
        let room = |all: &[LearnedFeed], feed: &FeedId, why, most| has_room(all, &Named::default(), (feed, why), most);
        assert!(room(&all, &feed("9.1.0"), Why::Asked, 1));
        all.push(learned(90, Why::Asked));
        assert!(!room(&all, &feed("9.1.0"), Why::Asked, 1) && !room(&all, &feed("9.1.0"), Why::Operator, 1));
        assert!(room(&all, &feed("9.0.6"), Why::Pattern, 1) && room(&all, &feed("9.0.90"), Why::Asked, 1));
        all.extend((100..1100).map(|number| learned(number, Why::Pattern)));
        assert!(!room(&all, &feed("9.0.6"), Why::Pattern, 1), "a vendor that has whatever it is asked for");
    }

    #[test]
    fn guesses_are_few_v32() {
        let mut state = State::default();
        for number in 0..1000 {
            state.guess(&format!("/downloads/{number}/{{version}}-{{date}}.zip"));
        }
        assert_eq!(state.guesses.len(), GUESSES);
    }
}
