//! The configuration file.

use std::path::Path;

use config::{Config, ConfigError};
use model::RingName;

use crate::fit_to_show;

/// Text as `waystation.toml`: mistakes are told in lines fit to show; what is taken means the same however its
/// lines end, and holds what the rest of the program relies on.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text) {
        Ok(taken) => sound(text, &taken),
        Err(error) => told(&error),
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    // Beside a file that is not there, so that names in it lead nowhere.
    Config::parse(text, Path::new("/nowhere/at/all/waystation.toml"), &[])
}

fn told(error: &ConfigError) {
    let problems = error.problems();
    assert!((1..=20).contains(&problems.len()), "{} mistakes", problems.len());
    error.to_string().lines().for_each(fit_to_show);
    for problem in problems {
        fit_to_show(&problem.message);
        fit_to_show(&problem.key);
    }
}

fn sound(text: &str, taken: &Config) {
    assert!(taken.diff(taken).is_empty());
    assert_eq!(parse(text).as_ref(), Ok(taken), "the same text, another configuration");
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    let marked = parse(&format!("\u{feff}{plain}")).expect("a byte order mark changes nothing");
    assert_eq!(marked.digest(), taken.digest());
    // In a text without multi-line strings, how lines end has no meaning.
    if !plain.contains("\"\"\"") && !plain.contains("'''") && !plain.contains('\r') {
        let windows = parse(&plain.replace('\n', "\r\n")).expect("Windows' ends of lines change nothing");
        assert_eq!(windows.digest(), taken.digest());
    }
    let canonical = taken.canonical();
    // Names in other scripts are the operator's own business; what moves a terminal's cursor is nobody's.
    assert!(!canonical.contains(|c: char| c.is_control() && c != '\n'), "{canonical:?}");
    let keys: Vec<Option<&str>> = canonical.lines().map(|line| line.split_once(" = ").map(|(key, _)| key)).collect();
    assert!(!keys.contains(&None) && keys.is_sorted_by(|a, b| a < b), "a value forges a setting: {canonical}");

    let rings: Vec<&RingName> = taken.rings().iter().map(|ring| &ring.name).collect();
    assert_eq!(rings.last(), Some(&&taken.default_ring()));
    assert!(no_doubles(&rings), "a ring stands twice");
    let feeds = taken.feeds();
    assert!(no_doubles(&feeds.iter().collect::<Vec<_>>()), "a feed is followed twice");
    assert!(!taken.serve.is_empty() && taken.data_dir.is_absolute(), "{:?}", taken.data_dir);
    for feed in &feeds {
        assert!(taken.schedule_of(feed.vendor()).is_some_and(|every| !every.is_zero()), "{feed} has no schedule");
    }
}

fn no_doubles<T: Ord>(items: &[T]) -> bool {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort();
    sorted.is_sorted_by(|a, b| a < b)
}
