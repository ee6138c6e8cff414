//! What `waystation sync` finds out before it fetches: what endpoints asked for, and what patterns stand for.

use std::io::{self, Write as _};
use std::path::Path;

use app::{Purpose, Stops};
use config::Config;
use mirror::{Engine, EngineError};
use model::{FeedId, Reason, error_chain};
use proxy::{BookError, Discovery};

use crate::context::Context;
use crate::failure::Failure;

/// Whether the vendor could be asked for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    All,
    NotAll,
}

impl Asked {
    /// Of both.
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::All { other } else { self }
    }
}

/// The feeds that are followed: while what was learned cannot be read, those that the configuration names, and what is
/// served of its patterns. That keeps none of them from being fetched.
pub(super) async fn followed(config: &Config, context: &mut Context) -> Result<(Vec<FeedId>, Asked), Failure> {
    match app::followed(config) {
        Ok(feeds) => Ok((feeds, Asked::All)),
        Err(error) => {
            tell_unread(&error);
            Ok((context.engine(config, "sync", Purpose::Look).await?.feeds(), Asked::NotAll))
        }
    }
}

/// Follows what endpoints asked for and patterns stand for, as far as the vendor has it; and serves nothing any more
/// that was forwarded where nothing is to be.
pub(super) async fn run(config: &Config, json: bool, context: &mut Context) -> Result<Asked, Failure> {
    if config.elastic.is_none() {
        return Ok(Asked::All);
    }
    let engine = context.engine(config, "sync", Purpose::Act).await?;
    if let Err(error) = app::make_spool(config) {
        tracing::warn!(error = %error_chain(&error), "the folder for what endpoints ask for in vain cannot be made");
    }
    let mut asked = Asked::All;
    if let Err(error) = app::gather_once(config, &engine) {
        if matches!(error, BookError::Anew { .. }) {
            asked = Asked::NotAll;
            let error = crate::show::clean(&error_chain(&error));
            let _ = writeln!(io::stderr(), "{}: {error}", Reason::LearnedUnread);
        } else {
            tracing::warn!(error = %error_chain(&error), "what endpoints asked for in vain could not be gathered");
        }
    }
    let stops = Stops::listen().map_err(|error| Failure::new("sync: cannot listen for signals", &error))?;
    let found = tokio::select! {
        found = app::discover(config, &engine) => found,
        () = stops.asked(1) => return Err(Failure::engine("sync", &EngineError::Interrupted)),
    };
    tell_learned(&found, json, context)?;
    asked = asked.and(tell(&found, json, context)?);
    if !app::forwards(config) {
        match app::retire_forwarded(config, engine).await {
            Ok(0) => {}
            Ok(_) if json => {}
            Ok(paths) => context
                .out
                .line(format!("{} that no manifest names: served no longer", crate::show::count(paths, "path")))?,
            // What keeps it from that is told by the run itself, with its reason, where it keeps that from anything.
            Err(error) => {
                asked = Asked::NotAll;
                tracing::warn!(error = %error_chain(&error), "what was forwarded could not be ended");
            }
        }
    }
    Ok(asked)
}

/// Follows what lies in a folder, as far as endpoints asked for it or patterns stand for it.
pub(super) async fn from_folder(
    config: &Config,
    (folder, json): (&Path, bool),
    context: &mut Context,
) -> Result<Asked, Failure> {
    if !may_follow(config) {
        return Ok(Asked::All);
    }
    let engine = context.engine(config, "sync", Purpose::Act).await?;
    let held = engine.feeds_in_folder(folder).await.map_err(|error| Failure::engine("sync", &error))?;
    let found = app::follow_found(config, &engine, &held).await;
    tell_learned(&found, json, context)?;
    tell(&found, json, context)
}

/// Whether something may come to be followed that is not yet.
pub(super) fn may_follow(config: &Config) -> bool {
    config.elastic.as_ref().is_some_and(|elastic| elastic.demand.learns() || !elastic.patterns.is_empty())
}

fn tell_learned(found: &Discovery, json: bool, context: &mut Context) -> Result<(), Failure> {
    for (feed, why) in &found.learned {
        if json {
            tracing::info!(%feed, why = why.as_str(), "followed from now on");
        } else {
            context.out.line(format!("{feed} is followed from now on: {}", why.as_str()))?;
        }
    }
    Ok(())
}

/// What would be followed and is not yet, for a plan: an engine that follows it, too. Nothing is changed.
pub(super) async fn foresee(config: &Config, json: bool, context: &mut Context) -> Result<(Engine, Asked), Failure> {
    let engine = context.engine(config, "sync", Purpose::Look).await?;
    if config.elastic.is_none() {
        return Ok((engine, Asked::All));
    }
    let (engine, found) = app::foresee(config, engine).await;
    for (feed, why) in &found.learned {
        if !json {
            context.out.line(format!("{feed} would be followed: {}", why.as_str()))?;
        }
    }
    Ok((engine, tell(&found, json, context)?))
}

/// Tells how far was looked, and what could not be found out or finds no room.
fn tell(found: &Discovery, json: bool, context: &mut Context) -> Result<Asked, Failure> {
    for (pattern, last) in &found.lines {
        if json {
            tracing::info!(pattern, %last, "gone through");
        } else {
            context.out.line(format!("{pattern}: the vendor was asked up to {last}"))?;
        }
    }
    let mut asked = Asked::All;
    for error in &found.unread {
        asked = Asked::NotAll;
        tell_unread(error);
    }
    for (feed, note) in &found.troubles {
        let (reason, detail) = (note.reason, &note.detail);
        let what = if reason == Reason::LearnedFull {
            "asked for, and not followed"
        } else {
            asked = Asked::NotAll;
            "it is not known whether the vendor has it"
        };
        if json {
            tracing::warn!(%feed, reason = reason.code(), detail, "{what}");
        } else {
            context.out.line(format!("{feed}: {what}: {reason}: {detail}"))?;
            context.out.line(format!("  {}", reason.remedy()))?;
        }
    }
    Ok(asked)
}

/// Tells what cannot be read of what endpoints asked for, or of what was learned.
fn tell_unread(error: &BookError) {
    let told = "what is configured is fetched all the same; what was learned is not where that is what does not read, and \
                of what endpoints ask for nothing more is learned";
    let _ = writeln!(io::stderr(), "{}: {}; {told}", Reason::LearnedUnread, crate::show::clean(&error_chain(error)));
}
