//! Whole events, from the macro to the line.

use std::sync::Arc;

use serde_json::Value;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use super::rate::{Capped, Rates};
use super::sink::Sink;
use super::{Lines, filter, form, layer};
use crate::arguments::LogForm;
use crate::page::Page;
use crate::show;

/// What is written while `work` logs.
fn logged(form: LogForm, work: impl FnOnce()) -> String {
    let (page, rates) = (Page::default(), Arc::new(Rates::default()));
    let sink = Sink::start(page.clone(), form, Arc::clone(&rates)).unwrap();
    let lines = Lines { form, sink: sink.clone() };
    let subscriber = Registry::default().with(Capped(rates)).with(layer(form, lines));
    tracing::subscriber::with_default(subscriber, work);
    sink.settle();
    page.text()
}

const HOSTILE: [&str; 10] = [
    "$(id)",
    "a;b",
    "`x`",
    "<img onerror=alert(1)>",
    "{{7*7}}",
    "\u{1b}[2J\u{1b}]0;x\u{7}",
    "a\r\n2026-01-01T00:00:00Z ERROR forged",
    "\u{202e}txt.exe\u{2066}",
    "x\0y\u{2028}z",
    "\" level=ERROR feed=\"forged",
];

/// Hostile texts in every kind of field: as they display, as they debug, as texts, in the message.
fn everywhere(text: &str) {
    tracing::warn!(feed = %text, detail = ?text, error = text, "{text}");
}

#[test]
fn hostile_texts_stay_in_their_field_c36() {
    for text in HOSTILE {
        let line = logged(LogForm::Text, || everywhere(text));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.trim_end_matches('\n').chars().any(show::is_hidden), "{line}");
        assert!(!line.contains(" feed=forged") && line.contains(" detail="), "{line}");
        let line = logged(LogForm::Json, || everywhere(text));
        assert_eq!(line.lines().count(), 1, "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((value["feed"].as_str(), value["error"].as_str()), (Some(text), Some(text)));
        assert_eq!((value["message"].as_str(), value["level"].as_str()), (Some(text), Some("WARN")));
    }
}

#[test]
fn a_flood_is_a_bounded_number_of_lines_i6() {
    let lines = logged(LogForm::Text, || {
        for number in 0..100_000 {
            tracing::warn!(number, "again");
        }
        tracing::warn!("another kind");
    });
    assert!(lines.lines().count() <= 102, "{}", lines.lines().count());
    assert!(lines.contains("another kind") && lines.contains("suppressed=99900"), "{lines}");
}

#[test]
fn a_line_is_cut_whatever_it_holds_i6() {
    let long = "x".repeat(1 << 20);
    for form in [LogForm::Text, LogForm::Json] {
        let line = logged(form, || tracing::info!(detail = %long, "long"));
        assert!(line.len() <= 8192 && line.contains("long"), "{}", line.len());
    }
}

#[test]
fn plain_events_read_plainly() {
    let line = logged(LogForm::Text, || {
        tracing::info!(address = %"127.0.0.1:8080", files = 3, "serving content");
    });
    assert!(line.ends_with(": serving content address=127.0.0.1:8080 files=3\n"), "{line}");
}

#[test]
fn a_typo_in_a_level_or_form_is_told() {
    assert!(filter("info", "x").is_ok() && filter("warn,mirror=debug", "x").is_ok());
    for bad in ["inof", "warn,mirror", "mirror=loud", ""] {
        assert!(filter(bad, "--log-level").is_err(), "{bad}");
    }
    assert_eq!(form(None, Some("json")).unwrap(), LogForm::Json);
    assert_eq!(form(Some(LogForm::Text), Some("json")).unwrap(), LogForm::Text);
    assert!(form(None, Some("xml")).is_err());
}
