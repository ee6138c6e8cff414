//! What a run would do, in a table and in JSON lines.

use std::collections::BTreeSet;

use mirror::{FeedPlan, PlannedFile};
use model::{FeedId, Reason, Version};
use serde::Serialize;

use crate::failure::Failure;
use crate::out::Out;
use crate::show;
use crate::table::{Align, Table};

/// One feed's line of `--plan --json`.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    feed: &'a FeedId,
    vendor_version: Option<&'a Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'a Version>,
    files: &'a [PlannedFile],
    bytes: u64,
    held_files: usize,
    held_bytes: u64,
    reason: Option<Reason>,
    detail: Option<&'a str>,
}

impl<'a> Line<'a> {
    pub(super) fn of(plan: &'a FeedPlan) -> Self {
        let offered = plan.vendor_version.as_ref();
        Self {
            feed: &plan.feed,
            vendor_version: offered.map(|offered| &offered.version),
            engine: offered.and_then(|offered| offered.engine.as_ref()),
            files: &plan.files,
            bytes: plan.bytes(),
            held_files: plan.held_files,
            held_bytes: plan.held_bytes,
            reason: plan.reason,
            detail: plan.detail.as_deref(),
        }
    }
}

/// The plan for people.
pub(super) fn write(plans: &[FeedPlan], out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("OFFERED", Align::Left),
        ("FILES TO FETCH", Align::Right),
        ("BYTES", Align::Right),
        ("FILES HELD", Align::Right),
        ("BYTES", Align::Right),
    ]);
    for plan in plans {
        table.push([
            plan.feed.to_string(),
            show::version(plan.vendor_version.as_ref()),
            plan.files.len().to_string(),
            size(plan),
            plan.held_files.to_string(),
            show::bytes(plan.held_bytes),
        ]);
    }
    table.write(out)?;
    for plan in plans {
        let Some(reason) = plan.reason else { continue };
        out.line("")?;
        out.line(format!("{}: cannot be planned: {reason}", plan.feed))?;
        if let Some(detail) = &plan.detail {
            out.line(format!("  {detail}"))?;
        }
        out.line(format!("  {}", reason.remedy()))?;
    }
    let held: usize = plans.iter().map(|plan| plan.held_files).sum();
    let (files, bytes) = together(plans);
    let unplanned = match plans.iter().filter(|plan| plan.reason.is_some()).count() {
        0 => String::new(),
        count => format!("; {} could not be planned", show::count(count, "feed")),
    };
    out.line(format!(
        "in all: {} to fetch, {}, what feeds share counted once; {held} held already{unplanned}",
        show::count(files, "file"),
        show::bytes(bytes)
    ))
}

/// The files of all feeds and their bytes; what several feeds name by one digest is fetched once.
fn together(plans: &[FeedPlan]) -> (usize, u64) {
    let mut seen = BTreeSet::new();
    let files = plans.iter().flat_map(|plan| &plan.files);
    let distinct: Vec<&PlannedFile> =
        files.filter(|file| file.digest.is_none_or(|digest| seen.insert(digest))).collect();
    (distinct.len(), distinct.iter().filter_map(|file| file.bytes).fold(0, u64::saturating_add))
}

fn size(plan: &FeedPlan) -> String {
    if plan.reason.is_some() {
        return "?".to_owned();
    }
    let unsaid = plan.files.iter().filter(|file| file.bytes.is_none()).count();
    match (plan.bytes(), unsaid) {
        (bytes, 0) => show::bytes(bytes),
        (0, _) => "not said".to_owned(),
        (bytes, unsaid) => format!("{} + {unsaid} not said", show::bytes(bytes)),
    }
}
