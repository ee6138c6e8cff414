//! `waystation demo`.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::context::Context;
use crate::demo::{self, Afterwards, DemoError, Ending, Look, Watching, Wishes};
use crate::failure::{Exit, Failure};
use crate::progress;

/// Shows it all against simulated vendors, then serves on for you to try
///
/// A first sync, endpoints that update, new releases, a bad day upstream, and a summary, in some ten seconds. Needs
/// no internet, no root and no other program; everything lies in a temporary folder and is gone at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation demo
  waystation demo --once --keep ./demo

Exit codes:
  0  everything that was shown was so
  1  something was not, or the demo was ended before its summary
  2  wrong usage")]
pub(crate) struct Demo {
    /// End after the summary
    #[arg(long)]
    once: bool,
    /// Keep configuration and data in this folder, which is new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// No colours, bars or pauses to read; always so where the output is no terminal
    #[arg(long)]
    plain: bool,
}

pub(crate) async fn run(args: &Demo, context: &mut Context) -> Result<Exit, Failure> {
    let lively = !args.plain && context.terminal && io::stdout().is_terminal();
    context.terminal = lively;
    let wishes = Wishes {
        keep: args.keep.clone(),
        look: if lively { Look::Lively { colours: colours(&context.environment) } } else { Look::Plain },
        afterwards: if args.once { Afterwards::End } else { Afterwards::Serve },
        watching: Watching {
            observer: progress::observer(context, &demo::feeds()),
            shows_outcomes: lively && !context.globals.quiet && context.globals.verbose == 0,
        },
        program: program(std::env::args().next()),
        clock: Arc::clone(&context.clock),
    };
    match demo::run(wishes).await {
        Ok(Ending::Right) => Ok(Exit::DONE),
        Ok(Ending::Wrong(_)) => Ok(Exit::FAILED),
        Ok(Ending::Interrupted) => Err(Failure::usage("the demo was ended before its summary").with_exit(Exit::FAILED)),
        Err(error) => Err(failure(&error)),
    }
}

/// The program as the person called it, so that commands can be copied.
fn program(called: Option<String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    called.filter(|called| !called.is_empty() && called.chars().all(plain)).unwrap_or_else(|| "waystation".to_owned())
}

fn failure(error: &DemoError) -> Failure {
    let failure = Failure::new("demo", error);
    if error.is_usage() { failure.with_exit(Exit::USAGE) } else { failure }
}

/// Whether colours are wanted (no-color.org) and can be shown.
fn colours(environment: &[(String, String)]) -> bool {
    let set =
        |name: &str, unwanted: fn(&str) -> bool| environment.iter().any(|(key, value)| key == name && unwanted(value));
    !set("NO_COLOR", |value| !value.is_empty()) && !set("TERM", |value| value == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_can_be_declined() {
        let environment = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert!(colours(&[]) && colours(&environment("NO_COLOR", "")) && colours(&environment("TERM", "xterm")));
        assert!(!colours(&environment("NO_COLOR", "1")) && !colours(&environment("TERM", "dumb")));
    }
}
