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

pub(crate) use line::{Line, NO_VERSION, Stamp};

use crate::stats::{Counters, Trouble};
use crate::{AccessLog, LogForm};
use file::Target;

/// A worker hands its lines over when it has gathered this much.
const BATCH: usize = 64 * 1024;
/// Room for the line that makes a batch full.
const LAST_LINE: usize = 4 * 1024;
/// Batches that may wait for the writing thread.
const WAITING: usize = 32;
/// How many looks of the watcher lie between two words on lost lines: a minute's.
const LOOKS_BETWEEN: u32 = 120;

/// A worker's lines that were not handed over yet.
#[derive(Debug)]
pub(crate) struct Lines {
    batch: Batch,
    form: LogForm,
    to: SyncSender<Message>,
    /// Those of all workers: whoever tells of lost lines looks at one number.
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
    counters: Arc<Counters>,
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
        let lost = Arc::clone(&counters);
        let thread = std::thread::Builder::new()
            .name("content-log".to_owned())
            .spawn(move || write_all(target, &from, &lost))?;
        Ok((Self { form: log.form, to, counters }, thread))
    }

    pub(crate) fn lines(&self) -> Lines {
        let counters = Arc::clone(&self.counters);
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

/// Tells of lines that were lost: at once, then once a minute while more are.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    told: u64,
    /// For so many looks more nothing is told.
    rest: u32,
}

impl Losses {
    /// At each look of the watcher; how many lines were lost since the last word, when it is time for one.
    pub(crate) fn look(&mut self, counters: &Counters) -> Option<u64> {
        self.rest = self.rest.saturating_sub(1);
        let lost = counters.so_far(Trouble::LogLost);
        let news = lost.saturating_sub(self.told);
        if news == 0 || self.rest > 0 {
            return None;
        }
        (self.told, self.rest) = (lost, LOOKS_BETWEEN);
        Some(news)
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
        let mut lines = LogSink { form: LogForm::Text, to, counters: Arc::clone(&counters) }.lines();
        for _ in 0..3 {
            lines.push(&Stamp::default(), &line::tests::line(b"/a", b""));
            lines.flush();
        }
        let mut stats = crate::Stats::new(model::Timestamp::from_micros(0));
        counters.add_to(&mut stats);
        assert_eq!(stats.trouble(Trouble::LogLost), 2);
        drop(from);
    }

    #[test]
    fn lost_lines_are_told_at_once_and_then_once_a_minute_s32() {
        let (counters, mut losses) = (Counters::default(), Losses::default());
        assert_eq!(losses.look(&counters), None);
        counters.troubles_by(Trouble::LogLost, 3);
        assert_eq!(losses.look(&counters), Some(3));
        let told: Vec<u64> = (0..2 * LOOKS_BETWEEN)
            .filter_map(|_| {
                counters.trouble(Trouble::LogLost);
                losses.look(&counters)
            })
            .collect();
        assert_eq!(told, [u64::from(LOOKS_BETWEEN); 2], "all of them are told, a minute's together");
        assert_eq!(losses.look(&counters), None);
    }
}
