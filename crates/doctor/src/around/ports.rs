//! The addresses to listen on: free, ours, or somebody else's.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use config::Config;

use crate::Check;
use crate::finding::Finding;

/// What our own process is called by the system.
const OURS: &str = "waystation";

/// Tries every address that a configuration listens on, and lets it go again.
pub(crate) fn look(config: &Config) -> Vec<Finding> {
    let content = config.serve.iter().map(|serve| (serve.address, "content"));
    content.chain([(config.admin.address, "admin")]).map(|(address, what)| look_at(address, what)).collect()
}

fn look_at(address: SocketAddr, what: &str) -> Finding {
    let (on, asked) = (address.to_string(), format!("to listen there ({what})"));
    let Err(refused) = platform::net::listener(address, false) else {
        return Finding::ok(Check::Port, &on, asked, "free");
    };
    match (refused.source.kind(), listener_of(address)) {
        (ErrorKind::AddrInUse, Some(holder)) if holder.name == OURS => {
            Finding::ok(Check::Port, &on, asked, format!("held by waystation, process {}", holder.pid))
        }
        (ErrorKind::AddrInUse, Some(holder)) => {
            Finding::fail(Check::Port, &on, asked, format!("held by {}, process {}", holder.name, holder.pid))
        }
        (ErrorKind::AddrInUse, None) => {
            Finding::fail(Check::Port, &on, asked, "held by a process that this user cannot see")
        }
        _ => Finding::fail(Check::Port, &on, asked, refused.source.to_string()),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    pid: u32,
    name: String,
}

/// Who listens on an address, as far as this user may see.
fn listener_of(address: SocketAddr) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let sockets: Vec<u64> = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(|line| socket_of(line, address)).collect::<Vec<_>>())
        .collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let holds = fs::read_dir(entry.path().join("fd")).ok()?.flatten().any(|fd| {
            let target = fs::read_link(fd.path()).unwrap_or_default();
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            inode.is_some_and(|inode: u64| sockets.contains(&inode))
        });
        let name = || fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned();
        holds.then(|| Holder { pid, name: name() })
    })
}

/// The socket of a line, if it listens on that port at that address or at all of them.
fn socket_of(line: &str, address: SocketAddr) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
    let (host, port) = local.split_once(':')?;
    let listens = *state == "0A" && u16::from_str_radix(port, 16).ok()? == address.port();
    let everywhere = host.bytes().all(|byte| byte == b'0');
    let here = match address.ip() {
        IpAddr::V4(ip) => host.eq_ignore_ascii_case(&format!("{:08X}", u32::from_le_bytes(ip.octets()))),
        IpAddr::V6(_) => host.len() == 32,
    };
    (listens && (everywhere || here || address.ip().is_unspecified())).then(|| inode.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn a_port_that_is_taken_is_told_with_its_holder_v40() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let found = look_at(address, "content");
        assert_eq!((found.level, found.check), (Level::Fail, Check::Port));
        assert!(found.came.contains(&format!("process {}", platform::pid())), "{}", found.came);
        drop(taken);
        assert_eq!(look_at(address, "content").level, Level::Ok);
    }

    #[test]
    fn an_address_of_another_machine_is_told_v40() {
        assert_eq!(look_at("192.0.2.1:80".parse().unwrap(), "content").level, Level::Fail);
    }

    #[test]
    fn lines_of_the_table_are_read() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0";
        assert_eq!(socket_of(line, "127.0.0.1:8080".parse().unwrap()), Some(4242));
        assert_eq!(socket_of(line, "127.0.0.2:8080".parse().unwrap()), None);
        assert_eq!(socket_of(line, "127.0.0.1:8081".parse().unwrap()), None);
        assert_eq!(socket_of("nonsense", "127.0.0.1:80".parse().unwrap()), None);
    }
}
