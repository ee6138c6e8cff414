//! `waystation configure elastic|defender`.

mod address;
mod defender;
mod elastic;
mod findings;
mod policy;
mod trial;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::{Exit, Failure};

pub(crate) use address::configuration;

/// Prints what endpoints are to be set to for a ring, merges it into what is there, and checks it
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  waystation configure elastic --url https://mirror.example:8443
  waystation configure defender --check mdatp_managed.json

docs/configure-endpoints.md says what every setting does.

Exit codes:
  0  done
  1  failed, or --check found what breaks
  2  wrong usage or configuration, or an address that is known to break")]
pub(crate) enum Configure {
    Elastic(elastic::Elastic),
    Defender(defender::Defender),
}

pub(crate) async fn run(verb: &Configure, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Configure::Elastic(args) => elastic::run(args, context).await,
        Configure::Defender(args) => defender::run(args, context),
    }
}
