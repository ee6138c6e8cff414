//! What vouches for the history from outside the data folder: the heads in `history.head_file`, compared with the chain
//! by whoever reads it.

use std::io::ErrorKind;
use std::path::PathBuf;

use catalog::{Compared, Entry, HeadsError, HeadsFault, KeptHeads, Proven};
use config::Config;
use mirror::SiteFault;
use model::{Level, Note, Reason, Timestamp, error_chain};

use super::NO_SITE;
use super::file::{Kept, read_kept};
use super::others::{Former, Others};

/// The heads in `history.head_file`, as far as it can be read.
#[derive(Debug)]
pub struct Vouchers {
    /// The file; none where none is configured.
    path: Option<PathBuf>,
    site: String,
    heads: KeptHeads,
    others: Others,
    unread: Option<HeadsError>,
}

/// What speaks against a history.
#[derive(Debug, thiserror::Error)]
pub enum Against {
    /// It is not the one that heads are of.
    #[error(transparent)]
    Heads(#[from] HeadsFault),
    /// It lacks what was told of it under the name that the site had before.
    #[error(
        "entry {told} is not in the history as {path} knows it under the name {name}, under which it has entry {same}: it \
         was cut off or written anew before the site was called {site}, or is a copy of {name}'s"
    )]
    Former {
        /// The file of heads.
        path: PathBuf,
        /// The name then.
        name: String,
        /// The name now.
        site: String,
        /// The newest entry that was told under that name.
        told: u64,
        /// The newest of these that the history has.
        same: u64,
    },
}

impl Against {
    /// What to do next.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Heads(fault) => fault.remedy(),
            Self::Former { .. } => {
                "restore the history that the file knows, or the site's name; a copied site needs a head_file of its own"
            }
        }
    }
}

impl Vouchers {
    /// Reads them all. That it cannot is told by [`Vouchers::fault`].
    pub fn read(config: &Config) -> Self {
        let site = config.site.name.clone().unwrap_or_else(|| NO_SITE.to_owned());
        let path = config.history.head_file.clone();
        let (mut heads, mut others, mut unread) = (KeptHeads::default(), Others::default(), None);
        if let Some(path) = &path {
            match read_kept(path, &site, &mut heads) {
                Ok(Kept::Others(found)) => others = found,
                Ok(Kept::Nobody | Kept::Begun | Kept::Site) => {}
                Err(error) => {
                    // What was read of it until then is not all of it.
                    heads = KeptHeads::default();
                    unread = Some(error);
                }
            }
        }
        Self { path, site, heads, others, unread }
    }

    /// Looks at an entry of the chain.
    pub fn look(&mut self, entry: &Entry) {
        self.heads.look(entry);
        self.others.look(entry);
    }

    /// What came of it at `now`, once the whole chain was looked at.
    ///
    /// # Errors
    /// [`Against`] when the chain is another one than the heads are of.
    pub fn finish(&self, proven: &Proven, now: Timestamp) -> Result<Compared, Against> {
        if let Some(Former { name, told, same }) = self.others.former().filter(|former| !former.is_whole()) {
            let path = self.path.clone().unwrap_or_default();
            return Err(Against::Former { path, name, site: self.site.clone(), told, same });
        }
        Ok(self.heads.finish(proven, now)?)
    }

    /// Whether it cannot be read, so that nothing outside the data folder vouches for the history.
    pub fn is_unread(&self) -> bool {
        self.unread.is_some()
    }

    /// That nothing outside the data folder vouches for the history though something should, as status shows it; to be
    /// asked once the whole chain was looked at.
    pub fn fault(&self, since: Timestamp) -> Option<SiteFault> {
        let path = self.path.as_ref()?.display();
        let (level, detail) = match (&self.unread, self.others.former()) {
            (Some(error), _) => {
                // Who may look need not be who may read the file; whoever keeps it is told by `run`.
                let forbidden = matches!(error, HeadsError::Read(error) if error.kind() == ErrorKind::PermissionDenied);
                let unknown = "whether the history is the one that was told is not known until it can be read";
                let level = if forbidden { Level::Warn } else { Level::Fail };
                (level, format!("{path}: {}; {unknown}", error_chain(error)))
            }
            (None, Some(Former { name, same, .. })) => (
                Level::Warn,
                format!(
                    "{path} knows this history up to entry {same} under the name {name}, and nothing under {}, as the \
                     site is called now: what is told from now on vouches for it under that name",
                    self.site
                ),
            ),
            (None, None) => return None,
        };
        Some(SiteFault {
            subject: "history.head_file".to_owned(),
            key: "heads/file".to_owned(),
            since,
            level,
            note: Note { reason: Reason::HeadFailed, detail },
        })
    }
}
