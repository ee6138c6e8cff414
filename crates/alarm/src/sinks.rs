//! The ways to tell.

pub(crate) mod command;
pub(crate) mod email;
pub(crate) mod syslog;
pub(crate) mod webhook;
