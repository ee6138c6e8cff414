//! `endpoint defender run`.

use std::time::Duration;

use app::Stops;
use async_trait::async_trait;
use endpoint::defender::{Agent, Assumptions, Idle, Managed, Tick, Waiting, run as follow};
use serde_json::json;

use super::page;
use super::player::Player;
use crate::commands::endpoint::state;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::show;

pub(super) async fn run(player: &Player, json: bool, context: &mut Context) -> Result<Exit, Failure> {
    let stops = Stops::listen().map_err(|error| Failure::new("cannot listen for signals", &error))?;
    let (endpoint, managed) = player.play(context)?;
    let mut world = World {
        player,
        agent: endpoint.agent.clone(),
        assumptions: endpoint.assumptions.clone(),
        last: managed,
        json,
        out: &mut context.out,
        failed: None,
    };
    let ended = tokio::select! {
        ended = follow(&endpoint, &mut world) => ended,
        () = stops.asked(1) => Ok(()),
    };
    ended.map_err(|error| state("endpoint defender run", &error))?;
    match world.failed {
        Some(failure) => Err(failure),
        None => Ok(Exit::DONE),
    }
}

struct World<'w> {
    player: &'w Player,
    agent: Agent,
    assumptions: Assumptions,
    last: Managed,
    json: bool,
    out: &'w mut Out,
    failed: Option<Failure>,
}

#[async_trait]
impl Waiting for World<'_> {
    fn settings(&mut self) -> Result<Managed, String> {
        let managed = self.player.managed(&self.agent, &self.assumptions).map_err(|failure| failure.to_string())?;
        self.last.clone_from(&managed);
        Ok(managed)
    }

    fn told(&mut self, tick: &Tick) {
        let told = if self.json { self.tell_json(tick) } else { self.tell(tick) };
        if let Err(failure) = told.and_then(|()| self.out.flush()) {
            self.failed.get_or_insert(failure);
        }
    }

    async fn wait(&mut self, span: Duration) -> bool {
        tokio::time::sleep(span).await;
        self.failed.is_none()
    }
}

impl World<'_> {
    fn tell(&mut self, tick: &Tick) -> Result<(), Failure> {
        match tick {
            Tick::Updated(report) => page::told(report, &self.last, self.out),
            Tick::Idle(idle) => self.out.line(format!("nothing is updated by itself: {}", why(*idle))),
            Tick::BadSettings(what) => {
                self.out.line(format!("the settings cannot be read, those before stay in force: {what}"))
            }
            Tick::Busy(what) => self.out.line(format!("not updated yet, it is tried again: {what}")),
            // To the minute, so that eight hours are not told as seven.
            Tick::Waiting(left) => {
                let left = Duration::from_secs(left.as_secs().saturating_add(1).div_ceil(60) * 60);
                self.out.line(format!("next update in {}", show::span(left)))
            }
        }
    }

    fn tell_json(&mut self, tick: &Tick) -> Result<(), Failure> {
        let value = match tick {
            Tick::Updated(report) => json!({ "event": "update", "report": page::report(report, &self.last) }),
            Tick::Idle(idle) => json!({ "event": "idle", "why": why(*idle) }),
            Tick::BadSettings(what) => json!({ "event": "bad_settings", "why": what }),
            Tick::Busy(what) => json!({ "event": "busy", "why": what }),
            Tick::Waiting(left) => json!({ "event": "waiting", "seconds": left.as_secs() }),
        };
        self.out.json(&value)
    }
}

fn why(idle: Idle) -> String {
    match idle {
        Idle::Enforcement(level) => {
            format!(
                "antivirusEngine.enforcementLevel is {}, and only real_time updates on a timer; such agents update \
                 before each scan (`endpoint defender scan`)",
                level.as_str()
            )
        }
        Idle::Automatic => "cloudService.automaticDefinitionUpdateEnabled is false".to_owned(),
    }
}
