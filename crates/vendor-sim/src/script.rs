//! Bytes exactly as a test wants them, at its pace, to the end that it wants.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::sleep;

/// One step on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reads a request's head, or until the client says no more.
    ReadHead,
    /// Writes these bytes.
    Send(Cow<'static, [u8]>),
    /// Writes them one by one, this long apart.
    Drip(Cow<'static, [u8]>, Duration),
    /// Writes them again and again for as long as the client takes them.
    Repeat(Cow<'static, [u8]>),
    /// Writes them so many times.
    Times(Cow<'static, [u8]>, usize),
    /// Does nothing for this long.
    Wait(Duration),
    /// Does nothing until the client leaves.
    Hold,
    /// Says that it will say no more, and reads on until the client leaves.
    HalfClose,
    /// Ends with a reset.
    Reset,
}

/// What is done on a connection, in order; then it is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Cow<'static, [Act]>);

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
}

impl Script {
    /// A script that closes at once.
    pub const fn new() -> Self {
        Self::of(&[])
    }

    /// A script that was written down.
    pub const fn of(acts: &'static [Act]) -> Self {
        Self(Cow::Borrowed(acts))
    }

    /// A script that reads a request and answers these bytes.
    pub fn answer(bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::new().then(Act::ReadHead).then(Act::Send(bytes.into()))
    }

    /// One more step.
    #[must_use]
    pub fn then(mut self, act: Act) -> Self {
        self.0.to_mut().push(act);
        self
    }

    /// Reads a text in which `\r`, `\n`, `\t`, `\\` and `\xHH` stand for bytes, as an answer.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match (byte, byte == b'\\') {
                (_, true) => escaped(&mut rest)?,
                (byte, false) => byte,
            });
        }
        Some(Self::new().then(Act::Send(bytes.into())))
    }

    /// Plays it, and tells each head that was read before it goes on; an error is the client's leaving.
    pub(crate) async fn play<S>(&self, stream: &mut S, heard: &mut (dyn FnMut(&[u8]) + Send)) -> io::Result<End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for act in self.0.iter() {
            match act {
                Act::ReadHead => {
                    let mut head = Vec::new();
                    let read = read_head(stream, &mut head).await;
                    heard(&head);
                    read?;
                }
                Act::Send(bytes) => write(stream, bytes).await?,
                Act::Drip(bytes, each) => {
                    for byte in bytes.iter() {
                        write(stream, &[*byte]).await?;
                        sleep(*each).await;
                    }
                }
                Act::Repeat(bytes) => {
                    let many = bytes.repeat(65_536_usize.div_ceil(bytes.len().max(1)));
                    loop {
                        write(stream, &many).await?;
                    }
                }
                Act::Times(bytes, times) => write(stream, &bytes.repeat(*times)).await?,
                Act::Wait(time) => sleep(*time).await,
                Act::Hold => until_gone(stream).await,
                Act::HalfClose => {
                    stream.shutdown().await?;
                    until_gone(stream).await;
                }
                Act::Reset => return Ok(End::Reset),
            }
        }
        Ok(End::Close)
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, head: &mut Vec<u8>) -> io::Result<()> {
    // No test sends a head as long as this.
    while head.len() < 65_536 && !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await? {
            0 => return Ok(()),
            _ => head.extend(byte),
        }
    }
    Ok(())
}

/// Reads until the client goes away.
pub(crate) async fn until_gone<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut ignored = [0; 4096];
    while matches!(stream.read(&mut ignored).await, Ok(read) if read > 0) {}
}

fn escaped(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    match rest.next()? {
        b'r' => Some(b'\r'),
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        b'\\' => Some(b'\\'),
        b'x' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_bytes() {
        let bytes = |text| match Script::from_text(text)?.0.first() {
            Some(Act::Send(bytes)) => Some(bytes.to_vec()),
            _ => None,
        };
        assert_eq!(bytes(r"a\r\n\x00\xfF\\"), Some(b"a\r\n\0\xff\\".to_vec()));
        for bad in [r"\", r"\q", r"\x0", r"\xgg"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
