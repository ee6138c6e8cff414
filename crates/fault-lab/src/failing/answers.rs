//! The kernel's questions, answered through [`Passing`].

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{AtFlags, Mode, OFlags};

use super::nodes::Opened;
use super::passing::{Make, Passing, Wanted, of, refusal, times};
use super::plan::{Op, Verdict};

/// Nothing is believed for longer than a moment: the backing folder may change behind this one.
const AGE: Duration = Duration::ZERO;
/// The most bytes of one write: more than the product writes at once, less than a page of the kernel's patience.
const WRITE: u32 = 128 * 1024;

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
            Verdict::Pass | Verdict::LoseFlush | Verdict::Pretend | Verdict::KillAfter => bytes.len(),
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
        or_refuse!(reply, self.flush_folder(request, number));
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
