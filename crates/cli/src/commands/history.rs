//! `waystation history list|verify`.

use catalog::{Entry, verify_chain};
use clap::{Args, Subcommand};
use mirror::Engine;
use serde_json::{Value, json};

use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::table::{Align, Table};

/// Shows and proves the record of what happened
#[derive(Debug, Subcommand)]
#[command(after_help = format!("Example:\n  waystation history verify\n\n{TWO_ENDS}"))]
pub(crate) enum History {
    List(List),
    Verify(Verify),
}

/// Lists the newest entries, oldest first
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation history list --limit 100 --json\n\n{TWO_ENDS}"))]
pub(crate) struct List {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// One JSON line per entry
    #[arg(long)]
    json: bool,
}

/// Proves that no entry was edited, moved, put in or taken out of the middle
///
/// The digest that it prints stands for all entries so far. Keep it elsewhere: entries cut off at the end show
/// only by comparing with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation history verify

Exit codes:
  0  whole
  1  not whole: the message names the first entry that does not fit
  2  wrong usage or configuration")]
pub(crate) struct Verify {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(verb: &History, context: &mut Context) -> Result<Exit, Failure> {
    if let History::Verify(_) = verb {
        context.something_held("history verify")?;
    }
    let engine = context.looking("history").await?;
    match verb {
        History::List(args) => list(args, &engine, context).await,
        History::Verify(args) => verify(args, &engine, context).await,
    }
}

async fn list(args: &List, engine: &Engine, context: &mut Context) -> Result<Exit, Failure> {
    let failed = |error| Failure::new("history", &error);
    let catalog = &engine.ports().catalog;
    let head = catalog.chain_head().await.map_err(failed)?;
    let from = head.seq.saturating_sub(u64::from(args.limit)).saturating_add(1);
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let entries = catalog.history(from, limit).await.map_err(failed)?;
    if args.json {
        entries.iter().try_for_each(|entry| context.out.json(&document(entry)))?;
        return Ok(Exit::DONE);
    }
    let mut table = Table::new([
        ("ENTRY", Align::Right),
        ("AT", Align::Left),
        ("BY", Align::Left),
        ("KIND", Align::Left),
        ("SUBJECT", Align::Left),
        ("WHAT", Align::Left),
    ]);
    for entry in &entries {
        table.push([
            entry.seq.to_string(),
            entry.at.to_string(),
            format!("{} (uid {}, pid {})", entry.actor.verb, entry.actor.uid, entry.actor.pid),
            entry.kind.as_str().to_owned(),
            subject(entry),
            what(entry),
        ]);
    }
    table.write(&mut context.out)?;
    if entries.is_empty() {
        context.out.line("nothing happened yet")?;
    }
    Ok(Exit::DONE)
}

/// The particulars as JSON; the digest is over their text, which JSON keeps as it is.
fn document(entry: &Entry) -> Value {
    let data = serde_json::from_str(&entry.data).unwrap_or_else(|_| Value::from(entry.data.as_str()));
    json!({
        "seq": entry.seq, "at": entry.at, "actor": entry.actor, "kind": entry.kind, "subject": entry.subject,
        "data": data, "previous": entry.previous, "digest": entry.digest,
    })
}

/// Release ids are shown as everywhere else: by their first digits.
fn subject(entry: &Entry) -> String {
    entry.subject.parse::<model::Digest>().map_or_else(|_| entry.subject.clone(), |digest| digest.short())
}

fn what(entry: &Entry) -> String {
    let data: Value = serde_json::from_str(&entry.data).unwrap_or_default();
    let words = ["act", "outcome", "verdict", "reason", "why"].iter().filter_map(|key| data.get(key)?.as_str());
    words.collect::<Vec<_>>().join(", ")
}

async fn verify(args: &Verify, engine: &Engine, context: &mut Context) -> Result<Exit, Failure> {
    let proven = verify_chain(engine.ports().catalog.as_ref()).await;
    let head = match proven {
        Ok(head) => head,
        Err(fault) => {
            if args.json {
                context.out.json(&json!({ "whole": false, "entry": fault.seq, "what": fault.what.to_string() }))?;
            }
            let next = "restore the catalog from a backup, and find out who wrote to it";
            return Err(Failure::new("history verify", &fault).with_next(next));
        }
    };
    if args.json {
        context.out.json(&json!({ "whole": true, "entries": head.seq, "digest": head.digest }))?;
    } else {
        context.out.line(format!("the history is whole: {} entries, ending in {}", head.seq, head.digest))?;
    }
    Ok(Exit::DONE)
}
