//! The composition root: builds the ports out of the configuration, runs servers and schedules, reloads, drains.
//!
//! Start with [`engine`] for a single act and [`Daemon`] for `run` and `serve`. Nothing here decides anything
//! about content.
//!
//! # Invariants
//! - The content side is started from the data folder alone: it shares files with the engine, and a nudge.
//! - The end of a sync, of the admin listener or of the scheduler does not end the content side.
//! - A configuration that cannot be read on reload changes nothing.

mod actor;
mod alarms;
mod alone;
mod build;
mod content;
mod daemon;
mod demand;
mod facts;
mod followed;
mod heads;
mod keeper;
mod learned;
mod lineage;
mod listen;
mod living;
mod notify;
mod origins;
mod place;
mod pulse;
mod record;
mod schedule;
mod scheduler;
mod signals;
mod tender;
mod trees;
mod upkeep;

pub use alarms::{Ways, seen_by_run};
pub use build::{BuildError, Purpose, engine, prepare_data_folder, share_with_group, vendor_settings};
pub use daemon::{Daemon, DaemonError, Role};
pub use demand::{book, gather_once, wanted_now};
pub use facts::history_broken;
pub use heads::{Against, HeadError, Heads, Kept, NO_SITE, Others, Vouchers, read_given, read_kept};
pub use learned::{
    asked_for_still, bring, discover, follow_found, followed, foresee, forwards, learned_settings, make_spool,
    retire_forwarded, stop_forwarding,
};
pub use living::{LeftWithout, left_without};
pub use origins::client;
pub use record::note_configuration;
pub use schedule::{Call, Due, Interval, Schedule};
pub use signals::Stops;
pub use trees::{TreeStanding, Trees, TreesError, unusable};
