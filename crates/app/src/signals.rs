//! What the system asks of us.

use tokio::sync::{mpsc, watch};

/// What the system asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Read the configuration again.
    Reload,
    /// Open the data folder anew: another stands where it was. No signal, but something a part of the process finds.
    Reopen,
    /// Open the access log again: it was moved away.
    ReopenLog,
    /// End, finishing what clients are in the middle of.
    End,
}

/// Listens for signals for as long as the receiver lives.
#[cfg(unix)]
pub(crate) fn listen() -> std::io::Result<(mpsc::Sender<Ask>, mpsc::Receiver<Ask>)> {
    use tokio::signal::unix::{SignalKind, signal};
    let (send, receive) = mpsc::channel(8);
    let watched = [
        (SignalKind::hangup(), Ask::Reload),
        (SignalKind::user_defined1(), Ask::ReopenLog),
        (SignalKind::terminate(), Ask::End),
        (SignalKind::interrupt(), Ask::End),
    ];
    for (kind, ask) in watched {
        let (mut stream, send) = (signal(kind)?, send.clone());
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                // A storm of hang-ups is one reload; an end always gets through.
                if ask == Ask::End {
                    if send.send(ask).await.is_err() {
                        return;
                    }
                } else if matches!(send.try_send(ask), Err(mpsc::error::TrySendError::Closed(_))) {
                    return;
                }
            }
        });
    }
    Ok((send, receive))
}

/// Counts how often a single act was asked to end, by SIGINT or SIGTERM.
#[derive(Clone, Debug)]
pub struct Stops(watch::Receiver<u32>);

impl Stops {
    /// Listens from now on; the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// The system's answer when it does not let us hear signals.
    #[cfg(unix)]
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (send, receive) = watch::channel(0);
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let (mut stream, send) = (signal(kind)?, send.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    send.send_modify(|count| *count += 1);
                }
            });
        }
        Ok(Self(receive))
    }

    /// Waits until it was asked for the `times`-th time.
    pub async fn asked(&self, times: u32) {
        let mut count = self.0.clone();
        if count.wait_for(|count| *count >= times).await.is_err() {
            std::future::pending().await
        }
    }
}
