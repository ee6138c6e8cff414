//! The verbs, one file each.

pub(crate) mod alarm;
pub(crate) mod compat;
pub(crate) mod configure;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod endpoint;
pub(crate) mod feed;
pub(crate) mod gc;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod release;
pub(crate) mod ring;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod tree;
pub(crate) mod validate;

use crate::arguments::Command;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Carries out what was typed.
pub(crate) fn run(command: &Command, context: &mut Context) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start", &error))?;
    let ended = runtime.block_on(async {
        let ended = match command {
            Command::Init(args) => init::run(args, context),
            Command::Run(_) => run::run(context).await,
            Command::Serve(_) => serve::run(context).await,
            Command::Sync(args) => sync::run(args, context).await,
            Command::Status(args) => status::run(args, context).await,
            Command::Doctor(args) => doctor::run(args, context).await,
            Command::Feed(verb) => feed::run(verb, context).await,
            Command::Release(verb) => release::run(verb, context).await,
            Command::Ring(verb) => ring::run(verb, context).await,
            Command::Gc(args) => gc::run(args, context).await,
            Command::Tree(verb) => tree::run(verb, context).await,
            Command::Configure(verb) => configure::run(verb, context).await,
            Command::Validate(verb) => validate::run(verb, context).await,
            Command::Alarm(verb) => alarm::run(verb, context).await,
            Command::History(verb) => history::run(verb, context).await,
            Command::Endpoint(verb) => endpoint::run(verb, context).await,
            Command::Compat(verb) => compat::run(verb, context).await,
            Command::Demo(args) => demo::run(args, context).await,
        };
        let mend = if matches!(command, Command::Sync(_)) { tree::Mend::Fetch } else { tree::Mend::SetAside };
        let ended = if context.acted.get().is_some() { tree::follow(ended, mend, context).await } else { ended };
        match (ended, context.tell_head().await) {
            (Ok(exit), Some(broken)) => Err(if exit == Exit::DONE { broken } else { broken.with_exit(exit) }),
            (Err(failure), Some(broken)) => Err(failure.and(&broken)),
            (ended, None) => ended,
        }
    });
    // Nothing that matters is left to be waited for, and a thread that hangs must not keep us.
    runtime.shutdown_background();
    ended
}
