//! What operators are shown over the network: how the content side stands, and how the engine sees everything.

use std::path::PathBuf;
use std::sync::Arc;

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

/// How the content side stands.
pub(crate) struct ContentFacts {
    content: Arc<ContentServer>,
    /// Where Elastic's manifests lie.
    elastic: ElasticSettings,
    pulse: Arc<Pulse>,
    whose: String,
    data_dir: PathBuf,
}

impl ContentFacts {
    pub(crate) fn new(content: Arc<ContentServer>, config: &Config, pulse: Arc<Pulse>) -> Self {
        // No key is read: who serves needs none.
        let elastic = config.elastic.as_ref().map_or_else(ElasticSettings::default, |elastic| ElasticSettings {
            dated_templates: elastic.dated_templates.clone(),
            track_templates: elastic.track_templates.clone(),
            ..ElasticSettings::default()
        });
        Self { content, elastic, pulse, whose: whose(config), data_dir: config.data_dir.clone() }
    }

    /// What is told where endpoints get no content for want of its files.
    fn lost(&self) -> Option<String> {
        let (broken, all) = self.content.broken();
        let is_lost = self.content.has_lost_content() || !self.is_ready();
        let folder = self.data_dir.display();
        (is_lost && broken > 0).then(|| {
            format!(
                "{broken} of {all} paths answer 503, for their files are gone from {folder} or damaged: put the right ones \
                 back; to serve what stands there if that is older, restart"
            )
        })
    }
}

/// Whether an endpoint begins with this path: a manifest, or what has one fixed address.
fn begins(path: &str, elastic: &ElasticSettings) -> bool {
    let path: Result<RoutePath, _> = path.parse();
    path.is_ok_and(|path| !path.is_under(DOWNLOADS) || wanted(&path, elastic).is_some())
}

impl Serving for ContentFacts {
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
        away.or_else(|| self.lost().map(|words| (Reason::RoutesBroken, words)))
    }

    fn whose(&self) -> Option<String> {
        Some(self.whose.clone())
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
