//! The client against servers that say exactly what a test wants, over loopback. No test leaves this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "net/server.rs"]
mod server;

#[path = "net/address.rs"]
mod address;
#[path = "net/body.rs"]
mod body;
#[path = "net/call.rs"]
mod call;
#[path = "net/certificates.rs"]
mod certificates;
#[path = "net/head.rs"]
mod head;
#[path = "net/names.rs"]
mod names;
#[path = "net/proxy.rs"]
mod proxy;
#[path = "net/push.rs"]
mod push;
#[path = "net/redirect.rs"]
mod redirect;
#[path = "net/scripted.rs"]
mod scripted;
#[path = "net/tls.rs"]
mod tls;
