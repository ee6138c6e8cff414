//! HTTP/1.1 by hand: so that it can be right, and so that it can be wrong.

mod conditional;
mod mischief;
mod reply;
mod request;
mod send;

pub(crate) use conditional::answer;
pub(crate) use mischief::{Surroundings, spoil};
pub(crate) use reply::Reply;
pub(crate) use request::{ReadError, Request, read_request};
pub(crate) use send::{Line, send};
