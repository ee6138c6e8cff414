//! Writing an answer, at the pace of the line, to where it is meant to end.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::mischief::chunks;
use super::reply::{Cut, CutAt, Framing, How, Reply};
use crate::fault::{ChunkFault, HeadFault};
use crate::observed::Observed;
use crate::script::{End, until_gone};

const PIECE: usize = 128 * 1024;

/// One connection, its pace and its counters.
pub(crate) struct Line<'a> {
    stream: &'a mut TcpStream,
    observed: &'a Observed,
    bytes_per_second: Option<u64>,
    started: Instant,
    sent: u64,
}

impl<'a> Line<'a> {
    pub(crate) fn new(stream: &'a mut TcpStream, observed: &'a Observed, bytes_per_second: Option<u64>) -> Self {
        Self { stream, observed, bytes_per_second, started: Instant::now(), sent: 0 }
    }

    /// The most bytes that one write carries: a twentieth of a second's worth.
    fn piece(&self) -> usize {
        let paced = self.bytes_per_second.map(|rate| usize::try_from(rate / 20).unwrap_or(PIECE).max(1));
        paced.unwrap_or(PIECE).min(PIECE)
    }

    async fn write(&mut self, bytes: &[u8], of_body: usize) -> io::Result<()> {
        self.observed.sent(bytes.len(), of_body);
        self.stream.write_all(bytes).await?;
        self.sent += bytes.len() as u64;
        if let Some(rate) = self.bytes_per_second.filter(|rate| *rate > 0) {
            sleep_until(self.started + Duration::from_millis(self.sent * 1000 / rate)).await;
        }
        Ok(())
    }

    /// Does nothing until the client goes away.
    async fn until_gone(&mut self) {
        until_gone(self.stream).await;
    }

    async fn end(&mut self, how: How) -> io::Result<()> {
        match how {
            How::Close => self.stream.shutdown().await,
            How::Reset => self.stream.set_zero_linger(),
            How::Stall => {
                self.until_gone().await;
                Ok(())
            }
        }
    }
}

/// Writes the answer; true if the connection can carry another.
pub(crate) async fn send(line: &mut Line<'_>, reply: &Reply, head_only: bool, keep_alive: bool) -> io::Result<bool> {
    if let Some(script) = &reply.script {
        let end = script.play(&mut *line.stream, &mut |_| ()).await?;
        line.end(if end == End::Reset { How::Reset } else { How::Close }).await?;
        return Ok(false);
    }
    let keep_alive = keep_alive && reply.reusable();
    let head = reply.head(!keep_alive && reply.framing != Framing::Nothing);
    if let Some(Cut { at, how }) = reply.cut.filter(|cut| cut.at == CutAt::BeforeHead || cut.at == CutAt::InHead) {
        if at == CutAt::InHead {
            line.write(head.get(..head.len() / 2).unwrap_or_default(), 0).await?;
        }
        line.end(how).await?;
        return Ok(false);
    }
    if let Some(fault) = reply.head_fault {
        return send_faulty_head(line, &head, fault).await.map(|()| false);
    }
    if head_only || reply.framing == Framing::Nothing {
        line.write(&head, 0).await?;
        return Ok(keep_alive);
    }
    match &reply.framing {
        Framing::Endless => send_endless(line, &head).await?,
        Framing::Chunked(fault) => send_chunked(line, &head, reply, *fault).await?,
        Framing::LengthAndChunked => {
            line.write(&head, 0).await?;
            line.write(format!("{:x}\r\n", reply.length()).as_bytes(), 0).await?;
            send_body(line, Vec::new(), reply).await?;
            line.write(b"\r\n0\r\n\r\n", 0).await?;
        }
        Framing::Length | Framing::Nothing | Framing::Declared(_) | Framing::Close => {
            send_body(line, head, reply).await?;
        }
    }
    if let Some(cut) = reply.cut {
        line.end(cut.how).await?;
    } else if !keep_alive {
        line.end(How::Close).await?;
    }
    Ok(keep_alive)
}

/// Writes `head` and the body up to its cut, the first piece in one write with the head.
async fn send_body(line: &mut Line<'_>, head: Vec<u8>, reply: &Reply) -> io::Result<()> {
    let end = match reply.cut {
        Some(Cut { at: CutAt::Body(bytes), .. }) => reply.start + bytes,
        _ => reply.end,
    };
    let piece = if reply.drip.is_some() { 1 } else { line.piece() };
    let mut buffer = head;
    let mut offset = reply.start;
    let mut prefix = buffer.len();
    loop {
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        buffer.resize(prefix + left.min(piece), 0);
        let read = buffer.get_mut(prefix..).map_or(0, |room| reply.body.read_at(offset, room));
        buffer.truncate(prefix + read);
        if buffer.is_empty() {
            return Ok(());
        }
        line.write(&buffer, read).await?;
        offset += read as u64;
        prefix = 0;
        if let Some(each) = reply.drip {
            sleep(each).await;
        }
    }
}

async fn send_endless(line: &mut Line<'_>, head: &[u8]) -> io::Result<()> {
    line.write(head, 0).await?;
    let chunk = [b"10000\r\n".as_slice(), &[b'e'; 65_536], b"\r\n"].concat();
    loop {
        line.write(&chunk, 65_536).await?;
    }
}

async fn send_chunked(line: &mut Line<'_>, head: &[u8], reply: &Reply, fault: ChunkFault) -> io::Result<()> {
    line.write(head, 0).await?;
    let mut piece = vec![0; usize::try_from(reply.length()).unwrap_or(PIECE).min(PIECE)];
    let read = reply.body.read_at(reply.start, &mut piece);
    piece.truncate(read);
    line.write(&chunks(&piece, fault), read).await?;
    match fault {
        ChunkFault::Stall => line.until_gone().await,
        ChunkFault::TrailerFlood => {
            line.write(b"0\r\n", 0).await?;
            loop {
                line.write(&b"X-Trailer: simulated\r\n".repeat(1000), 0).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

async fn send_faulty_head(line: &mut Line<'_>, head: &[u8], fault: HeadFault) -> io::Result<()> {
    // All but the empty line, so that there is room for more fields.
    let open = head.get(..head.len().saturating_sub(2)).unwrap_or_default();
    match fault {
        HeadFault::Garbage => line.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n", 0).await?,
        HeadFault::Huge => {
            line.write(open, 0).await?;
            line.write(format!("X-Huge: {}\r\n\r\n", "h".repeat(1 << 20)).as_bytes(), 0).await?;
        }
        HeadFault::Many => {
            let many: String = (0..10_000).map(|n| format!("X-Field-{n}: simulated\r\n")).collect();
            line.write(open, 0).await?;
            line.write(format!("{many}\r\n").as_bytes(), 0).await?;
        }
        HeadFault::Endless | HeadFault::Hostile => {
            line.write(open, 0).await?;
            line.write(b"X-Endless: ", 0).await?;
            loop {
                line.write(&[b'e'; 16_384], 0).await?;
            }
        }
    }
    line.end(How::Close).await
}
