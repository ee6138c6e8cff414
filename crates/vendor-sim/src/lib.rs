//! Both vendors, simulated over plain HTTP/1.1 on loopback, with every fault a server can play.
//!
//! Start with [`Simulator::start`]: it serves Elastic's host and Microsoft's chain from one port, publishes new
//! releases and plays [`Fault`]s on command, and tells what it was asked. What is invented because the vendors do
//! not say (paths of dated and candidate manifests, the final URLs' file names, the contents) is marked where it is
//! chosen, in [`ElasticSettings`] and [`DefenderRelease`].
//!
//! Below HTTP, [`RawHost`] plays [`Script`]s of exact bytes, [`Relay`] is a bad line to any host, and the feature `tls`
//! brings hosts behind TLS with every certificate that should be refused.
//!
//! Beside the vendors stands [`Stack`]: Kibana and Elasticsearch, as far as their documentation says how they answer.
//!
//! Only tests, benches and `demo` lean on this crate; the vendors speak HTTP by hand so that they can break it.
//!
//! # Invariants
//! - The same [`Settings`] and key give the same bytes at the same paths in every process.
//! - A simulator runs on a thread of its own, so that neither a paused clock nor a busy runtime changes it.
//! - No body is held in memory beyond a few megabytes: larger ones are computed as they are read.

mod command;
mod content;
mod defender;
mod elastic;
mod fault;
mod host;
mod hosts;
mod http;
mod keys;
mod observed;
mod raw;
mod relay;
mod script;
mod server;
mod settings;
mod simulator;
mod stack;
#[cfg(feature = "tls")]
pub mod tls;
mod tree;
mod world;

pub use command::CommandError;
pub use content::Body;
pub use defender::{
    Architecture, DefenderChange, DefenderFeed, DefenderRelease, DefenderTarget, FeedTextError, Platform, Track,
};
pub use elastic::{Change, ElasticArtifact, ElasticRelease, ElasticTarget, Step};
pub use fault::{
    ArchiveFault, ChunkFault, CodingFault, EtagFault, Fault, FaultError, FaultRule, HeadFault, InfoFault, Kind,
    ManifestFault, PartialFault, Pattern, PatternError, Point, RuleId, Times, Wait, bad_paths, named_faults,
};
pub use hosts::{Hosts, Said};
pub use keys::{KeyError, SigningKey};
pub use observed::{Counters, LogEntry};
pub use raw::RawHost;
pub use relay::{Manner, Relay};
pub use script::{Act, Script};
pub use settings::{
    ArtifactUrls, DefenderSettings, ElasticSettings, Network, QuantityError, Settings, parse_duration, parse_size,
};
pub use simulator::{Simulator, StartError};
pub use stack::{Stack, StackFault};
pub use world::PublishError;
