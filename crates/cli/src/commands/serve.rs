//! `waystation serve`.

use app::Role;
use clap::Args;
use config::ElasticMode;

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
    let config = context.config()?;
    if config.elastic.as_ref().is_some_and(|elastic| elastic.demand.mode == ElasticMode::Proxy) {
        tracing::warn!(
            "elastic.mode is \"proxy\", and `serve` fetches nothing: what is not held is answered 404, and `waystation run` on this data folder fetches it"
        );
    }
    daemon(context, Role::Serve, "serve").await
}
