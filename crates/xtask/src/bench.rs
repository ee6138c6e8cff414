//! What the program costs, beside what it replaces: `cargo xtask bench`. Everything is measured on release builds and
//! told as a ratio, with the machine and the peers named.
#![allow(clippy::disallowed_methods, reason = "this measures real time")]

mod load;
mod machine;
mod memory;
mod page;
mod programs;
mod proxy;
mod serve;
mod site;
mod sync;
mod table;
mod vendor;

use anyhow::Result;
use cargo_metadata::MetadataCommand;
use clap::Subcommand;

use programs::Programs;
use serve::{Case, Effort, Rows};

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
    /// Serving, beside nginx and Apache.
    Serve {
        /// Rounds of each, alternated.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How long each measurement takes.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
        /// Only the rows whose name holds this.
        #[arg(long)]
        only: Option<String>,
    },
    /// A poll through a proxy, beside nginx as the vendor page has it and tuned.
    Proxy {
        /// Rounds of each, alternated.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How long each measurement takes.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// Memory of idle connections, plain and over TLS, beside nginx.
    Idle {
        /// Rounds of each, alternated.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// How long polls take beside 8 bulk downloads, beside nginx.
    Latency {
        /// Rounds of each, alternated.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How long each measurement takes.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// Serving at full load for a long time: memory and descriptors stay as they are.
    Soak(serve::Soak),
    /// The clients of `serve`, in a process of their own.
    #[command(hide = true)]
    Generator(serve::Generator),
    /// The clients of `memory`, in a process of their own.
    #[command(hide = true)]
    Load(load::Load),
}

/// Measures; true when every goal is met.
pub(crate) fn run(what: &Bench, build: Build) -> Result<bool> {
    match what {
        Bench::Load(load) => return load::run(load),
        Bench::Generator(generator) => return serve::generate(generator),
        _ => {}
    }
    let metadata = MetadataCommand::new().no_deps().exec()?;
    if build == Build::Anew {
        programs::build(metadata.workspace_root.as_std_path())?;
    }
    let programs = Programs::of(metadata.target_directory.as_std_path());
    let met = match what {
        Bench::Sync { rounds } => sync::run(&programs, *rounds)?,
        Bench::Memory { connections } => memory::run(&programs, *connections)?,
        Bench::Serve { rounds, seconds, only } => {
            let rows = only.clone().map_or(Rows::All, Rows::Named);
            serve::run(&programs, &Effort { rounds: *rounds, seconds: *seconds, rows })?
        }
        Bench::Proxy { rounds, seconds } => proxy::run(&programs, *rounds, *seconds)?,
        Bench::Idle { rounds } => {
            serve::run(&programs, &Effort { rounds: *rounds, seconds: 0, rows: Rows::Of(Case::Idle) })?
        }
        Bench::Latency { rounds, seconds } => {
            serve::run(&programs, &Effort { rounds: *rounds, seconds: *seconds, rows: Rows::Of(Case::Beside) })?
        }
        Bench::Soak(soak) => serve::soak(&programs, soak)?,
        Bench::Load(_) | Bench::Generator(_) => true,
    };
    println!("\n{}", machine::describe());
    Ok(met)
}
