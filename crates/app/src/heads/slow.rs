//! Work on a file that may hang, as one on a network that went away does.

use std::io;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a file is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// One piece of work at a time, for which nobody waits for long. While one hangs none is begun, so that no threads pile up.
#[derive(Debug)]
pub(super) struct Slow {
    /// What was left behind when it did not end in time.
    going: Option<JoinHandle<()>>,
    patience: Duration,
}

impl Default for Slow {
    fn default() -> Self {
        Self { going: None, patience: PATIENCE }
    }
}

impl Slow {
    /// Does this on a thread of its own.
    ///
    /// # Errors
    /// What it ended with, or that it does not end.
    pub(super) async fn ask<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if self.going.as_ref().is_some_and(|going| !going.is_finished()) {
            return Err(hangs());
        }
        let (done, result) = oneshot::channel();
        let going = tokio::task::spawn_blocking(move || {
            // Who asked may have left.
            let _ = done.send(work());
        });
        match tokio::time::timeout(self.patience, result).await {
            Ok(ended) => ended.unwrap_or_else(|_| Err(io::Error::other("a task of this program failed"))),
            Err(_) => {
                self.going = Some(going);
                Err(hangs())
            }
        }
    }
}

fn hangs() -> io::Error {
    let text = format!("it did not answer within {} s: see whether its disk or network hangs", PATIENCE.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_holds_nobody_and_takes_one_thread() {
        let (go, wait) = mpsc::channel::<()>();
        let mut slow = Slow { patience: Duration::from_millis(1), ..Slow::default() };
        let hung = slow.ask(move || wait.recv().map_err(io::Error::other)).await;
        assert_eq!(hung.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let next = slow.ask(|| -> io::Result<()> { panic!("it is not begun while another hangs") }).await;
        assert_eq!(next.unwrap_err().kind(), io::ErrorKind::TimedOut);
        go.send(()).unwrap();
        slow.patience = PATIENCE;
        while slow.ask(|| Ok(())).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
