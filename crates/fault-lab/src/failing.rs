//! A folder that fails as planned.

mod answers;
mod nodes;
mod passing;
mod plan;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};

pub use plan::{Fault, Hit, Op, Plan, Times};

use passing::Passing;
use plan::Control;

/// A folder that shows another one, and fails as planned. Taken down when dropped.
#[derive(Debug)]
pub struct FailingFolder {
    session: Option<BackgroundSession>,
    control: Arc<Control>,
    at: PathBuf,
}

impl FailingFolder {
    /// Shows `backing` at `at`, without a fault so far.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(backing: &Path, at: &Path) -> io::Result<Self> {
        let control = Arc::new(Control::default());
        let passing = Passing::new(backing, Arc::clone(&control))?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("failing".to_owned()), MountOption::DefaultPermissions];
        // Whoever is let in by owner and mode, as with any other file system.
        config.acl = SessionACL::All;
        // A slow operation must not hold the others up.
        config.n_threads = Some(16);
        let session = fuser::spawn_mount(passing, at, &config)?;
        Ok(Self { session: Some(session), control, at: at.to_owned() })
    }

    /// From now on fails like this; counting begins anew.
    pub fn plan(&self, plan: Plan) {
        self.control.set(Some(plan));
    }

    /// Ends every fault.
    pub fn lift(&self) {
        self.control.set(None);
    }

    /// How many operations the plan has counted.
    pub fn counted(&self) -> u64 {
        self.control.counted()
    }

    /// The operations that failed, as they came.
    pub fn hits(&self) -> Vec<Hit> {
        self.control.hits()
    }

    /// Where it stands.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Takes it down.
    ///
    /// # Errors
    /// When somebody still stands in it; it is then detached.
    pub fn unmount(mut self) -> Result<(), String> {
        self.control.set(None);
        let gone = crate::mount::Mounted::adopt(&self.at).unmount();
        if let Some(session) = self.session.take()
            && gone.is_ok()
        {
            session.join().map_err(|error| error.to_string())?;
        }
        gone
    }
}

impl Drop for FailingFolder {
    fn drop(&mut self) {
        if self.session.is_some() {
            self.control.set(None);
            // Dropped right away: it is detached even where somebody still stands in it.
            drop(crate::mount::Mounted::adopt(&self.at));
        }
    }
}
