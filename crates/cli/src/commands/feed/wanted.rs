//! `waystation feed wanted`.

use std::path::PathBuf;

use clap::Args;
use model::Timestamp;
use proxy::{Exported, Marked, WantedEntry, marked, write_export};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// Lists what endpoints asked for and is not held
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation feed wanted
  waystation feed wanted --export /media/usb/wanted.json

Carry the exported list to the connected side of an air gap, and have it fetched there with
`waystation sync --wanted /media/usb/wanted.json`.

Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration")]
pub(crate) struct Wanted {
    /// One JSON line for each
    #[arg(long)]
    json: bool,
    /// Write the list to a file, for the connected side of an air gap
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

pub(crate) async fn run(args: &Wanted, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let engine = context.looking("feed").await?;
    let list = app::wanted_now(&config, &engine).await;
    let list = list.map_err(|error| Failure::new("feed wanted", &error))?;
    let entries = list.entries();
    let now = context.clock.now();
    if let Some(path) = &args.export {
        let exported = Exported::new(config.site.name.clone(), now, entries.clone());
        write_export(path, &exported).map_err(|error| Failure::new("feed wanted", &error))?;
    }
    let entries = marked(&engine, entries).await.map_err(|error| Failure::engine("feed wanted", &error))?;
    if args.json {
        entries.iter().try_for_each(|entry| context.out.json(entry))?;
        return Ok(Exit::DONE);
    }
    if entries.is_empty() {
        context.out.line(
            "nothing is wanted, as far as it was left here: what endpoints ask for below /downloads and is not held shows \
             some seconds later",
        )?;
    } else {
        table(&entries, now, context)?;
    }
    if list.pushed_out() > 0 {
        context.out.line(format!("{} more were let go of: the list is full", list.pushed_out()))?;
    }
    if let Some(path) = &args.export {
        let told = format!("written to {}; on the connected side: waystation sync --wanted FILE", path.display());
        context.out.line(told)?;
    }
    Ok(Exit::DONE)
}

/// What came of asking the vendor, in few words.
fn tried(marked: &Marked, now: Timestamp) -> String {
    let tried = match &marked.entry.tried {
        _ if marked.held_at_another_path => "held at another path".to_owned(),
        None => "not asked".to_owned(),
        Some(tried) => format!("{}, {}", tried.reason.code(), show::ago(now, Some(tried.at))),
    };
    if marked.not_renewed { format!("served, not renewed ({tried})") } else { tried }
}

fn table(entries: &[Marked], now: Timestamp, context: &mut Context) -> Result<(), Failure> {
    let mut table = Table::new([
        ("WANTED", Align::Left),
        ("RING", Align::Left),
        ("COUNT", Align::Right),
        ("FIRST", Align::Left),
        ("LAST", Align::Left),
        ("THE VENDOR", Align::Left),
    ]);
    for marked in entries {
        let entry = &marked.entry;
        table.push([
            name(entry),
            entry.ring.to_string(),
            entry.count.to_string(),
            show::ago(now, Some(entry.first)),
            show::ago(now, Some(entry.last)),
            tried(marked, now),
        ]);
    }
    table.write(&mut context.out)
}

/// The feed; with the path that was asked for where the vendor publishes none, so that there may be several.
fn name(entry: &WantedEntry) -> String {
    match &entry.feed {
        Some(feed) if feed.date().is_some() || feed.segments().count() > 1 => format!("{feed} at {}", entry.path),
        Some(feed) => feed.to_string(),
        None => entry.path.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_paths_of_one_date_are_told_apart() {
        let entry = |feed: Option<&str>, path: &str| WantedEntry {
            feed: feed.map(|feed| feed.parse().unwrap()),
            path: path.parse().unwrap(),
            ring: model::RingName::broad(),
            count: 1,
            first: Timestamp::from_micros(0),
            last: Timestamp::from_micros(0),
            guess: None,
            tried: None,
        };
        let dated = entry(Some("elastic/9.0.0@2026-01-15"), "/downloads/a/2026-01-15/artifacts-9.0.0.zip");
        let told = |held_at_another_path, not_renewed| {
            let marked = Marked { entry: dated.clone(), held_at_another_path, not_renewed };
            tried(&marked, Timestamp::from_micros(0))
        };
        assert_eq!((told(true, false).as_str(), told(false, false).as_str()), ("held at another path", "not asked"));
        assert_eq!(told(false, true), "served, not renewed (not asked)");
        assert_eq!(name(&dated), "elastic/9.0.0@2026-01-15 at /downloads/a/2026-01-15/artifacts-9.0.0.zip");
        let plain = entry(Some("elastic/9.0.0"), "/downloads/endpoint/manifest/artifacts-9.0.0.zip");
        assert_eq!(name(&plain), "elastic/9.0.0");
        assert_eq!(name(&entry(None, "/downloads/x")), "/downloads/x");
    }
}
