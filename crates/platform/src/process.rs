//! This process: who runs it, and how many files it may have open.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::SystemClock;

/// The effective user id.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The process id.
pub fn pid() -> u32 {
    std::process::id()
}

/// Raises the number of files that may be open to what the hard limit allows, and says what holds then.
/// A system that refuses leaves it as it was: the number returned tells.
pub fn raise_nofile() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let _refused_shows_in_the_answer =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Ends every process of the group that `leader` leads, at once. A group that is gone already is no error.
pub fn kill_group(leader: u32) {
    let group = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _gone_already = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// A name that no other file made by this or another process has. Containers share process ids, so the time
/// of the first call is part of it; callers still create with "must be new".
pub fn unique_name(prefix: &str) -> String {
    static START: OnceLock<i64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = START.get_or_init(|| SystemClock::new().now().as_micros());
    format!("{prefix}{}-{start:x}-{:x}", pid(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        assert_ne!(unique_name("a-"), unique_name("a-"));
    }

    #[test]
    fn the_soft_limit_meets_the_hard_one() {
        let raised = raise_nofile();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX));
    }
}
