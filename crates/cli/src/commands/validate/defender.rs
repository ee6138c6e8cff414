//! `waystation validate defender`.

use std::path::PathBuf;

use clap::Args;
use model::{RingName, Vendor};

use super::elastic::Form;
use super::{health, mirror, walk};
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Compares Microsoft's version information with the mirror's, and the mirror with what agents say of themselves
///
/// Asks the vendor what it offers, shows what each ring serves, and fetches every archive through the public route.
/// With --health reads what `mdatp health` printed on endpoints: who is behind, on what source, with which engine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation validate defender --url https://mirror.example:8443
  waystation validate defender --health health/ --url https://mirror.example:8443
  waystation validate defender --health health/ --form csv > fleet.csv
  mdatp health --output json | waystation validate defender --health -

Exit codes:
  0  in order, or within policy
  1  the vendor could not be asked, an archive is not served whole, or in another version than
     the ring serves, an endpoint takes definitions from elsewhere, or a report cannot be read
     or is more than one
  2  wrong usage or configuration
  4  freshness beyond policy: of a feed, or of an endpoint")]
pub(crate) struct Defender {
    #[command(flatten)]
    pub(super) route: walk::Route,
    /// The ring that is walked; without it the one at the mirror's root. With --health each endpoint is held against the
    /// ring that its address names, and against this one where its report names no address
    #[arg(long, value_name = "NAME")]
    pub(super) ring: Option<RingName>,
    /// What `mdatp health` printed: files, folders of them with what lies below, or - for standard input
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(super) health: Vec<PathBuf>,
    /// Another address that endpoints reach the mirror by, beside --url; may be repeated
    #[arg(long, value_name = "URL", requires = "health")]
    pub(super) also_at: Vec<String>,
    /// The processor of all these endpoints: x86_64 or arm64; reports do not name it
    #[arg(long, value_name = "ARCH", requires = "health", value_parser = ["x86_64", "arm64"])]
    #[arg(hide_possible_values = true)]
    pub(super) arch: Option<String>,
    /// Shows every endpoint, also those that are equal and in order
    #[arg(long, requires = "health")]
    pub(super) all: bool,
    /// How it is told: text, or csv (one line an endpoint)
    #[arg(long, value_name = "FORM", default_value = "text", hide_possible_values = true, conflicts_with = "json")]
    pub(super) form: Form,
    /// JSON lines: one an endpoint, or one a feed
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) async fn run(args: &Defender, context: &mut Context) -> Result<Exit, Failure> {
    if !args.health.is_empty() {
        if args.route.no_vendor {
            return Err(Failure::usage("--no-vendor compares a mirror: with --health no vendor is asked anyway"));
        }
        return health::run(args, context).await;
    }
    if args.form == Form::Csv {
        return Err(Failure::usage("csv lists endpoints: name --health"));
    }
    let job = mirror::Job { vendor: Vendor::Defender, ring: args.ring.as_ref(), route: &args.route, json: args.json };
    mirror::run(&job, context).await
}
