//! What the program costs, beside what it replaces: `cargo xtask bench`. Everything is measured on release builds and
//! told as a ratio, with the machine and the peers named.
#![allow(clippy::disallowed_methods, reason = "this measures real time")]

mod load;
mod machine;
mod memory;
mod page;
mod programs;
mod site;
mod sync;
mod table;
mod vendor;

use anyhow::Result;
use cargo_metadata::MetadataCommand;
use clap::Subcommand;

use programs::Programs;

/// Which programs are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Those of the sources as they are.
    Anew,
    /// Those that were built before.
    AsItIs,
}

/// What is measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// `sync` against the vendor page's one-liner, at 30 ms.
    Sync {
        /// Rounds of each, alternated.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// The memory of `run` that syncs 250 MB archives and serves 1,000 connections.
    Memory {
        /// Connections of endpoints.
        #[arg(long, default_value_t = 1000)]
        connections: usize,
    },
    /// The clients of `memory`, in a process of their own.
    #[command(hide = true)]
    Load(load::Load),
}

/// Measures; true when every goal is met.
pub(crate) fn run(what: &Bench, build: Build) -> Result<bool> {
    if let Bench::Load(load) = what {
        return load::run(load);
    }
    let metadata = MetadataCommand::new().no_deps().exec()?;
    if build == Build::Anew {
        programs::build(metadata.workspace_root.as_std_path())?;
    }
    let programs = Programs::of(metadata.target_directory.as_std_path());
    let met = match what {
        Bench::Sync { rounds } => sync::run(&programs, *rounds)?,
        Bench::Memory { connections } => memory::run(&programs, *connections)?,
        Bench::Load(_) => true,
    };
    println!("\n{}", machine::describe());
    Ok(met)
}
