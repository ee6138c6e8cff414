//! Everything passed through, unless the plan says otherwise.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno as Refusal, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use super::nodes::{Node, Nodes, Opened, attributes, kind};
use super::plan::{Control, Op, Verdict};

/// Nothing is believed for longer than a moment: the backing folder may change behind this one.
const AGE: Duration = Duration::ZERO;
/// The most bytes of one write: more than the product writes at once, less than a page of the kernel's patience.
const WRITE: u32 = 128 * 1024;

/// What a write replaced.
#[derive(Debug)]
struct Replaced {
    offset: u64,
    old: Vec<u8>,
    size: u64,
}

#[derive(Debug)]
pub(super) struct Passing {
    nodes: Nodes,
    control: Arc<Control>,
    /// What each file's unflushed writes replaced, while the plan wants it remembered.
    unflushed: Mutex<HashMap<u64, Vec<Replaced>>>,
}

/// An operation that may go on, and who dies when it is done: dropped before the answer, so that nothing follows.
struct Leave<'a> {
    control: &'a Control,
    dies: Option<u32>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(asker) = self.dies {
            self.control.kill(asker);
        }
    }
}

fn refusal(errno: Errno) -> Refusal {
    Refusal::from_i32(errno.raw_os_error())
}

fn of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Passing {
    pub(super) fn new(root: &Path, control: Arc<Control>) -> io::Result<Self> {
        Ok(Self { nodes: Nodes::new(root)?, control, unflushed: Mutex::default() })
    }

    /// Lets an operation go on, or not.
    fn gate(&self, op: Op, path: &str, request: &Request) -> Result<Leave<'_>> {
        let leave = |dies| Leave { control: &self.control, dies };
        match self.control.decide(op, path, request.pid()) {
            Verdict::Pass | Verdict::Short | Verdict::LoseFlush => Ok(leave(None)),
            Verdict::Refuse(errno) => Err(errno),
            Verdict::KillAfter => Ok(leave(Some(request.pid()))),
        }
    }

    fn look_up(&self, parent: &Node, name: &OsStr) -> Result<fuser::FileAttr> {
        self.nodes.look_up(parent, name)
    }

    fn state(&self, number: INodeNo) -> Result<fuser::FileAttr> {
        Ok(attributes(&self.nodes.get(number)?.attributes()?, number.0))
    }

    fn write_bytes(&self, number: INodeNo, file: &File, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.control.remembers() {
            let size = file.metadata().map_err(|error| of(&error))?.len();
            let end = size.min(offset + bytes.len() as u64);
            let mut old = vec![0; usize::try_from(end.saturating_sub(offset)).unwrap_or(0)];
            self.nodes
                .get(number)?
                .open(OFlags::RDONLY)?
                .read_exact_at(&mut old, offset)
                .map_err(|error| of(&error))?;
            self.unflushed.lock().unwrap().entry(number.0).or_default().push(Replaced { offset, old, size });
        }
        file.write_all_at(bytes, offset).map_err(|error| of(&error))
    }

    /// Takes back what was written since the last flush, as a system does that could not write it and forgot it.
    fn lose(&self, number: INodeNo) -> Result<()> {
        let replaced = self.unflushed.lock().unwrap().remove(&number.0).unwrap_or_default();
        let file = self.nodes.get(number)?.open(OFlags::RDWR)?;
        for one in replaced.iter().rev() {
            file.write_all_at(&one.old, one.offset)
                .and_then(|()| file.set_len(one.size))
                .map_err(|error| of(&error))?;
        }
        Ok(())
    }

    fn flush_file(&self, request: &Request, number: INodeNo, handle: FileHandle) -> Result<()> {
        let path = self.nodes.get(number)?.path();
        let file = self.nodes.file(handle.0)?;
        let verdict = self.control.decide(Op::Flush, &path, request.pid());
        match verdict {
            Verdict::Refuse(errno) => return Err(errno),
            Verdict::LoseFlush => {
                self.lose(number)?;
                return Err(Errno::IO);
            }
            Verdict::Pass | Verdict::Short | Verdict::KillAfter => {}
        }
        file.sync_all().map_err(|error| of(&error))?;
        self.unflushed.lock().unwrap().remove(&number.0);
        if verdict == Verdict::KillAfter {
            self.control.kill(request.pid());
        }
        Ok(())
    }

    fn change(&self, number: INodeNo, wanted: &Wanted, request: &Request) -> Result<fuser::FileAttr> {
        let node = self.nodes.get(number)?;
        if let Some(size) = wanted.size {
            let _leave = self.gate(Op::Truncate, &node.path(), request)?;
            node.open(OFlags::WRONLY)?.set_len(size).map_err(|error| of(&error))?;
        }
        if wanted.mode.is_some() || wanted.owner.is_some() || wanted.group.is_some() || wanted.times.is_some() {
            let _leave = self.gate(Op::Change, &node.path(), request)?;
            wanted.apply(&node)?;
        }
        self.state(number)
    }

    fn names(&self, number: INodeNo, request: &Request) -> Result<Opened> {
        let node = self.nodes.get(number)?;
        let _leave = self.gate(Op::List, &node.path(), request)?;
        let mut names = Vec::new();
        for entry in Dir::new(node.open(OFlags::RDONLY | OFlags::DIRECTORY)?)? {
            let entry = entry?;
            names.push((entry.file_name().to_string_lossy().into_owned(), kind(entry.file_type()), entry.ino()));
        }
        Ok(Opened::Names(Arc::new(names)))
    }

    fn made(&self, parent: INodeNo, name: &OsStr, request: &Request, make: Make) -> Result<(fuser::FileAttr, u64)> {
        let node = self.nodes.get(parent)?;
        let op = if matches!(make, Make::Folder(_)) { Op::MakeFolder } else { Op::Create };
        let _leave = self.gate(op, &node.below(name), request)?;
        let handle = match make {
            Make::Folder(mode) => {
                rustix::fs::mkdirat(node.fd(), name, mode)?;
                0
            }
            Make::File(mode, flags) => {
                let kept = flags & (OFlags::ACCMODE | OFlags::EXCL);
                let fd = rustix::fs::openat(node.fd(), name, kept | OFlags::CREATE | OFlags::CLOEXEC, mode)?;
                self.nodes.keep(Opened::File(Arc::new(fd.into())))
            }
        };
        Ok((self.look_up(&node, name)?, handle))
    }
}

/// What is made under a new name.
enum Make {
    Folder(Mode),
    File(Mode, OFlags),
}

/// What is to change about a file, its length aside where that is none.
struct Wanted {
    size: Option<u64>,
    mode: Option<u32>,
    owner: Option<u32>,
    group: Option<u32>,
    times: Option<Timestamps>,
}

impl Wanted {
    fn apply(&self, node: &Node) -> Result<()> {
        let handle = node.handle();
        if let Some(mode) = self.mode {
            rustix::fs::chmod(&handle, Mode::from_raw_mode(mode))?;
        }
        if self.owner.is_some() || self.group.is_some() {
            let (owner, group) = (self.owner.map(rustix::fs::Uid::from_raw), self.group.map(rustix::fs::Gid::from_raw));
            rustix::fs::chown(&handle, owner, group)?;
        }
        match &self.times {
            Some(times) => rustix::fs::utimensat(rustix::fs::CWD, &handle, times, AtFlags::empty()),
            None => Ok(()),
        }
    }
}

fn times(accessed: Option<TimeOrNow>, modified: Option<TimeOrNow>) -> Option<Timestamps> {
    let special = |nanos: i64| Timespec { tv_sec: 0, tv_nsec: nanos };
    let told = |time: Option<TimeOrNow>| match time {
        None => special(rustix::fs::UTIME_OMIT),
        Some(TimeOrNow::Now) => special(rustix::fs::UTIME_NOW),
        Some(TimeOrNow::SpecificTime(time)) => {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            Timespec { tv_sec: i64::try_from(since.as_secs()).unwrap_or(0), tv_nsec: since.subsec_nanos().into() }
        }
    };
    (accessed.is_some() || modified.is_some())
        .then(|| Timestamps { last_access: told(accessed), last_modification: told(modified) })
}

/// Answers with an error, or not at all.
macro_rules! or_refuse {
    ($reply:expr, $what:expr) => {
        match $what {
            Ok(value) => value,
            Err(errno) => return $reply.error(refusal(errno)),
        }
    };
}

#[allow(clippy::too_many_arguments, reason = "the kernel's questions have as many")]
impl Filesystem for Passing {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let _the_nearest_will_do = config.set_max_write(WRITE);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let node = or_refuse!(reply, self.nodes.get(parent));
        let _leave = or_refuse!(reply, self.gate(Op::Lookup, &node.below(name), request));
        let found = or_refuse!(reply, self.look_up(&node, name));
        reply.entry(&AGE, &found, Generation(0));
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.nodes.forget(number, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let state = or_refuse!(reply, self.state(number));
        reply.attr(&AGE, &state);
    }

    fn setattr(
        &self,
        request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        owner: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let wanted = Wanted { size, mode, owner, group, times: times(accessed, modified) };
        let changed = or_refuse!(reply, self.change(number, &wanted, request));
        reply.attr(&AGE, &changed);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let make = Make::Folder(Mode::from_raw_mode(mode & !umask));
        let (made, _) = or_refuse!(reply, self.made(parent, name, request, make));
        reply.entry(&AGE, &made, Generation(0));
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let node = or_refuse!(reply, self.nodes.get(parent));
        let leave = or_refuse!(reply, self.gate(Op::Remove, &node.below(name), request));
        or_refuse!(reply, rustix::fs::unlinkat(node.fd(), name, AtFlags::empty()));
        drop(leave);
        reply.ok();
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let node = or_refuse!(reply, self.nodes.get(parent));
        let leave = or_refuse!(reply, self.gate(Op::Remove, &node.below(name), request));
        or_refuse!(reply, rustix::fs::unlinkat(node.fd(), name, AtFlags::REMOVEDIR));
        drop(leave);
        reply.ok();
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        into: INodeNo,
        renamed: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (or_refuse!(reply, self.nodes.get(parent)), or_refuse!(reply, self.nodes.get(into)));
        let leave = or_refuse!(reply, self.gate(Op::Rename, &to.below(renamed), request));
        let flags = rustix::fs::RenameFlags::from_bits_retain(flags.bits());
        or_refuse!(reply, rustix::fs::renameat_with(from.fd(), name, to.fd(), renamed, flags));
        drop(leave);
        reply.ok();
    }

    fn open(&self, request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let node = or_refuse!(reply, self.nodes.get(number));
        let _leave = or_refuse!(reply, self.gate(Op::Open, &node.path(), request));
        let flags = OFlags::from_bits_retain(flags.0.cast_unsigned());
        let file = or_refuse!(reply, node.open(flags));
        let handle = self.nodes.keep(Opened::File(Arc::new(file)));
        reply.opened(FileHandle(handle), FopenFlags::empty());
    }

    fn read(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let node = or_refuse!(reply, self.nodes.get(number));
        let _leave = or_refuse!(reply, self.gate(Op::Read, &node.path(), request));
        let file = or_refuse!(reply, self.nodes.file(handle.0));
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut filled = 0;
        while filled < bytes.len() {
            let read = file.read_at(&mut bytes[filled..], offset + filled as u64);
            match or_refuse!(reply, read.map_err(|error| of(&error))) {
                0 => break,
                more => filled += more,
            }
        }
        reply.data(&bytes[..filled]);
    }

    fn write(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        bytes: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let node = or_refuse!(reply, self.nodes.get(number));
        let file = or_refuse!(reply, self.nodes.file(handle.0));
        let whole = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if flags.contains(WriteFlags::FUSE_WRITE_CACHE) {
            // The kernel's own writing back of mapped memory: nobody waits for it, and nobody would be told.
            or_refuse!(reply, file.write_all_at(bytes, offset).map_err(|error| of(&error)));
            return reply.written(whole);
        }
        let verdict = self.control.decide(Op::Write, &node.path(), request.pid());
        let written = match verdict {
            Verdict::Refuse(errno) => return reply.error(refusal(errno)),
            Verdict::Short => bytes.len().div_ceil(2),
            Verdict::Pass | Verdict::LoseFlush | Verdict::KillAfter => bytes.len(),
        };
        or_refuse!(reply, self.write_bytes(number, &file, offset, &bytes[..written]));
        if verdict == Verdict::KillAfter {
            self.control.kill(request.pid());
        }
        reply.written(u32::try_from(written).unwrap_or(whole));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.nodes.close(handle.0);
        reply.ok();
    }

    fn fsync(&self, request: &Request, number: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        or_refuse!(reply, self.flush_file(request, number, handle));
        reply.ok();
    }

    fn opendir(&self, request: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let names = or_refuse!(reply, self.names(number, request));
        reply.opened(FileHandle(self.nodes.keep(names)), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let names = or_refuse!(reply, self.nodes.names(handle.0));
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (name, kind, number)) in names.iter().enumerate().skip(skipped) {
            if reply.add(INodeNo(*number), index as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.nodes.close(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, request: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let node = or_refuse!(reply, self.nodes.get(number));
        let leave = or_refuse!(reply, self.gate(Op::FlushFolder, &node.path(), request));
        let folder = or_refuse!(reply, node.open(OFlags::RDONLY | OFlags::DIRECTORY));
        or_refuse!(reply, folder.sync_all().map_err(|error| of(&error)));
        drop(leave);
        reply.ok();
    }

    fn statfs(&self, _: &Request, number: INodeNo, reply: ReplyStatfs) {
        let node = or_refuse!(reply, self.nodes.get(number));
        let state = or_refuse!(reply, rustix::fs::fstatvfs(node.fd()));
        let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
        reply.statfs(
            state.f_blocks,
            state.f_bfree,
            state.f_bavail,
            state.f_files,
            state.f_ffree,
            narrow(state.f_bsize),
            narrow(state.f_namemax),
            narrow(state.f_frsize),
        );
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let make = Make::File(Mode::from_raw_mode(mode & !umask), OFlags::from_bits_retain(flags.cast_unsigned()));
        let (made, handle) = or_refuse!(reply, self.made(parent, name, request, make));
        reply.created(&AGE, &made, Generation(0), FileHandle(handle), FopenFlags::empty());
    }
}
