//! `cargo xtask`: chores around the workspace. `tidy` holds what the documents promise; `proof` runs the checks
//! that need installed programs, root or minutes; `bench` measures.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command line tool's answers

mod bench;
mod fuzz;
mod proof;
mod simulate;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores around the workspace")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check dependency walls, licences, generated documents, links and sources.
    Tidy {
        /// Write the generated documents instead of only comparing them.
        #[arg(long)]
        fix: bool,
    },
    /// Run the checks that need installed programs, root or minutes.
    Proof {
        /// Only what fits a continuous run, at its size.
        #[arg(long, conflicts_with = "full")]
        ci: bool,
        /// Everything at its full size; the default.
        #[arg(long)]
        full: bool,
        /// Only list the packages whose programs are missing, and run nothing.
        #[arg(long)]
        missing: bool,
    },
    /// Play the whole engine on seeds: faults, crashes, jumping clocks.
    Simulate(simulate::Simulate),
    /// Run the fuzz targets, each for a while, and print what that came to.
    Fuzz(fuzz::Fuzz),
    /// Measure release builds beside what they replace.
    Bench {
        /// Take the programs as they were built before.
        #[arg(long)]
        as_built: bool,
        #[command(subcommand)]
        what: bench::Bench,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Tidy { fix } => tidy::run(if fix { tidy::Mode::Fix } else { tidy::Mode::Check }),
        Chore::Bench { as_built, what } => {
            bench::run(&what, if as_built { bench::Build::AsItIs } else { bench::Build::Anew })
        }
        Chore::Simulate(what) => simulate::run(&what),
        Chore::Fuzz(what) => fuzz::run(&what),
        Chore::Proof { ci, missing, full: _ } => {
            let size = if ci { proof::Size::Ci } else { proof::Size::Full };
            if missing { proof::list_missing(size) } else { proof::run(size) }
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
