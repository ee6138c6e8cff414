//! This process and its machine: open files, memory, user, umask, the environment.

use std::fs;

use config::Config;
use rustix::process::{Resource, getrlimit};

use crate::Check;
use crate::around::disk::bytes;
use crate::finding::Finding;

/// Files that are open beside connections: logs, the catalog, blobs being fetched.
const BESIDE: u64 = 256;
/// Blobs that each core may keep open for endpoints (`files::MOST_KEPT` of the content side).
const KEPT_BY_A_CORE: u64 = 128;
/// The least memory a mirror may stand on.
const MEMORY: u64 = 950_000_000;
/// Less free memory than this is worth a warning.
const FREE_MEMORY: u64 = 200_000_000;

/// Looks at the process and the machine.
pub(crate) fn look(config: &Config, environment: &[(String, String)]) -> Vec<Finding> {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let mut findings = vec![open_files(hard, (config.limits.serve_connections as u64, cores))];
    findings.extend(fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text)));
    findings.push(user(platform::uid()));
    findings.extend(fs::read_to_string("/proc/self/status").ok().and_then(|text| umask(&text)));
    findings.extend(proxies(environment, config.origin.proxy.is_some()));
    findings
}

/// The program raises its limit to the hard one itself, so that is the one that counts.
fn open_files(hard: u64, (connections, cores): (u64, u64)) -> Finding {
    // A connection may have a blob open beside its socket. The server warns at its start below the same number.
    let kept = cores.saturating_mul(KEPT_BY_A_CORE);
    let wanted = connections.saturating_mul(2).saturating_add(BESIDE).saturating_add(kept);
    let (on, asked) = ("this process", format!("{wanted} files for {connections} connections"));
    match hard {
        _ if hard >= wanted => Finding::ok(Check::OpenFiles, on, asked, hard.to_string()),
        _ if hard >= connections.saturating_add(BESIDE) => Finding::warn(Check::OpenFiles, on, asked, hard.to_string()),
        _ => Finding::fail(Check::OpenFiles, on, asked, hard.to_string()),
    }
}

fn memory(text: &str) -> Option<Finding> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let (all, free) = (field("MemTotal")?, field("MemAvailable")?);
    let came = format!("{} in all, {} free", bytes(all), bytes(free));
    let level = if all < MEMORY || free < FREE_MEMORY { Finding::warn } else { Finding::ok };
    Some(level(Check::Memory, "this machine", "memory".to_owned(), came))
}

fn user(uid: u32) -> Finding {
    match uid {
        0 => Finding::warn(Check::User, "this process", "who runs it", "root"),
        uid => Finding::ok(Check::User, "this process", "who runs it", format!("uid {uid}")),
    }
}

fn umask(status: &str) -> Option<Finding> {
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?.trim();
    Some(Finding::ok(Check::Umask, "this process", "umask", umask))
}

/// A proxy that other programs here use and ours would not.
fn proxies(environment: &[(String, String)], configured: bool) -> Option<Finding> {
    let named = |name: &str| ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].contains(&name);
    let (name, _) = environment.iter().find(|(name, value)| named(name) && !value.is_empty())?;
    // The value may hold a password.
    let came = format!("{name} is set, and origin.proxy is not");
    (!configured).then(|| Finding::warn(Check::ProxyUnused, "the environment", "proxies", came))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn a_low_limit_of_open_files_is_found_s09() {
        let many = (10_000, 2);
        assert_eq!(open_files(65_536, many).level, Level::Ok);
        // As docs/serving.md and the server's own warning have it.
        assert_eq!((open_files(20_512, many).level, open_files(20_511, many).level), (Level::Ok, Level::Warn));
        assert_eq!(open_files(12_000, many).level, Level::Warn);
        let found = open_files(1024, many);
        assert_eq!((found.level, found.came.as_str()), (Level::Fail, "1024"));
    }

    #[test]
    fn little_memory_is_found() {
        let text = |all: u64, free: u64| format!("MemTotal: {all} kB\nMemFree: 1 kB\nMemAvailable: {free} kB\n");
        assert_eq!(memory(&text(2_000_000, 1_000_000)).unwrap().level, Level::Ok);
        assert_eq!(memory(&text(500_000, 400_000)).unwrap().level, Level::Warn);
        assert_eq!(memory(&text(2_000_000, 1000)).unwrap().level, Level::Warn);
        assert_eq!(memory("nonsense"), None);
    }

    #[test]
    fn root_is_told() {
        assert_eq!((user(0).level, user(1000).level), (Level::Warn, Level::Ok));
        assert_eq!(umask("Name:\tx\nUmask:\t0022\n").unwrap().came, "0022");
    }

    #[test]
    fn a_proxy_that_nobody_would_use_is_told_without_its_password_i13() {
        let set = [("https_proxy".to_owned(), "http://user:canary@proxy:3128".to_owned())];
        let found = proxies(&set, false).unwrap();
        assert!(!format!("{found:?}").contains("canary"));
        assert_eq!(proxies(&set, true), None);
        assert_eq!(proxies(&[], false), None);
    }
}
