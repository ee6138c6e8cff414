//! What faults do to the hosts' content.

use std::collections::HashSet;

use model::Digest;

use super::{PublishError, Resource, Source, World};
use crate::content::Body;
use crate::defender::{DefenderChange, faulty_archive, faulty_info};
use crate::elastic::{Change, ElasticRelease, faulty_manifest};
use crate::fault::Fault;
use crate::keys::KeyError;

impl World {
    /// Puts a fault of the content into a resource.
    pub(crate) fn spoil(&self, resource: &mut Resource, fault: &Fault) -> Result<(), KeyError> {
        match (fault, &resource.source) {
            (Fault::OtherBytes, _) => resource.body = resource.body.with_flipped_bit(),
            (Fault::Manifest(fault), Source::Elastic(target)) => {
                if let Some(release) = self.elastic.get(target) {
                    resource.body = Body::held(faulty_manifest(release, fault, &self.key)?);
                    resource.etag = resource.body.digest().etag();
                }
            }
            (Fault::Info(fault), Source::Defender(feed)) => {
                if let Some(release) = self.defender.get(feed) {
                    resource.body = Body::held(faulty_info(&release.info, &release.definitions, fault));
                    resource.etag = resource.body.digest().etag();
                }
            }
            (Fault::Archive(fault), Source::Defender(feed)) => {
                if let Some(release) = self.defender.get(feed) {
                    resource.body = faulty_archive(release, fault);
                    resource.etag = Digest::of(format!("{}{fault:?}", resource.etag).as_bytes()).etag();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes away what a former release named and no manifest names now.
    fn forget_unnamed(&mut self, former: Option<&ElasticRelease>) {
        let named: HashSet<&str> = self
            .elastic
            .values()
            .flat_map(|release| &release.artifacts)
            .map(|artifact| artifact.relative_url.as_str())
            .collect();
        let former = former.into_iter().flat_map(|release| &release.artifacts).map(|artifact| &artifact.relative_url);
        for url in former.filter(|url| !named.contains(url.as_str())) {
            self.resources.remove(url);
        }
    }

    /// What a fault does once its answer was made.
    pub(crate) fn after(&mut self, resource: &Resource, fault: &Fault) -> Result<(), PublishError> {
        match (fault, &resource.source) {
            (Fault::ReplacedMeanwhile, Source::Elastic(target)) => {
                let before = self.elastic.get(target).cloned();
                self.publish_elastic(target, &Change { changed: 1, changed_own: 2, ..Change::default() })?;
                self.forget_unnamed(before.as_deref());
                Ok(())
            }
            (Fault::PublishAfterInfo | Fault::PublishAfterArchive, Source::Defender(feed)) => {
                self.publish_defender((*feed).into(), &DefenderChange::default())
            }
            _ => Ok(()),
        }
    }
}
