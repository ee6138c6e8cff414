//! Everything passed through, unless the plan says otherwise.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use fuser::{Errno as Refusal, FileHandle, INodeNo, Request, TimeOrNow};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use super::nodes::{Node, Nodes, Opened, attributes, kind};
use super::plan::{Control, Op, Verdict};

/// What a write replaced.
#[derive(Debug)]
struct Replaced {
    offset: u64,
    old: Vec<u8>,
    size: u64,
}

#[derive(Debug)]
pub(super) struct Passing {
    pub(super) nodes: Nodes,
    pub(super) control: Arc<Control>,
    /// What each file's unflushed writes replaced, while the plan wants it remembered.
    unflushed: Mutex<HashMap<u64, Vec<Replaced>>>,
}

/// An operation that may go on, and who dies when it is done: dropped before the answer, so that nothing follows.
pub(super) struct Leave<'a> {
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

pub(super) fn refusal(errno: Errno) -> Refusal {
    Refusal::from_i32(errno.raw_os_error())
}

pub(super) fn of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Passing {
    pub(super) fn new(root: &Path, control: Arc<Control>) -> io::Result<Self> {
        Ok(Self { nodes: Nodes::new(root)?, control, unflushed: Mutex::default() })
    }

    /// Lets an operation go on, or not.
    pub(super) fn gate(&self, op: Op, path: &str, request: &Request) -> Result<Leave<'_>> {
        let leave = |dies| Leave { control: &self.control, dies };
        match self.control.decide(op, path, request.pid()) {
            Verdict::Pass | Verdict::Short | Verdict::LoseFlush | Verdict::Pretend => Ok(leave(None)),
            Verdict::Refuse(errno) => Err(errno),
            Verdict::KillAfter => Ok(leave(Some(request.pid()))),
        }
    }

    pub(super) fn look_up(&self, parent: &Node, name: &OsStr) -> Result<fuser::FileAttr> {
        self.nodes.look_up(parent, name)
    }

    pub(super) fn state(&self, number: INodeNo) -> Result<fuser::FileAttr> {
        Ok(attributes(&self.nodes.get(number)?.attributes()?, number.0))
    }

    pub(super) fn write_bytes(&self, number: INodeNo, file: &File, offset: u64, bytes: &[u8]) -> Result<()> {
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

    pub(super) fn flush_file(&self, request: &Request, number: INodeNo, handle: FileHandle) -> Result<()> {
        let path = self.nodes.get(number)?.path();
        let file = self.nodes.file(handle.0)?;
        let verdict = self.control.decide(Op::Flush, &path, request.pid());
        match verdict {
            Verdict::Refuse(errno) => return Err(errno),
            Verdict::LoseFlush => {
                self.lose(number)?;
                return Err(Errno::IO);
            }
            Verdict::Pretend => return Ok(()),
            Verdict::Pass | Verdict::Short | Verdict::KillAfter => {}
        }
        file.sync_all().map_err(|error| of(&error))?;
        self.unflushed.lock().unwrap().remove(&number.0);
        if verdict == Verdict::KillAfter {
            self.control.kill(request.pid());
        }
        Ok(())
    }

    pub(super) fn flush_folder(&self, request: &Request, number: INodeNo) -> Result<()> {
        let node = self.nodes.get(number)?;
        let verdict = self.control.decide(Op::FlushFolder, &node.path(), request.pid());
        match verdict {
            Verdict::Refuse(errno) => return Err(errno),
            Verdict::Pretend => return Ok(()),
            Verdict::Pass | Verdict::Short | Verdict::LoseFlush | Verdict::KillAfter => {}
        }
        node.open(OFlags::RDONLY | OFlags::DIRECTORY)?.sync_all().map_err(|error| of(&error))?;
        if verdict == Verdict::KillAfter {
            self.control.kill(request.pid());
        }
        Ok(())
    }

    pub(super) fn change(&self, number: INodeNo, wanted: &Wanted, request: &Request) -> Result<fuser::FileAttr> {
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

    pub(super) fn names(&self, number: INodeNo, request: &Request) -> Result<Opened> {
        let node = self.nodes.get(number)?;
        let _leave = self.gate(Op::List, &node.path(), request)?;
        let mut names = Vec::new();
        for entry in Dir::new(node.open(OFlags::RDONLY | OFlags::DIRECTORY)?)? {
            let entry = entry?;
            names.push((entry.file_name().to_string_lossy().into_owned(), kind(entry.file_type()), entry.ino()));
        }
        Ok(Opened::Names(Arc::new(names)))
    }

    pub(super) fn made(
        &self,
        parent: INodeNo,
        name: &OsStr,
        request: &Request,
        make: Make,
    ) -> Result<(fuser::FileAttr, u64)> {
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
pub(super) enum Make {
    Folder(Mode),
    File(Mode, OFlags),
}

/// What is to change about a file, its length aside where that is none.
pub(super) struct Wanted {
    pub(super) size: Option<u64>,
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) times: Option<Timestamps>,
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

pub(super) fn times(accessed: Option<TimeOrNow>, modified: Option<TimeOrNow>) -> Option<Timestamps> {
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
