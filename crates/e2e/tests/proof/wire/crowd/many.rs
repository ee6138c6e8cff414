//! Connections by the thousand, from several addresses of this machine, and what a process holds.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect as connect_to, ipproto, socket, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::wire::raw::PATIENCE;

/// How many addresses connections come from.
const ADDRESSES: usize = 20;

/// Enough for a server of 15,000 connections.
const DESCRIPTORS: u64 = 40_000;

/// As many descriptors as the system allows; how many connections a server has room for with them, of those wanted.
pub(super) fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = |most: Option<u64>| setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let beyond = limit.maximum.map(|most| most.max(DESCRIPTORS));
    // Who may not go beyond the limit that the session began with has that one.
    raised(beyond).or_else(|_| raised(limit.maximum)).unwrap();
    let most = getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS);
    // A server takes two for each connection and some besides; good clients come beside.
    let room = usize::try_from(most.saturating_sub(1_024) / 2).unwrap();
    wanted.min(room)
}

fn source(number: usize) -> SocketAddr {
    let last = u8::try_from(number % ADDRESSES).unwrap() + 2;
    SocketAddr::from((Ipv4Addr::new(127, 0, 1, last), 0))
}

/// A connection from one of the addresses.
pub(super) fn connect(to: SocketAddr, number: usize) -> TcpStream {
    try_connect(to, number).unwrap()
}

pub(super) fn try_connect(to: SocketAddr, number: usize) -> Option<TcpStream> {
    opened(to, number, None)
}

/// The same with room for a few bytes that were not read.
pub(super) fn narrow(to: SocketAddr, number: usize) -> TcpStream {
    opened(to, number, Some(4096)).unwrap()
}

fn opened(to: SocketAddr, number: usize, room: Option<usize>) -> Option<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP)).ok()?;
    if let Some(room) = room {
        sockopt::set_socket_recv_buffer_size(&socket, room).ok()?;
    }
    bind(&socket, &source(number)).ok()?;
    connect_to(&socket, &to).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// How many descriptors a process has.
pub(in crate::wire) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// The memory of a process, in bytes; what it shares is counted in part.
pub(in crate::wire) fn memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
