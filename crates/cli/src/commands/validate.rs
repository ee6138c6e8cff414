//! `waystation validate elastic|defender`.

mod at;
mod defender;
mod elastic;
mod fleet;
mod health;
mod look;
mod mirror;
mod rings;
mod second;
mod walk;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Compares vendor, mirror and fleet: what is offered, what is served, what endpoints have
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  waystation validate elastic --url https://mirror.example:8443
  waystation validate elastic --elasticsearch https://es.example:9200 --api-key-file key
  waystation validate defender --health health/

docs/validate.md says what every state means. Nothing is changed.

Exit codes:
  0  in order, or within policy
  1  something is wrong that is no matter of time
  2  wrong usage or configuration
  4  freshness beyond policy")]
pub(crate) enum Validate {
    Elastic(elastic::Elastic),
    Defender(defender::Defender),
}

pub(crate) async fn run(verb: &Validate, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Validate::Elastic(args) => elastic::run(args, context).await,
        Validate::Defender(args) => defender::run(args, context).await,
    }
}
