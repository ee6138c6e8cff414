//! `waystation sync --wanted`.

use std::path::Path;

use app::{Purpose, Stops};
use config::Config;
use mirror::EngineError;
use model::RoutePath;
use proxy::{Brought, Elsewhere, read_export};

use super::report;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;

/// How many paths are named.
const NAMED: usize = 20;

/// Follows what a list asks for, as far as the vendor has it and there is room; none where nothing is wanted.
pub(super) async fn bring(
    (path, json): (&Path, bool),
    config: &Config,
    context: &mut Context,
) -> Result<Option<Brought>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::new("sync --wanted", error);
    if config.elastic.is_none() {
        return Err(
            Failure::usage("sync --wanted: nothing of Elastic is followed").with_next("add an [elastic] section")
        );
    }
    let list = read_export(path).map_err(|error| failed(&error))?;
    if list.wanted.is_empty() {
        if !json {
            context
                .out
                .line(format!("{} is empty: nothing was wanted there, and nothing is fetched", path.display()))?;
        }
        return Ok(None);
    }
    let engine = context.engine(config, "sync", Purpose::Act).await?;
    let stops = Stops::listen().map_err(|error| Failure::new("sync: cannot listen for signals", &error))?;
    let brought = tokio::select! {
        brought = app::bring(config, &engine, &list) => brought.map_err(|error| failed(&error))?,
        () = stops.asked(1) => return Err(Failure::engine("sync", &EngineError::Interrupted)),
    };
    for feed in &brought.learned {
        if json {
            tracing::info!(%feed, "followed from now on: it is in the list");
        } else {
            context.out.line(format!("{feed} is followed from now on: it is in the list"))?;
        }
    }
    Ok(Some(brought))
}

/// Tells what of a list is not fetched, and why; how the whole ends where what is fetched ended like this, or nothing is.
pub(super) async fn tell_rest(
    brought: &Brought,
    (fetched, json): (Option<Exit>, bool),
    config: &Config,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let engine = context.engine(config, "sync", Purpose::Look).await?;
    let elsewhere = brought.elsewhere(&engine).await.map_err(|error| Failure::engine("sync", &error))?;
    for Elsewhere { feed, asked, served } in &elsewhere {
        let at = served.as_ref().map_or("another path", RoutePath::as_str);
        let told = format!(
            "{asked}: in the list, and not fetched: {feed} is held at {at}; where the vendor has the same at both, carry a copy \
             of that manifest at this path as well"
        );
        if json {
            tracing::warn!("{told}");
        } else {
            context.out.line(told)?;
        }
    }
    for (feed, why) in &brought.left {
        if json {
            context.out.json(&report::Line::failed(feed, why.reason, &why.detail))?;
        } else {
            context.out.line(format!("{feed}: in the list, and not followed: {}: {}", why.reason, why.detail))?;
        }
    }
    if !brought.unnamed.is_empty() {
        let paths: Vec<&str> = brought.unnamed.iter().take(NAMED).map(RoutePath::as_str).collect();
        let more = match brought.unnamed.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (count, paths) = (show::count(brought.unnamed.len(), "path"), paths.join(", "));
        let told = format!(
            "{count} in the list that no form of manifest's path gives, and that cannot be fetched from here: {paths}{more}"
        );
        if json {
            tracing::warn!("{told}");
        } else {
            context.out.line(told)?;
        }
    }
    Ok(match (fetched, brought.left.is_empty() && elsewhere.is_empty()) {
        (Some(Exit::DONE), false) => Exit::PART,
        (Some(exit), _) => exit,
        (None, _) => Exit::FAILED,
    })
}
