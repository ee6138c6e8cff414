//! A ring as a plain folder beside HTTP: whole, swapped, repaired. What NFS, SMB or any web server can share.
//!
//! Start with [`Tree::bring`]: it makes a folder what a generation says, whatever state the folder is in. Everything
//! here blocks.
//!
//! ```text
//! <root>/.waystation-tree                    says whose folder this is; none where a folder was taken over
//! <root>/.waystation/<unique>/               0700 around folders that were just replaced, until their grace ends
//! <root>/linux/production/arch_x86_64/       0755: one folder of files that belong together
//! <root>/linux/production/.waystation-new-…  a folder that is being made; a crash leaves one, the next run tidies
//! <records>/<ring>.json                      what was written here: path, digest, size and how the file looked then
//! <records>/<ring>.lock                      one keeper at a time
//! ```
//!
//! # How a folder changes
//! What changes together is a folder that holds files alone: an archive and its companion. Where a file in it gets other
//! bytes, the whole folder is made anew beside the old one, proven, made durable, and the two exchange their names at
//! one stroke; the old one is kept out of sight until its grace ends, so whoever has it open, over NFS, too, goes on
//! reading one whole release. Folders above are never replaced: a mount, a bind mount or a share on one of them stays on
//! it. A file that only comes or goes, as a vendor's with an address of its own for each content, comes before anything
//! that names it and goes after.
//!
//! # Invariants
//! - Nothing is visible under its name before its bytes were hashed in place and found to be what the generation names.
//! - A crash leaves each folder as it was or as it is to be; where the file system cannot exchange two names, it may
//!   leave none, and the next run puts the new one there.
//! - Only what the records say was written here is removed. What else stands there is told and left alone.
//! - No link is followed and none is made that leads out. Every file is made where it stays, so that it takes its
//!   folder's SELinux label on.

mod act;
mod case;
mod error;
mod keep;
mod laid_out;
mod make;
mod moved;
mod open;
mod place;
mod plan;
mod records;
mod report;
mod retired;
mod survey;
#[cfg(test)]
mod tests;

pub use error::TreeError;
pub use keep::{Depth, Rules, Tree};
pub use make::{Files, Source};
pub use place::Claim;
pub use records::{Standing, Trouble};
pub use report::{Failed, Report};
