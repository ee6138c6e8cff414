//! The thread that writes: whoever logs hands a line over and goes on.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::line;
use super::rate::{HeldBack, Rates, moment};
use crate::arguments::LogForm;

/// Lines that may wait; with the longest line it bounds the memory.
const WAITING: usize = 1024;
/// How often it is looked whether something was held back.
const TICK: Duration = Duration::from_secs(1);
/// How long the end of the program waits for whoever reads the log.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where lines go. Clones write to the same thread.
#[derive(Clone)]
pub(super) struct Sink {
    to: SyncSender<String>,
    form: LogForm,
    rates: Arc<Rates>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Lines that found no room, and were not told yet.
    lost: AtomicU64,
    taken: AtomicU64,
    written: Mutex<u64>,
    moved: Condvar,
}

struct Thread<W> {
    out: W,
    from: Receiver<String>,
    sink: (LogForm, Arc<Rates>, Arc<Counts>),
}

impl Sink {
    /// Starts the thread; it ends with the program, or when nobody can hand it a line any more.
    pub(super) fn start(out: impl Write + Send + 'static, form: LogForm, rates: Arc<Rates>) -> io::Result<Self> {
        let (to, from) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let thread = Thread { out, from, sink: (form, Arc::clone(&rates), Arc::clone(&counts)) };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || thread.run())?;
        Ok(Self { to, form, rates, counts })
    }

    /// Hands a line over, or drops and counts it. Never waits.
    pub(super) fn put(&self, line: String) {
        // Counted first: what is written is never more than what was taken.
        self.counts.taken.fetch_add(1, Ordering::SeqCst);
        if self.to.try_send(line).is_err() {
            self.counts.taken.fetch_sub(1, Ordering::SeqCst);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was handed over is written, for a moment at the most: a reader that is stuck does not keep
    /// the program from ending.
    pub(super) fn settle(&self) {
        // What is held back now would never be told.
        self.rates.end(Duration::MAX).iter().for_each(|held| self.put(suppressed(self.form, held)));
        let written = self.counts.written.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |written: &mut u64| *written < self.counts.taken.load(Ordering::SeqCst);
        let _whether_in_time_or_not = self.counts.moved.wait_timeout_while(written, PATIENCE, waits);
    }
}

impl<W: Write> Thread<W> {
    fn run(mut self) {
        loop {
            match self.from.recv_timeout(TICK) {
                Ok(line) => self.write(&line),
                Err(RecvTimeoutError::Timeout) => self.tell(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, line: &str) {
        // A closed stderr leaves nobody to tell.
        let _ = self.out.write_all(line.as_bytes());
        let (form, _, counts) = &self.sink;
        let lost = counts.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message = "log lines were lost: they come faster than they are read";
            let _ = self.out.write_all(line::ours(*form, message, &[("lines", Value::from(lost))]).as_bytes());
        }
        *counts.written.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        counts.moved.notify_all();
    }

    fn tell(&mut self) {
        let (form, rates, _) = &self.sink;
        for held in rates.end(moment()) {
            let _ = self.out.write_all(suppressed(*form, &held).as_bytes());
        }
    }
}

fn suppressed(form: LogForm, held: &HeldBack) -> String {
    let fields = [
        ("suppressed", Value::from(held.events)),
        ("of", Value::from(held.target)),
        ("at_level", Value::from(held.level.as_str())),
        ("place", Value::from(held.place.as_str())),
    ];
    line::ours(form, "events that came too often were not logged", &fields)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// Takes a line only when it is told to.
    struct Stuck {
        go: Receiver<()>,
        out: Sender<String>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            let _ = self.out.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stopped_stops_nobody_s32() {
        let (go, gate) = std::sync::mpsc::channel();
        let (out, lines) = std::sync::mpsc::channel();
        let sink = Sink::start(Stuck { go: gate, out }, LogForm::Text, Arc::default()).unwrap();
        let all = WAITING as u64 * 3;
        // None of these waits, though nobody reads.
        (0..all).for_each(|number| sink.put(format!("{number}\n")));
        let lost = sink.counts.lost.load(Ordering::Relaxed);
        assert!(lost >= all - WAITING as u64 - 1, "{lost}");
        // Nor does the end of the program, for longer than a moment.
        sink.settle();
        (0..=all).for_each(|_| go.send(()).unwrap());
        let long = Duration::from_secs(60);
        let read: Vec<String> = (0..=all - lost).map(|_| lines.recv_timeout(long).unwrap()).collect();
        let told = read.iter().find(|line| line.contains("log lines were lost")).unwrap();
        assert!(told.trim_end().ends_with(&format!("lines={lost}")), "{told}");
        assert_eq!(read[0], "0\n");
    }
}
