//! `waystation feed check-date`.

use clap::Args;
use jiff::ToSpan as _;
use jiff::civil::Date;
use model::FeedId;
use serde::Serialize;
use vendors::elastic::{Rule, check_date, never_offered};

use super::check::named;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Applies the vendor's rules to a date that endpoints are to be pinned to
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation feed check-date 8.18.3 --built 2025-07-24 --date 2026-01-15

The build date stands in agent.build.original of the endpoint's policy response. Its text is
taken as it is: --built \"version: 8.18.3, compiled: Thu Jul 24 06:00:00 2025, branch: 8.18\"

Exit codes:
  0  the date keeps every rule
  1  it breaks one: the endpoint would get 404, or the console would refuse it
  2  wrong usage")]
pub(crate) struct CheckDate {
    /// The version of Elastic Defend
    #[arg(value_name = "VERSION")]
    version: String,
    /// The day the endpoint's program was built
    #[arg(long, value_name = "DATE", value_parser = built)]
    built: Date,
    /// The day to pin to
    #[arg(long, value_name = "DATE", value_parser = day)]
    date: Date,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    rule: &'a str,
    holds: bool,
    why: Option<&'a str>,
}

pub(crate) fn run(args: &CheckDate, context: &mut Context) -> Result<Exit, Failure> {
    let feed = named(&args.version)?;
    let version = line_of(&feed);
    let today = today(context)?;
    // The day may have begun already where the build was made.
    if args.built > today.saturating_add(1.day()) {
        return Err(Failure::usage(format!("feed check-date: --built {} lies in the future", args.built)));
    }
    let rules = check_date(version, args.built, args.date, today);
    let keeps = rules.iter().all(|rule| rule.broken.is_none());
    if args.json {
        let lines: Vec<Line<'_>> = rules.iter().map(line).collect();
        let object = serde_json::json!({
            "version": args.version, "built": args.built.to_string(), "date": args.date.to_string(),
            "today": today.to_string(), "holds": keeps, "rules": lines,
        });
        context.out.json(&object)?;
    } else {
        for rule in &rules {
            match &rule.broken {
                None => context.out.line(format!("holds   {}", rule.name))?,
                Some(why) => context.out.line(format!("BROKEN  {}: {why}", rule.name))?,
            }
        }
        context.out.line("")?;
        context.out.line(if keeps {
            "the vendor's rules let endpoints be pinned to it; `waystation feed check VERSION@DATE` tells whether it is served"
        } else {
            "endpoints pinned to it would be degraded; choose a date that keeps every rule, or latest"
        })?;
    }
    Ok(if keeps { Exit::DONE } else { Exit::FAILED })
}

/// The first two numbers of a feed's version.
fn line_of(feed: &FeedId) -> (u32, u32) {
    let version = feed.segments().next().unwrap_or_default();
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What speaks against a dated feed whatever the build of its endpoints; none where nothing does, or it has no date.
pub(super) fn broken(feed: &FeedId, context: &Context) -> Result<Option<String>, Failure> {
    let Some(date) = date_of(feed) else { return Ok(None) };
    let rules = check_date(line_of(feed), Date::MIN, date, today(context)?);
    Ok(rules.into_iter().find_map(|rule| rule.broken))
}

/// Why nobody can have a dated feed, neither the vendor nor a folder; none where somebody may, or it has no date.
pub(super) fn never(feed: &FeedId, context: &Context) -> Result<Option<String>, Failure> {
    let Some(date) = date_of(feed) else { return Ok(None) };
    Ok(never_offered(line_of(feed), date, today(context)?))
}

fn date_of(feed: &FeedId) -> Option<Date> {
    feed.date().and_then(|date| date.to_string().parse().ok())
}

fn line(rule: &Rule) -> Line<'_> {
    Line { rule: rule.name, holds: rule.broken.is_none(), why: rule.broken.as_deref() }
}

fn today(context: &Context) -> Result<Date, Failure> {
    let now = jiff::Timestamp::from_microsecond(context.clock.now().as_micros());
    let now = now.map_err(|error| Failure::new("feed check-date: the clock", &error))?;
    Ok(now.to_zoned(jiff::tz::TimeZone::UTC).date())
}

fn day(text: &str) -> Result<Date, String> {
    let plain = text.len() == 10;
    text.parse().ok().filter(|_| plain).ok_or_else(|| "a day is written as 2026-01-15".to_owned())
}

/// A day, or what an endpoint says of its build.
fn built(text: &str) -> Result<Date, String> {
    let Some((_, after)) = text.split_once("compiled: ") else {
        return day(text).map_err(|error| format!("{error}, or brought as agent.build.original has it"));
    };
    let stamp: Vec<&str> = after.split(',').next().unwrap_or_default().split_whitespace().collect();
    let stamp = stamp.join(" ");
    let read = jiff::civil::DateTime::strptime("%a %b %d %H:%M:%S %Y", &stamp);
    read.map(|time| time.date()).map_err(|_| format!("'{stamp}' is not a moment such as Fri Apr 1 06:00:00 2022"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_read_as_endpoints_tell_them() {
        let told = "version: 8.3.0-SNAPSHOT, compiled: Fri Apr  1 06:00:00 2022, branch: main, commit: f8b0";
        assert_eq!(built(told).unwrap().to_string(), "2022-04-01");
        assert_eq!(built("2022-04-01").unwrap().to_string(), "2022-04-01");
        for bad in ["", "yesterday", "2022-4-1", "2022-02-30", "compiled: soon", "20220401"] {
            assert!(built(bad).is_err(), "{bad}");
        }
    }
}
