//! `waystation run`.

use std::sync::Arc;

use app::{Daemon, DaemonError, Role};
use clap::Args;

use crate::commands::status::not_anew;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Fetches on schedule, publishes and serves, until it is told to end
///
/// SIGTERM lets downloads in progress end; SIGHUP reads the configuration again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation run --log json

Exit codes:
  0  told to end, and ended
  1  failed: the message names what, or which other `run` works on the data folder
  2  wrong usage or configuration")]
pub(crate) struct Run {}

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    daemon(context, Role::Run, "run").await
}

/// Starts a daemon and stays with it to its end.
pub(crate) async fn daemon(context: &Context, role: Role, verb: &str) -> Result<Exit, Failure> {
    let given = context.given().map(ToOwned::to_owned);
    let config = context.config()?;
    if role == Role::Run {
        not_anew(&config, verb).await?;
    }
    let daemon = Daemon::new(config, role, given, Arc::clone(&context.clock));
    daemon.run().await.map(|()| Exit::DONE).map_err(|error| {
        let exit = if error.is_configuration() { Exit::USAGE } else { Exit::FAILED };
        let failure = Failure::new(verb, &error).with_exit(exit);
        match error {
            DaemonError::Locked { .. } => failure.with_next(
                "end that one first, or give this one another data_dir; `waystation serve` may stand beside it",
            ),
            _ => failure,
        }
    })
}
