//! `waystation release show`.

use catalog::ReleaseRecord;
use clap::Args;
use mirror::ReleaseStatus;
use model::{Exchange, Provenance, ReleaseItem, TlsAnchor, Vendor};
use serde::Serialize;

use super::{find, lacking};
use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

/// Shows one release: its verdict, where its bytes came from, its files
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  waystation release show 7 --files\n\n{TWO_ENDS}"))]
pub(crate) struct Show {
    /// Its number, or the first 8 digits of its id or more
    release: String,
    /// List its files
    #[arg(long)]
    files: bool,
    /// One JSON object, files included
    #[arg(long, conflicts_with = "files")]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: ReleaseStatus,
    /// How many of them are lost.
    lacks: usize,
    /// How many are there, and somebody else could change them.
    unsafe_files: usize,
    items: &'a [ReleaseItem],
}

pub(super) async fn run(args: &Show, context: &mut Context) -> Result<Exit, Failure> {
    let engine = context.looking("release show").await?;
    let found = find(&engine, &args.release, "release show").await?;
    let lacking = lacking(&engine, std::slice::from_ref(&found), "release show").await?;
    let lacks = lacking.get(&found.release.id).copied().unwrap_or_default();
    let out = &mut context.out;
    if args.json {
        let (status, items) = (ReleaseStatus::from(&found), &found.release.items);
        out.json(&Document { status, lacks: lacks.lost, unsafe_files: lacks.exposed, items })?;
        return Ok(Exit::DONE);
    }
    facts(&found, out)?;
    let which = format!("`waystation release verify {}` says which", found.number);
    if lacks.lost > 0 {
        out.line(format!("lacks           {}: lost; {which}", show::count(lacks.lost, "file")))?;
    }
    if lacks.exposed > 0 {
        let files = show::count(lacks.exposed, "file");
        out.line(format!("unsafe          {files}: held, and somebody else could change them; {which}"))?;
    }
    provenance(&found.release.provenance, out)?;
    if args.files {
        files(&found.release.items, out)?;
    }
    Ok(Exit::DONE)
}

fn facts(found: &ReleaseRecord, out: &mut Out) -> Result<(), Failure> {
    let release = &found.release;
    out.line(format!("release         {} ({})", found.number, release.id))?;
    out.line(format!("feed            {}", release.feed))?;
    out.line(format!("vendor version  {}", release.vendor_version))?;
    if let Some(time) = release.vendor_time {
        let whose = match release.feed.vendor() {
            Vendor::Elastic => " (inside its zip)",
            Vendor::Defender => "",
        };
        out.line(format!("vendor time     {time}{whose}"))?;
    }
    out.line(format!("state           {}, since {}", found.state, found.state_since))?;
    out.line(format!("held since      {}", release.held_since))?;
    out.line(format!(
        "size            {}, {}",
        show::count(release.items.len(), "file"),
        show::bytes(release.bytes())
    ))?;
    out.line(format!("trust           {}", release.verdict.trust))?;
    for note in &release.verdict.reasons {
        out.line(format!("against it      {}", show::note(note)))?;
        out.line(format!("                {}", note.reason.remedy()))?;
    }
    release.verdict.notes.iter().try_for_each(|note| out.line(format!("note            {}", show::note(note))))
}

fn provenance(provenance: &Provenance, out: &mut Out) -> Result<(), Failure> {
    if let Some(folder) = &provenance.folder {
        out.line(format!("from            folder {folder}"))?;
    }
    if let Some(key) = &provenance.key_id {
        out.line(format!("signed by       key {key}"))?;
    }
    provenance.exchanges.iter().try_for_each(|exchange| asked(exchange, out))?;
    provenance
        .artifact_hosts
        .iter()
        .try_for_each(|(host, weakest)| out.line(format!("artifacts from  {host}, {}", anchor(*weakest))))
}

fn asked(exchange: &Exchange, out: &mut Out) -> Result<(), Failure> {
    let proxy = exchange.proxy.as_ref().map_or_else(String::new, |proxy| format!(", through {proxy}"));
    out.line(format!("asked           {}", exchange.urls.join(" -> ")))?;
    out.line(format!("                {}, {}{proxy}, {}", exchange.status, anchor(exchange.anchor), exchange.at))
}

fn anchor(anchor: TlsAnchor) -> &'static str {
    match anchor {
        TlsAnchor::PublicRoot => "TLS by a public root",
        TlsAnchor::SystemRoot => "TLS by a root of this machine alone",
        TlsAnchor::CaFile => "TLS by the configured ca_file",
        TlsAnchor::None => "plain HTTP",
    }
}

fn files(items: &[ReleaseItem], out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([("SHA-256", Align::Left), ("BYTES", Align::Right), ("PATH", Align::Left)]);
    for item in items {
        table.push([item.digest.to_string(), item.size.to_string(), item.route.to_string()]);
    }
    out.line("")?;
    table.write(out)
}
