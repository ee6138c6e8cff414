//! The lines that the program obeys on its standard input.

use std::fmt::Write as _;

use crate::defender::{DefenderChange, DefenderTarget, FeedTextError};
use crate::elastic::{Change, ElasticTarget, Step};
use crate::fault::{Fault, FaultError, FaultRule, Pattern, PatternError, Times, named_faults};
use crate::settings::QuantityError;
use crate::simulator::Simulator;
use crate::world::PublishError;

/// A line was not obeyed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// Not one of the commands.
    #[error("not understood; {HELP}")]
    Unknown,
    /// A publication that did not happen.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// No such fault.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// No such pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// No such feed.
    #[error(transparent)]
    Feed(#[from] FeedTextError),
    /// Not a size or duration.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// There was nothing to retire.
    #[error("there was nothing to retire")]
    Nothing,
}

const HELP: &str = "commands are: publish elastic [VERSION|all] [HOW], publish defender [FEED|all] [HOW], HOW being next, \
     same, back, leap, shrink or grow; retire elastic VERSION, retire defender FEED, retire /PATH; \
     fault NAME [PATTERN] [TIMES|always]; faults; clear; stats; reset; log; help; quit";

impl Simulator {
    /// Obeys one line, such as `publish elastic 9.0.0 regress` or `fault html manifest 2`, and answers what to print.
    pub fn command(&self, line: &str) -> Result<String, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => Ok(String::new()),
            ["publish", "elastic", rest @ ..] => {
                let (target, how) = target_and_how(rest);
                let target = ElasticTarget::from(target);
                self.publish_elastic(target.clone(), elastic_change(how)?)?;
                Ok(self.describe_elastic(&target))
            }
            ["publish", "defender", rest @ ..] => {
                let (target, how) = target_and_how(rest);
                let target: DefenderTarget = target.parse()?;
                self.publish_defender(target, self.defender_change(how)?)?;
                Ok(self.describe_defender(target))
            }
            ["retire", "elastic", target] => told(self.retire_elastic(*target)),
            ["retire", "defender", target] => told(self.retire_defender(target.parse::<DefenderTarget>()?)),
            ["retire", path] => told(self.retire_path(path)),
            ["fault", name, rest @ ..] => {
                self.inject(rule(name, rest)?);
                Ok(format!("{name} waits"))
            }
            ["faults"] => {
                Ok(named_faults().map(|(name, ids, _)| format!("{name} ({ids})")).collect::<Vec<_>>().join("\n"))
            }
            ["clear"] => {
                self.clear_faults();
                Ok("all faults forgotten".to_owned())
            }
            ["stats"] => Ok(self.describe_counters()),
            ["reset"] => {
                self.reset_counters();
                Ok("counters are at zero".to_owned())
            }
            ["log"] => Ok(self.describe_log()),
            ["help"] => Ok(HELP.to_owned()),
            _ => Err(CommandError::Unknown),
        }
    }

    fn defender_change(&self, how: &str) -> Result<DefenderChange, CommandError> {
        let feeds = self.defender_feeds();
        let size =
            || feeds.iter().find_map(|feed| self.defender_release(*feed)).map_or(0, |release| release.archive.len());
        Ok(match how {
            "shrink" => DefenderChange::size(size() / 10),
            "grow" => DefenderChange::size(size().saturating_mul(10)),
            "engine" => DefenderChange { engine: true, ..DefenderChange::default() },
            _ => DefenderChange::step(step(how)?),
        })
    }

    fn describe_elastic(&self, target: &ElasticTarget) -> String {
        let all = self.elastic_targets();
        let meant = all.into_iter().filter(|one| *target == ElasticTarget::All || one == target);
        let releases = meant.filter_map(|target| self.elastic_release(target));
        releases.map(|r| format!("{} is at {}", r.target, r.manifest_version)).collect::<Vec<_>>().join("\n")
    }

    fn describe_defender(&self, target: DefenderTarget) -> String {
        let meant = |feed: &_| target == DefenderTarget::All || target == DefenderTarget::Feed(*feed);
        let releases = self.defender_feeds().into_iter().filter(meant).filter_map(|feed| self.defender_release(feed));
        releases
            .map(|r| format!("{} is at {}, engine {}", r.feed, r.definitions, r.engine))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn describe_counters(&self) -> String {
        let counters = self.requests();
        let mut text = format!(
            "{} requests on {} connections, {} bytes sent, {} of them in bodies; at most {} requests at once",
            counters.requests, counters.connections, counters.bytes_sent, counters.body_bytes, counters.in_flight_peak,
        );
        for (status, count) in &counters.by_status {
            let _ = write!(text, "\n{status}: {count}");
        }
        text
    }

    fn describe_log(&self) -> String {
        let line = |entry: &crate::LogEntry| {
            format!("{} {} -> {} {}", entry.method, entry.target.escape_debug(), entry.status, entry.faults.join(", "))
        };
        self.log().iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// `[TARGET] [HOW]`, in that order, both optional.
fn target_and_how<'a>(words: &[&'a str]) -> (&'a str, &'a str) {
    match words {
        [how] if elastic_change(how).is_ok() || *how == "engine" => ("all", how),
        [target] => (target, "next"),
        [target, how, ..] => (target, how),
        [] => ("all", "next"),
    }
}

fn step(how: &str) -> Result<Step, CommandError> {
    Ok(match how {
        "next" => Step::Next,
        "same" => Step::Same,
        "back" | "regress" => Step::Back(1),
        "leap" => Step::Leap,
        _ => return Err(CommandError::Unknown),
    })
}

fn elastic_change(how: &str) -> Result<Change, CommandError> {
    Ok(match how {
        "shrink" => Change::shrink(27),
        "grow" => Change::grow(300),
        _ => Change { changed: 3, step: step(how)?, ..Change::default() },
    })
}

fn rule(name: &str, rest: &[&str]) -> Result<FaultRule, CommandError> {
    let fault: Fault = name.parse()?;
    let pattern = rest.first().map_or(Ok(Pattern::Any), |text| text.parse())?;
    let times = match rest.get(1) {
        None => Times::Once,
        Some(&"always") => Times::Always,
        Some(text) => Times::Count(text.parse().map_err(|_| CommandError::Unknown)?),
    };
    Ok(FaultRule { pattern, fault, times })
}

fn told(done: bool) -> Result<String, CommandError> {
    if done { Ok("gone".to_owned()) } else { Err(CommandError::Nothing) }
}
