//! The content side over real loopback sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod access;
mod beyond;
mod bodies;
mod damage;
mod folder;
mod harness;
mod hostile;
mod letter;
mod lifecycle;
mod names;
mod proxies;
mod publishing;
mod rough;
mod tls;
mod tls_files;
