//! `waystation release diff`.

use clap::Args;
use mirror::ReleaseDiff;
use model::RoutePath;
use serde::Serialize;

use super::find;
use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Compares two releases, path by path
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation release diff 6 7\n\n{TWO_ENDS}"))]
pub(crate) struct Diff {
    /// The number of the earlier, or the first 8 digits of its id or more
    old: String,
    /// The later
    new: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    old: &'a model::ReleaseId,
    new: &'a model::ReleaseId,
    #[serde(flatten)]
    diff: &'a ReleaseDiff,
}

pub(super) async fn run(args: &Diff, context: &mut Context) -> Result<Exit, Failure> {
    let engine = context.looking("release diff").await?;
    let old = find(&engine, &args.old, "release diff").await?.release;
    let new = find(&engine, &args.new, "release diff").await?.release;
    let diff = ReleaseDiff::between(&old, &new);
    let out = &mut context.out;
    if args.json {
        out.json(&Document { old: &old.id, new: &new.id, diff: &diff })?;
        return Ok(Exit::DONE);
    }
    out.line(format!("old: {}, {} ({})", old.feed, old.vendor_version, old.id.short()))?;
    out.line(format!("new: {}, {} ({})", new.feed, new.vendor_version, new.id.short()))?;
    let mut marked =
        |mark: char, paths: &[RoutePath]| paths.iter().try_for_each(|path| out.line(format!("{mark} {path}")));
    marked('+', &diff.added)?;
    marked('-', &diff.removed)?;
    marked('~', &diff.changed)?;
    out.line(format!(
        "{} added, {} removed, {} changed, {} the same",
        diff.added.len(),
        diff.removed.len(),
        diff.changed.len(),
        diff.same
    ))?;
    Ok(Exit::DONE)
}
