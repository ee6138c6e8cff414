//! What Elastic's endpoints report, and how that stands against what a ring offers.

mod compare;
mod response;

pub use compare::{Row, State, Summary, compare, summary};
pub use response::{PolicyResponse, Unread};
