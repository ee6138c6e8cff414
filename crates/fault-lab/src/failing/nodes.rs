//! Which file or folder the kernel means by a number.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fuser::{FileAttr, FileType, INodeNo};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, openat};
use rustix::io::{Errno, Result};

/// A file or folder, held by a handle that needs no name: what is renamed or removed stays what it is.
#[derive(Debug)]
pub(super) struct Node {
    fd: OwnedFd,
    path: PathBuf,
}

impl Node {
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Its name below the folder, as it was last looked up.
    pub(super) fn path(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn below(&self, name: &std::ffi::OsStr) -> String {
        self.path.join(name).display().to_string()
    }

    /// A name by which the system opens it, whatever it is called by now.
    pub(super) fn handle(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    pub(super) fn open(&self, flags: OFlags) -> Result<File> {
        let kept = flags & (OFlags::ACCMODE | OFlags::DIRECTORY);
        Ok(openat(rustix::fs::CWD, self.handle(), kept | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    pub(super) fn attributes(&self) -> Result<Stat> {
        fstat(&self.fd)
    }
}

/// The nodes and open files that the kernel knows.
#[derive(Debug)]
pub(super) struct Nodes {
    known: Mutex<HashMap<u64, (Arc<Node>, u64)>>,
    open: Mutex<(u64, HashMap<u64, Opened>)>,
}

/// What a handle of the kernel stands for.
#[derive(Clone, Debug)]
pub(super) enum Opened {
    File(Arc<File>),
    /// A folder's names as they were when it was opened, so that what is removed meanwhile moves nothing.
    Names(Arc<Vec<(String, FileType, u64)>>),
}

impl Nodes {
    pub(super) fn new(root: &Path) -> Result<Self> {
        let fd = openat(rustix::fs::CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let root = Arc::new(Node { fd, path: PathBuf::new() });
        let known = HashMap::from([(INodeNo::ROOT.0, (root, 1))]);
        Ok(Self { known: Mutex::new(known), open: Mutex::default() })
    }

    pub(super) fn get(&self, number: INodeNo) -> Result<Arc<Node>> {
        self.known.lock().unwrap().get(&number.0).map(|(node, _)| Arc::clone(node)).ok_or(Errno::STALE)
    }

    /// Looks a name up, and remembers that the kernel knows it once more.
    pub(super) fn look_up(&self, parent: &Node, name: &std::ffi::OsStr) -> Result<FileAttr> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&parent.fd, name, flags, Mode::empty())?;
        let state = rustix::fs::statat(&fd, "", AtFlags::EMPTY_PATH)?;
        let node = Arc::new(Node { fd, path: parent.path.join(name) });
        let mut known = self.known.lock().unwrap();
        let times = known.get(&state.st_ino).map_or(0, |(_, times)| *times);
        known.insert(state.st_ino, (node, times + 1));
        Ok(attributes(&state, state.st_ino))
    }

    pub(super) fn forget(&self, number: INodeNo, times: u64) {
        let mut known = self.known.lock().unwrap();
        let Some((_, left)) = known.get_mut(&number.0) else { return };
        *left = left.saturating_sub(times);
        if *left == 0 && number != INodeNo::ROOT {
            known.remove(&number.0);
        }
    }

    pub(super) fn keep(&self, opened: Opened) -> u64 {
        let mut open = self.open.lock().unwrap();
        open.0 += 1;
        let handle = open.0;
        open.1.insert(handle, opened);
        handle
    }

    pub(super) fn file(&self, handle: u64) -> Result<Arc<File>> {
        match self.open.lock().unwrap().1.get(&handle) {
            Some(Opened::File(file)) => Ok(Arc::clone(file)),
            _ => Err(Errno::BADF),
        }
    }

    pub(super) fn names(&self, handle: u64) -> Result<Arc<Vec<(String, FileType, u64)>>> {
        match self.open.lock().unwrap().1.get(&handle) {
            Some(Opened::Names(names)) => Ok(Arc::clone(names)),
            _ => Err(Errno::BADF),
        }
    }

    pub(super) fn close(&self, handle: u64) {
        self.open.lock().unwrap().1.remove(&handle);
    }
}

/// A state as the kernel wants it told.
pub(super) fn attributes(state: &Stat, number: u64) -> FileAttr {
    let time = |seconds: i64, nanos: u64| {
        let whole = std::time::Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
        std::time::UNIX_EPOCH + whole
    };
    let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
    FileAttr {
        ino: INodeNo(number),
        size: u64::try_from(state.st_size).unwrap_or(0),
        blocks: u64::try_from(state.st_blocks).unwrap_or(0),
        atime: time(state.st_atime, state.st_atime_nsec),
        mtime: time(state.st_mtime, state.st_mtime_nsec),
        ctime: time(state.st_ctime, state.st_ctime_nsec),
        crtime: std::time::UNIX_EPOCH,
        kind: kind(rustix::fs::FileType::from_raw_mode(state.st_mode)),
        perm: u16::try_from(state.st_mode & 0o7777).unwrap_or(0),
        nlink: narrow(state.st_nlink),
        uid: state.st_uid,
        gid: state.st_gid,
        rdev: narrow(state.st_rdev),
        blksize: 4096,
        flags: 0,
    }
}

pub(super) fn kind(of: rustix::fs::FileType) -> FileType {
    match of {
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        rustix::fs::FileType::Fifo => FileType::NamedPipe,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::CharacterDevice => FileType::CharDevice,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}
