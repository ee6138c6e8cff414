//! `waystation serve`.

use app::Role;
use clap::Args;

use crate::commands::run::daemon;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Serves content, health and metrics, and changes nothing
///
/// Works from a data folder that it may only read, as another user, with no way out; follows what `run` or `sync`
/// publish beside it within a second.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation serve --config /etc/waystation/waystation.toml

Exit codes:
  0  told to end, and ended
  1  failed: the message names what
  2  wrong usage or configuration")]
pub(crate) struct Serve {}

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    daemon(context, Role::Serve, "serve").await
}
