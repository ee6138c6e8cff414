//! Who was turned away before there was a request: the access log has no line of it.

use std::net::{IpAddr, SocketAddr};

/// Why one connection more of a client is not let in.
pub(crate) const CROWDED: &str = "it has as many connections as one client may";
/// Why a client outside the list is not let in.
pub(crate) const NOT_ALLOWED: &str = "its address is not in allow";

/// Tells of it. How many lines of one kind are written is bounded by whoever writes the log.
pub(crate) fn turned_away(client: IpAddr, listener: Option<SocketAddr>, why: &str) {
    let listener = listener.map(|at| SocketAddr::new(at.ip().to_canonical(), at.port()));
    tracing::info!(%client, listener = listener.map(tracing::field::display), why, "a connection was turned away");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use std::fmt::{Debug, Write};
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// What is told to the log on this thread.
    #[derive(Clone, Default)]
    pub(crate) struct Heard(Arc<Mutex<String>>);

    impl Heard {
        pub(crate) fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl Visit for Heard {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
        }
    }

    impl Subscriber for Heard {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn the_log_names_client_listener_and_reason_v33() {
        let heard = Heard::default();
        let listener = "[::ffff:10.0.0.5]:8443".parse().ok();
        tracing::subscriber::with_default(heard.clone(), || {
            turned_away("10.9.9.9".parse().unwrap(), listener, NOT_ALLOWED);
        });
        let heard = heard.0.lock().unwrap();
        for part in ["client=10.9.9.9 ", "listener=10.0.0.5:8443 ", "why=\"its address is not in allow\" "] {
            assert!(heard.contains(part), "{heard}");
        }
    }
}
