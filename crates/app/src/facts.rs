//! What operators are shown over the network: how the content side stands, and how the engine sees everything.

use std::sync::Arc;
use std::time::Duration;

use admin_http::{Serving, StatusSource};
use async_trait::async_trait;
use config::Config;
use content_http::{ContentServer, Stats};
use mirror::{Engine, SiteFault};
use model::{Level, Note, Reason, RoutePath, error_chain};
use tokio::sync::watch;
use vendors::elastic::{DOWNLOADS, ElasticSettings, wanted};

use crate::living::whose;
use crate::place::Away;
use crate::pulse::Pulse;

/// How long a look at the data folder may take: who asks waits no longer than some seconds.
const LOOK: Duration = Duration::from_secs(2);

/// How the content side stands.
pub(crate) struct ContentFacts {
    content: Arc<ContentServer>,
    /// Where Elastic's manifests lie.
    elastic: ElasticSettings,
    pulse: Arc<Pulse>,
    engine: watch::Receiver<Option<Arc<Engine>>>,
    config: Config,
}

impl ContentFacts {
    pub(crate) fn new(
        content: Arc<ContentServer>,
        config: &Config,
        pulse: Arc<Pulse>,
        engine: watch::Receiver<Option<Arc<Engine>>>,
    ) -> Self {
        // No key is read: who serves needs none.
        let elastic = config.elastic.as_ref().map_or_else(ElasticSettings::default, |elastic| ElasticSettings {
            dated_templates: elastic.dated_templates.clone(),
            track_templates: elastic.track_templates.clone(),
            ..ElasticSettings::default()
        });
        Self { content, elastic, pulse, engine, config: config.clone() }
    }

    /// What is told where endpoints get no content for want of its files; without a path, as it is shown to whoever asks.
    fn lost(&self) -> Option<String> {
        let (broken, all) = self.content.broken();
        let is_lost = self.content.has_lost_content() || !self.is_ready();
        (is_lost && broken > 0).then(|| {
            format!(
                "{broken} of {all} paths answer 503, for their files are gone from the data folder or damaged: put the right \
                 ones back; to serve what stands there if that is older, restart"
            )
        })
    }
}

/// Which rings' files are older than what is served: who only serves has nobody else to tell it.
fn went_back(stats: &Stats) -> Option<String> {
    let notes = stats.rings.iter().filter_map(|ring| Some((&ring.ring, ring.refused.as_ref()?)));
    let back = notes.filter(|(_, why)| why.reason == Reason::RingWentBack);
    let told: Vec<String> = back.map(|(ring, why)| format!("ring {ring}: {}", why.detail)).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Whether an endpoint begins with this path: a manifest, or what has one fixed address.
fn begins(path: &str, elastic: &ElasticSettings) -> bool {
    let path: Result<RoutePath, _> = path.parse();
    path.is_ok_and(|path| !path.is_under(DOWNLOADS) || wanted(&path, elastic).is_some())
}

#[async_trait]
impl Serving for ContentFacts {
    async fn look(&self) {
        let Some(engine) = self.engine.borrow().clone() else { return };
        // Whoever asks before it acts acts at once: what came there since the last look would be worked on.
        let looked = tokio::time::timeout(LOOK, engine.ports().locks.look()).await;
        if let Ok(Err(error)) = looked {
            self.pulse.place().gone(&error);
        }
    }

    fn stats(&self) -> Stats {
        self.content.stats()
    }

    fn is_ready(&self) -> bool {
        // Without its folder it has what is in memory, and not the files that the fleet comes for.
        let has_content = self.pulse.place().away().is_none_or(Away::has_content);
        has_content && self.content.is_ready_for(|path| begins(path, &self.elastic))
    }

    fn trouble(&self) -> Option<(Reason, String)> {
        let away = self.pulse.place().away().map(|away| (away.reason(), away.in_words()));
        let lost = away.or_else(|| self.lost().map(|words| (Reason::RoutesBroken, words)));
        lost.or_else(|| went_back(&self.content.stats()).map(|words| (Reason::RingWentBack, words)))
    }

    fn whose(&self) -> Option<String> {
        // As who asks finds it at this moment: a link above the folder may lead elsewhere by now.
        Some(whose(&self.config))
    }
}

/// How the engine sees everything.
pub(crate) struct EngineFacts(pub(crate) watch::Receiver<Option<Arc<Engine>>>);

#[async_trait]
impl StatusSource for EngineFacts {
    async fn status(&self) -> Result<mirror::Status, String> {
        let engine = self.0.borrow().clone();
        let engine = engine.ok_or_else(|| "there is no engine".to_owned())?;
        engine.status().await.map_err(|error| error_chain(&error))
    }
}

/// That the history is not what was written, as status shows it.
pub fn history_broken(since: model::Timestamp, detail: String) -> SiteFault {
    SiteFault {
        subject: "the history".to_owned(),
        key: "heads/history".to_owned(),
        since,
        level: Level::Fail,
        note: Note { reason: Reason::HistoryBroken, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_endpoints_begin_with_is_known_by_its_path() {
        let elastic = ElasticSettings::default();
        for (path, expected) in [
            ("/downloads/endpoint/manifest/artifacts-9.0.0.zip", true),
            ("/downloads/endpoint/artifact/0123/abcd", false),
            ("/linux/production/arch_x86_64/updates.zip", true),
            ("no path", false),
        ] {
            assert_eq!(begins(path, &elastic), expected, "{path}");
        }
    }
}
