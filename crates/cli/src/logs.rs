//! Logs on stderr: one event a line, whatever stands in its fields; bounded in length, rate and memory; and never in
//! the way of whoever logs.
//!
//! ```text
//! event → rate cap → formatter → one line → queue → thread → stderr
//! ```
//!
//! # Invariants
//! - An event is one line, and no value in it passes for another field.
//! - Whoever logs never waits for whoever reads: lines that find no room are dropped and counted.
//! - A kind of event that repeats without end costs a bounded number of lines, and what was held back is told.

mod fields;
mod line;
mod rate;
mod sink;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::arguments::{Command, Globals, LogForm};
use crate::failure::Failure;
use fields::Fields;
use rate::{Capped, Rates};
use sink::Sink;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What writes; there is one, since there is one stderr.
static SINK: OnceLock<Sink> = OnceLock::new();

/// What a single act logs: errors, because its report says all else, for whom it waits before there is a report, and what
/// is odd about the file of heads.
const ACT: &str =
    "error,mirror::locks=warn,app::heads=warn,waystation::commands::status=warn,waystation::commands::history=warn";

/// Starts logging. What stays logs from `info` on, a single act [`ACT`].
pub(crate) fn start(globals: &Globals, command: &Command, environment: &[(String, String)]) -> Result<(), Failure> {
    let named = |wanted: &str| environment.iter().find(|(name, value)| name == wanted && !value.is_empty());
    let filter = match (&globals.log_level, named("WAYSTATION_LOG")) {
        (Some(level), _) => filter(level, "--log-level")?,
        (None, _) if globals.verbose > 0 => EnvFilter::new(match globals.verbose {
            1 => "info",
            2 => "debug",
            _ => "trace",
        }),
        (None, _) if globals.quiet => EnvFilter::new("error"),
        (None, Some((_, level))) => filter(level, "WAYSTATION_LOG")?,
        (None, None) => EnvFilter::new(if command.stays() { "info" } else { ACT }),
    };
    let form = form(globals.log, named("WAYSTATION_LOG_FORM").map(|(_, form)| form.as_str()))?;
    let rates = Arc::new(Rates::default());
    let sink = Sink::start(io::stderr(), form, Arc::clone(&rates));
    let sink = sink.map_err(|error| Failure::new("cannot start logging", &error))?;
    let lines = Lines { form, sink: sink.clone() };
    // A second start keeps the first one's; tests of this process are the only ones that start twice.
    let _ = SINK.set(sink);
    let subscriber = Registry::default().with(filter).with(Capped(rates)).with(layer(form, lines));
    subscriber.try_init().map_err(|error| Failure::new("cannot start logging", &error))
}

/// Lets the lines written so far come out, for a moment: what is told next is to stand behind them.
pub(crate) fn settle() {
    if let Some(sink) = SINK.get() {
        sink.settle();
    }
}

fn layer<S>(form: LogForm, lines: Lines) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let plain = tracing_subscriber::fmt::layer().with_ansi(false).with_timer(Utc).log_internal_errors(false);
    match form {
        LogForm::Text => plain.fmt_fields(Fields).with_writer(lines).boxed(),
        LogForm::Json => plain.json().flatten_event(true).with_current_span(false).with_writer(lines).boxed(),
    }
}

/// What the command line says, else the environment, else text.
fn form(given: Option<LogForm>, named: Option<&str>) -> Result<LogForm, Failure> {
    match (given, named) {
        (Some(form), _) => Ok(form),
        (None, None | Some("text")) => Ok(LogForm::Text),
        (None, Some("json")) => Ok(LogForm::Json),
        (None, Some(other)) => Err(Failure::usage(format!("WAYSTATION_LOG_FORM: '{other}' is neither text nor json"))),
    }
}

fn filter(text: &str, source: &str) -> Result<EnvFilter, Failure> {
    let wrong =
        |why: String| Failure::usage(format!("{source}: {why}")).with_next("such as info, or warn,mirror=debug");
    // A lone word would be taken as the name of a part of the program, and a typo would silence everything.
    let bare = text.split(',').map(str::trim).find(|part| !part.contains('=') && !LEVELS.contains(part));
    if let Some(part) = bare {
        return Err(wrong(format!("'{part}' is no level; levels are {}", LEVELS.join(", "))));
    }
    EnvFilter::try_new(text).map_err(|error| wrong(error.to_string()))
}

/// The time of a log line: UTC, to the millisecond.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&line::now())
    }
}

/// Makes a writer per event.
struct Lines {
    form: LogForm,
    sink: Sink,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event { form: self.form, sink: self.sink.clone() }
    }
}

/// Takes one event whole and hands it on as one line.
struct Event {
    form: LogForm,
    sink: Sink,
}

impl Write for Event {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.sink.put(line::one(event, self.form));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
