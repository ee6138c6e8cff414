//! Connections to the database file.

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::any::AnyConnectOptions;
use sqlx::{ConnectOptions, Row};
use tokio::sync::{Mutex, MutexGuard};

use super::error::{UNSOUND, full, is_busy, is_unmade, or_full, refusal, says_full};
use crate::CatalogError;
use crate::batch::refused;

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

/// How to reach the database.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    any: AnyConnectOptions,
    access: Access,
    path: PathBuf,
    /// Which file it is: a connection that is made later never opens another one in its place, be it an older copy of it.
    which: Which,
}

/// Device and inode of a file; nothing where the system has none.
type Which = Option<(u64, u64)>;

#[cfg(unix)]
fn which(found: &std::fs::Metadata) -> Which {
    use std::os::unix::fs::MetadataExt as _;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn which(_: &std::fs::Metadata) -> Which {
    None
}

/// For every connection: wait for other writers, be durable, trust nothing that the file says of itself. The log is
/// folded every 100 pages: who opens the file after a process that left without closing it has to read all of it.
const SETTINGS: &str = "PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; \
    PRAGMA wal_autocheckpoint = 100; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
    PRAGMA journal_size_limit = 16777216";
/// Readers and one writer at a time, without either waiting for the other.
const WRITE_AHEAD: &str = "PRAGMA journal_mode = WAL";
/// Brings the log into the file and leaves it empty: one that holds something would be played into a backup that is put
/// in the file's place. It stays there, so that who may not write into the folder can read on. Who reads meanwhile is
/// waited for, briefly.
const FOLD: &str = "PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 10000";
/// Takes the write lock at once: a transaction that reads first and then writes could be told that what it
/// read is out of date.
const BEGIN: &str = "BEGIN IMMEDIATE";
/// How often the write lock is asked for; SQLite waits ten seconds each time, and its queue is not fair.
const BEGIN_ATTEMPTS: u32 = 6;
/// How often a fresh connection is set up; turning on the write-ahead log does not wait by itself.
const SETUP_ATTEMPTS: u32 = 200;
const SETUP_PAUSE: Duration = Duration::from_millis(20);

/// How large the file of SQLite's shared memory is at first.
const SHARED_MEMORY: usize = 32 << 10;
/// The smallest page that a database can begin with.
const SMALLEST: u64 = 512;

/// Makes the folder that holds the database, for its owner alone.
pub(crate) fn make_folder(path: &Path) -> Result<(), CatalogError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(at_path("make the folder", folder))
}

/// Makes the file, for its owner alone, unless it is there. Connections never make it: one that is made anew after an
/// error, once the file was moved away, would begin an empty catalog in its place.
pub(crate) fn make_file(path: &Path) -> Result<(), CatalogError> {
    // What is there, or may not be looked at, is told by who opens it.
    if !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(at_path("make the database file", path)(error))
        }
        _ => Ok(()),
    }
}

/// Options for the file at `path`. A link in the file's place is refused: it could lead anywhere.
pub(crate) fn options(path: &Path, access: Access) -> Result<Options, CatalogError> {
    const ACT: &str = "open the database file";
    let path = std::path::absolute(path).map_err(at_path(ACT, path))?;
    let which = match std::fs::symlink_metadata(&path) {
        Ok(found) if !found.is_file() => {
            return Err(refused(ACT, format!("{} is not a plain file", path.display())));
        }
        // SQLite takes what is smaller than its header for nothing, and writes over it.
        Ok(found) if (1..SMALLEST).contains(&found.len()) => return Err(refused(ACT, UNSOUND)),
        Ok(found) => which(&found),
        Err(error) => return Err(at_path(ACT, &path)(error)),
    };
    let Some(text) = path.to_str() else {
        return Err(refused(ACT, format!("{} is not UTF-8", path.display())));
    };
    let mode = if access == Access::ReadOnly { "ro" } else { "rw" };
    let any: AnyConnectOptions =
        format!("sqlite:{}?mode={mode}", percent_encoded(text)).parse().map_err(refusal(ACT, "file"))?;
    sqlx::any::install_default_drivers();
    Ok(Options { any: any.disable_statement_logging(), access, path, which })
}

/// Everything but letters and digits, slashes included: what is left has no meaning in a URL, so that no path
/// is tidied up on its way.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
        url
    })
}

fn at_path(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CatalogError {
    let path = path.display().to_string();
    move |error| CatalogError::Database {
        act,
        source: Box::new(io::Error::new(error.kind(), format!("{path}: {error}"))),
    }
}

/// A connection that is made when first needed.
#[derive(Debug)]
pub(crate) struct Slot {
    options: Options,
    connection: Mutex<Option<AnyConnection>>,
}

/// A connection that is ours for a while. Dropped without being given back, it is closed, and whatever it was
/// doing is undone: that is how a cancelled act ends.
pub(crate) struct Lease<'a> {
    place: MutexGuard<'a, Option<AnyConnection>>,
    pub(crate) connection: AnyConnection,
}

impl Slot {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, connection: Mutex::new(None) }
    }

    /// The connection, once nobody else has it.
    pub(crate) async fn lease(&self) -> Result<Lease<'_>, CatalogError> {
        let place = self.connection.lock().await;
        self.fill(place).await
    }

    /// An error of this file's; where no more files can be made beside it, it says so.
    pub(crate) fn explained(&self, error: CatalogError) -> CatalogError {
        or_full(error, || has_no_room(&self.options))
    }

    /// The connection, unless somebody else has it.
    pub(crate) fn try_lease(&self) -> Option<impl Future<Output = Result<Lease<'_>, CatalogError>>> {
        self.connection.try_lock().ok().map(|place| self.fill(place))
    }

    async fn fill<'a>(&self, mut place: MutexGuard<'a, Option<AnyConnection>>) -> Result<Lease<'a>, CatalogError> {
        let connection = match place.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        Ok(Lease { place, connection })
    }
}

impl Lease<'_> {
    /// Ends the lease. After a failure the connection is closed: that undoes what it had begun, and it is not
    /// trusted again.
    pub(crate) fn give_back<T>(self, result: Result<T, CatalogError>) -> Result<T, CatalogError> {
        let Self { mut place, connection } = self;
        if result.is_ok() {
            *place = Some(connection);
        }
        result
    }
}

/// A fresh connection, set up.
pub(crate) async fn connect(options: &Options) -> Result<AnyConnection, CatalogError> {
    const ACT: &str = "open the database";
    let mut attempt = 1;
    loop {
        the_same(options)?;
        match set_up(options).await {
            // What stood there may have been exchanged meanwhile.
            Ok(connection) => return the_same(options).map(|()| connection),
            Err(error) if is_busy(&error) && attempt < SETUP_ATTEMPTS => attempt += 1,
            Err(error) if is_unmade(&error) && has_no_room(options) => return Err(full(ACT, error)),
            Err(error) => return Err(refusal(ACT, "file")(error)),
        }
        tokio::time::sleep(SETUP_PAUSE).await;
    }
}

/// Fails where the file at the path is not the one that was found there first. It is only looked at: whoever opens and
/// closes it lets go of the locks that this process has on it.
fn the_same(options: &Options) -> Result<(), CatalogError> {
    const ACT: &str = "open the database file";
    let found = std::fs::symlink_metadata(&options.path).map_err(at_path(ACT, &options.path))?;
    if which(&found) == options.which {
        return Ok(());
    }
    Err(refused(ACT, format!("{}: another file stands there now", options.path.display())))
}

/// Whether there is no room for one more file beside the database's, such as its log and its shared memory: where SQLite
/// cannot make those, it keeps the reason to itself.
fn has_no_room(options: &Options) -> bool {
    if options.access == Access::ReadOnly {
        return false;
    }
    let mut name = options.path.clone().into_os_string();
    name.push("-room");
    let beside = PathBuf::from(name);
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&beside);
    let written = made.and_then(|mut file| io::Write::write_all(&mut file, &vec![0; SHARED_MEMORY]));
    // One that stays, because the process is killed here, goes the next time.
    let _ = std::fs::remove_file(&beside);
    written.is_err_and(|error| says_full(&error))
}

async fn set_up(options: &Options) -> Result<AnyConnection, sqlx::Error> {
    let mut connection = options.any.connect().await?;
    sqlx::raw_sql(SETTINGS).execute(&mut connection).await?;
    if options.access == Access::ReadWrite {
        let mode: String = sqlx::raw_sql(WRITE_AHEAD).fetch_one(&mut connection).await?.try_get(0)?;
        if mode != "wal" {
            tracing::warn!(
                mode,
                "the catalog's file system cannot hold a write-ahead log: readers will wait for writers"
            );
        }
    }
    Ok(connection)
}

/// Brings the log into the file, unless somebody is in the way.
pub(crate) async fn fold(connection: &mut AnyConnection) -> Result<(), CatalogError> {
    match sqlx::raw_sql(FOLD).execute(connection).await {
        Err(error) if !is_busy(&error) => Err(refusal("fold the log", "file")(error)),
        _ => Ok(()),
    }
}

/// Begins a transaction that may write, waiting for other writers. It ends with [`commit`], or with the
/// connection: one whose act failed is not given back.
pub(crate) async fn begin(connection: &mut AnyConnection, act: &'static str) -> Result<(), CatalogError> {
    let mut attempt = 1;
    loop {
        match sqlx::raw_sql(BEGIN).execute(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && attempt < BEGIN_ATTEMPTS => {
                tracing::warn!(attempt, act, "another process is writing to the catalog: waiting");
                attempt += 1;
            }
            Err(error) => return Err(refusal(act, "file")(error)),
        }
    }
}

/// Makes all that was done since [`begin`] durable.
pub(crate) async fn commit(connection: &mut AnyConnection, act: &'static str) -> Result<(), CatalogError> {
    sqlx::raw_sql("COMMIT").execute(connection).await.map_err(refusal(act, "file"))?;
    Ok(())
}
