//! The face of Microsoft's downloader script over the engine: its settings, tree, log and exit codes.
//!
//! Start with [`run`]. A `settings.json` becomes a configuration ([`Derived`]), the ordinary engine fetches, proves and
//! publishes, and the folder that the settings name becomes the ring's tree. Nothing here decides about content.
//!
//! ```text
//! <downloadFolder>/linux/production/arch_x86_64/{updates.zip,manifest.json}    as the script lays it out
//! <downloadFolder>/linux/production_back/arch_x86_64/…                         the release before
//! <downloadFolder>/.waystation/shown.json                                      what was ruled out, for a state that knows less
//! <state>/data/                                                                the engine's data folder
//! <state>/waystation.toml                                                      the configuration, for other commands
//! ```
//!
//! # Invariants
//! - No state lies in the shared folder, and no shared folder in the state: without what the folder remembers all goes on.
//! - What was rejected or gone back from comes into the folder by no state that merely does not know of it.
//! - What the folder holds is replaced by proven content alone, a pair at a time, and by nothing when a fetch fails.
//! - A state is one folder's, and no other installation's is touched.
//! - A run that did not bring all that the settings ask for does not exit 0.

mod alone;
mod archive;
mod derive;
mod keeping;
mod log;
mod place;
mod run;
mod settings;
mod shown;
mod takeover;
mod teller;
mod voice;

pub use derive::{Derived, state_among, state_folder};
pub use log::Log;
pub use place::{kept_from, written_from};
pub use run::{CompatError, Ended, Outcome, run};
pub use settings::{Settings, SettingsError};
pub use voice::Said;
