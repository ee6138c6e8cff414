//! `waystation endpoint …`: the reference endpoints.

pub(crate) mod defender;
pub(crate) mod elastic;
pub(crate) mod swarm;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use trust::KeyRing;

use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Plays the vendors' endpoints towards a mirror: tries a mirror, a ring or a setting before the fleet does
///
/// Stand-ins, not the vendors' programs: what the vendors publish is followed, what they do not say is chosen here and
/// listed in docs/reference-endpoint.md. No configuration is read and no data folder touched.
#[derive(Debug, Subcommand)]
#[command(after_help = format!(
    "Example:\n  waystation endpoint defender update --state ep --settings mdatp_managed.json\n\n{TWO_ENDS}"
))]
pub(crate) enum Endpoint {
    #[command(subcommand)]
    Defender(defender::Defender),
    #[command(subcommand)]
    Elastic(elastic::Elastic),
    Swarm(swarm::Swarm),
}

impl Endpoint {
    /// Whether it goes on until it is told to end.
    pub(crate) fn stays(&self) -> bool {
        matches!(self, Self::Defender(defender::Defender::Run(_)))
    }
}

pub(crate) async fn run(verb: &Endpoint, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Endpoint::Defender(verb) => defender::run(verb, context).await,
        Endpoint::Elastic(verb) => elastic::run(verb, context).await,
        Endpoint::Swarm(args) => swarm::run(args, context).await,
    }
}

/// A file that was named.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let failure = Failure::new(&format!("cannot read {}", path.display()), &error);
        failure.with_exit(Exit::USAGE).with_next("name a file that is there and that this user may read")
    })
}

/// The keys in the files that were named; none where none was.
fn keys(files: &[PathBuf]) -> Result<Option<KeyRing>, Failure> {
    let mut ring = None;
    for path in files {
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        let refused = |error| Failure::new(&path.display().to_string(), &error).with_exit(Exit::USAGE);
        ring = Some(ring.unwrap_or_else(KeyRing::empty).with_pem(&text).map_err(refused)?);
    }
    Ok(ring)
}

/// The state could not be read or written.
fn state(verb: &str, error: &::endpoint::StateError) -> Failure {
    let reason = error.reason();
    // The code's own words are about files; here it may be the folder that was named.
    let remedy = match reason {
        model::Reason::UnsafeFile => "Name a folder of your own with --state, or remove what stands in its place.",
        other => other.remedy(),
    };
    Failure::new(verb, error).with_next(format!("{remedy} (reason {reason})"))
}
