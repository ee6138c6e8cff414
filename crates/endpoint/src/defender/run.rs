//! The timer: updates when they are due, with the settings as they are then.

use std::time::Duration;

use async_trait::async_trait;

use super::due::{Due, Idle, due};
use super::managed::Managed;
use super::update::{Endpoint, Report};
use crate::disk::StateError;

/// How often the settings are looked at while nothing is due.
const LOOK: Duration = Duration::from_secs(10);

/// What the timer does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tick {
    /// It updated.
    Updated(Report),
    /// Nothing happens by itself with these settings.
    Idle(Idle),
    /// The settings cannot be used, so those that were read last stay in force.
    BadSettings(String),
    /// Another process works on the state, such as an update by hand: it is tried again.
    Busy(String),
    /// The next update is due after so long.
    Waiting(Duration),
}

/// How the timer hears of the world.
#[async_trait]
pub trait Waiting: Send {
    /// The settings as they are now; in words, why they cannot be used.
    fn settings(&mut self) -> Result<Managed, String>;
    /// Who asks, for these settings.
    fn told(&mut self, tick: &Tick);
    /// Waits for so long; false when it is to end.
    async fn wait(&mut self, span: Duration) -> bool;
}

/// Updates when it is due, until it is told to end.
///
/// # Errors
/// [`StateError`] when the state cannot be read or written.
pub async fn run(endpoint: &Endpoint, world: &mut dyn Waiting) -> Result<(), StateError> {
    let mut last: Option<Managed> = None;
    let mut told: Option<Tick> = None;
    loop {
        match world.settings() {
            Ok(managed) => last = Some(managed),
            Err(why) => say(world, &mut told, Tick::BadSettings(why)),
        }
        let mut span = LOOK;
        if let Some(managed) = &last {
            match due(managed, &endpoint.store.record()?, endpoint.clock.0.now()) {
                Due::Never(idle) => say(world, &mut told, Tick::Idle(idle)),
                Due::Now => match endpoint.update(managed).await {
                    Ok(report) => {
                        say(world, &mut told, Tick::Updated(report));
                        continue_after(endpoint, managed, world, &mut told)?;
                    }
                    Err(busy @ StateError::Busy { .. }) => say(world, &mut told, Tick::Busy(busy.to_string())),
                    Err(error) => return Err(error),
                },
                Due::In(left) => {
                    // Whoever starts it with a set that is fresh hears that it waits, and so does whoever heard that another
                    // process was at it.
                    if matches!(told, None | Some(Tick::Busy(_))) {
                        say(world, &mut told, Tick::Waiting(left));
                    }
                    span = left.min(LOOK);
                }
            }
        }
        if !world.wait(span).await {
            return Ok(());
        }
    }
}

/// Tells when the next one is due.
fn continue_after(
    endpoint: &Endpoint,
    managed: &Managed,
    world: &mut dyn Waiting,
    told: &mut Option<Tick>,
) -> Result<(), StateError> {
    if let Due::In(left) = due(managed, &endpoint.store.record()?, endpoint.clock.0.now()) {
        say(world, told, Tick::Waiting(left));
    }
    Ok(())
}

/// Tells what is new, and repeats nothing.
fn say(world: &mut dyn Waiting, told: &mut Option<Tick>, tick: Tick) {
    if told.as_ref() != Some(&tick) || matches!(tick, Tick::Updated(_)) {
        world.told(&tick);
        *told = Some(tick);
    }
}
