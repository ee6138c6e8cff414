//! A quick look: a few files whole, of the others the head alone.

use vendors::{FetchedItem, Source, Want};

use super::{Course, Stop};
use crate::Check;
use crate::finding::Finding;
use crate::play::facts::{Edges, Facts};
use crate::play::fetch::Wanted;
use crate::play::spool::Spool;

/// Artifacts fetched whole.
const SAMPLE: usize = 3;

impl Course<'_> {
    /// A few files whole, of the others the head; the walk ends there.
    pub(super) async fn sample(&mut self, wants: &[Want], spool: &Spool) -> Result<Vec<FetchedItem>, Stop> {
        let mut outside: Vec<&Want> = wants.iter().filter(|want| matches!(want.source, Source::Target(_))).collect();
        outside.sort_by_key(|want| want.size);
        let (mut whole, mut heads) = (0usize, 0usize);
        for (index, want) in outside.iter().enumerate() {
            let wanted = self.wanted(want);
            // What is not declared cannot be compared, so an archive's head is enough.
            if want.digest.is_some() && index < SAMPLE {
                let (came, findings) = self.scene.fetch(&wanted, spool).await;
                self.played.findings.extend(findings);
                if let Some((facts, _)) = came {
                    self.count(facts.size);
                    self.played.files.push(facts);
                    whole += 1;
                }
            } else if self.start(&wanted).await {
                heads += 1;
            }
        }
        let came = format!("{whole} of {} compared whole, {heads} by their length; none unpacked", outside.len());
        self.played.findings.push(Finding::ok(Check::Artifacts, self.feed.as_str(), "a quick look", came));
        Err(Stop)
    }

    /// Looks at a file's head and first bytes.
    async fn start(&mut self, wanted: &Wanted) -> bool {
        let mut findings = Vec::new();
        let answer = self.scene.open(wanted, &mut findings).await;
        self.played.findings.append(&mut findings);
        let Some((mut connection, head)) = answer else { return false };
        let size = head.length().unwrap_or(0);
        if wanted.declared.size.is_some_and(|declared| declared != size) {
            let (asked, came) = (format!("{} bytes", wanted.declared.size.unwrap_or(0)), format!("{size} bytes"));
            self.played.findings.push(Finding::fail(Check::ArtifactSize, &wanted.route, asked, came));
            return false;
        }
        let mut edges = Edges::default();
        if let Ok(Some(piece)) = connection.next().await {
            edges.take(&piece);
        }
        let (route, role) = (wanted.route.clone(), wanted.role);
        let facts = Facts { route, role, head, size, digest: None, first: edges.first, last: Vec::new() };
        self.played.files.push(facts);
        true
    }
}
