//! What a server costs: CPU time and memory of a process and all below it, as the kernel counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// A process and all below it.
pub(in crate::bench) fn family(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end between the two looks.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name stands in parentheses and may hold anything; state and parent follow it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.push((pid, parent.context("a process without a parent")?));
    }
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(&of) = family.get(at) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        at += 1;
    }
    Ok(family)
}

/// CPU time of all threads of a family, from the scheduler's own nanoseconds.
pub(in crate::bench) fn time(pid: u32) -> Result<Duration> {
    let mut nanos = 0u64;
    for pid in family(pid)? {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads {
            let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            let ran = stat.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok());
            nanos = nanos.saturating_add(ran.context("no schedstat")?);
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Memory of a family in bytes, what is shared counted once: the proportional set size.
pub(super) fn memory(pid: u32) -> Result<u64> {
    let mut kib = 0u64;
    for pid in family(pid)? {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or("0");
        kib = kib.saturating_add(line.trim().trim_end_matches(" kB").parse()?);
    }
    Ok(kib * 1024)
}

/// What a process holds: resident bytes, bytes with what is shared counted in part, and descriptors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) resident: u64,
    pub(super) proportional: u64,
    pub(super) descriptors: u64,
}

pub(super) fn held(pid: u32) -> Result<Held> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).context("no such line in smaps_rollup")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
    Ok(Held { resident: kib("Rss:")? * 1024, proportional: kib("Pss:")? * 1024, descriptors })
}
