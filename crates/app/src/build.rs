//! Builds an engine out of a configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blob_store::{Access, FsRings, FsStore, StoreError};
use catalog::{Catalog, CatalogError, MemoryCatalog, SqlCatalog};
use config::{Config, Strictness};
use mirror::{Engine, FileLocks, Graces, Locks, Ports, RetentionRule, Settings};
use model::{Clock, Reason, Vendor};
use outbound::ClientError;
use platform::fs::{Folder, FsError, Mode, Owners};
use trust::{Bounds, KeyRing};
use vendors::defender::{DefenderSettings, MemberPolicy};
use vendors::elastic::{ElasticSettings, SignatureMode};

use crate::learned::LearnedFaults;
use crate::lineage::{Lineage, OwnLocks};
use crate::origins::VendorOrigins;

/// The catalog's folder below the data folder.
pub(crate) const CATALOG_FOLDER: &str = "catalog";
/// The catalog's file in its folder.
pub(crate) const CATALOG_FILE: &str = "catalog.sqlite3";
/// Behind a proxy the guard sees names only.
const BEHIND_PROXY: &str = "origin.proxy resolves names: behind it hosts are checked by name and by literal address, \
                            but not by the addresses that names lead to";
/// How many inspections of held bytes run at once at the most.
const INSPECTIONS: usize = 8;

/// What an engine is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To look only: nothing is created, and a data folder that was never used is an empty one.
    Look,
    /// To act: the data folder is created and written.
    Act,
    /// To act on schedules: as [`Purpose::Act`], and runs of different vendors may go on side by side.
    Schedule,
}

/// Why an engine cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: FsError,
    },
    /// The store cannot be opened.
    #[error("the store in {path} cannot be opened")]
    Store {
        /// The data folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The catalog cannot be opened.
    #[error("the catalog in {path} cannot be opened")]
    Catalog {
        /// The data folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: CatalogError,
    },
    /// The declared group is not known here.
    #[error("data_group: there is no group '{name}' in /etc/group; give its number, or make it")]
    Group {
        /// What was declared.
        name: String,
        /// Why the list of groups could not be read, where it could not.
        #[source]
        source: Option<std::io::Error>,
    },
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file that the configuration names cannot be read.
    #[error("{key}: cannot read {path}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A way to tell of alarms cannot be used.
    #[error("the way to tell `{way}` cannot be used")]
    Alarm {
        /// Which.
        way: String,
        /// Why.
        #[source]
        source: alarm::SinkError,
    },
    /// A key file holds no key.
    #[error("elastic.public_keys: {path} holds no usable public key")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: trust::KeyError,
    },
}

impl BuildError {
    /// The reason code that reports carry, where it is the data folder that failed.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Folder { source, .. } => Some(source.reason()),
            Self::Store { source, .. } => Some(source.reason()),
            Self::Catalog { source, .. } => Some(source.reason()),
            Self::Group { .. } | Self::Client(_) | Self::File { .. } | Self::Key { .. } | Self::Alarm { .. } => None,
        }
    }

    /// Whether the configuration is what must be changed.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Group { .. } | Self::Client(_) | Self::File { .. } | Self::Key { .. } | Self::Alarm { .. })
    }
}

/// Shares what this process makes with the group that the configuration declares, if it does. Whatever opens the data
/// folder calls it first.
///
/// # Errors
/// [`BuildError::Group`] when there is no such group.
pub fn share_with_group(config: &Config) -> Result<(), BuildError> {
    let Some(name) = &config.data_group else { return Ok(()) };
    let unknown = |source| BuildError::Group { name: name.clone(), source };
    let group = platform::Group::find(name).map_err(|error| unknown(Some(error)))?.ok_or_else(|| unknown(None))?;
    platform::share_with(group);
    Ok(())
}

/// Makes what a data folder must have before anything is locked or stored in it.
///
/// # Errors
/// [`BuildError::Folder`] when it cannot be made or belongs to somebody else.
pub fn prepare_data_folder(path: &Path) -> Result<(), BuildError> {
    let named = |source| BuildError::Folder { path: path.to_owned(), source };
    let folder = platform::fs::create_folder(path, Mode::FOLDER).map_err(named)?;
    folder.check(Owners::us()).map_err(named)?;
    for name in [CATALOG_FOLDER, "locks"] {
        let private = folder.ensure_folder(name, Mode::PRIVATE_FOLDER).map_err(named)?;
        private.check(Owners::us()).map_err(named)?;
        for file in private.names().map_err(named)? {
            judge(&private, &file.map_err(named)?).map_err(named)?;
        }
    }
    // The database would make it by the umask, and its log beside it in the same mode.
    folder.folder(CATALOG_FOLDER).and_then(|catalog| made_private(&catalog, CATALOG_FILE)).map_err(named)
}

/// Makes an empty file, for us and the declared group alone, unless it is there.
fn made_private(folder: &Folder, name: &str) -> Result<(), FsError> {
    match folder.create_new(name) {
        Ok(file) => Mode::PRIVATE_FILE.apply(&file).map_err(|source| FsError::Io {
            act: "set the mode of",
            path: folder.path().join(name),
            source,
        }),
        Err(error) if error.is_taken() => Ok(()),
        Err(error) => Err(error),
    }
}

/// What another user could have written is not believed: the catalog decides what may be served.
fn judge(folder: &Folder, name: &str) -> Result<(), FsError> {
    match folder.look(name, Owners::us())?.and_then(|entry| entry.doubt) {
        Some(what) => Err(FsError::Unsafe { path: folder.path().join(name), what }),
        None => Ok(()),
    }
}

/// Builds an engine; `verb` is what the process does, for locks and the history.
///
/// # Errors
/// [`BuildError`] naming what cannot be used.
pub async fn engine(
    config: &Config,
    verb: &str,
    purpose: Purpose,
    clock: Arc<dyn Clock>,
) -> Result<Engine, BuildError> {
    built(config, (verb, purpose), clock, None).await
}

/// Builds the engine of a living `run`, which works on the history that it knows and on no other.
///
/// # Errors
/// [`BuildError`] naming what cannot be used.
pub(crate) async fn living_engine(
    config: &Config,
    clock: Arc<dyn Clock>,
    lineage: &Arc<Lineage>,
) -> Result<Engine, BuildError> {
    built(config, ("run", Purpose::Schedule), clock, Some(lineage)).await
}

async fn built(
    config: &Config,
    (verb, purpose): (&str, Purpose),
    clock: Arc<dyn Clock>,
    lineage: Option<&Arc<Lineage>>,
) -> Result<Engine, BuildError> {
    let data = &config.data_dir;
    let named = |source| BuildError::Store { path: data.clone(), source };
    share_with_group(config)?;
    if purpose != Purpose::Look {
        prepare_data_folder(data)?;
    }
    let access = match purpose {
        Purpose::Look => Access::ReadOnly,
        Purpose::Act | Purpose::Schedule => Access::ReadWrite,
    };
    let unused = purpose == Purpose::Look && is_absent(data);
    let (blobs, rings): (Arc<dyn blob_store::BlobStore>, Arc<dyn blob_store::RingStore>) = if unused {
        (Arc::new(blob_store::MemoryStore::new()), Arc::new(blob_store::MemoryRings::new()))
    } else {
        (Arc::new(FsStore::open(data, access).map_err(named)?), Arc::new(FsRings::open(data, access).map_err(named)?))
    };
    // After the store, which makes its folders meanwhile.
    let catalog = open_catalog(data, purpose).await?;
    let origins = VendorOrigins::new(config, Arc::clone(&blobs), Arc::clone(&clock))?;
    let locks = FileLocks::new(data, verb, Arc::clone(&clock)).with_catalog(CATALOG_FOLDER, CATALOG_FILE);
    let locks = if purpose == Purpose::Schedule { locks.shared() } else { locks };
    let locks: Arc<dyn Locks> = match lineage.map(Arc::clone) {
        Some(lineage) => {
            let (catalog, path) = (Arc::clone(&catalog), data.join(CATALOG_FOLDER).join(CATALOG_FILE));
            Arc::new(OwnLocks { locks, catalog, path, lineage })
        }
        None => Arc::new(locks),
    };
    let trees = crate::Trees::of(config, &clock);
    let ports = Ports { catalog, blobs, rings, locks, clock, origins: Arc::new(origins) };
    let configured = std::fs::File::open(&config.file).and_then(|file| platform::fs::modified(&file)).ok();
    let engine = Engine::new(ports, settings(config, verb)?).configured_at(configured);
    let learned = LearnedFaults::of(config);
    let engine = engine.with_faults(move |now| {
        let mut faults = trees.faults(now);
        faults.extend(learned.fault(now));
        faults
    });
    let book = Arc::new(crate::demand::book(config));
    proxy::read_ring(&engine, &book).await;
    Ok(engine.with_learned(book))
}

/// Whether an engine can be built by a configuration, as far as that is known without a look at the data folder.
///
/// # Errors
/// [`BuildError`] naming what cannot be used.
pub(crate) fn check(config: &Config, clock: &Arc<dyn Clock>) -> Result<(), BuildError> {
    let nowhere: Arc<dyn blob_store::BlobStore> = Arc::new(blob_store::MemoryStore::new());
    VendorOrigins::new(config, nowhere, Arc::clone(clock))?;
    vendor_settings(config)?;
    Ok(())
}

pub(crate) async fn open_catalog(data: &Path, purpose: Purpose) -> Result<Arc<dyn Catalog>, BuildError> {
    let path = data.join(CATALOG_FOLDER).join(CATALOG_FILE);
    let opened = match purpose {
        Purpose::Act | Purpose::Schedule => SqlCatalog::open(&path).await,
        // Only what is surely not there is empty; what may not be read is an error.
        Purpose::Look if is_absent(&path) => return Ok(Arc::new(MemoryCatalog::new())),
        Purpose::Look => SqlCatalog::open_read_only(&path).await,
    };
    if matches!((purpose, &opened), (Purpose::Look, Err(CatalogError::Unfinished))) {
        return Ok(Arc::new(MemoryCatalog::new()));
    }
    let catalog = opened.map_err(|source| BuildError::Catalog { path: data.to_owned(), source })?;
    Ok(Arc::new(catalog))
}

fn is_absent(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}

fn settings(config: &Config, verb: &str) -> Result<Settings, BuildError> {
    let limits = &config.limits;
    let keep = |vendor| {
        let rule = config.retention_of(vendor);
        RetentionRule { age: rule.age, bytes: rule.bytes }
    };
    Ok(Settings {
        feeds: config.feeds(),
        ring: config.default_ring(),
        vendors: vendor_settings(config)?,
        bounds: Bounds {
            shrink_to_percent: limits.shrink_to_percent,
            grow_to_percent: limits.grow_to_percent,
            leap: limits.version_leap,
        },
        grace: Graces {
            elastic: config.retention_of(Vendor::Elastic).grace,
            defender: config.retention_of(Vendor::Defender).grace,
        },
        keep_elastic: keep(Vendor::Elastic),
        keep_defender: keep(Vendor::Defender),
        freshness: config.freshness.clone(),
        notices: config.origin.proxy.iter().map(|_| BEHIND_PROXY.to_owned()).collect(),
        feed_deadline: limits.feed_deadline,
        inspections: std::thread::available_parallelism().map_or(2, usize::from).min(INSPECTIONS),
        actor: crate::actor::actor(verb, &config::environment()),
    })
}

/// What vendors' modules need to know of a configuration.
///
/// # Errors
/// [`BuildError`] when a file with keys cannot be used.
pub fn vendor_settings(config: &Config) -> Result<vendors::Settings, BuildError> {
    Ok(vendors::Settings { elastic: elastic(config)?, defender: defender(config) })
}

fn elastic(config: &Config) -> Result<ElasticSettings, BuildError> {
    let limits = &config.limits;
    let Some(elastic) = &config.elastic else { return Ok(ElasticSettings::default()) };
    let mut keys = KeyRing::built_in();
    for path in &elastic.public_keys {
        let pem = read("elastic.public_keys", path)?;
        let pem = String::from_utf8_lossy(&pem);
        keys = keys.with_pem(&pem).map_err(|source| BuildError::Key { path: path.clone(), source })?;
    }
    Ok(ElasticSettings {
        signature: match elastic.signature {
            Strictness::Off => SignatureMode::Off,
            Strictness::Warn => SignatureMode::Warn,
            Strictness::Require => SignatureMode::Require,
        },
        keys: Arc::new(keys),
        dated_templates: elastic.dated_templates.clone(),
        track_templates: elastic.track_templates.clone(),
        manifest_cap: limits.manifest_bytes,
        artifact_cap: limits.artifact_bytes,
        artifacts: limits.artifacts,
        ..ElasticSettings::default()
    })
}

fn defender(config: &Config) -> DefenderSettings {
    let Some(defender) = &config.defender else { return DefenderSettings::default() };
    DefenderSettings {
        expected_members: match defender.expected_members {
            Strictness::Off => MemberPolicy::Off,
            Strictness::Warn => MemberPolicy::Warn,
            Strictness::Require => MemberPolicy::Require,
        },
        archive_cap: config.limits.archive_bytes,
        ..DefenderSettings::default()
    }
}

/// The most bytes of a file of keys or certificates that is named: many times what a system trusts has.
const NAMED_BYTES: u64 = 16 << 20;

pub(crate) fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, BuildError> {
    platform::fs::read_named(path, NAMED_BYTES).map_err(|source| BuildError::File {
        key,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_catalog_that_others_can_write_is_not_believed_s22() {
        let dir = tempfile::tempdir().unwrap();
        prepare_data_folder(dir.path()).unwrap();
        let (folder, file) = (dir.path().join(CATALOG_FOLDER), dir.path().join(CATALOG_FOLDER).join(CATALOG_FILE));
        for (path, open, private) in [(&folder, 0o777, 0o700), (&file, 0o666, 0o600)] {
            mode(path, open);
            let refused = prepare_data_folder(dir.path()).unwrap_err();
            assert!(matches!(refused, BuildError::Folder { source: FsError::Unsafe { .. }, .. }), "{refused:?}");
            mode(path, private);
        }
        prepare_data_folder(dir.path()).unwrap();
    }
}
