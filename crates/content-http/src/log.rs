//! The access log: one line for each answer, gathered by each worker, written by a thread of its own.
//!
//! As text: `<time> <client> <name> <method> <status> <bytes> <milliseconds>ms <whole|aborted> "<path>" "<user agent>"`;
//! [`LogForm`] has the other forms.
//!
//! The bytes are those of the body; an aborted download shows how many the system took. Bytes outside printable
//! ASCII, quotes and backslashes appear as `\xNN`, and long texts are cut, so that a client cannot write lines of
//! its own. A query is never logged, nor is a credential. When the disk or pipe does not keep up, lines are dropped
//! and counted; serving never waits.

mod file;
mod line;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

pub(crate) use line::{Line, Stamp};

use crate::stats::{Counters, Trouble};
use crate::{AccessLog, LogForm};
use file::Target;

/// A worker hands its lines over when it has gathered this much.
const BATCH: usize = 64 * 1024;
/// Room for the line that makes a batch full.
const LAST_LINE: usize = 4 * 1024;
/// Batches that may wait for the writing thread.
const WAITING: usize = 32;

/// A worker's lines that were not handed over yet.
#[derive(Debug)]
pub(crate) struct Lines {
    batch: Batch,
    form: LogForm,
    to: SyncSender<Message>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

/// What the writing thread is told.
#[derive(Debug)]
enum Message {
    Write(Batch),
    Reopen,
}

impl Lines {
    pub(crate) fn push(&mut self, stamp: &Stamp, line: &Line<'_>) {
        if self.batch.bytes.capacity() == 0 {
            self.batch.bytes.reserve_exact(BATCH + LAST_LINE);
        }
        line.write(&mut self.batch.bytes, self.form, stamp);
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
        if self.to.try_send(Message::Write(batch)).is_err() {
            self.counters.troubles_by(Trouble::LogLost, lines);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Hands lines to the writing thread, which ends when the last of these and of [`Reopener`]s is gone.
#[derive(Clone, Debug)]
pub(crate) struct LogSink {
    form: LogForm,
    to: SyncSender<Message>,
}

/// Has the log opened again.
#[derive(Debug)]
pub(crate) struct Reopener(SyncSender<Message>);

impl LogSink {
    /// Opens the log and starts the thread that writes it.
    pub(crate) fn start(
        log: &AccessLog,
        counters: Arc<Counters>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let target = Target::open(&log.target)?;
        let (to, from) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("content-log".to_owned())
            .spawn(move || write_all(target, &from, &counters))?;
        Ok((Self { form: log.form, to }, thread))
    }

    pub(crate) fn lines(&self, counters: Arc<Counters>) -> Lines {
        Lines { batch: Batch::default(), form: self.form, to: self.to.clone(), counters }
    }

    pub(crate) fn reopener(&self) -> Reopener {
        Reopener(self.to.clone())
    }
}

impl Reopener {
    pub(crate) fn reopen(&self) {
        // A queue that is full holds batches, and before each the file is looked for anyway.
        drop(self.0.try_send(Message::Reopen));
    }
}

fn write_all(mut target: Target, from: &Receiver<Message>, counters: &Counters) {
    while let Ok(message) = from.recv() {
        match message {
            Message::Write(batch) => counters.troubles_by(Trouble::LogLost, target.write(&batch.bytes)),
            Message::Reopen => target.reopen(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_writes_are_counted_s32() {
        let counters = Arc::new(Counters::default());
        let (to, from) = sync_channel(1);
        let mut lines = LogSink { form: LogForm::Text, to }.lines(Arc::clone(&counters));
        for _ in 0..3 {
            lines.push(&Stamp::default(), &line::tests::line(b"/a", b""));
            lines.flush();
        }
        let mut stats = crate::Stats::new(model::Timestamp::from_micros(0));
        counters.add_to(&mut stats);
        assert_eq!(stats.trouble(Trouble::LogLost), 2);
        drop(from);
    }
}
