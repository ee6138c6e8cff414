//! `waystation history list`.

use catalog::{Catalog, Entry, EntryFilter, EntryKind, EntryOrder};
use clap::Args;
use model::FeedId;
use serde_json::{Value, json};

use super::what::what;
use super::{Doubt, PAGE, Span, doubt, particulars};
use crate::commands::status::lacking;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// Lists the newest entries, oldest first
///
/// The whole history is proven while it is read: where it is not what was written, or history.head_file cannot be read, so
/// that nobody knows, that heads the page.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Example:
  waystation history list --kind act --since '30d ago'

Kinds: {}

Exit codes:
  0  listed
  1  failed: the message names what; or the history is not what was written, or history.head_file cannot
     be read, so that nobody knows: what it says now is listed
  2  wrong usage or configuration", kinds()))]
pub(crate) struct List {
    /// Only of this feed: its checks, its releases, the publications that carried it
    #[arg(long)]
    feed: Option<FeedId>,
    /// Only of this kind; may be given several times
    #[arg(long, value_parser = kind)]
    kind: Vec<EntryKind>,
    #[command(flatten)]
    span: Span,
    /// Only by this user id, login name, or verb such as 'run' or 'release admit'
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// One JSON line per entry
    #[arg(long)]
    json: bool,
}

fn kinds() -> String {
    EntryKind::ALL.map(EntryKind::as_str).join(", ")
}

fn kind(text: &str) -> Result<EntryKind, String> {
    EntryKind::from_word(text).ok_or_else(|| format!("kinds are {}", kinds()))
}

pub(super) async fn run(args: &List, catalog: &dyn Catalog, context: &mut Context) -> Result<Exit, Failure> {
    let filter = EntryFilter { kinds: args.kind.clone(), ..args.span.filter(context)? };
    let entries = newest(args, filter, catalog).await;
    let doubt = doubt(catalog, context).await?;
    match entries {
        Ok(entries) => page(args, &entries, doubt.as_ref(), context)?,
        // An entry that cannot be read is told as what it is: a history that is broken.
        Err(failure) => return Doubt::end(doubt).and(Err(failure)),
    }
    Doubt::end(doubt).map(|()| Exit::DONE)
}

fn page(args: &List, entries: &[Entry], doubt: Option<&Doubt>, context: &mut Context) -> Result<(), Failure> {
    if args.json {
        return entries.iter().try_for_each(|entry| context.out.json(&document(entry)));
    }
    doubt.map_or(Ok(()), |doubt| doubt.write(&mut context.out))?;
    let mut table = Table::new([
        ("ENTRY", Align::Right),
        ("AT", Align::Left),
        ("BY", Align::Left),
        ("KIND", Align::Left),
        ("SUBJECT", Align::Left),
        ("WHAT", Align::Left),
    ]);
    for entry in entries {
        table.push([
            entry.seq.to_string(),
            entry.at.to_string(),
            by(entry),
            entry.kind.as_str().to_owned(),
            subject(entry),
            what(entry),
        ]);
    }
    table.write(&mut context.out)?;
    if entries.is_empty() {
        let asked = args.feed.is_some() || args.actor.is_some() || args.span.since.or(args.span.until).is_some();
        let any = asked || !args.kind.is_empty();
        // A data folder that is gone has no history either.
        let lacks = lacking(&context.config()?).filter(|_| !any).map(|lacks| format!(": {lacks}")).unwrap_or_default();
        let what = if any { "nothing that fits is recorded" } else { "nothing happened yet" };
        context.out.line(format!("{what}{lacks}"))?;
    }
    Ok(())
}

/// The newest that fit, oldest first.
async fn newest(args: &List, mut filter: EntryFilter, catalog: &dyn Catalog) -> Result<Vec<Entry>, Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    loop {
        let page = catalog.entries(&filter, EntryOrder::NewestFirst, PAGE).await;
        let page = page.map_err(|error| Failure::new("history list", &error))?;
        let (count, last) = (page.len(), page.last().map(|last| last.seq));
        found.extend(page.into_iter().filter(|entry| fits(args, entry)).take(limit.saturating_sub(found.len())));
        match last.and_then(|last| last.checked_sub(1)) {
            Some(before) if count == PAGE && found.len() < limit => filter.to = Some(before),
            _ => break,
        }
    }
    found.reverse();
    Ok(found)
}

fn fits(args: &List, entry: &Entry) -> bool {
    args.feed.as_ref().is_none_or(|feed| concerns(entry, feed.as_str()))
        && args.actor.as_ref().is_none_or(|who| is_by(entry, who))
}

fn concerns(entry: &Entry, feed: &str) -> bool {
    if entry.subject == feed {
        return true;
    }
    let data = particulars(entry);
    data.get("feed").and_then(Value::as_str) == Some(feed)
        || ["feeds", "records"].iter().any(|name| data.get(name).is_some_and(|all| all.get(feed).is_some()))
}

fn is_by(entry: &Entry, who: &str) -> bool {
    let actor = &entry.actor;
    let ids = [Some(actor.uid), actor.sudo_uid];
    actor.verb == who
        || actor.login.as_deref() == Some(who)
        || actor.token.as_deref() == Some(who)
        || ids.into_iter().flatten().any(|id| id.to_string() == who)
}

/// Who: the verb, and the person as far as known.
pub(super) fn by(entry: &Entry) -> String {
    let actor = &entry.actor;
    format!("{} by {}, pid {}", actor.verb, show::person(actor), actor.pid)
}

/// The particulars as JSON; the digest is over their text, which JSON keeps as it is.
pub(super) fn document(entry: &Entry) -> Value {
    json!({
        "seq": entry.seq, "at": entry.at, "time": entry.at.to_string(), "actor": entry.actor, "kind": entry.kind,
        "subject": entry.subject, "data": particulars(entry), "previous": entry.previous, "digest": entry.digest,
    })
}

/// Release ids are shown as everywhere else: by their first digits.
fn subject(entry: &Entry) -> String {
    entry.subject.parse::<model::Digest>().map_or_else(|_| entry.subject.clone(), |digest| digest.short())
}
