//! One validated configuration, its template and its reference.
//!
//! What was typed becomes what was built in three steps: `raw` reads TOML into a tree that knows each value's
//! place and lays the environment over it; `reader` takes values out of it, each as its own type (`setting`); and
//! `assemble` weighs them together. All mistakes found are reported at once, as [`ConfigError`].
//!
//! `keys` is the one table of sections and keys: which keys exist, what they default to and what they mean.
//! Validation, [`template`], [`schema`] and [`reference_markdown`] all read it, so none can drift from another.
//!
//! # Invariants
//! - A [`Config`] is well-formed and free of contradictions; no part of the program checks it again.
//! - A default exists only in the table, so the reference shows every one of them.
//! - A [`Secret`] appears in no error, digest, difference or debug output.
//! - Nothing but [`environment`] reads the environment; no other function but [`Config::load`] reads files.

mod assemble;
mod keys;
mod load;
mod problem;
mod raw;
mod reader;
mod reference;
mod secret;
mod setting;
mod template;
mod types;
mod units;

pub use load::{environment, find};
pub use model::Cidr;
pub use problem::{ConfigError, Place, Problem};
pub use reference::{reference_markdown, schema};
pub use secret::{Secret, SecretUrl};
pub use template::template;
pub use types::{
    AccessLog, Admin, Alarm, AlarmBy, AlarmWay, Config, Defender, Demand, Elastic, ElasticMode, Email, Heartbeat,
    History, HostPort, Limits, LogForm, MailTls, Origin, Proxy, Retention, Ring, Serve, Site, Strictness,
    SyslogAddress, TlsFiles, Tree, TreeFiles, UnknownPaths, VersionPattern,
};
