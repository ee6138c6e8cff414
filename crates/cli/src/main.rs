//! `waystation`, the one binary: what was typed, handed to the engine, and told again in words.
//!
//! One file per command under `commands`; none of them decides anything about content. Facts go to stdout, progress
//! and logs to stderr, and a failure is told once: what failed, why, and what to do next.
//!
//! # Invariants
//! - The exit code is 0 done, 1 failed, 2 wrong usage or configuration, 3 in part, 4 freshness beyond policy.
//! - A reader of stdout that goes away changes neither what a command does nor its exit code.
//! - Nothing from outside reaches a terminal or a log with control characters in it.

mod arguments;
mod commands;
mod console;
mod context;
mod csv;
mod demo;
mod failure;
mod logs;
mod moment;
mod out;
#[cfg(test)]
mod page;
mod past;
mod progress;
mod show;
mod table;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use clap::error::ErrorKind;
use platform::SystemClock;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;

fn main() -> ExitCode {
    let exit = match Arguments::try_parse() {
        Ok(arguments) => act(arguments),
        Err(error) => usage(&error),
    };
    ExitCode::from(exit.code())
}

fn act(arguments: Arguments) -> Exit {
    let environment = config::environment();
    let mut context = Context {
        globals: arguments.globals,
        clock: Arc::new(SystemClock::new()),
        out: Out::stdout(),
        environment,
        terminal: io::stderr().is_terminal(),
        acted: std::sync::OnceLock::new(),
    };
    let done = logs::start(&context.globals, &arguments.command, &context.environment)
        .and_then(|()| commands::run(&arguments.command, &mut context));
    // What was written and logged before a failure is told before the failure.
    logs::settle();
    let flushed = context.out.flush();
    match done.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => tell(&failure),
    }
}

/// Tells a failure, once. A closed stderr leaves the exit code to tell it.
fn tell(failure: &Failure) -> Exit {
    let _ = writeln!(io::stderr(), "waystation: {failure}");
    failure.exit()
}

/// Help and version are facts; all else is a mistake.
fn usage(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let mut out = Out::stdout();
            match out.text(&text).and_then(|()| out.flush()) {
                Ok(()) => Exit::DONE,
                Err(failure) => tell(&failure),
            }
        }
        _ => {
            let _ = io::stderr().write_all(text.as_bytes());
            Exit::USAGE
        }
    }
}
