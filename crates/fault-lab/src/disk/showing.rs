//! Disks as files, for loop devices.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, WriteFlags,
};

use super::Disk;

const AGE: Duration = Duration::ZERO;

type Shown = Arc<Mutex<BTreeMap<u64, (String, Arc<Disk>)>>>;

/// A folder whose files are disks. Taken down when dropped.
#[derive(Debug)]
pub struct DiskFolder {
    session: Option<BackgroundSession>,
    shown: Shown,
    at: PathBuf,
}

impl DiskFolder {
    /// An empty one.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(at: &Path) -> io::Result<Self> {
        let shown = Shown::default();
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("disks".to_owned())];
        // One after the other, so that the log has the order in which the kernel was answered.
        config.n_threads = Some(1);
        let session = fuser::spawn_mount(Showing(Arc::clone(&shown)), at, &config)?;
        Ok(Self { session: Some(session), shown, at: at.to_owned() })
    }

    /// Shows a disk as a file.
    pub fn show(&self, name: &str, disk: &Arc<Disk>) -> PathBuf {
        let mut shown = self.shown.lock().unwrap();
        // Numbers are never used again: the kernel may still hold pages of an earlier disk.
        let number = shown.last_key_value().map_or(FIRST, |(number, _)| number + 1);
        let number = number.max(self.next_free());
        shown.insert(number, (name.to_owned(), Arc::clone(disk)));
        self.at.join(name)
    }

    fn next_free(&self) -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(FIRST);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Shows it no longer.
    pub fn hide(&self, name: &str) {
        self.shown.lock().unwrap().retain(|_, (shown, _)| shown != name);
    }
}

impl Drop for DiskFolder {
    fn drop(&mut self) {
        if self.session.take().is_some() {
            drop(crate::mount::Mounted::adopt(&self.at));
        }
    }
}

/// The first number after the root's.
const FIRST: u64 = 2;

struct Showing(Shown);

impl Showing {
    fn disk(&self, number: INodeNo) -> Option<Arc<Disk>> {
        self.0.lock().unwrap().get(&number.0).map(|(_, disk)| Arc::clone(disk))
    }

    fn attributes(&self, number: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match number {
            INodeNo::ROOT => (FileType::Directory, 0o700, 0),
            number => (FileType::RegularFile, 0o600, self.disk(number)?.size()),
        };
        let never = UNIX_EPOCH;
        Some(FileAttr {
            ino: number,
            size,
            blocks: size / 512,
            atime: never,
            mtime: never,
            ctime: never,
            crtime: never,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

#[allow(clippy::too_many_arguments, reason = "the kernel's questions have as many")]
impl Filesystem for Showing {
    fn init(&mut self, _: &Request, _: &mut KernelConfig) -> io::Result<()> {
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.lock().unwrap().iter().find(|(_, (shown, _))| name == shown.as_str()).map(|(n, _)| *n);
        match found.and_then(|number| self.attributes(INodeNo(number))) {
            Some(attributes) => reply.entry(&AGE, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(number) {
            Some(attributes) => reply.attr(&AGE, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(disk) = self.disk(number) else { return reply.error(Errno::ENOENT) };
        let left = usize::try_from(disk.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(usize::try_from(size).unwrap_or(0))];
        disk.read(offset, &mut bytes);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let Some(disk) = self.disk(number) else { return reply.error(Errno::ENOENT) };
        if offset + bytes.len() as u64 > disk.size() {
            return reply.error(Errno::ENOSPC);
        }
        disk.write(offset, bytes);
        reply.written(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        match self.disk(number) {
            Some(disk) => disk.flush(),
            None => return reply.error(Errno::ENOENT),
        }
        reply.ok();
    }
}
