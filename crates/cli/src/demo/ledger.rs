//! What each sync cost and brought, for the summary.

use std::collections::BTreeMap;

use mirror::SyncReport;

use super::sync::Cost;
use crate::show::bytes;

/// Every sync of the demo.
#[derive(Default)]
pub(super) struct Ledger(Vec<Row>);

struct Row {
    what: String,
    cost: Cost,
    outcome: String,
}

impl Ledger {
    pub(super) fn add(&mut self, what: &str, cost: Cost, report: &SyncReport) {
        self.0.push(Row { what: what.to_owned(), cost, outcome: outcome(report) });
    }

    /// What all syncs cost together.
    pub(super) fn total(&self) -> Cost {
        self.0.iter().fold(Cost::default(), |sum, row| sum.plus(row.cost))
    }

    /// The table: a head, then a row for each sync.
    pub(super) fn table(&self) -> Vec<String> {
        let width = self.0.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        let line = |what: &str, requests: &str, size: &str, outcome: &str| {
            format!("{what:<width$}  {requests:>8}  {size:>8}   {outcome}")
        };
        let head = line("sync", "requests", "bytes", "feeds");
        let costs =
            |what: &str, cost: Cost, outcome: &str| line(what, &cost.requests.to_string(), &bytes(cost.bytes), outcome);
        let rows = self.0.iter().map(|row| costs(&row.what, row.cost, &row.outcome));
        std::iter::once(head).chain(rows).chain([costs("together", self.total(), "")]).collect()
    }
}

/// `4 current, 1 failed (hash_mismatch)`, in the order of the outcomes.
fn outcome(report: &SyncReport) -> String {
    let mut counts: BTreeMap<_, (usize, Vec<&str>)> = BTreeMap::new();
    for feed in &report.feeds {
        let (count, reasons) = counts.entry(feed.outcome).or_default();
        *count += 1;
        if let Some(code) = feed.reason.map(model::Reason::code).filter(|code| !reasons.contains(code)) {
            reasons.push(code);
        }
    }
    let part = |(outcome, (count, reasons)): (&model::Outcome, &(usize, Vec<&str>))| match reasons.as_slice() {
        [] => format!("{count} {outcome}"),
        reasons => format!("{count} {outcome} ({})", reasons.join(", ")),
    };
    counts.iter().map(part).collect::<Vec<_>>().join(", ")
}
