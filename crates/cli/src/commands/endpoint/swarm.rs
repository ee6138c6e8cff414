//! `waystation endpoint swarm`.

mod page;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use endpoint::swarm::{Addresses, Arrival, Connections, Rehearsal, Target, play};
use settings::{MirrorUrl, MirrorUrlError, OverPlainHttp};
use trust::KeyRing;
use url::Url;

use crate::commands::endpoint::{keys, read};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;

/// Plays a whole fleet against a mirror, before the real one is pointed at it
///
/// Thousands of endpoints of both vendors in this one process: each has a clock, a connection and what it holds. The
/// report says how long answers took, what went wrong, how many bytes went, and who holds what. Time can go faster
/// (--speed); lines are then as much faster, the mirror is not.
///
/// It is a load. A mirror that is not this machine must be named twice (--load-host); the vendors' own hosts are refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  waystation endpoint swarm http://127.0.0.1:8080 --elastic 9000 --version 9.0.0 --defender 1000
  waystation endpoint swarm https://mirror.example --load-host mirror.example --elastic 500 --arrival hour --speed 1

Exit codes:
  0  nothing went wrong, and every endpoint asked and holds something
  1  something went wrong: the report says what and how often
  2  wrong usage, or a target that must not be put under load")]
pub(crate) struct Swarm {
    /// The base URL that endpoints are given
    #[arg(value_parser = base)]
    url: Url,
    /// How many endpoints of Elastic
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    elastic: u32,
    /// A version of Elastic Endpoint; may be repeated, endpoints have them in turns
    #[arg(long = "version", value_name = "VERSION", default_value = "9.0.0")]
    versions: Vec<String>,
    /// How many endpoints of Defender
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    defender: u32,
    /// What they are pointed at below the URL; may be repeated, endpoints have them in turns
    #[arg(long = "track", value_name = "PATH", default_value = "linux/production")]
    tracks: Vec<String>,
    /// How they arrive: spread (each at its own moment), hour (within a minute of the full interval), burst (at once)
    #[arg(long, value_name = "HOW", default_value = "spread", hide_possible_values = true)]
    arrival: How,
    /// Between two polls of one endpoint
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    interval: Duration,
    /// How long it lasts, in its own time
    #[arg(long = "for", value_name = "SPAN", default_value = "2h", value_parser = span)]
    length: Duration,
    /// How many of its own seconds go by in a second
    #[arg(long, value_name = "TIMES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    speed: u32,
    /// How many of a hundred have a slow line
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    slow: u32,
    /// The bytes a second of a slow line
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u64).range(1..))]
    slow_rate: u64,
    /// How many of a hundred are restarted in each interval, maybe in the middle of a download
    #[arg(long, value_name = "PERCENT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=100))]
    restart: u32,
    /// How many of a hundred hold at the beginning what the mirror serves
    #[arg(long, value_name = "PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u32).range(0..=100))]
    warm: u32,
    /// Keeps connections between polls, instead of closing them
    #[arg(long)]
    keep_connections: bool,
    /// All from one address, as behind a router; else, on loopback, each from its own
    #[arg(long)]
    one_address: bool,
    /// What chance is made from: the same number, the same arrivals
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// A public key (PEM) that manifests may be signed with; what no key signed is taken and counted
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,
    /// Roots beside the public ones and the system's, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The URL's host once more: that it may be put under load
    #[arg(long, value_name = "HOST")]
    load_host: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// How endpoints arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum How {
    Hour,
    Spread,
    Burst,
}

pub(crate) async fn run(args: &Swarm, context: &mut Context) -> Result<Exit, Failure> {
    let rehearsal = rehearsal(args)?;
    // What endpoints cannot be given, they are not rehearsed with: the paths that they append would stand there twice.
    if let Err(error @ MirrorUrlError::TooFar { .. }) = MirrorUrl::parse(args.url.as_str(), OverPlainHttp::Accepted) {
        return Err(Failure::usage(error.to_string()).with_next("--track names another platform and track"));
    }
    let ca_pem = args.ca_file.as_ref().map(|path| read(path)).transpose()?;
    let tls = outbound::stream_tls(ca_pem.as_deref(), Arc::clone(&context.clock));
    let tls = tls.map_err(|error| Failure::new("--ca-file", &error).with_exit(Exit::USAGE))?;
    let target = Target::find(&args.url, args.load_host.as_deref(), || tls).await;
    let target = target.map_err(|error| Failure::usage(model::error_chain(&error)))?;
    let quiet = context.globals.quiet;
    // Each second where somebody looks on; into a file once a minute.
    let every = if io::stderr().is_terminal() { 1 } else { 60 };
    let mut seconds = 0_u64;
    let report = play(rehearsal, target, Arc::clone(&context.clock), |far| {
        seconds += 1;
        if !quiet && seconds.is_multiple_of(every) {
            // A closed stderr ends no rehearsal.
            let _ = writeln!(io::stderr(), "swarm: {}", show::clean(far));
        }
    });
    let report = report.await;
    if args.json {
        context.out.json(&report)?;
    } else {
        page::write(&report, &mut context.out)?;
    }
    Ok(if report.is_good() { Exit::DONE } else { Exit::FAILED })
}

fn rehearsal(args: &Swarm) -> Result<Rehearsal, Failure> {
    if args.elastic.saturating_add(args.defender) == 0 {
        let failure = Failure::usage("a swarm of no endpoints says nothing");
        return Err(failure.with_next("give it some: --elastic COUNT, --defender COUNT"));
    }
    if args.arrival == How::Spread && args.length < args.interval {
        let text = format!(
            "--for {} is shorter than --interval {}: endpoints whose own moment lies behind the end would never ask",
            show::span(args.length),
            show::span(args.interval)
        );
        return Err(Failure::usage(text).with_next("make --for as long at least, or take --arrival hour or burst"));
    }
    for version in &args.versions {
        let feed: model::FeedId = format!("elastic/{version}")
            .parse()
            .map_err(|error: model::FeedError| Failure::usage(error.to_string()))?;
        vendors::registry(feed.vendor()).supports(&feed).map_err(Failure::usage)?;
    }
    let tracks: Vec<String> = args.tracks.iter().map(|track| track.trim_matches('/').to_owned()).collect();
    for track in &tracks {
        let route = format!("/{track}").parse::<model::RoutePath>();
        route.map_err(|error| Failure::usage(format!("--track: {error}")))?;
    }
    Ok(Rehearsal {
        elastic: args.elastic,
        versions: args.versions.clone(),
        defender: args.defender,
        tracks,
        arrival: match args.arrival {
            How::Hour => Arrival::Hour,
            How::Spread => Arrival::Spread,
            How::Burst => Arrival::Burst,
        },
        interval: args.interval,
        length: args.length,
        speed: args.speed,
        slow_percent: args.slow,
        slow_rate: args.slow_rate,
        restart_percent: args.restart,
        warm_percent: args.warm,
        connections: if args.keep_connections { Connections::Kept } else { Connections::Closed },
        addresses: if args.one_address { Addresses::One } else { Addresses::Own },
        seed: args.seed,
        keys: keys(&args.public_key)?.unwrap_or_else(KeyRing::built_in),
    })
}

/// A URL, as endpoints are given one. A host and a port alone would be read as a scheme and its rest.
fn base(text: &str) -> Result<Url, String> {
    if !text.contains("://") {
        return Err(format!("it has no scheme: write http://{text} or https://{text}"));
    }
    text.parse().map_err(|error| format!("it is no URL: {error}"))
}

/// `90s`, `15m`, `1h`, `2d`.
fn span(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit));
    let count = unit.and_then(|(unit, _)| text.strip_suffix(*unit)?.parse::<u64>().ok());
    match unit.zip(count) {
        Some(((_, seconds), count)) if (1..=31 * 86_400).contains(&count.saturating_mul(*seconds)) => {
            Ok(Duration::from_secs(count * seconds))
        }
        _ => Err("write such as 90s, 15m, 1h or 2d; at most 31 days".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_told_what_is_missing() {
        for text in ["127.0.0.1:8080", "localhost:8080", "mirror.example"] {
            let told = base(text).unwrap_err();
            assert!(told.ends_with(&format!("write http://{text} or https://{text}")), "{told}");
        }
        assert!(base("http://").is_err() && base("http://127.0.0.1:8080").is_ok());
    }

    #[test]
    fn spans() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "h", "0s", "1", "-1h", "99999999999999999999s", "32d", "1h30m"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
