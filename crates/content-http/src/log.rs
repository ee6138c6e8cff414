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

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

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
/// How long the end waits for the last lines, and how often it looks whether they are written.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);
/// How many looks of the watcher lie between two words on lost lines: a minute's.
const LOOKS_BETWEEN: u32 = 120;

/// A worker's lines that were not handed over yet.
#[derive(Debug)]
pub(crate) struct Lines {
    batch: Batch,
    form: LogForm,
    to: SyncSender<Message>,
    /// Lines that were handed over and are not written yet.
    waiting: Arc<AtomicU64>,
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
        self.waiting.fetch_add(lines, Ordering::Relaxed);
        if self.to.try_send(Message::Write(batch)).is_err() {
            self.waiting.fetch_sub(lines, Ordering::Relaxed);
            self.counters.troubles_by(Trouble::LogLost, lines);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Hands lines to the writing thread, which ends when this and the last of the [`Lines`] are gone.
#[derive(Debug)]
pub(crate) struct LogSink {
    form: LogForm,
    to: SyncSender<Message>,
    waiting: Arc<AtomicU64>,
    counters: Arc<Counters>,
    thread: JoinHandle<()>,
}

impl LogSink {
    /// Opens the log and starts the thread that writes it.
    pub(crate) fn start(log: &AccessLog, counters: Arc<Counters>) -> std::io::Result<Self> {
        let target = Target::open(&log.target)?;
        let (to, from) = sync_channel(WAITING);
        let waiting = Arc::new(AtomicU64::new(0));
        let (left, lost) = (Arc::clone(&waiting), Arc::clone(&counters));
        let thread = std::thread::Builder::new()
            .name("content-log".to_owned())
            .spawn(move || write_all(target, &from, (&lost, &left)))?;
        Ok(Self { form: log.form, to, waiting, counters, thread })
    }

    pub(crate) fn lines(&self) -> Lines {
        let (waiting, counters) = (Arc::clone(&self.waiting), Arc::clone(&self.counters));
        Lines { batch: Batch::default(), form: self.form, to: self.to.clone(), waiting, counters }
    }

    /// Has the log opened again.
    pub(crate) fn reopen(&self) {
        // A queue that is full holds batches, and before each the file is looked for anyway.
        drop(self.to.try_send(Message::Reopen));
    }

    /// Waits until the last lines are written, but not for a pipe that nobody reads: those are lost, counted and told.
    pub(crate) async fn finish(self, losses: &Losses) {
        let Self { to, waiting, counters, thread, .. } = self;
        drop(to);
        let ended = async {
            while !thread.is_finished() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            // Of the batch that is being written some may have got through: rather one told too many than one too few.
            counters.troubles_by(Trouble::LogLost, waiting.load(Ordering::Relaxed));
        }
        losses.end(&counters);
    }
}

/// Tells of lines that were lost: at once, then once a minute while more are, and at the end.
#[derive(Debug, Default)]
pub(crate) struct Losses(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    lines: u64,
    /// For so many looks more nothing is told.
    rest: u32,
}

impl Losses {
    /// At each look of the watcher: tells how many lines were lost since the last word, when it is time for one.
    pub(crate) fn look(&self, counters: &Counters) {
        let mut told = self.told();
        told.rest = told.rest.saturating_sub(1);
        if told.rest == 0 && told.tell(counters) {
            told.rest = LOOKS_BETWEEN;
        }
    }

    /// Tells what was not told yet.
    fn end(&self, counters: &Counters) {
        self.told().tell(counters);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Whether there was anything to tell.
    fn tell(&mut self, counters: &Counters) -> bool {
        let lost = counters.so_far(Trouble::LogLost);
        let lines = lost.saturating_sub(std::mem::replace(&mut self.lines, lost));
        if lines > 0 {
            tracing::warn!(
                lines,
                "lines of the access log were lost: its disk is full or fails, its folder is gone, or nobody reads its pipe"
            );
        }
        lines > 0
    }
}

fn write_all(mut target: Target, from: &Receiver<Message>, (counters, waiting): (&Counters, &AtomicU64)) {
    while let Ok(message) = from.recv() {
        match message {
            Message::Write(batch) => {
                let lost = target.write(&batch.bytes);
                waiting.fetch_sub(batch.lines, Ordering::Relaxed);
                counters.troubles_by(Trouble::LogLost, lost);
            }
            Message::Reopen => target.reopen(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::LogTarget;

    fn lines(to: SyncSender<Message>, counters: &Arc<Counters>) -> Lines {
        let (waiting, counters) = (Arc::default(), Arc::clone(counters));
        Lines { batch: Batch::default(), form: LogForm::Text, to, waiting, counters }
    }

    #[test]
    fn lines_that_nobody_writes_are_counted_s32() {
        let counters = Arc::new(Counters::default());
        let (to, from) = sync_channel(1);
        let mut lines = lines(to, &counters);
        for _ in 0..3 {
            lines.push(&Stamp::default(), &line::tests::line(b"/a", b""));
            lines.flush();
        }
        assert_eq!((counters.so_far(Trouble::LogLost), lines.waiting.load(Ordering::Relaxed)), (2, 1));
        drop(from);
    }

    #[test]
    fn lines_that_nobody_reads_at_the_end_are_counted_and_told_s32() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        // It is there, and takes nothing.
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let target = LogTarget::File { path, rotate_bytes: 0, keep: 0 };
        let counters = Arc::new(Counters::default());
        let log = LogSink::start(&AccessLog { target, form: LogForm::Text }, Arc::clone(&counters)).unwrap();
        let (mut lines, mut pushed) = (log.lines(), 0);
        for _ in 0..4 {
            loop {
                lines.push(&Stamp::default(), &line::tests::line(b"/a", b""));
                pushed += 1;
                if lines.batch.lines == 0 {
                    break;
                }
            }
        }
        drop(lines);
        let heard = crate::away::tests::Heard::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tracing::subscriber::with_default(heard.clone(), || runtime.block_on(log.finish(&Losses::default())));
        let lost = counters.so_far(Trouble::LogLost);
        // A pipe takes no more than the first batch.
        assert!(pushed / 2 < lost && lost <= pushed, "{lost} of {pushed}");
        assert!(heard.text().contains(&format!("lines={lost} ")), "{}", heard.text());
        drop(reader);
    }

    #[test]
    fn lost_lines_are_told_at_once_then_once_a_minute_and_at_the_end_s32() {
        let (counters, losses) = (Counters::default(), Losses::default());
        let heard = crate::away::tests::Heard::default();
        let told = |tell: &dyn Fn()| {
            let before = heard.text().len();
            tracing::subscriber::with_default(heard.clone(), tell);
            let text = heard.text().get(before..).unwrap_or_default().to_owned();
            text.split("lines=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect::<Vec<u64>>()
        };
        let look = || told(&|| losses.look(&counters));
        assert!(look().is_empty());
        counters.troubles_by(Trouble::LogLost, 3);
        assert_eq!(look(), [3]);
        let minutes: Vec<u64> = (0..2 * LOOKS_BETWEEN)
            .flat_map(|_| {
                counters.trouble(Trouble::LogLost);
                look()
            })
            .collect();
        assert_eq!(minutes, [u64::from(LOOKS_BETWEEN); 2], "all of them are told, a minute's together");
        assert!(look().is_empty());
        counters.troubles_by(Trouble::LogLost, 7);
        assert_eq!((look(), told(&|| losses.end(&counters))), (vec![], vec![7]), "nothing stays untold");
    }
}
