//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    alarm, compat, configure, demo, doctor, endpoint, feed, gc, history, init, release, ring, run, serve, status, sync,
    tree, validate,
};

/// The exit codes of verbs that either do their work or fail.
pub(crate) const TWO_ENDS: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration";

/// Fetches, proves, keeps, publishes and serves the content of endpoint-security vendors.
#[derive(Debug, Parser)]
#[command(
    name = "waystation",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "\
Example:
  waystation init && waystation sync --plan

Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  3  done in part: some feeds failed or are quarantined; the report names them
  4  freshness beyond policy")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every verb takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The configuration; else WAYSTATION_CONFIG, ./waystation.toml, /etc/waystation/waystation.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How log lines on stderr look: text, or json (one object a line)
    #[arg(long, global = true, value_name = "FORM", hide_possible_values = true)]
    pub(crate) log: Option<LogForm>,
    /// What is logged: off, error, warn, info, debug, trace, or such as warn,mirror=debug; else WAYSTATION_LOG
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// More logs (-v info, -vv debug, -vvv trace), and progress in plain lines
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// No progress, and no logs but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Run(run::Run),
    Serve(serve::Serve),
    Sync(sync::Sync),
    Status(status::Status),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Feed(feed::Feed),
    #[command(subcommand)]
    Release(release::Release),
    #[command(subcommand)]
    Ring(ring::Ring),
    Gc(gc::Gc),
    #[command(subcommand)]
    Tree(tree::Tree),
    #[command(subcommand)]
    Configure(configure::Configure),
    #[command(subcommand)]
    Validate(validate::Validate),
    #[command(subcommand)]
    Alarm(alarm::Alarm),
    #[command(subcommand)]
    History(history::History),
    #[command(subcommand)]
    Endpoint(endpoint::Endpoint),
    #[command(subcommand)]
    Compat(compat::Compat),
    Demo(demo::Demo),
}

impl Command {
    /// Whether it goes on until it is told to end: its log is then its only voice.
    pub(crate) fn stays(&self) -> bool {
        match self {
            Self::Run(_) | Self::Serve(_) => true,
            Self::Endpoint(verb) => verb.stays(),
            _ => false,
        }
    }
}

/// A reason as it goes into the history.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say why, for the history".to_owned());
    }
    if text.chars().count() > 1000 || text.chars().any(char::is_control) {
        return Err("at most 1000 characters on one line".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_reason_is_one_line_c36() {
        assert_eq!(reason("  the vendor went back "), Ok("the vendor went back".to_owned()));
        for bad in ["", "  ", "a\nb", "a\u{1b}[0m", &"x".repeat(1001)] {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
    }
}
