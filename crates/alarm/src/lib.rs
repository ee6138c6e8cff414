//! Who is told what is wrong, when, and in which ways.
//!
//! The core is pure: a [`Ledger`] takes what stands now ([`Sight`], made of [`Condition`]s) and answers, for each way
//! to tell, what it has not been told yet. Sending is apart from it: [`Book`] shares the ledger, [`outlet`] tells one
//! way on a task of its own, [`heartbeat`] is the sign of life for somebody outside, and [`Shelf`] keeps the ledger in
//! a file.
//!
//! # Why there is no queue of messages
//! What a way has yet to be told is the difference between what stands and what it was told, made anew each time. A
//! way that was down for a day learns how things stand now, not a day of messages; nothing piles up, nothing is
//! dropped because a queue is full, and a restart forgets nothing.
//!
//! # Deliberately absent
//! What is wrong: the root makes conditions out of status, findings, the content side and the process.
//!
//! # Invariants
//! - A way is told of each alarm at most once between two changes of it, reminders aside, and of its end once.
//! - What cannot be seen at the moment neither begins nor ends ([`Sight::blind`]).
//! - Nobody waits for a way to tell: each has its own task and deadline, and shares nothing but a lock that is never
//!   held across a wait.
//! - Texts from outside reach no shell, no header and no second line: [`Condition`]s are cleaned where they come in.
//! - Every list is bounded.

mod book;
mod condition;
mod heart;
mod ledger;
mod life;
mod message;
mod outlet;
mod policy;
mod shelf;
mod sink;
mod sinks;
mod text;

pub use book::{Book, WayFacts};
pub use condition::{Condition, Event, Sight, Source};
pub use heart::{Heart, heartbeat};
pub use ledger::{Alarm, Change, ChangeKind, Ledger, Told, WayMemory};
pub use life::Life;
pub use message::{Item, ItemKind, Message, MessageKind};
pub use outlet::{Outlet, outlet, test};
pub use policy::{Damping, Quiet, Way};
pub use shelf::{Salvage, Shelf, ShelfError};
pub use sink::{Sink, SinkError};
pub use sinks::command::Command;
pub use sinks::email::{Email, EmailSettings, EmailTls};
pub use sinks::syslog::{Syslog, SyslogPeer};
pub use sinks::webhook::Webhook;
