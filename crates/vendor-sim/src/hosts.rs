//! Both vendors' hosts without a socket: a simulation asks them directly and plays the line itself.

use std::sync::Arc;

use crate::content::Body;
use crate::defender::{DefenderChange, DefenderFeed, DefenderRelease, DefenderTarget};
use crate::elastic::{Change, ElasticRelease, ElasticTarget};
use crate::fault::{Fault, Kind};
use crate::keys::KeyError;
use crate::settings::Settings;
use crate::world::{PublishError, Resolution, World};

/// What stands at an address.
#[derive(Clone, Debug)]
pub enum Said {
    /// Bytes.
    Found {
        /// What they are.
        kind: Kind,
        /// The bytes.
        body: Body,
        /// Their ETag, quoted.
        etag: String,
        /// Their Last-Modified.
        modified: String,
    },
    /// Go there.
    Redirect(String),
    /// Nothing.
    Missing,
}

/// Both vendors' hosts.
#[derive(Debug)]
pub struct Hosts(World);

impl Hosts {
    /// The first releases, published.
    ///
    /// # Errors
    /// [`KeyError`] when the manifests cannot be signed.
    pub fn new(settings: Settings) -> Result<Self, KeyError> {
        World::new(settings).map(Self)
    }

    /// Publishes a new Elastic release. Artifacts of the one before stay, as on a CDN.
    ///
    /// # Errors
    /// [`PublishError`] when there is no such manifest.
    pub fn publish_elastic(&mut self, target: &ElasticTarget, change: &Change) -> Result<(), PublishError> {
        self.0.publish_elastic(target, change)
    }

    /// Publishes a new Defender release. The archive of the one before stays at its own address.
    ///
    /// # Errors
    /// [`PublishError`] when there is no such feed.
    pub fn publish_defender(&mut self, target: DefenderTarget, change: &DefenderChange) -> Result<(), PublishError> {
        self.0.publish_defender(target, change)
    }

    /// The release that a manifest shows now.
    pub fn elastic_release(&self, target: &ElasticTarget) -> Option<Arc<ElasticRelease>> {
        self.0.elastic_release(target)
    }

    /// The release that a feed shows now.
    pub fn defender_release(&self, feed: DefenderFeed) -> Option<Arc<DefenderRelease>> {
        self.0.defender_release(feed)
    }

    /// What stands at `target`, a path with its query; absolute redirects begin with `base`.
    pub fn ask(&self, target: &str, base: &str) -> Said {
        match self.0.resolve(target, base) {
            Resolution::Found(found) => {
                let modified = found.modified.http_date();
                Said::Found { kind: found.kind, body: found.body, etag: found.etag, modified }
            }
            Resolution::Redirect(_, to) => Said::Redirect(to),
            Resolution::Missing(_) => Said::Missing,
        }
    }

    /// The same with a fault of the content in it, where the fault fits what stands there.
    ///
    /// # Errors
    /// [`KeyError`] when a manifest cannot be signed.
    pub fn ask_spoiled(&self, target: &str, base: &str, fault: &Fault) -> Result<Said, KeyError> {
        let Resolution::Found(mut found) = self.0.resolve(target, base) else { return Ok(self.ask(target, base)) };
        if fault.fits(found.kind) {
            self.0.spoil(&mut found, fault)?;
        }
        let modified = found.modified.http_date();
        Ok(Said::Found { kind: found.kind, body: found.body, etag: found.etag, modified })
    }
}
