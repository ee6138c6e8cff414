//! What a trusted proxy says of a connection before its first byte.

use std::io;
use std::net::IpAddr;

use tokio::net::TcpStream;

use crate::away::{CROWDED, NOT_ALLOWED, turned_away};
use crate::connection::Seat;
use crate::crowd::ClientKey;
use crate::proxy_header::{Header, read};
use crate::stats::Trouble;

/// How much is looked at once: more than nearly every header.
const LOOK: usize = 256;

/// Reads the PROXY header and not a byte more; whose connection it is, the proxy's own address where it names nobody.
/// None when the connection ends here. The deadline for a head holds from the first byte on.
pub(crate) async fn announced(tcp: &TcpStream, seat: &Seat) -> Option<IpAddr> {
    let worker = &seat.worker;
    let client = match header(tcp).await {
        Ok(Some(client)) => client,
        // A check whether the port is open, or a proxy that went away.
        Err(_) => return None,
        Ok(None) => {
            worker.counters.trouble(Trouble::ProxyHeader);
            turned_away(seat.peer, tcp.local_addr().ok(), "it began with no PROXY header, or with none that is one");
            return None;
        }
    };
    let Some(client) = client else { return Some(seat.peer) };
    if !seat.rules.may_connect(client) {
        worker.counters.trouble(Trouble::Denied);
        turned_away(client, tcp.local_addr().ok(), NOT_ALLOWED);
        return None;
    }
    let key = ClientKey::of(client);
    if !seat.rules.trusts(client) {
        if !worker.fits(key) {
            turned_away(client, tcp.local_addr().ok(), CROWDED);
            return None;
        }
        seat.slot.belongs_to(key);
    }
    Some(client)
}

/// The client named; the outer none where there is no header.
async fn header(tcp: &TcpStream) -> io::Result<Option<Option<IpAddr>>> {
    let (mut header, mut buffer) = (Vec::new(), [0; LOOK]);
    loop {
        // Looked at first and taken then: what follows the header may be the beginning of TLS.
        let seen = tcp.peek(&mut buffer).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = header.len();
        header.extend_from_slice(buffer.get(..seen).unwrap_or_default());
        let (used, client) = match read(&header) {
            Header::Whole { length, client } => (length.saturating_sub(before), Some(client)),
            Header::Partly => (seen, None),
            Header::Malformed => return Ok(None),
        };
        header.truncate(before + used);
        take(tcp, buffer.get_mut(..used).unwrap_or_default()).await?;
        if client.is_some() {
            return Ok(client);
        }
    }
}

/// Takes so many bytes, which are known to be there.
async fn take(tcp: &TcpStream, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        tcp.readable().await?;
        match tcp.try_read(into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => into = into.get_mut(read..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
