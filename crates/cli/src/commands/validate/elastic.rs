//! `waystation validate elastic`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use model::{RingName, Vendor};

use super::{fleet, mirror, walk};
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Compares Elastic's manifests with the mirror's, and the mirror with what endpoints applied
///
/// Asks the vendor what it offers, shows what each ring serves, and walks everything that a served manifest names
/// through the public route. With --elasticsearch reads what every endpoint reported last, and says who is behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation validate elastic --url https://mirror.example:8443 --ca-file corp.pem
  waystation validate elastic --elasticsearch https://es.example:9200 --api-key-file key --form csv > fleet.csv

The key is read from --api-key-file or WAYSTATION_ELASTICSEARCH_API_KEY: id:key, or that in base64.

Exit codes:
  0  in order, or within policy
  1  the vendor could not be asked, a feed is not served, the walk found what endpoints would
     not get, or get in another version than the ring serves, or the fleet cannot be read
  2  wrong usage or configuration
  4  freshness beyond policy: of a feed, or of an endpoint; or no endpoint reported")]
pub(crate) struct Elastic {
    #[command(flatten)]
    pub(super) route: walk::Route,
    /// The ring; without it the one at the mirror's root
    #[arg(long, value_name = "NAME")]
    pub(super) ring: Option<RingName>,
    /// Elasticsearch's address
    #[arg(long, value_name = "URL")]
    pub(super) elasticsearch: Option<String>,
    /// The file of Elasticsearch's API key
    #[arg(long, value_name = "FILE", requires = "elasticsearch")]
    pub(super) api_key_file: Option<PathBuf>,
    /// The CA of Elasticsearch's certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "elasticsearch")]
    pub(super) elasticsearch_ca_file: Option<PathBuf>,
    /// Plain HTTP is meant for Elasticsearch
    #[arg(long, requires = "elasticsearch")]
    pub(super) allow_plain_http: bool,
    /// The data streams of policy responses
    #[arg(long, value_name = "PATTERN", default_value = "metrics-endpoint.policy-*", requires = "elasticsearch")]
    pub(super) index: String,
    /// How many days back is looked
    #[arg(long, value_name = "DAYS", default_value_t = 30, requires = "elasticsearch")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(super) days: u64,
    /// An endpoint whose last report is older is silent
    #[arg(long, value_name = "DAYS", default_value_t = 3, requires = "elasticsearch")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(super) silent_after: u64,
    /// Shows endpoints that are in order, too
    #[arg(long, requires = "elasticsearch")]
    pub(super) all: bool,
    /// How it is told: text, or csv (one line an endpoint)
    #[arg(long, value_name = "FORM", default_value = "text", hide_possible_values = true, conflicts_with = "json")]
    pub(super) form: Form,
    /// JSON lines: one an endpoint, or one a feed
    #[arg(long)]
    pub(super) json: bool,
}

/// How a fleet is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Text,
    Csv,
}

pub(crate) async fn run(args: &Elastic, context: &mut Context) -> Result<Exit, Failure> {
    if let Some(url) = &args.elasticsearch {
        if args.route.no_vendor {
            return Err(Failure::usage(
                "--no-vendor compares a mirror: with --elasticsearch no vendor is asked anyway",
            ));
        }
        return fleet::run(args, url, context).await;
    }
    if args.form == Form::Csv {
        return Err(Failure::usage("csv lists endpoints: name --elasticsearch"));
    }
    let job = mirror::Job { vendor: Vendor::Elastic, ring: args.ring.as_ref(), route: &args.route, json: args.json };
    mirror::run(&job, context).await
}
