//! Reads what is held again, where no `run` does it: what has come due since the run before, after what is new was fetched.

use std::io::{self, Write as _};
use std::time::Duration;

use alarm::Life;
use app::Stops;
use config::Config;
use mirror::scrub::Due;
use mirror::{Engine, EngineError, VerifyReport};
use model::error_chain;

use crate::commands::tree::give_back;
use crate::context::Context;
use crate::show;

/// The most seconds that one run reads for, at the rate that is allowed: the next one goes on from there.
const LONGEST: u64 = 15 * 60;

/// What is to be read after this run; none beside a `run` that lives, which reads all by itself.
pub(super) async fn due(engine: &Engine, config: &Config) -> Option<Due> {
    if Life::is_held(&config.data_dir) == Some(true) {
        return None;
    }
    match engine.due_since_last_run(config.limits.scrub).await {
        Ok(due) => due,
        Err(error) => {
            unread(&error);
            None
        }
    }
}

/// Reads it, no faster than is allowed and until it is asked to stop; whether something was damaged, which is set aside. What
/// a ring's folder has whole of that is back.
pub(super) async fn read(engine: &Engine, config: &Config, mut due: Due, (stops, context): (&Stops, &Context)) -> bool {
    let (mut found, mut pause) = (VerifyReport::default(), Duration::ZERO);
    let rate = config.limits.scrub_rate.max(1);
    let mut given = 0;
    while !due.is_read() && found.bytes < rate.saturating_mul(LONGEST) {
        tokio::select! {
            biased;
            () = stops.asked(1) => break,
            () = tokio::time::sleep(pause) => {}
        }
        let step = match engine.scrub_due(&mut due, rate).await {
            Ok(step) => step,
            Err(error) => {
                unread(&error);
                break;
            }
        };
        // At once: whoever publishes meanwhile leaves out what is not held.
        given += if step.faults.is_empty() { 0 } else { give_back(engine, context).await };
        pause = Duration::from_millis(step.bytes.saturating_mul(1000) / rate);
        found.bytes = found.bytes.saturating_add(step.bytes);
        found.faults.extend(step.faults);
    }
    if let Err(error) = engine.leave_unread(due).await {
        unread(&error);
    }
    if !due.is_read() {
        tell(&format!(
            "{} % of what is held is due to be read again: the next sync goes on there, and `waystation release verify --all` \
             reads all at once.",
            due.percent()
        ));
    }
    if !found.faults.is_empty() {
        let back = match given {
            0 => "fetched again where the vendor still offers them".to_owned(),
            given => format!(
                "{} came back out of the ring's folder; the others are fetched again",
                show::count(given, "file")
            ),
        };
        let blobs = show::count(found.faults.len(), "blob");
        tell(&format!("{blobs} had changed on the disk or were gone: set aside; {back}. Check the disk."));
    }
    !found.faults.is_empty()
}

fn unread(error: &EngineError) {
    tell(&format!("what is held could not be read again: {}", show::clean(&error_chain(error))));
}

/// Where nobody reads it, what was damaged is in the history all the same.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
