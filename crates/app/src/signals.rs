//! What the system asks of us.

use tokio::sync::mpsc;

/// What the system asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Read the configuration again.
    Reload,
    /// End, finishing what clients are in the middle of.
    End,
}

/// Listens for signals for as long as the receiver lives.
#[cfg(unix)]
pub(crate) fn listen() -> std::io::Result<mpsc::Receiver<Ask>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (send, receive) = mpsc::channel(8);
    let watched =
        [(SignalKind::hangup(), Ask::Reload), (SignalKind::terminate(), Ask::End), (SignalKind::interrupt(), Ask::End)];
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
    Ok(receive)
}
