//! Before a policy is changed: the mirror is asked for what the endpoints of this very policy will ask it for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use doctor::{Depth, Examination, Level};
use endpoint::defender::ClockRef;
use endpoint::elastic::{Assumptions, Endpoint, Policy, Quirks, Store};
use endpoint::{Network, ProxyUse, Unwatched};
use model::{FeedId, Vendor};
use settings::elastic::{System, Wanted};
use settings::{Check, Finding};

use crate::context::Context;
use crate::failure::{Exit, Failure};

const DEADLINE: Duration = Duration::from_secs(600);

/// How the mirror is tried.
pub(super) struct Trial<'a> {
    pub(super) wanted: &'a Wanted,
    /// Versions that endpoints have; else those of the configuration.
    pub(super) versions: &'a [String],
    pub(super) config: Option<&'a Config>,
    /// Whether nothing is asked at all.
    pub(super) untried: bool,
}

/// What a policy's endpoints ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Whether some ask for the manifest of their version.
    by_version: bool,
    /// As of this day.
    date: Option<String>,
    /// Paths that are asked for as they stand, each with a system that does.
    pinned: BTreeMap<String, System>,
}

impl Asked {
    /// Out of what was found in the policy. A path of its own most likely wins over a date.
    fn of(found: &[Finding], systems: &[System]) -> Self {
        let mut asked = Self::default();
        let pinned = |system: &System| {
            let own = |finding: &&Finding| {
                finding.check == Check::ManifestPinned && finding.at.split('.').next() == Some(system.as_str())
            };
            found.iter().find(own).map(|finding| finding.seen.clone())
        };
        for system in systems {
            match pinned(system) {
                Some(path) => _ = asked.pinned.entry(path).or_insert(*system),
                None => asked.by_version = true,
            }
        }
        asked.date = found.iter().find(|one| one.check == Check::ManifestDated).map(|one| one.seen.clone());
        asked
    }
}

impl Trial<'_> {
    /// Asks the mirror, as the policy will be once it is changed.
    ///
    /// # Errors
    /// Endpoints would get nothing, or it cannot be found out.
    pub(super) async fn run(&self, found: &[Finding], context: &Context) -> Result<(), Failure> {
        if self.untried {
            return Ok(());
        }
        let asked = Asked::of(found, &self.wanted.systems);
        let settings = match self.config {
            Some(config) => app::learned_settings(config).await.map_err(|error| Failure::build("configure", &error))?,
            None => vendors::Settings::default(),
        };
        let mut bad = Vec::new();
        if asked.by_version {
            match &asked.date {
                None => bad.extend(self.examine(self.feeds()?, settings.clone(), context).await?),
                Some(date) => {
                    for feed in self.feeds_of(date)? {
                        bad.extend(self.dated(&feed, &settings, context).await?);
                    }
                }
            }
        }
        for (path, system) in &asked.pinned {
            bad.extend(self.pinned(path, *system, &settings, context).await?);
        }
        if bad.is_empty() {
            return Ok(());
        }
        let text =
            format!("the mirror does not give endpoints what they ask for; nothing was changed\n{}", bad.join("\n"));
        let mirror = self.wanted.mirror.text();
        let what = match &asked.date {
            // The doctor asks for no dates.
            Some(date) => format!(
                "`waystation feed check VERSION@{date}` says how the mirror stands; --try VERSION asks for the versions \
                 that the policy's endpoints have"
            ),
            None => format!("`waystation doctor {mirror}` says what to do"),
        };
        let next = format!("{what}; --untried applies all the same");
        Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next))
    }

    /// The versions that endpoints have, as of a day. Which those are is known of a policy that somebody mirrors that day
    /// for, or named; to ask for every version that is followed would be to ask for manifests that nobody needs.
    fn feeds_of(&self, date: &str) -> Result<Vec<FeedId>, Failure> {
        let feeds = if self.versions.is_empty() {
            self.followed(|feed| feed.date() == Some(date))?
        } else {
            self.versions.iter().map(|version| named(&format!("elastic/{version}@{date}"))).collect::<Result<_, _>>()?
        };
        if feeds.is_empty() {
            let text = format!(
                "the policy is pinned to {date}, and no manifest of that day is followed here; nothing was changed"
            );
            let next = "name a version that its endpoints have with --try, or apply --untried; `waystation feed \
                        learn VERSION@DATE` follows one";
            return Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next));
        }
        Ok(feeds)
    }

    fn followed(&self, which: impl Fn(&FeedId) -> bool) -> Result<Vec<FeedId>, Failure> {
        let followed = self.config.map(app::followed).transpose();
        let followed = followed.map_err(|error| Failure::new("configure", &error))?.into_iter().flatten();
        let of_elastic = |feed: &FeedId| feed.vendor() == Vendor::Elastic && !vendors::elastic::is_forwarded(feed);
        Ok(followed.filter(|feed| of_elastic(feed) && which(feed)).collect())
    }

    /// The versions that endpoints have.
    fn feeds(&self) -> Result<Vec<FeedId>, Failure> {
        let mut feeds = Vec::new();
        for version in self.versions {
            feeds.push(named(&format!("elastic/{version}"))?);
        }
        if feeds.is_empty() {
            feeds = self.followed(|feed| feed.date().is_none())?;
        }
        if feeds.is_empty() {
            let next = "name a version that endpoints have with --try, or apply --untried";
            let text = "which version should the mirror be asked for before it is applied?";
            return Err(Failure::usage(text).with_next(next));
        }
        Ok(feeds)
    }

    /// What is wrong with the mirror for these feeds.
    async fn examine(
        &self,
        feeds: Vec<FeedId>,
        settings: vendors::Settings,
        context: &Context,
    ) -> Result<Vec<String>, Failure> {
        let examination = Examination {
            url: self.wanted.mirror.url().clone(),
            feeds,
            settings,
            ca_pem: self.ca_pem(),
            depth: Depth::Quick,
            deadline: DEADLINE,
            clock: Arc::clone(&context.clock),
        };
        let report = doctor::examine(&examination, &doctor::Quietly).await;
        let report = report.map_err(|error| Failure::usage(model::error_chain(&error)))?;
        let bad = report.findings.iter().filter(|finding| finding.level == Level::Fail);
        Ok(bad.map(|finding| format!("{} on {}: {}", finding.check, finding.on.join(", "), finding.came)).collect())
    }

    /// The same of a dated feed, in any of the places that are known for it.
    async fn dated(
        &self,
        feed: &FeedId,
        settings: &vendors::Settings,
        context: &Context,
    ) -> Result<Vec<String>, Failure> {
        let mut bad = vec![format!(
            "{feed}: the policy is pinned to a date, and where its manifest lies is not known here ([elastic] \
             dated_templates)"
        )];
        for place in vendors::registry(Vendor::Elastic).places(feed, settings) {
            bad = self.examine(vec![feed.clone()], place.settings, context).await?;
            if bad.is_empty() {
                break;
            }
        }
        Ok(bad)
    }

    /// Has one update as an endpoint of the policy would, where its manifest's path is set.
    async fn pinned(
        &self,
        path: &str,
        system: System,
        settings: &vendors::Settings,
        context: &Context,
    ) -> Result<Option<String>, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::new("cannot make a temporary folder", &error))?;
        let store = Store::open(&folder.path().join("endpoint"), Arc::new(Unwatched));
        let failed = |error: endpoint::StateError| Failure::new("configure elastic", &error);
        let policy = Policy::plain(&self.wanted.mirror.text(), system);
        let policy = policy.map_err(|error| Failure::usage(model::error_chain(&error)))?;
        let network = Network {
            ca_pem: self.ca_pem(),
            cloud: None,
            cloud_hosts: Vec::new(),
            proxy_use: ProxyUse::Everything,
            clock: Arc::clone(&context.clock),
        };
        let endpoint = Endpoint {
            os: system,
            // The path stands for it.
            version: String::new(),
            built: None,
            host: String::new(),
            policy: Policy { manifest_relative_url: Some(path.to_owned()), ..policy },
            keys: Some(settings.elastic.keys.as_ref().clone()),
            assumptions: Assumptions::default(),
            quirks: Quirks::Mended,
            store: store.map_err(failed)?,
            dial: Arc::new(network),
            clock: ClockRef(Arc::clone(&context.clock)),
        };
        let report = endpoint.poll().await.map_err(failed)?;
        let told = |fail| format!("{system}.advanced.artifacts.global.manifest_relative_url '{path}': {fail}");
        Ok(report.result.err().map(told))
    }

    fn ca_pem(&self) -> Option<Vec<u8>> {
        self.wanted.ca.as_ref().map(|ca| ca.pem().as_bytes().to_vec())
    }
}

fn named(feed: &str) -> Result<FeedId, Failure> {
    feed.parse().map_err(|error: model::FeedError| Failure::usage(error.to_string()))
}
