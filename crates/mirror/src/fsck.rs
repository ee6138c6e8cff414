//! Checks the whole data folder: rings, catalog, history and blobs, and that they agree. Changes nothing.
//!
//! It takes no lock, so that it also works on a read-only mount and beside a run. What a run may have moved while it
//! looked is looked at again before it is told.

mod blobs;
mod report;
mod rings;
mod window;

use std::collections::BTreeSet;

use catalog::{Catalog, CatalogError, verify_chain};
use model::{Reason, error_chain};

pub use report::{CheckProgress, Depth, LeftoverCount, LeftoverOf, StoreFault, StoreReport};

use crate::Engine;
use report::Findings;

/// How often rings and catalog are compared anew because a run changed them meanwhile.
const ROUNDS: u32 = 8;

impl Engine {
    /// Checks the whole data folder, and changes nothing. It always comes to a result: what cannot be read is a fault.
    ///
    /// Beside the faults, it lists what is left over: unfinished downloads, blobs that nothing refers to, what a crash
    /// left for the next run to close. None of that harms what is served.
    pub async fn check_store(&self, depth: Depth, each: &(dyn Fn(CheckProgress) + Send + Sync)) -> StoreReport {
        let mut findings = Findings::new(depth);
        self.check_history(&mut findings).await;
        self.check_rows(&mut findings).await;
        self.check_agreement(&mut findings).await;
        self.check_blobs(&mut findings, each).await;
        findings.finish()
    }

    async fn check_history(&self, findings: &mut Findings) {
        match verify_chain(self.ports.catalog.as_ref()).await {
            Ok(head) => findings.report.entries = head.seq,
            Err(fault) => findings.fault(Reason::HistoryBroken, "history", error_chain(&fault)),
        }
    }

    /// Every row of the catalog, also those that no question comes across.
    async fn check_rows(&self, findings: &mut Findings) {
        let mut each = |fault: CatalogError| findings.fault(Reason::CatalogFailed, "catalog", error_chain(&fault));
        let looked = self.ports.catalog.examine(&mut each).await;
        if let Err(error) = looked {
            findings.catalog_failed(&error);
        }
    }

    /// Compares rings and catalog in one state of both: a publication records itself before and after it moves a ring.
    async fn check_agreement(&self, findings: &mut Findings) {
        for round in 1..=ROUNDS {
            let before = self.seq().await;
            let mut found = findings.branch();
            self.check_rings(&mut found).await;
            if round == ROUNDS || before == self.seq().await {
                findings.merge(found);
                return;
            }
        }
    }

    async fn seq(&self) -> Option<u64> {
        self.ports.catalog.chain_head().await.ok().map(|head| head.seq)
    }

    /// The publications that are open, as ring and number.
    async fn open_numbers(&self, findings: &mut Findings) -> BTreeSet<(String, u64)> {
        match self.ports.catalog.open_publications().await {
            Ok(open) => open.into_iter().map(|open| (open.ring.as_str().to_owned(), open.number)).collect(),
            Err(error) => {
                findings.catalog_failed(&error);
                BTreeSet::new()
            }
        }
    }
}

impl Findings {
    /// The catalog did not answer: told once, however many questions it leaves open.
    fn catalog_failed(&mut self, error: &CatalogError) {
        if !self.report.faults.iter().any(|fault| fault.reason == Reason::CatalogFailed) {
            self.fault(Reason::CatalogFailed, "catalog", error_chain(error));
        }
    }
}

/// What the catalog answers; nothing, and a fault, where it does not.
async fn asked<T>(findings: &mut Findings, question: impl Future<Output = Result<T, CatalogError>>) -> Option<T> {
    match question.await {
        Ok(answer) => Some(answer),
        Err(error) => {
            findings.catalog_failed(&error);
            None
        }
    }
}

/// The catalog of an engine.
fn catalog(engine: &Engine) -> &dyn Catalog {
    engine.ports.catalog.as_ref()
}
