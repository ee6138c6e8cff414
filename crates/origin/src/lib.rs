//! Reading a feed's documents and files from where they come from.
//!
//! One port, [`Origin`]: [`VendorOrigin`] speaks to a vendor's hosts through [`outbound::Outbound`], conditional,
//! resumed and retried; [`FolderOrigin`] reads a tree that a person brought. What the bytes mean is the vendor
//! module's business; that a file has the size and digest it was declared with is proven here, while it streams.
//!
//! # Invariants
//! - One fetch per digest at a time, over all feeds: whoever wants the same digest waits and finds it held.
//! - No request goes out to a host before the time that it named in Retry-After, across restarts.
//! - A resumed file is either proven by its declared digest or bound to its first part by a strong ETag.
//! - Nothing is read past a declared size or a cap.

mod error;
mod folder;
mod gate;
mod hold;
mod nowhere;
mod retry;
mod vendor;

pub use error::OriginError;
pub use folder::FolderOrigin;
pub use gate::{Crowd, HostGate};
pub use nowhere::Nowhere;
pub use retry::RetryPolicy;
pub use vendor::{VendorOrigin, VendorSettings};

use async_trait::async_trait;
use model::{Digest, Exchange};
use vendors::{Answer, Ask, FetchedItem, SourceKind, Target, Validator, Want};

/// What reading a document gave.
#[derive(Clone, Debug)]
pub enum Reading {
    /// The document, and what makes the next request for it conditional.
    Answered(Answer, Validator),
    /// It has not changed.
    NotModified(Box<Exchange>),
}

/// Counts what a feed's run costs; shown while it runs and reported after.
pub trait Meter: Send + Sync {
    /// A request goes out; each hop of a redirect is one.
    fn request(&self);
    /// Bytes of a body arrived.
    fn received(&self, bytes: u64);
    /// A file is whole and held; `fetched` tells whether its bytes came now or were held already.
    fn held(&self, bytes: u64, fetched: bool);
    /// The bytes of this digest were hashed just now. What was held already is taken by name and size instead.
    fn proved(&self, digest: Digest) {
        let _nobody_asks = digest;
    }
}

/// Where a feed comes from.
#[async_trait]
pub trait Origin: Send + Sync {
    /// Which kind it is.
    fn kind(&self) -> SourceKind;
    /// The URL or path of a target, for records; without credentials.
    fn locate(&self, target: &Target) -> String;
    /// Reads a small document.
    async fn read(&self, ask: &Ask, meter: &dyn Meter) -> Result<Reading, OriginError>;
    /// Holds a file, fetching it unless a file of its declared digest is held.
    async fn hold(&self, want: &Want, meter: &dyn Meter) -> Result<FetchedItem, OriginError>;
    /// The size of a file, if that can be told without fetching it: for plans.
    async fn size(&self, target: &Target) -> Result<Option<u64>, OriginError>;
}
