//! Logs on stderr: one event a line, whatever stands in its fields.

use std::fmt;
use std::io::{self, Write};

use model::Clock as _;
use platform::SystemClock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::arguments::{Command, Globals, LogForm};
use crate::failure::Failure;
use crate::show;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts logging. What stays logs from `info` on; a single act only errors, because its report says all else.
pub(crate) fn start(globals: &Globals, command: &Command, environment: &[(String, String)]) -> Result<(), Failure> {
    let named = environment.iter().find(|(name, value)| name == "WAYSTATION_LOG" && !value.is_empty());
    let filter = match (&globals.log_level, named) {
        (Some(level), _) => filter(level, "--log-level")?,
        (None, _) if globals.verbose > 0 => EnvFilter::new(match globals.verbose {
            1 => "info",
            2 => "debug",
            _ => "trace",
        }),
        (None, _) if globals.quiet => EnvFilter::new("error"),
        (None, Some((_, level))) => filter(level, "WAYSTATION_LOG")?,
        (None, None) => EnvFilter::new(if command.stays() { "info" } else { "error" }),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_timer(Utc)
        .log_internal_errors(false)
        .with_writer(Lines(globals.log));
    let started = match globals.log {
        LogForm::Text => lines.try_init(),
        LogForm::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    started.map_err(|error| Failure::new("cannot start logging", error.as_ref()))
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
        let now = SystemClock::new().now();
        let seconds = now.to_string();
        write!(w, "{}.{:03}Z", seconds.trim_end_matches('Z'), now.as_micros().rem_euclid(1_000_000) / 1000)
    }
}

/// Makes a writer per event.
struct Lines(LogForm);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0)
    }
}

/// Takes one event whole and writes it as one line.
struct Line(LogForm);

impl Write for Line {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(one_line(event, self.0).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// An event as one line: nothing in it starts another, and nothing in it moves a terminal.
fn one_line(event: &[u8], form: LogForm) -> String {
    let text = String::from_utf8_lossy(event);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut line = match form {
        LogForm::Text => show::clean(text),
        // JSON escapes controls itself; what is left hides or reorders text.
        LogForm::Json => text
            .chars()
            .map(|c| if show::is_hidden(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() })
            .collect(),
    };
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_c36() {
        let hostile = "WARN feed=a\n2026-01-01 ERROR forged\u{1b}[2J\u{202e}\n";
        let text = one_line(hostile.as_bytes(), LogForm::Text);
        assert_eq!(text, "WARN feed=a\\n2026-01-01 ERROR forged\\u{1b}[2J\\u{202e}\n");
        let json = one_line("{\"a\":\"x\u{202e}\u{9b}y\"}\n".as_bytes(), LogForm::Json);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "x\u{202e}\u{9b}y");
        assert!(json.is_ascii());
    }

    #[test]
    fn a_typo_in_a_level_is_told() {
        assert!(filter("info", "x").is_ok() && filter("warn,mirror=debug", "x").is_ok());
        for bad in ["inof", "warn,mirror", "mirror=loud", ""] {
            assert!(filter(bad, "--log-level").is_err(), "{bad}");
        }
    }
}
