//! What systemd is told, where it listens.

/// What the service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Everything listens.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// Downloads in progress are finished, then the process ends.
    Stopping,
}

#[cfg(target_os = "linux")]
pub(crate) fn tell(news: News) {
    use sd_notify::NotifyState;
    let result = match news {
        News::Ready => sd_notify::notify(&[NotifyState::Ready]),
        News::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
        News::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "the service manager was not told");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn tell(_: News) {}
