//! A configuration that is read again while `run` or `serve` works.
//!
//! # Decided here
//! - While the data folder is away nothing is built on what stands in its place, which may be a bare mount point, another
//!   site's, or another `run`'s: the new configuration is kept, and taken to the folder once that is back, or once another
//!   was found to be its own.

use std::sync::Arc;

use config::Config;
use mirror::{Engine, KeptConfig};
use model::error_chain;

use super::{Live, Role, needs_restart, nudging};
use crate::alarms::Ways;
use crate::build::{check, living_engine};
use crate::content;
use crate::notify::{News, tell};
use crate::scheduler::Timetable;

impl Live {
    /// Reads the configuration again; what cannot be read or built changes nothing.
    pub(super) async fn reload(&mut self) {
        tell(News::Reloading);
        match self.try_reload().await {
            Ok(lines) if lines.is_empty() => tracing::info!("configuration read again: nothing changed"),
            Ok(lines) => {
                for change in lines {
                    tracing::info!(change, "configuration changed");
                }
            }
            Err(error) => tracing::error!(%error, "the configuration was not taken over; the one before stands"),
        }
        tell(News::Ready);
    }

    async fn try_reload(&mut self) -> Result<Vec<String>, String> {
        let environment = config::environment();
        let newer = Config::load(self.daemon.given.as_deref(), &environment).map_err(|error| error.to_string())?;
        let lines = self.daemon.config.diff(&newer);
        let fixed = needs_restart(&self.daemon.config, &newer);
        if !fixed.is_empty() {
            let fixed = fixed.join(", ");
            return Err(format!(
                "nothing of the new file was taken, for a restart alone changes {fixed}; restart, or put that back"
            ));
        }
        match self.daemon.role {
            Role::Run => self.take_over(&newer, &lines).await?,
            Role::Serve => content::reload(&self.content, &newer)?,
        }
        self.configs.send_replace(newer.clone());
        self.daemon.config = newer;
        Ok(lines)
    }

    /// Works by a configuration that changes these lines.
    async fn take_over(&mut self, newer: &Config, lines: &[String]) -> Result<(), String> {
        let clock = Arc::clone(&self.daemon.clock);
        let ways = Ways::new(newer, &clock).map_err(|error| error_chain(&error))?;
        let changed = [self.owed.as_deref().unwrap_or_default(), lines].concat();
        self.look_at_history().await;
        if self.is_away() {
            check(newer, &clock).map_err(|error| error_chain(&error))?;
            content::reload(&self.content, newer)?;
            self.owe(Some(changed));
            let data_dir = newer.data_dir.display();
            tracing::warn!(%data_dir, "the data folder is away: what stands there is not opened for that; the configuration read now is worked by once the folder is back");
        } else {
            let built = living_engine(newer, clock, self.pulse.lineage()).await.map_err(|error| error_chain(&error))?;
            if self.is_away() {
                return Err("the data folder went away meanwhile; ask again".to_owned());
            }
            // Recorded first; what could not be taken over after all is recorded as well.
            record_change(&built, newer, (&changed, "reload")).await?;
            if let Err(error) = content::reload(&self.content, newer) {
                let back = vec![format!("not taken over: {error}")];
                record_change(&built, &self.daemon.config, (&back, "reload refused")).await?;
                return Err(error);
            }
            self.owe(None);
            self.engines.send_replace(Some(Arc::new(nudging(built, (&self.content, &self.demand)))));
        }
        if let Some(alarms) = &mut self.alarms {
            alarms.set(ways, newer);
        }
        self.demand.set(newer);
        self.changes.send_replace(Timetable::of(newer));
        Ok(())
    }

    /// Has the data folder, which is in its place, worked on by what was read while it was away.
    pub(super) async fn catch_up(&mut self) {
        let Some(owed) = self.owed.clone() else { return };
        let config = &self.daemon.config;
        let built = match living_engine(config, Arc::clone(&self.daemon.clock), self.pulse.lineage()).await {
            Ok(_) if self.is_away() => return,
            Ok(built) => built,
            Err(error) => {
                let error = error_chain(&error);
                return tracing::error!(
                    error,
                    "the configuration that was read while the data folder was away cannot be worked by yet"
                );
            }
        };
        if let Err(error) = record_change(&built, config, (&owed, "reload")).await {
            return tracing::error!(
                error,
                "a configuration that was read while the data folder was away cannot be recorded, and is not worked by yet"
            );
        }
        self.owe(None);
        self.engines.send_replace(Some(Arc::new(nudging(built, (&self.content, &self.demand)))));
        tracing::info!("the configuration that was read while the data folder was away is worked by");
    }

    /// Records what was read while the data folder was away in one that is taken in its place.
    pub(super) async fn settle(&mut self, built: &Engine) {
        let Some(owed) = self.owed.take() else { return };
        self.pulse.place().owe(false);
        if let Err(error) = record_change(built, &self.daemon.config, (&owed, "reload")).await {
            tracing::error!(
                error,
                "a configuration that was read while the data folder was away could not be recorded"
            );
        }
    }

    fn owe(&mut self, lines: Option<Vec<String>>) {
        self.pulse.place().owe(lines.is_some());
        self.owed = lines;
    }

    /// Looks whether what stands there holds the history that is worked on.
    pub(super) async fn look_at_history(&self) {
        let engine = self.engines.borrow().clone();
        if let Some(engine) = engine {
            self.pulse.lineage().look(&engine.ports().catalog).await;
        }
    }

    /// Whether the data folder, or the catalog in it, is not where it was.
    fn is_away(&self) -> bool {
        self.engines.borrow().as_ref().is_some_and(|engine| engine.in_place().is_err())
    }
}

/// Records a configuration and what it changes; nothing where nothing changes.
async fn record_change(engine: &Engine, config: &Config, told: (&[String], &str)) -> Result<(), String> {
    if told.0.is_empty() {
        return Ok(());
    }
    let kept = KeptConfig { digest: config.digest(), settings: Some(config.canonical()) };
    engine.record_config(&kept, told.0, told.1).await.map_err(|error| error_chain(&error))
}
