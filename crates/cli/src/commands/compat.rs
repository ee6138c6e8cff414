//! `waystation compat defender-downloader`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use compat::{CompatError, Ended, Said, Settings};
use model::Reason;
use tree::{Depth, TreeError};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;

/// Stands in for other programs, with their own settings
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example:
  waystation compat defender-downloader --settings /opt/mdatp/settings.json

Exit codes:
  0  done
  1  failed
  2  wrong usage or settings
  3  done in part")]
pub(crate) enum Compat {
    DefenderDownloader(Downloader),
}

/// Does what Microsoft's xplat_offline_updates_download does, from the same settings.json into the same folder
///
/// Needs no configuration: a proxy is taken from https_proxy and no_proxy, and WAYSTATION__SECTION__KEY overrides what the
/// settings come to. The state is kept outside of the folder; other commands work on it with --config
/// STATE/waystation.toml.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation compat defender-downloader --settings /opt/mdatp/settings.json

Exit codes:
  0  all that the settings ask for is in the folder and current
  1  failed: every target, or the run as a whole (reason locked: another run fills the folder)
  2  wrong usage or settings
  3  done in part: some targets failed or are quarantined, the folder is not what it should be, or
     the log cannot be written; what is told names which")]
pub(crate) struct Downloader {
    /// The settings; else settings.json in the working folder
    #[arg(long, value_name = "FILE", default_value = "settings.json")]
    settings: PathBuf,
    /// Where state is kept, for this downloadFolder alone; else WAYSTATION_STATE, a folder below
    /// /var/lib/waystation for root, or below ~/.local/state/waystation
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Read every byte in the folder; else that is done once a day
    #[arg(long)]
    verify: bool,
}

const VERB: &str = "defender-downloader";

pub(crate) async fn run(verb: &Compat, context: &mut Context) -> Result<Exit, Failure> {
    match verb {
        Compat::DefenderDownloader(args) => download(args, context).await,
    }
}

async fn download(args: &Downloader, context: &mut Context) -> Result<Exit, Failure> {
    let value = |name: &str| context.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let settings = Settings::read(&args.settings, value("HOME").as_deref());
    let settings = settings.map_err(|error| Failure::new(VERB, &error).with_exit(Exit::USAGE))?;
    let given = args.state.clone().or_else(|| value("WAYSTATION_STATE").filter(|v| !v.is_empty()).map(PathBuf::from));
    let state = given.or_else(|| compat::state_folder(&whole(&settings.folder), &context.environment));
    let state = state.map(|state| whole(&state)).ok_or_else(|| {
        Failure::usage(format!("{VERB}: there is no home folder to keep state in"))
            .with_next("name a folder with --state")
    })?;
    let (clock, environment, out) = (Arc::clone(&context.clock), context.environment.clone(), &mut context.out);
    let depth = if args.verify { Depth::Prove } else { Depth::Look };
    let mut lost = None;
    let mut people = |said: Said<'_>| match said {
        Said::Line(text) => {
            if let Err(failure) = text.lines().try_for_each(|line| out.line(line)) {
                lost.get_or_insert(failure);
            }
        }
        // A closed stderr ends no run: the log and the exit code say it too.
        Said::Error(text) => {
            let _ = text.lines().try_for_each(|line| writeln!(io::stderr(), "{}", show::clean(line)));
        }
    };
    let ended = compat::run(&settings, &state, (clock, &environment), depth, &mut people).await;
    if let Some(failure) = lost {
        return Err(failure);
    }
    match ended {
        Ok(outcome) => Ok(match outcome.ended {
            Ended::Done => Exit::DONE,
            Ended::Failed => Exit::FAILED,
            Ended::Part => Exit::PART,
        }),
        Err(error) => Err(failure(&error)),
    }
}

/// A path from the root on: the state's name must not depend on where one stands.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn failure(error: &CompatError) -> Failure {
    let failure = Failure::new(VERB, error);
    if error.is_usage() {
        return failure.with_exit(Exit::USAGE);
    }
    let next = match (error.reason(), error) {
        (Reason::Locked, _) => {
            "Nothing has to be done: what runs ends by itself, and the next run does the rest. If it does not end, see why"
        }
        // It says itself what to do.
        (_, CompatError::Shown { .. }) => return failure,
        (
            _,
            CompatError::Tree(
                TreeError::Unsafe { .. }
                | TreeError::Replaceable { .. }
                | TreeError::Kept { .. }
                | TreeError::InData { .. },
            ),
        ) => return failure,
        (Reason::UnsafeFile, _) => {
            "Folders are to be real folders, and files plain files, no links, of this user, that nobody else can write"
        }
        (reason, _) => reason.remedy(),
    };
    failure.with_next(format!("{} (reason {})", next.trim_end_matches('.'), error.reason()))
}
