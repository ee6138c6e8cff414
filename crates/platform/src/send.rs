//! Sending a file's bytes to a socket without copying them through this process.

use std::io;
use std::os::fd::AsFd;

/// Sends up to `count` bytes of `file` from `offset` to `socket` and says how many went; 0 at the file's end.
/// The file's own position does not move, so many may send from one descriptor at once.
///
/// # Errors
/// The system's answer; [`io::ErrorKind::WouldBlock`] when a nonblocking socket takes nothing now.
pub fn send_file(socket: impl AsFd, file: impl AsFd, offset: u64, count: usize) -> io::Result<usize> {
    let mut at = offset;
    Ok(rustix::io::retry_on_intr(|| rustix::fs::sendfile(&socket, &file, Some(&mut at), count))?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_range_of_a_file_arrives_and_the_end_is_zero() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut from, _) = listener.accept().unwrap();
        assert_eq!(send_file(&to, &file, 3, 4).unwrap(), 4);
        assert_eq!(send_file(&to, &file, 10, 4).unwrap(), 0);
        drop(to);
        let mut got = String::new();
        from.read_to_string(&mut got).unwrap();
        assert_eq!(got, "3456");
    }
}
