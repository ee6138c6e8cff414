//! How a run ended, in a table and in JSON lines.

use mirror::{FeedReport, FolderReport, SyncReport};
use model::{FeedId, Outcome, Reason, ReleaseId, RingName, Vendor, Version};
use serde::Serialize;

use crate::failure::Failure;
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

/// One feed's line of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    feed: &'a FeedId,
    outcome: Outcome,
    /// Elastic's manifest version; Defender's definitions.
    vendor_version: Option<&'a Version>,
    /// Defender's engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'a Version>,
    release: Option<ReleaseId>,
    bytes_fetched: u64,
    requests: u64,
    reason: Option<Reason>,
    detail: Option<&'a str>,
}

impl<'a> Line<'a> {
    pub(super) fn of(report: &'a FeedReport) -> Self {
        let offered = report.vendor_version.as_ref();
        Self {
            feed: &report.feed,
            outcome: report.outcome,
            vendor_version: offered.map(|offered| &offered.version),
            engine: offered.and_then(|offered| offered.engine.as_ref()),
            release: report.release,
            bytes_fetched: report.bytes_fetched,
            requests: report.requests,
            reason: report.reason,
            detail: report.detail.as_deref(),
        }
    }

    /// A feed of a run that did not take place.
    pub(super) fn failed(feed: &'a FeedId, reason: Reason, detail: &'a str) -> Self {
        Self {
            feed,
            outcome: Outcome::Failed,
            vendor_version: None,
            engine: None,
            release: None,
            bytes_fetched: 0,
            requests: 0,
            reason: Some(reason),
            detail: Some(detail),
        }
    }
}

/// The last line of `--json`, where a folder holds less or more than what is followed.
#[derive(Debug, Serialize)]
pub(super) struct InFolder<'a> {
    folder: &'a FolderReport,
}

impl<'a> InFolder<'a> {
    pub(super) fn of(report: &'a SyncReport) -> Option<Self> {
        let told = |folder: &&FolderReport| !folder.lacks.is_empty() || !folder.strangers.is_empty();
        report.folder.as_ref().filter(told).map(|folder| Self { folder })
    }
}

/// The report for people.
pub(super) fn write(report: &SyncReport, ring: &RingName, out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("OUTCOME", Align::Left),
        ("VENDOR VERSION", Align::Left),
        ("FETCHED", Align::Right),
        ("REQUESTS", Align::Right),
    ]);
    for feed in &report.feeds {
        table.push([
            feed.feed.to_string(),
            feed.outcome.to_string(),
            show::version(feed.vendor_version.as_ref()),
            show::bytes(feed.bytes_fetched),
            feed.requests.to_string(),
        ]);
    }
    table.write(out)?;
    for feed in &report.feeds {
        trouble(feed, out)?;
    }
    for path in &report.lost_grace {
        out.line(format!(
            "{path}: newer bytes took the path, so the earlier ones are no longer served in their grace"
        ))?;
    }
    if let Some(InFolder { folder }) = InFolder::of(report) {
        in_folder(folder, out)?;
    }
    match report.generation {
        Some(number) => out.line(format!("ring {ring} serves generation {number}")),
        None => out.line(format!("ring {ring} serves nothing yet")),
    }
}

fn in_folder(folder: &FolderReport, out: &mut Out) -> Result<(), Failure> {
    let names = |feeds: &[FeedId]| feeds.iter().map(FeedId::as_str).collect::<Vec<_>>().join(", ");
    if !folder.lacks.is_empty() {
        out.line(format!(
            "followed, and not in the folder: {}; what is held of it is served on",
            names(&folder.lacks)
        ))?;
    }
    if !folder.strangers.is_empty() {
        // Others are followed by configuration alone.
        let learnable = folder.strangers.iter().find(|feed| feed.vendor() == Vendor::Elastic);
        let learn = learnable.map(|feed| format!("; `waystation feed learn {feed}` follows it")).unwrap_or_default();
        out.line(format!("in the folder, and not followed: {}{learn}", names(&folder.strangers)))?;
    }
    Ok(())
}

fn trouble(feed: &FeedReport, out: &mut Out) -> Result<(), Failure> {
    let Some(reason) = feed.reason else { return Ok(()) };
    out.line("")?;
    out.line(format!("{}: {}: {reason}", feed.feed, feed.outcome))?;
    out.line(format!("  {}", reason.meaning()))?;
    if let Some(detail) = &feed.detail {
        out.line(format!("  {detail}"))?;
    }
    out.line(format!("  {}", reason.remedy()))?;
    match (feed.outcome, feed.release) {
        (Outcome::Quarantined, Some(release)) => {
            let short = release.short();
            out.line(format!("  waystation release admit {short} --reason TEXT   or   reject {short} --reason TEXT"))
        }
        _ => Ok(()),
    }
}
