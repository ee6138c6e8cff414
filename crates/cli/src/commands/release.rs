//! `waystation release …`.

mod act;
mod diff;
mod list;
mod one;
mod verify;

use std::collections::BTreeMap;

use catalog::ReleaseRecord;
use clap::Subcommand;
use mirror::{Engine, Lacks};
use model::ReleaseId;

use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Lists, shows, verifies, compares, admits and rejects releases
#[derive(Debug, Subcommand)]
#[command(after_help = format!("Example:\n  waystation release list --state quarantined\n\n{TWO_ENDS}"))]
pub(crate) enum Release {
    List(list::List),
    Show(one::Show),
    Verify(verify::Verify),
    Diff(diff::Diff),
    Admit(act::Admit),
    Reject(act::Reject),
}

pub(crate) async fn run(verb: &Release, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Release::List(args) => list::run(args, context).await,
        Release::Show(args) => one::run(args, context).await,
        Release::Verify(args) => verify::run(args, context).await,
        Release::Diff(args) => diff::run(args, context).await,
        Release::Admit(args) => act::admit(args, context).await,
        Release::Reject(args) => act::reject(args, context).await,
    }
}

async fn find(engine: &Engine, text: &str, verb: &str) -> Result<ReleaseRecord, Failure> {
    engine.find_release(text).await.map_err(|error| Failure::engine(verb, &error))
}

/// What they lack, by release.
async fn lacking(
    engine: &Engine,
    releases: &[ReleaseRecord],
    verb: &str,
) -> Result<BTreeMap<ReleaseId, Lacks>, Failure> {
    engine.lacking(releases).await.map_err(|error| Failure::engine(verb, &error))
}
