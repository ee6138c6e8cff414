//! What was built: sections weighed together into a [`Config`].

mod alarm;
mod follow;
mod freshness;
mod history;
mod serving;
mod tree;

use std::path::Path;

use crate::keys;
use crate::problem::{ConfigError, Place, Problem};
use crate::raw::{self, Table};
use crate::reader::{Reader, Scope};
use crate::types::{Config, Limits, Retention, Site};

impl Config {
    /// Validates a document. Relative paths start at the folder of `file`, which is read here only where a key
    /// names a file with a secret in it; `environment` overrides plain keys.
    pub fn parse(text: &str, file: &Path, environment: &[(String, String)]) -> Result<Self, ConfigError> {
        let failed = |problems| ConfigError::new(file.to_path_buf(), problems);
        let mut document = raw::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(failed)?;
        if document.is_empty() {
            return Err(ConfigError::of_file(
                file.to_path_buf(),
                "the file sets nothing: it is empty, cut short, or all comments; `waystation init` writes one to start from",
            ));
        }
        let mut problems = raw::overlay(&mut document, environment);
        if let Some(top) = keys::section("") {
            problems.extend(raw::unknown(&document, top));
        }
        build(&document, file, problems).map_err(failed)
    }
}

/// A section by its name in the table of keys.
fn scope<'a>(reader: &'a Reader<'a>, name: &'static str) -> Option<Scope<'a>> {
    reader.section(keys::section(name)?)
}

fn build(document: &Table, file: &Path, mut problems: Vec<Problem>) -> Result<Config, Vec<Problem>> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let reader = Reader::new(document, folder);
    let built = sections(&reader, file);
    let (more, settings) = reader.finish();
    problems.extend(more);
    match built {
        Some(config) if problems.is_empty() => Ok(Config { settings, ..config }),
        None if problems.is_empty() => {
            let message = "a setting could not be read: a defect of this program".to_owned();
            Err(vec![Problem { place: Place::File, key: String::new(), message }])
        }
        _ => Err(problems),
    }
}

/// Reads every section before it gives up on any, so that all mistakes are found.
fn sections(reader: &Reader<'_>, file: &Path) -> Option<Config> {
    let data_dir = scope(reader, "").and_then(|top| top.path("data_dir"));
    let spool_dir = scope(reader, "").and_then(|top| top.path("spool_dir"));
    let data_group = scope(reader, "").and_then(|top| top.maybe("data_group"));
    let site = site(reader);
    let serve = serving::serve(reader);
    let access_log = serving::access_log(reader);
    let admin = serving::admin(reader, serve.as_deref());
    let origin = follow::origin(reader);
    let retention = scope(reader, "retention").and_then(|scope| retention(&scope));
    let plain = scope(reader, "origin").and_then(|scope| scope.get("allow_plain_http")).unwrap_or(true);
    let elastic = follow::elastic(reader, retention, plain);
    let defender = follow::defender(reader, retention, plain);
    let rings = serving::rings(reader);
    let feeds = elastic.as_ref().zip(defender.as_ref()).map(|(elastic, defender)| {
        let feeds = elastic.iter().flat_map(|elastic| &elastic.feeds);
        feeds.chain(defender.iter().flat_map(|defender| &defender.feeds)).collect::<Vec<_>>()
    });
    let freshness = freshness::freshness(reader, feeds.as_deref(), rings.as_deref());
    if let (Some(policy), Some(elastic), Some(defender)) = (&freshness, &elastic, &defender) {
        let elastic = elastic.iter().flat_map(|one| one.feeds.iter().map(|feed| (feed.clone(), one.schedule)));
        let defender = defender.iter().flat_map(|one| one.feeds.iter().map(|feed| (feed.clone(), one.schedule)));
        freshness::in_tempo(reader, policy, elastic.chain(defender));
    }
    let tree = tree::tree(reader, data_dir.as_ref().and_then(|dir| dir.as_deref()));
    let alarm = alarm::alarm(reader);
    let history = history::history(reader);
    let limits = limits(reader);
    Some(Config {
        file: file.to_path_buf(),
        spool_dir: spool_dir?,
        data_dir: data_dir??,
        data_group: data_group?,
        site: site?,
        serve: serve?,
        access_log: access_log?,
        admin: admin?,
        origin: origin?,
        elastic: elastic?,
        defender: defender?,
        rings: rings?,
        freshness: freshness?,
        retention: retention?,
        tree: tree?,
        alarm: alarm?,
        history: history?,
        limits: limits?,
        settings: Default::default(),
    })
}

fn site(reader: &Reader<'_>) -> Option<Site> {
    let scope = scope(reader, "site")?;
    let name: Option<String> = scope.maybe("name")?;
    if let Some(name) = &name {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !plain || name.len() > 64 || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || name.ends_with('.') {
            let shown = crate::problem::quoted(name);
            scope.wrong("name", format!("{shown} is not 1 to 64 letters, digits, '.', '-' or '_' from a letter or digit on; write for example name = \"dmz-1\""));
            return None;
        }
        if serving::is_device(name) {
            scope.wrong("name", format!("'{name}' is a device's name on Windows; choose another"));
            return None;
        }
    }
    Some(Site { name })
}

/// The keys of `[retention]`.
fn retention(scope: &Scope<'_>) -> Option<Retention> {
    let days: Option<u64> = scope.get("days");
    let bytes = scope.get("bytes");
    let grace = scope.get("grace");
    Some(Retention { age: days_of(days?), bytes: bytes?, grace: grace? })
}

/// A vendor's own retention, over the common one.
fn own_retention(reader: &Reader<'_>, name: &'static str, common: Option<Retention>) -> Option<Retention> {
    let scope = scope(reader, name)?;
    let days: Option<Option<u64>> = scope.maybe("days");
    let bytes = scope.maybe("bytes");
    let grace = scope.maybe("grace");
    let (days, bytes, grace, common) = (days?, bytes?, grace?, common?);
    Some(Retention {
        age: days.map_or(common.age, days_of),
        bytes: bytes.unwrap_or(common.bytes),
        grace: grace.unwrap_or(common.grace),
    })
}

fn days_of(days: u64) -> std::time::Duration {
    std::time::Duration::from_secs(days.saturating_mul(86_400))
}

fn limits(reader: &Reader<'_>) -> Option<Limits> {
    let scope = scope(reader, "limits")?;
    let count = |name| scope.get::<u64>(name).and_then(|number| usize::try_from(number).ok());
    // Read one after the other, so that one mistake does not hide the next.
    let connect_timeout = scope.get("connect_timeout");
    let head_timeout = scope.get("head_timeout");
    let pause_timeout = scope.get("pause_timeout");
    let minimum_rate = scope.get("minimum_rate");
    let attempt_deadline = scope.get("attempt_deadline");
    let redirects = count("redirects");
    let manifest_bytes = scope.get("manifest_bytes");
    let artifact_bytes = scope.get("artifact_bytes");
    let archive_bytes = scope.get("archive_bytes");
    let artifacts = count("artifacts");
    let disk_reserve = scope.get("disk_reserve");
    let retries = scope.get::<u64>("retries").and_then(|number| u32::try_from(number).ok());
    let retry_base = scope.get("retry_base");
    let feed_deadline = scope.get("feed_deadline");
    let shrink_to_percent = scope.get("shrink_to_percent");
    let grow_to_percent = scope.get("grow_to_percent");
    let version_leap = scope.get("version_leap");
    let serve_connections = count("serve_connections");
    let serve_connections_per_client = count("serve_connections_per_client");
    let serve_head_bytes = serving::head_bytes(&scope);
    let serve_head_timeout = scope.get("serve_head_timeout");
    let serve_idle_timeout = scope.get("serve_idle_timeout");
    let serve_stall_timeout = scope.get("serve_stall_timeout");
    let serve_minimum_rate = scope.get("serve_minimum_rate");
    let drain_timeout = scope.get("drain_timeout");
    let scrub = scope.get("scrub");
    let scrub_rate = scope.get("scrub_rate");
    Some(Limits {
        connect_timeout: connect_timeout?,
        head_timeout: head_timeout?,
        pause_timeout: pause_timeout?,
        minimum_rate: minimum_rate?,
        attempt_deadline: attempt_deadline?,
        redirects: redirects?,
        manifest_bytes: manifest_bytes?,
        artifact_bytes: artifact_bytes?,
        archive_bytes: archive_bytes?,
        artifacts: artifacts?,
        disk_reserve: disk_reserve?,
        retries: retries?,
        retry_base: retry_base?,
        feed_deadline: feed_deadline?,
        shrink_to_percent: shrink_to_percent?,
        grow_to_percent: grow_to_percent?,
        version_leap: version_leap?,
        serve_connections: serve_connections?,
        serve_connections_per_client: serve_connections_per_client?,
        serve_head_bytes: serve_head_bytes?,
        serve_head_timeout: serve_head_timeout?,
        serve_idle_timeout: serve_idle_timeout?,
        serve_stall_timeout: serve_stall_timeout?,
        serve_minimum_rate: serve_minimum_rate?,
        drain_timeout: drain_timeout?,
        scrub: scrub?,
        scrub_rate: scrub_rate?,
    })
}
