//! Why the demo could not go on.

use std::io;
use std::path::PathBuf;

/// Why the demo could not go on. A claim that does not hold is no error: it is printed and counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The folder to keep everything in holds something already.
    #[error("--keep {0}: the folder is not empty; name one that is, or one that does not exist yet")]
    Occupied(PathBuf),
    /// The demo's folder cannot be used.
    #[error("cannot use the demo's folder {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The simulated vendors did not start.
    #[error(transparent)]
    Vendors(#[from] vendor_sim::StartError),
    /// The simulated vendors' key cannot be used.
    #[error(transparent)]
    VendorKey(#[from] vendor_sim::KeyError),
    /// The simulated vendors' key is none that signatures are checked with.
    #[error("the simulated vendors' key cannot be used")]
    PublicKey(#[from] trust::KeyError),
    /// A simulated vendor did not publish.
    #[error(transparent)]
    Publish(#[from] vendor_sim::PublishError),
    /// The configuration that was written is not one.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    /// Engine or client cannot be built.
    #[error(transparent)]
    Build(#[from] app::BuildError),
    /// The content side cannot read the data folder.
    #[error("the content side cannot read the data folder")]
    Store(#[from] blob_store::StoreError),
    /// The content side cannot start.
    #[error(transparent)]
    Content(#[from] content_http::StartError),
    /// The admin listener cannot start.
    #[error(transparent)]
    Admin(#[from] admin_http::AdminError),
    /// The engine could not do what it was asked for.
    #[error(transparent)]
    Engine(#[from] mirror::EngineError),
    /// The catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] catalog::CatalogError),
    /// An endpoint cannot be set up.
    #[error("an endpoint of the demo cannot be set up: {0}")]
    Endpoint(String),
    /// The server's own address makes no URL.
    #[error("the mirror's address makes no URL")]
    Address(#[from] url::ParseError),
}

impl DemoError {
    /// Whether it was asked for in a wrong way.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Occupied(_))
    }
}
