//! What fails when.

use std::sync::Mutex;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// One kind of operation on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A name is looked up.
    Lookup,
    /// A file is opened.
    Open,
    /// A folder's names are listed.
    List,
    /// Bytes are read.
    Read,
    /// A file is made.
    Create,
    /// Bytes are written.
    Write,
    /// A file is made durable.
    Flush,
    /// A folder is made durable.
    FlushFolder,
    /// Something gets another name.
    Rename,
    /// A name is taken away.
    Remove,
    /// A folder is made.
    MakeFolder,
    /// Mode, owner or times change.
    Change,
    /// A file's length is set.
    Truncate,
}

impl Op {
    /// Every operation that leaves something behind.
    pub const MUTATING: &'static [Self] = &[
        Self::Create,
        Self::Write,
        Self::Flush,
        Self::FlushFolder,
        Self::Rename,
        Self::Remove,
        Self::MakeFolder,
        Self::Change,
        Self::Truncate,
    ];
    /// What needs room on a disk.
    pub const GROWING: &'static [Self] =
        &[Self::Create, Self::Write, Self::Flush, Self::FlushFolder, Self::Rename, Self::MakeFolder, Self::Truncate];
    /// What may end early because a signal came.
    pub const INTERRUPTIBLE: &'static [Self] = &[Self::Open, Self::Read, Self::Write, Self::Flush];
    /// Everything.
    pub const ALL: &'static [Self] = &[
        Self::Lookup,
        Self::Open,
        Self::List,
        Self::Read,
        Self::Create,
        Self::Write,
        Self::Flush,
        Self::FlushFolder,
        Self::Rename,
        Self::Remove,
        Self::MakeFolder,
        Self::Change,
        Self::Truncate,
    ];
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the plan only counts.
    None,
    /// The operation fails with this error and has no effect.
    Error(Errno),
    /// Half of what was to be written is; of one byte, all.
    Short,
    /// A flush fails, and what was written since the last one is gone: the system has dropped it, and says yes to the
    /// next flush.
    LostFlush,
    /// A flush says yes and does nothing.
    Pretend,
    /// The operation takes this long.
    Slow(Duration),
    /// The process is killed; the operation has no effect.
    KillBefore,
    /// The process is killed when the operation has had its effect.
    KillAfter,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// So many times in a row.
    Many(u64),
    /// From then on.
    ForEver,
}

/// What fails when.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kinds of operation that count.
    pub ops: &'static [Op],
    /// Only those on paths with this text in them.
    pub path: Option<String>,
    /// The first that fails, counted from 1.
    pub at: u64,
    /// How many.
    pub times: Times,
    /// How.
    pub fault: Fault,
}

impl Plan {
    /// Counts, and lets nothing fail.
    pub fn count(ops: &'static [Op]) -> Self {
        Self { ops, path: None, at: 1, times: Times::Many(0), fault: Fault::None }
    }

    /// The operation number `at` fails, once.
    pub fn once(ops: &'static [Op], at: u64, fault: Fault) -> Self {
        Self { ops, path: None, at, times: Times::Many(1), fault }
    }

    /// All fail from operation number `at` on.
    pub fn from(ops: &'static [Op], at: u64, fault: Fault) -> Self {
        Self { ops, path: None, at, times: Times::ForEver, fault }
    }

    /// The same, only on paths with this text in them.
    #[must_use]
    pub fn on(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn counts(&self, op: Op, path: &str) -> bool {
        self.ops.contains(&op) && self.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
    }
}

/// An operation that failed as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub number: u64,
    /// Its kind.
    pub op: Op,
    /// On what, below the folder.
    pub path: String,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Refuse(Errno),
    Short,
    LoseFlush,
    Pretend,
    KillAfter,
}

/// The plan and how far it is.
#[derive(Debug, Default)]
pub(super) struct Control(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    counted: u64,
    hits: Vec<Hit>,
    /// Whose power is gone: nothing that it had under way may still have an effect.
    is_dead: bool,
}

impl Control {
    pub(super) fn set(&self, plan: Option<Plan>) {
        *self.0.lock().unwrap() = State { plan, ..State::default() };
    }

    pub(super) fn counted(&self) -> u64 {
        self.0.lock().unwrap().counted
    }

    pub(super) fn hits(&self) -> Vec<Hit> {
        self.0.lock().unwrap().hits.clone()
    }

    /// Whether what is written must be remembered until it is flushed.
    pub(super) fn remembers(&self) -> bool {
        self.0.lock().unwrap().plan.as_ref().is_some_and(|plan| plan.fault == Fault::LostFlush)
    }

    /// Decides about an operation of the thread `asker`; takes the time that it is to take.
    pub(super) fn decide(&self, op: Op, path: &str, asker: u32) -> Verdict {
        let fault = match self.count(op, path) {
            Ok(fault) => fault,
            Err(verdict) => return verdict,
        };
        match fault {
            Fault::None => Verdict::Pass,
            Fault::Error(errno) => Verdict::Refuse(errno),
            Fault::Short if op == Op::Write => Verdict::Short,
            Fault::Short => Verdict::Pass,
            Fault::LostFlush if op == Op::Flush => Verdict::LoseFlush,
            Fault::LostFlush => Verdict::Refuse(Errno::IO),
            Fault::Pretend => Verdict::Pretend,
            Fault::Slow(time) => {
                std::thread::sleep(time);
                Verdict::Pass
            }
            Fault::KillBefore => {
                self.kill(asker);
                Verdict::Refuse(Errno::IO)
            }
            Fault::KillAfter => Verdict::KillAfter,
        }
    }

    fn count(&self, op: Op, path: &str) -> Result<Fault, Verdict> {
        let mut state = self.0.lock().unwrap();
        if state.is_dead && Op::MUTATING.contains(&op) {
            return Err(Verdict::Refuse(Errno::IO));
        }
        let Some((at, times, fault)) =
            state.plan.as_ref().filter(|plan| plan.counts(op, path)).map(|plan| (plan.at, plan.times, plan.fault))
        else {
            return Err(Verdict::Pass);
        };
        state.counted += 1;
        let number = state.counted;
        let is_hit = number >= at
            && match times {
                Times::Many(many) => number < at + many,
                Times::ForEver => true,
            };
        if !is_hit {
            return Err(Verdict::Pass);
        }
        state.hits.push(Hit { number, op, path: path.to_owned() });
        if matches!(fault, Fault::KillBefore) {
            state.is_dead = true;
        }
        Ok(fault)
    }

    /// Kills the process of a thread, at once and whatever it is about to do.
    pub(super) fn kill(&self, asker: u32) {
        self.0.lock().unwrap().is_dead = true;
        let status = std::fs::read_to_string(format!("/proc/{asker}/status")).unwrap_or_default();
        let group = status.lines().find_map(|line| line.strip_prefix("Tgid:")).and_then(|id| id.trim().parse().ok());
        if let Some(process) = group.and_then(Pid::from_raw) {
            // It may be gone already.
            let _ = kill_process(process, Signal::KILL);
        }
    }
}
