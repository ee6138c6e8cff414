//! The access log: one line for each answer, gathered by each worker, written by a thread of its own.
//!
//! `<time> <client> <method> <status> <bytes> <milliseconds>ms <whole|aborted> "<path>" "<user agent>"`
//!
//! The bytes are those of the body; an aborted download shows how many the system took. Bytes outside printable
//! ASCII, quotes and backslashes appear as `\xNN`, and long texts are cut, so that a client cannot write lines of
//! its own. A query is never logged. When the disk or pipe does not keep up, lines are dropped and counted; serving
//! never waits.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::AccessLog;
use crate::stats::{Counters, Trouble};

/// A worker hands its lines over when it has gathered this much.
const BATCH: usize = 32 * 1024;
/// Batches that may wait for the writing thread.
const WAITING: usize = 64;
/// The longest path or user agent in a line.
const MAX_TEXT: usize = 256;

/// What one line says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) client: IpAddr,
    pub(crate) method: &'static str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) millis: u64,
    pub(crate) aborted: bool,
    pub(crate) path: &'a [u8],
    pub(crate) user_agent: &'a [u8],
}

/// Appends a line; `time` is the moment as text.
pub(crate) fn write_line(out: &mut Vec<u8>, time: &str, line: &Line<'_>) {
    let how = if line.aborted { "aborted" } else { "whole" };
    // Writing to memory has no way to fail.
    let _ =
        write!(out, "{time} {} {} {} {} {}ms {how} \"", line.client, line.method, line.status, line.bytes, line.millis);
    escape(out, line.path);
    out.extend_from_slice(b"\" \"");
    escape(out, line.user_agent);
    out.extend_from_slice(b"\"\n");
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text.iter().take(MAX_TEXT) {
        match byte {
            b'"' | b'\\' => {
                let _ = write!(out, "\\x{byte:02x}");
            }
            0x20..=0x7e => out.push(*byte),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}

/// A worker's lines that were not handed over yet.
#[derive(Debug)]
pub(crate) struct Lines {
    batch: Batch,
    to: SyncSender<Batch>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

impl Lines {
    pub(crate) fn push(&mut self, time: &str, line: &Line<'_>) {
        write_line(&mut self.batch.bytes, time, line);
        self.batch.lines += 1;
        if self.batch.bytes.len() >= BATCH {
            self.flush();
        }
    }

    /// Hands the lines over, or drops and counts them.
    pub(crate) fn flush(&mut self) {
        if self.batch.lines == 0 {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let lines = batch.lines;
        if self.to.try_send(batch).is_err() {
            self.counters.troubles_by(Trouble::LogLost, lines);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Hands lines to the writing thread, which ends when the last of these is gone.
#[derive(Clone, Debug)]
pub(crate) struct LogSink {
    to: SyncSender<Batch>,
}

impl LogSink {
    /// Opens the log and starts the thread that writes it.
    pub(crate) fn start(
        log: &AccessLog,
        counters: Arc<Counters>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let target = match log {
            AccessLog::Stdout => Target::Stdout,
            AccessLog::File(path) => Target::File { file: Some(open(path)?), path: path.clone() },
        };
        let (to, from) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("content-log".to_owned())
            .spawn(move || write_all(target, &from, &counters))?;
        Ok((Self { to }, thread))
    }

    pub(crate) fn lines(&self, counters: Arc<Counters>) -> Lines {
        Lines { batch: Batch::default(), to: self.to.clone(), counters }
    }
}

enum Target {
    Stdout,
    File { file: Option<File>, path: PathBuf },
}

fn write_all(mut target: Target, from: &Receiver<Batch>, counters: &Counters) {
    while let Ok(batch) = from.recv() {
        if target.write(&batch.bytes).is_err() {
            counters.troubles_by(Trouble::LogLost, batch.lines);
        }
    }
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File { file, path } => {
                if !file.as_ref().is_some_and(|file| is_still_at(file, path)) {
                    *file = Some(open(path)?);
                }
                match file {
                    Some(file) => file.write_all(bytes),
                    None => Ok(()),
                }
            }
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Whether the log was not rotated away under us.
fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn line<'a>(path: &'a [u8], user_agent: &'a [u8]) -> Line<'a> {
        Line {
            client: "10.0.0.7".parse().unwrap(),
            method: "GET",
            status: 200,
            bytes: 12,
            millis: 3,
            aborted: false,
            path,
            user_agent,
        }
    }

    #[test]
    fn a_client_cannot_write_lines_of_its_own() {
        let mut out = Vec::new();
        write_line(&mut out, "1994-11-06T08:49:37Z", &line(b"/a\" 200\n\x1b[0m\\", b"x\r\ny\xff"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1994-11-06T08:49:37Z 10.0.0.7 GET 200 12 3ms whole \"/a\\x22 200\\x0a\\x1b[0m\\x5c\" \"x\\x0d\\x0ay\\xff\"\n"
        );
        let mut out = Vec::new();
        write_line(&mut out, "t", &line(&[b'a'; 5000], &[b'"'; 5000]));
        assert!(out.len() < 100 + MAX_TEXT * 5);
    }

    #[test]
    fn a_rotated_log_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut target = Target::File { file: Some(open(&path).unwrap()), path: path.clone() };
        target.write(b"1\n").unwrap();
        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        target.write(b"2\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2\n");
    }

    #[test]
    fn lines_that_nobody_writes_are_counted_s32() {
        let counters = Arc::new(Counters::default());
        let (to, from) = sync_channel(1);
        let mut lines = LogSink { to }.lines(Arc::clone(&counters));
        for _ in 0..3 {
            lines.push("t", &line(b"/a", b""));
            lines.flush();
        }
        let mut stats = crate::Stats::new(model::Timestamp::from_micros(0));
        counters.add_to(&mut stats);
        assert_eq!(stats.trouble(Trouble::LogLost), 2);
        drop(from);
    }
}
