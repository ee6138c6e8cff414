//! What every command works with.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use app::{Heads, Purpose};
use config::Config;
use mirror::Engine;
use model::{Clock, FeedId};

use crate::arguments::Globals;
use crate::commands::status::{not_anew, not_left_alone};
use crate::failure::{Exit, Failure};
use crate::out::Out;

/// How many names a typo is answered with.
const NEAREST: usize = 3;

/// What every command works with.
pub(crate) struct Context {
    pub(crate) globals: Globals,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) out: Out,
    pub(crate) environment: Vec<(String, String)>,
    /// Whether stderr is a terminal.
    pub(crate) terminal: bool,
    /// The engine that acts, and where the heads of its history go.
    pub(crate) acted: OnceLock<(Engine, Heads)>,
}

impl Context {
    /// The configuration file that was named on the command line.
    pub(crate) fn given(&self) -> Option<&Path> {
        self.globals.config.as_deref()
    }

    /// The configuration.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        Config::load(self.given(), &self.environment).map_err(|error| Failure::config(&error))
    }

    /// An engine; `verb` is what this process does, for locks and the history.
    pub(crate) async fn engine(&self, config: &Config, verb: &str, purpose: Purpose) -> Result<Engine, Failure> {
        if purpose == Purpose::Act {
            not_anew(config, verb).await?;
            not_left_alone(config, verb).await?;
        }
        let built = app::engine(config, verb, purpose, Arc::clone(&self.clock)).await;
        let engine = built.map_err(|error| Failure::build(verb, &error))?;
        if purpose == Purpose::Act {
            let noted = app::note_configuration(&engine, config, &format!("start of {verb}")).await;
            noted.map_err(|error| Failure::engine(verb, &error))?;
            let _ = self.acted.set((engine.clone(), Heads::of(config)));
        }
        // Never dropped: the catalog is durable as it stands; who wrote into it folds its log at the end.
        std::mem::forget(engine.clone());
        Ok(engine)
    }

    /// Ends what was begun with an act: the head of the history is told, where one is due, and the catalog is left as the
    /// one file that a backup copies. That a head could not be told is in the log, and fails nothing; a
    /// history that is not what was written, or of which nobody can know, is given back.
    pub(crate) async fn tell_head(&mut self) -> Option<Failure> {
        let (engine, mut heads) = self.acted.take()?;
        let told = heads.tell_after_act(engine.ports().catalog.as_ref(), self.clock.now()).await;
        if let Err(error) = engine.ports().catalog.fold().await {
            tracing::warn!(error = %model::error_chain(&error), "a backup needs the catalog's -wal as well");
        }
        let error = told.err()?;
        let reason = error.reason();
        let failure = Failure::new(reason.code(), &error).with_exit(Exit::PART);
        let next = if error.is_broken() {
            "`waystation history verify` says more"
        } else {
            "no head is told before it can be read; where it is moved away, telling begins anew"
        };
        Some(failure.with_next(format!("what was asked for was done all the same; {next}")))
    }

    /// Refuses to prove anything about a data folder that is not there: nothing is no proof.
    pub(crate) fn something_held(&self, verb: &str) -> Result<(), Failure> {
        let config = self.config()?;
        if matches!(config.data_dir.join("catalog").try_exists(), Ok(false)) {
            let text = format!("{verb}: there is no catalog in {}", config.data_dir.display());
            let next = "check data_dir, or run `waystation sync` first";
            return Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next));
        }
        Ok(())
    }

    /// An engine to look with, of the configuration.
    pub(crate) async fn looking(&self, verb: &str) -> Result<Engine, Failure> {
        self.engine(&self.config()?, verb, Purpose::Look).await
    }

    /// An engine to act with, of the configuration.
    pub(crate) async fn acting(&self, verb: &str) -> Result<Engine, Failure> {
        self.engine(&self.config()?, verb, Purpose::Act).await
    }
}

/// The feed that a text names among those that are known; a typo is answered with the nearest names.
pub(crate) fn feed(text: &str, known: &[FeedId]) -> Result<FeedId, Failure> {
    let what = match whole(text).parse::<FeedId>() {
        Ok(feed) if known.contains(&feed) => return Ok(feed),
        Ok(feed) => format!("feed {feed} is not followed"),
        Err(error) => error.to_string(),
    };
    let near = nearest(&whole(text), known);
    let next = match near.as_slice() {
        [] => "`waystation feed list` shows what is followed".to_owned(),
        near => format!("nearest: {}; `waystation feed list` shows all", near.join(", ")),
    };
    Err(Failure::usage(what).with_next(next))
}

/// A version alone is one of Elastic's.
fn whole(text: &str) -> String {
    if text.starts_with(|first: char| first.is_ascii_digit()) { format!("elastic/{text}") } else { text.to_owned() }
}

fn nearest<'a>(text: &str, known: &'a [FeedId]) -> Vec<&'a str> {
    let text: String = text.chars().take(128).collect();
    let mut scored: Vec<(usize, &str)> =
        known.iter().map(|feed| (strsim::damerau_levenshtein(&text, feed.as_str()), feed.as_str())).collect();
    scored.sort_unstable();
    let near = scored.into_iter().filter(|(steps, name)| *steps <= name.chars().count() / 2);
    near.take(NEAREST).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<FeedId> {
        ["elastic/9.0.0", "elastic/8.18.3", "defender/linux/production/x86_64"]
            .map(|name| name.parse().unwrap())
            .to_vec()
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_names() {
        assert!(feed("elastic/9.0.0", &known()).is_ok());
        for (typo, near) in [
            ("elastic/9.0.1", "elastic/9.0.0"),
            ("elastc/9.0.0", "elastic/9.0.0"),
            ("defender/linux/prod/x86_64", "defender/linux/production/x86_64"),
        ] {
            let told = feed(typo, &known()).unwrap_err().to_string();
            assert!(told.contains(&format!("nearest: {near}")), "{told}");
        }
        assert_eq!(feed("8.18.3", &known()).unwrap().as_str(), "elastic/8.18.3");
        let told = feed("8.18.4", &known()).unwrap_err().to_string();
        assert!(told.contains("elastic/8.18.4 is not followed") && told.contains("nearest: elastic/8.18.3"), "{told}");
        assert!(feed("x", &known()).unwrap_err().to_string().contains("feed list"));
    }
}
