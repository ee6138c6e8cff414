//! What every endpoint of Elastic's applied, against what a ring offers.

use std::collections::BTreeSet;
use std::time::Duration;

use app::Purpose;
use fleet::elastic::{Row, State, Summary, compare, summary};
use fleet::{Elasticsearch, Fleet, Offers, Question};
use model::{FeedId, Level, Vendor};
use serde::Serialize;

use super::elastic::{Elastic, Form};
use super::rings;
use super::walk::{self, Walk};
use crate::commands::configure::configuration;
use crate::console;
use crate::context::Context;
use crate::csv;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// Endpoints that the page shows; all of them are in CSV and JSON.
const SHOWN: usize = 200;
/// Versions that another mirror is asked for.
const VERSIONS: usize = 50;

/// The first line of `--json`.
#[derive(Serialize)]
struct Head<'a> {
    endpoints: usize,
    level: Level,
    versions: &'a [Summary],
}

pub(super) async fn run(args: &Elastic, url: &str, context: &mut Context) -> Result<Exit, Failure> {
    let given = console::Given {
        url,
        key_file: args.api_key_file.as_deref(),
        key_variable: "WAYSTATION_ELASTICSEARCH_API_KEY",
        ca_file: args.elasticsearch_ca_file.as_deref(),
        plain: console::plain(args.allow_plain_http),
    };
    let cluster = Elasticsearch::new(console::access(&given, context)?);
    let question = Question { index: args.index.clone(), days: args.days };
    // What the ring offers is read first: a mistake in the configuration should not cost a search.
    let known = if args.route.url.is_none() { Some(of_data_folder(args, context).await?) } else { None };
    let fleet = cluster.fleet(&question, |_| ()).await.map_err(|error| Failure::new("validate elastic", &error))?;
    let offers = match known {
        Some(offers) => offers,
        None => of_mirror(args, &fleet, context).await?,
    };
    let silent_after = Duration::from_secs(args.silent_after * 86_400);
    let rows = compare(&fleet, &offers, silent_after, context.clock.now());
    tell(args, &rows, context)?;
    Ok(if level(&rows) == Level::Fail { Exit::STALE } else { Exit::DONE })
}

/// How bad it is. A fleet of which nobody reports is not in order.
fn level(rows: &[Row]) -> Level {
    rows.iter().map(|row| row.level).max().unwrap_or(Level::Fail)
}

async fn of_data_folder(args: &Elastic, context: &Context) -> Result<Offers, Failure> {
    let config = context.config()?;
    context.something_held("validate")?;
    let engine = context.engine(&config, "validate", Purpose::Look).await?;
    let ring = args.ring.clone().unwrap_or_else(|| config.default_ring());
    let all = rings::offers(&engine, &config, Vendor::Elastic).await?;
    all.into_iter()
        .find(|offers| offers.ring.as_ref() == Some(&ring))
        .ok_or_else(|| Failure::usage(format!("there is no ring {ring}; `waystation ring list` shows all")))
}

/// What another mirror offers for the versions, tracks and dates that endpoints have.
async fn of_mirror(args: &Elastic, fleet: &Fleet, context: &Context) -> Result<Offers, Failure> {
    let config = configuration(context)?;
    let Some(mirror) = args.route.address(config.as_ref())? else {
        return Err(Failure::usage("name the mirror with --url"));
    };
    let (mut feeds, mut placed): (BTreeSet<FeedId>, BTreeSet<FeedId>) = Default::default();
    for endpoint in &fleet.endpoints {
        let Some(version) = endpoint.released() else { continue };
        feeds.extend(format!("elastic/{version}").parse::<FeedId>().ok());
        let kind = match endpoint.date() {
            Some(date) => format!("@{date}"),
            None if endpoint.manifest_type.as_deref() == Some("candidate") => "/candidate".to_owned(),
            None => continue,
        };
        placed.extend(format!("elastic/{version}{kind}").parse::<FeedId>().ok());
    }
    let all = feeds.len() + placed.len();
    if all > VERSIONS {
        let text = format!("endpoints have {all} versions, tracks and dates; a mirror is asked for {VERSIONS} at most");
        return Err(Failure::usage(text));
    }
    if feeds.is_empty() {
        return Ok(Offers::default());
    }
    let walk = |feeds: Vec<FeedId>| Walk {
        mirror: &mirror,
        ring: args.ring.as_ref(),
        config: config.as_ref(),
        feeds,
        versions_alone: true,
    };
    let report = args.route.walk(walk(feeds.into_iter().collect()), context).await?;
    let mut offers = rings::seen(&report, config.as_ref());
    let settings = walk::settings(config.as_ref()).await?;
    for feed in placed {
        // The vendor does not publish where these lie: every place that is known is tried.
        let places = vendors::registry(Vendor::Elastic).places(&feed, &settings);
        if places.is_empty() {
            offers.unasked.insert(feed);
            continue;
        }
        for place in places {
            let report = args.route.walk_by(walk(vec![feed.clone()]), place.settings, context).await?;
            offers.feeds.extend(rings::seen(&report, config.as_ref()).feeds);
            if offers.feeds.contains_key(&feed) {
                break;
            }
        }
    }
    if offers.feeds.is_empty() {
        let next = format!("`waystation doctor {}` says what is wrong with it", mirror.text());
        let text = "the mirror offers no manifest of any version that endpoints have";
        return Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next));
    }
    Ok(offers)
}

fn tell(args: &Elastic, rows: &[Row], context: &mut Context) -> Result<(), Failure> {
    let summaries = summary(rows);
    if args.json {
        context.out.json(&Head { endpoints: rows.len(), level: level(rows), versions: &summaries })?;
        return rows.iter().try_for_each(|row| context.out.json(row));
    }
    if args.form == Form::Csv {
        return csv_of(rows, context);
    }
    if rows.is_empty() {
        return context.out.line(format!(
            "no endpoint reported within {} days: the fleet fell silent, or {} is not where its reports are",
            args.days, args.index
        ));
    }
    versions(&summaries, context)?;
    endpoints(args, rows, context)
}

fn versions(summaries: &[Summary], context: &mut Context) -> Result<(), Failure> {
    let mut table = Table::new([
        ("AGENT", Align::Left),
        ("OFFERED", Align::Left),
        ("OLDEST", Align::Left),
        ("ENDPOINTS", Align::Right),
        ("HOW THEY STAND", Align::Left),
        ("LEVEL", Align::Left),
    ]);
    let or_dash = |version: Option<&model::Version>| version.map_or_else(show::dash, ToString::to_string);
    for summary in summaries {
        let states: Vec<String> =
            summary.states.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
        table.push([
            or_dash(summary.agent_version.as_ref()),
            or_dash(summary.offered.as_ref()),
            or_dash(summary.oldest.as_ref()),
            summary.endpoints.to_string(),
            states.join(", "),
            summary.level.to_string(),
        ]);
    }
    table.write(&mut context.out)
}

fn endpoints(args: &Elastic, rows: &[Row], context: &mut Context) -> Result<(), Failure> {
    let now = context.clock.now();
    let wanted: Vec<&Row> =
        rows.iter().filter(|row| args.all || row.state != State::Equal || row.level != Level::Fine).collect();
    let mut table = Table::new([
        ("HOST", Align::Left),
        ("AGENT", Align::Left),
        ("APPLIED", Align::Left),
        ("OFFERED", Align::Left),
        ("STATE", Align::Left),
        ("LEVEL", Align::Left),
        ("REPORTED", Align::Left),
        ("WHY", Align::Left),
    ]);
    for row in wanted.iter().take(SHOWN) {
        let or_dash = |version: Option<&model::Version>| version.map_or_else(show::dash, ToString::to_string);
        table.push([
            row.host.clone().unwrap_or_else(|| row.agent.clone()),
            or_dash(row.agent_version.as_ref()),
            or_dash(row.applied.as_ref()),
            or_dash(row.offered.as_ref()),
            row.state.as_str().to_owned(),
            row.level.to_string(),
            row.reported_at.map_or_else(show::dash, |at| show::ago(now, Some(at))),
            row.why.clone(),
        ]);
    }
    if !wanted.is_empty() {
        context.out.line("")?;
    }
    table.write(&mut context.out)?;
    if wanted.len() > SHOWN {
        context.out.line(format!("and {} more; --form csv has all", wanted.len() - SHOWN))?;
    }
    let states: BTreeSet<State> = wanted.iter().map(|row| row.state).filter(|state| *state != State::Equal).collect();
    for state in states {
        context.out.line(format!("{:<11} {}", state.as_str(), state.remedy()))?;
    }
    Ok(())
}

fn csv_of(rows: &[Row], context: &mut Context) -> Result<(), Failure> {
    let head = [
        "host",
        "agent id",
        "system",
        "agent version",
        "feed",
        "applied",
        "offered",
        "state",
        "level",
        "reported at",
        "lag seconds",
        "update age days",
        "channel",
        "manifest type",
        "date",
        "why",
    ];
    csv::line(&mut context.out, head)?;
    let text = |value: Option<String>| value.unwrap_or_default();
    rows.iter().try_for_each(|row| {
        csv::line(
            &mut context.out,
            [
                text(row.host.clone()),
                row.agent.clone(),
                text(row.system.clone()),
                text(row.agent_version.as_ref().map(ToString::to_string)),
                text(row.feed.as_ref().map(ToString::to_string)),
                text(row.applied.as_ref().map(ToString::to_string)),
                text(row.offered.as_ref().map(ToString::to_string)),
                row.state.as_str().to_owned(),
                row.level.to_string(),
                text(row.reported_at.map(|at| at.to_string())),
                text(row.lag_seconds.map(|seconds| seconds.to_string())),
                text(row.update_age_days.map(|days| days.to_string())),
                text(row.channel.clone()),
                text(row.manifest_type.clone()),
                text(row.date.clone()),
                row.why.clone(),
            ],
        )
    })
}
