//! All that differs between systems: folders and files that are opened without following links, made durable
//! and replaced whole; locks; listening sockets; the system's clock.
//!
//! Nothing here decides anything about content. Start with [`fs::Folder`], through which every file below the
//! data folder is reached.
//!
//! # Invariants
//! - No symbolic link is followed below a [`fs::Folder`], whoever plants it and whenever.
//! - The modes of what is made do not depend on the umask.
//! - Nothing that others than its owner, root and the members of the declared group could have written is believed.
//! - A flush that failed is never tried again on the same file: the caller abandons the file.
//! - This is the only place that reads the system's clock.

mod clock;
pub mod fs;
mod group;
pub mod lock;
pub mod net;
mod process;
mod queue;
mod send;

pub use clock::SystemClock;
pub use group::{Group, share_with, shared_group};
pub use process::{kill_group, pid, raise_nofile, uid, unique_name};
pub use queue::{SendQueue, SendQueues};
pub use send::send_file;
