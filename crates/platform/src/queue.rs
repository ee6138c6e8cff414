//! How much of what was sent nobody has acknowledged yet, as the system tells it.

use std::io;
use std::net::SocketAddr;

/// What waits on a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendQueue {
    /// How many bytes were taken from us and not yet acknowledged, unsent ones among them.
    pub unacknowledged: u32,
    /// How many times in a row the system has sent again, or asked whether there is room, without any answer. A peer that
    /// only reads slowly answers.
    pub unanswered: u8,
}

/// Asks the system about connections of this machine.
#[derive(Debug)]
pub struct SendQueues(system::Asked);

impl SendQueues {
    /// # Errors
    /// The system's answer where it tells nothing: no Linux, or one that was built or set up without it.
    pub fn open() -> io::Result<Self> {
        system::Asked::open().map(Self)
    }

    /// What waits on the connection between `local` (our end) and `peer`; none when there is no such connection.
    ///
    /// # Errors
    /// The system's answer.
    pub fn of(&mut self, local: SocketAddr, peer: SocketAddr) -> io::Result<Option<SendQueue>> {
        self.0.of(local, peer)
    }
}

/// `NETLINK_SOCK_DIAG`: sock_diag(7).
#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::OwnedFd;

    use rustix::io::Errno;
    use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

    use super::SendQueue;

    /// `SOCK_DIAG_BY_FAMILY`.
    const BY_FAMILY: u16 = 20;
    /// `NLM_F_REQUEST`.
    const REQUEST: u16 = 1;
    /// `NLMSG_ERROR`.
    const ERROR: u16 = 2;
    /// `struct nlmsghdr` and `struct inet_diag_req_v2`.
    const LENGTH: u32 = 16 + 56;
    /// Where `idiag_wqueue` stands in an answer: behind `struct nlmsghdr` and what is before it in `struct inet_diag_msg`.
    const QUEUE: usize = 16 + 4 + 48 + 4 + 4;
    /// Where `idiag_retrans` does.
    const UNANSWERED: usize = 16 + 3;
    /// Answers to earlier questions that may still lie there.
    const MOST_STALE: u32 = 64;

    #[derive(Debug)]
    pub(super) struct Asked {
        socket: OwnedFd,
        number: u32,
    }

    impl Asked {
        pub(super) fn open() -> io::Result<Self> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
            Ok(Self { socket, number: 0 })
        }

        pub(super) fn of(&mut self, local: SocketAddr, peer: SocketAddr) -> io::Result<Option<SendQueue>> {
            self.number = self.number.wrapping_add(1);
            let question = question(self.number, local, peer);
            sendto(&self.socket, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
            for _ in 0..MOST_STALE {
                let mut answer = [0; 1024];
                let (_, length) = recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
                if let Some(found) = read(answer.get(..length).unwrap_or_default(), self.number) {
                    return found;
                }
            }
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn question(number: u32, local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
        const TCP: u8 = 6;
        let (ours, theirs) = (local.ip().to_canonical(), peer.ip().to_canonical());
        let family = if ours.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let interface = match peer {
            SocketAddr::V6(six) if !theirs.is_ipv4() => six.scope_id(),
            _ => 0,
        };
        let mut bytes = Vec::with_capacity(LENGTH as usize);
        bytes.extend_from_slice(&LENGTH.to_ne_bytes());
        bytes.extend_from_slice(&BY_FAMILY.to_ne_bytes());
        bytes.extend_from_slice(&REQUEST.to_ne_bytes());
        bytes.extend_from_slice(&number.to_ne_bytes());
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(&[u8::try_from(family.as_raw()).unwrap_or_default(), TCP, 0, 0]);
        // In any state.
        bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
        bytes.extend_from_slice(&local.port().to_be_bytes());
        bytes.extend_from_slice(&peer.port().to_be_bytes());
        bytes.extend_from_slice(&sixteen(ours));
        bytes.extend_from_slice(&sixteen(theirs));
        bytes.extend_from_slice(&interface.to_ne_bytes());
        // `INET_DIAG_NOCOOKIE`.
        bytes.extend_from_slice(&[0xff; 8]);
        bytes
    }

    /// An address as `struct inet_diag_sockid` has it: one of version 4 in its first quarter.
    fn sixteen(ip: IpAddr) -> [u8; 16] {
        match ip {
            IpAddr::V4(four) => {
                let [a, b, c, d] = four.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpAddr::V6(six) => six.octets(),
        }
    }

    /// What an answer says; none when it answers another question.
    fn read(answer: &[u8], number: u32) -> Option<io::Result<Option<SendQueue>>> {
        let word = |at: usize| answer.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_ne_bytes);
        let kind = answer.get(4..6).and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes);
        if word(8) != Some(number) {
            return None;
        }
        let unreadable = || Err(io::ErrorKind::InvalidData.into());
        Some(match kind {
            Some(BY_FAMILY) => word(QUEUE).map_or_else(unreadable, |unacknowledged| {
                Ok(Some(SendQueue { unacknowledged, unanswered: answer.get(UNANSWERED).copied().unwrap_or_default() }))
            }),
            Some(ERROR) => match word(16).map(|code| code.cast_signed().wrapping_neg()) {
                Some(code) if code == Errno::NOENT.raw_os_error() => Ok(None),
                Some(code) => Err(io::Error::from_raw_os_error(code)),
                None => unreadable(),
            },
            _ => unreadable(),
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn answers_are_read_or_refused() {
            let mut answer = vec![0; QUEUE + 4];
            answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
            answer[8..12].copy_from_slice(&7_u32.to_ne_bytes());
            answer[QUEUE..].copy_from_slice(&4711_u32.to_ne_bytes());
            answer[UNANSWERED] = 3;
            let queue = SendQueue { unacknowledged: 4711, unanswered: 3 };
            assert_eq!(read(&answer, 7).unwrap().unwrap(), Some(queue));
            assert!(read(&answer, 8).is_none(), "another question's");
            assert!(read(&answer[..QUEUE], 7).unwrap().is_err());
            answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
            answer[16..20].copy_from_slice(&(-Errno::NOENT.raw_os_error()).to_ne_bytes());
            assert_eq!(read(&answer, 7).unwrap().unwrap(), None);
            answer[16..20].copy_from_slice(&(-Errno::PERM.raw_os_error()).to_ne_bytes());
            assert_eq!(read(&answer, 7).unwrap().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            assert!(read(&[], 7).is_none());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::net::SocketAddr;

    #[derive(Debug)]
    pub(super) struct Asked;

    impl Asked {
        pub(super) fn open() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn of(&mut self, _: SocketAddr, _: SocketAddr) -> io::Result<Option<super::SendQueue>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_a_reader_leaves_is_told_v10() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut writer, _) = listener.accept().unwrap();
        let mut queues = SendQueues::open().unwrap();
        let (local, peer) = (writer.local_addr().unwrap(), writer.peer_addr().unwrap());
        let queued = |queues: &mut SendQueues| queues.of(local, peer).unwrap().unwrap().unacknowledged;
        assert_eq!(queued(&mut queues), 0);
        writer.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(some) = writer.write(&[0; 65536]) {
            written += some;
        }
        let left = queued(&mut queues);
        assert!(left > 0 && left as usize <= written, "{left} of {written}");
        assert!(queues.of(local, peer).unwrap().unwrap().unanswered <= 1, "a peer that does not read is there");
        reader.read_exact(&mut vec![0; written]).unwrap();
        while queued(&mut queues) != 0 {
            std::thread::yield_now();
        }
        let nobody = "127.0.0.1:9".parse().unwrap();
        assert_eq!(queues.of(nobody, nobody).unwrap(), None);
    }

    #[test]
    fn an_address_of_version_4_in_6_is_one_of_4_v10() {
        let mut queues = SendQueues::open().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (writer, _) = listener.accept().unwrap();
        let mapped = |address: SocketAddr| match address.ip() {
            std::net::IpAddr::V4(four) => SocketAddr::new(four.to_ipv6_mapped().into(), address.port()),
            std::net::IpAddr::V6(_) => address,
        };
        let (local, peer) = (mapped(writer.local_addr().unwrap()), mapped(writer.peer_addr().unwrap()));
        assert_eq!(queues.of(local, peer).unwrap().unwrap().unacknowledged, 0);
    }
}
