//! `waystation history verify`.

use std::path::PathBuf;

use catalog::{Catalog, Compared, KeptHeads, Proven, prove_chain};
use clap::Args;
use model::Reason;
use serde_json::json;

use super::heads::{self, Expected, RESTORE};
use super::proof::{elsewhere, head, in_words, parted};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;

/// Proves that no entry was edited, moved, put in or taken out of the middle
///
/// The digest that it prints stands for all entries so far. Entries cut off at the end, and a history that was written
/// anew, show only by comparing with digests that were kept elsewhere: see history.head_file. The newest one that is
/// given must be in the history, or be old enough that its entry was let go by right as the very last one; older ones
/// may be of entries that were let go by then.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation history verify --head /mnt/worm/waystation-heads

Exit codes:
  0  whole
  1  not whole: the message names the first entry that does not fit; or not the one that a living
     `waystation run` knows
  2  wrong usage or configuration")]
pub(crate) struct Verify {
    /// A file of heads that were kept elsewhere; may be given several times; history.head_file where none is given
    #[arg(long, value_name = "FILE")]
    head: Vec<PathBuf>,
    /// An entry and its digest, kept elsewhere; may be given several times
    #[arg(long, value_name = "SEQ:DIGEST")]
    expect: Vec<Expected>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Verify, catalog: &dyn Catalog, context: &mut Context) -> Result<Exit, Failure> {
    let site = context.config()?.site.name.unwrap_or_else(|| app::NO_SITE.to_owned());
    let mut kept = KeptHeads::default();
    args.expect.iter().try_for_each(|expected| heads::expect(&mut kept, expected))?;
    args.head.iter().try_for_each(|path| heads::given(&mut kept, path, &site))?;
    let asked = !args.head.is_empty() || !args.expect.is_empty();
    let absent = match context.config()?.history.head_file.filter(|_| !asked) {
        Some(path) => (!heads::configured(&mut kept, &path, &site)?).then_some(path),
        None => None,
    };
    let proven = match prove_chain(catalog, &mut |entry| kept.look(entry)).await {
        Ok(proven) => proven,
        Err(fault) => {
            if args.json {
                context.out.json(&json!({ "whole": false, "entry": fault.seq, "what": fault.what.to_string() }))?;
            }
            return Err(Failure::new(Reason::HistoryBroken.code(), &fault).with_next(RESTORE));
        }
    };
    let compared = kept.finish(&proven, context.clock.now()).map_err(|fault| heads::broken(&fault));
    if let (Err(failure), true) = (&compared, args.json) {
        context.out.json(&json!({ "whole": false, "what": failure.to_string() }))?;
    }
    let compared = (!kept.is_empty()).then_some(compared?);
    let elsewhere = elsewhere(&context.config()?, context.clock.now()).await;
    if let (Some(fault), false) = (&elsewhere, args.json) {
        head(fault, &mut context.out)?;
    }
    if args.json {
        // The chain holds; it is not the one that a living `run` knows.
        let (whole, reason, what) = match &elsewhere {
            Some(fault) => (None, Some(fault.note.reason.code()), Some(in_words(fault))),
            None => (Some(true), None, None),
        };
        context.out.json(&json!({
            "whole": whole, "reason": reason, "what": what, "entries": proven.head.seq, "digest": proven.head.digest,
            "anchor": proven.anchor, "since": proven.since, "heads": compared,
        }))?;
    } else {
        tell(&proven, compared, &mut context.out)?;
    }
    if let (Some(path), false) = (absent, args.json) {
        let path = crate::show::clean(&path.display().to_string());
        context.out.line(format!(
            "  {path}, history.head_file, is not there or is empty: it was moved away, or no head was told yet"
        ))?;
    }
    elsewhere.map_or(Ok(Exit::DONE), |fault| Err(parted(&fault)))
}

fn tell(proven: &Proven, compared: Option<Compared>, out: &mut Out) -> Result<(), Failure> {
    let head = proven.head;
    match proven.anchor {
        None => out.line(format!("the history is whole: {} entries, ending in {}", head.seq, head.digest))?,
        Some(anchor) => {
            let first = anchor.seq.saturating_add(1);
            let since = proven.since.map(|at| format!(", of {at}")).unwrap_or_default();
            out.line(format!("the history is whole: entries {first} to {}, ending in {}", head.seq, head.digest))?;
            out.line(format!("  it begins at entry {first}{since}: those before were let go, as it says itself"))?;
        }
    }
    match compared {
        Some(compared) => out.line(format!("  {}", heads::in_words(compared))),
        None => out.line("  whether its newest entries were cut off shows only with --head or --expect"),
    }
}
