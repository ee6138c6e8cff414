//! The engine: sync, admit, publish, retention, gc, status. The only crate that puts the ports together.
//!
//! Start with [`Engine`]. What it decides is decided in pure modules: [`plan`] makes the next generation,
//! [`retention`] picks what to let go; [`freshness`] judges how old everything is; `trust` weighs releases and `vendors` reads what vendors say.
//!
//! # Invariants
//! - One fetch run and one publication at a time, each behind its own lock, over all processes.
//! - A ring's generation is planned from admitted releases alone and is closed: whatever a served manifest
//!   names is served with it.
//! - What fails for one feed touches no other, and nothing that fails changes what is served.
//! - Every check, verdict, publication and act is in the history before its effect is acknowledged.

mod acts;
mod alone;
mod at;
mod broken;
mod calm;
mod denied;
mod engine;
mod feed_run;
pub mod freshness;
mod fsck;
mod gc;
mod heal;
mod heeded;
mod history;
mod in_folder;
mod learned;
mod locks;
mod lost;
mod missing;
mod observe;
pub mod plan;
mod plan_sync;
mod probe;
mod proof;
mod prune;
mod publish;
mod rebuild;
mod recalled;
mod reconcile;
mod remembered;
mod report;
pub mod retention;
mod returning;
mod ruling;
pub mod scrub;
mod settings;
mod settle;
mod standing;
mod status;
mod stepped;
mod sync;
mod verify;
mod word;

pub use acts::ActReport;
pub use at::{Past, PastAct, PastFeed, PastRelease, PastRing};
pub use calm::Ends;
pub use engine::{Claim, Engine, EngineError, Origins, Ports};
pub use fsck::{CheckProgress, Depth, LeftoverCount, LeftoverOf, StoreFault, StoreReport};
pub use gc::{GcPlan, GcReport, PlannedRelease};
pub use heal::Healed;
pub use history::{KeptConfig, ProcessEvent};
pub use in_folder::FolderReport;
pub use learned::{Learned, NothingLearned};
pub use locks::{FetchGuard, FileLocks, Guard, LockHolder, Locks, MemoryLocks};
pub use observe::{Observer, Progress, Silent};
pub use prune::PruneReport;
pub use report::{FeedPlan, FeedReport, PlannedFile, SyncReport};
pub use settings::{Graces, RetentionRule, Settings};
pub use status::{FeedStatus, ReleaseStatus, RingStatus, SiteFault, Status};
pub use stepped::{Lacks, LostBack};
pub use sync::SyncRequest;
pub use verify::{BlobFault, ReleaseDiff, VerifyReport};
