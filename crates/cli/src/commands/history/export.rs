//! `waystation history export`.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use catalog::{Catalog, Entry};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Doubt, Span, cef, doubt, particulars, visit};
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Writes entries for somebody else to keep, search and prove
///
/// JSON lines hold all that a third party needs to prove the chain without this program; docs/history.md says how.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation history export --since 2026-08-01 --until 2026-09-01 --out august.jsonl

Exit codes:
  0  written
  1  failed: the message names what; or the history is not what was written, or history.head_file cannot
     be read, so that nobody knows: what it says now is exported
  2  wrong usage or configuration")]
pub(crate) struct Export {
    /// jsonl: one JSON object a line; cef: Common Event Format
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    #[command(flatten)]
    span: Span,
    /// The file to write, which must not be there yet; without it, stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Cef,
}

/// A line of JSON: the members that the digest is over stand as they were hashed.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at: model::Timestamp,
    time: String,
    actor: &'a catalog::Actor,
    kind: catalog::EntryKind,
    subject: &'a str,
    data: serde_json::Value,
    previous: model::Digest,
    digest: model::Digest,
}

impl Format {
    fn line(self, entry: &Entry, site: &str) -> Result<String, Failure> {
        match self {
            Self::Cef => Ok(cef::line(entry, site)),
            Self::Jsonl => {
                let line = Line {
                    seq: entry.seq,
                    at: entry.at,
                    time: entry.at.to_string(),
                    actor: &entry.actor,
                    kind: entry.kind,
                    subject: &entry.subject,
                    data: particulars(entry),
                    previous: entry.previous,
                    digest: entry.digest,
                };
                serde_json::to_string(&line).map_err(|error| Failure::new("cannot write JSON", &error))
            }
        }
    }
}

pub(super) async fn run(args: &Export, catalog: &dyn Catalog, context: &mut Context) -> Result<Exit, Failure> {
    let site = context.config()?.site.name.unwrap_or_else(|| app::NO_SITE.to_owned());
    let filter = args.span.filter(context)?;
    let Some(path) = &args.out else {
        let out = &mut context.out;
        let mut write = |entry: &Entry| out.text(&(args.format.line(entry, &site)? + "\n"));
        let written = visit(catalog, filter, &mut write).await;
        return Doubt::end(doubt(catalog, context).await?).and(written).map(|()| Exit::DONE);
    };
    let mut file = BufWriter::new(create(path)?);
    let mut count = 0_usize;
    let failed = |error: std::io::Error| Failure::new(&format!("cannot write {}", path.display()), &error);
    let mut write = |entry: &Entry| {
        count = count.saturating_add(1);
        writeln!(file, "{}", args.format.line(entry, &site)?).map_err(failed)
    };
    let written = visit(catalog, filter, &mut write).await;
    let ended = written.and_then(|()| {
        file.flush().map_err(failed)?;
        file.get_ref().sync_all().map_err(failed)
    });
    if let Err(failure) = ended {
        // Half an export must not pass for a whole one.
        let _ = std::fs::remove_file(path);
        return Doubt::end(doubt(catalog, context).await?).and(Err(failure));
    }
    context.out.line(format!("{count} entries written to {}", path.display()))?;
    // What somebody wrote over is evidence: it stays written, and is not passed off as what happened.
    Doubt::end(doubt(catalog, context).await?).map(|()| Exit::DONE)
}

fn create(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        let next = "name a file that is not there yet, in a folder that is";
        Failure::new(&format!("cannot write {}", path.display()), &error).with_next(next)
    })
}
