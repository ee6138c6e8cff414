//! The vendor against rings, and rings against what the public route gives.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use app::Purpose;
use config::Config;
use doctor::{FeedSeen, Finding, Report};
use fleet::Offers;
use mirror::{FeedPlan, Status, SyncRequest};
use model::{FeedId, Level, Reason, RingName, RoutePath, Vendor, VendorVersion, Version};
use serde::Serialize;

use super::look::{Gives, Look, Site, gives, look, seen};
use super::second::{Elsewhere, past};
use super::walk::Route;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// What is compared.
pub(super) struct Job<'a> {
    pub(super) vendor: Vendor,
    pub(super) ring: Option<&'a RingName>,
    pub(super) route: &'a Route,
    pub(super) json: bool,
}

/// How a feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Equal,
    Differs,
    Behind,
    Ahead,
    Served,
    Unserved,
    Unasked,
    Unoffered,
}

/// One feed.
#[derive(Serialize)]
struct Row {
    feed: FeedId,
    state: State,
    level: Level,
    /// What the vendor offers now.
    offered: Option<VendorVersion>,
    /// What each ring serves.
    rings: BTreeMap<RingName, VendorVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What the public route gave; none where it was not walked.
    #[serde(skip_serializing_if = "Option::is_none")]
    walked: Option<FeedSeen>,
    /// That beside what the ring serves; none where it was not walked, or the ring serves nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Gives>,
    /// What the route gives at further paths of the feed, where that is not what the ring serves there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    elsewhere: Vec<String>,
    /// Where the ring serves the feed's manifest as it was before, for its grace alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    past: Vec<RoutePath>,
}

/// What the walk found, as JSON lines have it.
#[derive(Serialize)]
struct Found<'a> {
    finding: &'a Finding,
}

pub(super) async fn run(job: &Job<'_>, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    if let Some(ring) = job.ring
        && !config.rings().iter().any(|known| known.name == *ring)
    {
        return Err(Failure::usage(format!("there is no ring {ring}; `waystation ring list` shows all")));
    }
    let engine = context.engine(&config, "validate", Purpose::Look).await?;
    let (followed, unread) = match app::followed(&config) {
        Ok(followed) => (followed, None),
        Err(error) => (engine.feeds(), Some(show::clean(&model::error_chain(&error)))),
    };
    if let Some(unread) = &unread {
        let reason = Reason::LearnedUnread;
        let _ = writeln!(io::stderr(), "{reason}: {unread}; what was learned is left out");
    }
    let feeds: Vec<FeedId> = followed.into_iter().filter(|feed| feed.vendor() == job.vendor).collect();
    if feeds.is_empty() && job.vendor == Vendor::Elastic && learns(&config) {
        let told =
            "no feed of elastic is followed yet: none was asked for that the vendor has; `waystation feed wanted`";
        return if job.json { Ok(Exit::DONE) } else { context.out.line(told).map(|()| Exit::DONE) };
    }
    if feeds.is_empty() {
        let next = format!("add a [{}] section with what is to be followed", job.vendor);
        return Err(Failure::usage(format!("no feed of {} is followed", job.vendor)).with_next(next));
    }
    let failed = |error: mirror::EngineError| Failure::engine("validate", &error);
    let status = engine.status().await.map_err(failed)?;
    let request = SyncRequest { feeds: feeds.clone(), ..SyncRequest::default() };
    let plans = if job.route.no_vendor { Vec::new() } else { engine.plan_sync(&request).await.map_err(failed)? };
    let ring = job.ring.cloned().unwrap_or_else(|| config.default_ring());
    let address = if job.route.no_walk { None } else { job.route.address(Some(&config))? };
    let site = Site { config: &config, engine: &engine, ring: &ring, feeds: &feeds, plans: &plans };
    let seen = look(job, &site, address.as_ref(), context).await?;
    let rows: Vec<Row> = feeds.iter().map(|feed| row(feed, &ring, &plans, &seen, &status)).collect();
    let report = seen.report;
    tell(job, &rows, (&ring, report.as_ref()), context)?;
    if report.is_none() && !job.route.no_walk && !job.json {
        context.out.line(match address {
            Some(_) => "nothing is served yet: nothing was walked".to_owned(),
            None => "not walked: every listener speaks TLS or has no fixed port; name the public address with --url"
                .to_owned(),
        })?;
    }
    Ok(if unread.is_some() { Exit::FAILED } else { exit(&rows, report.as_ref()) })
}

/// Whether what endpoints ask for is followed beside what the configuration names.
fn learns(config: &Config) -> bool {
    config.elastic.as_ref().is_some_and(|elastic| elastic.demand.learns() || !elastic.patterns.is_empty())
}

fn row(feed: &FeedId, ring: &RingName, plans: &[FeedPlan], look: &Look, status: &Status) -> Row {
    let plan = plans.iter().find(|plan| plan.feed == *feed);
    let offered = plan.and_then(|plan| plan.vendor_version.clone());
    let of = |offers: &Offers| Some((offers.ring.clone()?, offers.feeds.get(feed)?.version.clone()));
    let rings: BTreeMap<RingName, VendorVersion> = look.offers.iter().filter_map(of).collect();
    let served = rings.get(ring).map(|served| &served.version);
    let state = match (plan, served) {
        // The vendor was not to be asked.
        (None, Some(_)) => State::Served,
        (None, None) => State::Unserved,
        (Some(_), served) => state(offered.as_ref().map(|offered| &offered.version), served),
    };
    let state = if state == State::Equal && gives_other_bytes(status, feed) { State::Differs } else { state };
    let walked = look.report.as_ref().and_then(|report| seen(report, feed));
    let findings = status.freshness.iter().filter(|finding| finding.feed == *feed);
    Row {
        feed: feed.clone(),
        state: if plan.and_then(|plan| plan.reason) == Some(Reason::NotFound) { State::Unoffered } else { state },
        level: findings.map(|finding| finding.level).max().unwrap_or_default(),
        route: gives(rings.get(ring), &look.held, walked),
        past: past(&look.held, feed),
        elsewhere: look.elsewhere.iter().filter(|other| other.feed == *feed).map(Elsewhere::to_string).collect(),
        offered,
        rings,
        reason: plan.and_then(|plan| plan.reason),
        detail: plan.and_then(|plan| plan.detail.clone()),
        walked: walked.cloned(),
    }
}

/// Whether the vendor gave other bytes under the version that is served when it was last asked; they may be rejected by now,
/// and what is served is not.
fn gives_other_bytes(status: &Status, feed: &FeedId) -> bool {
    let mut known = status.feeds.iter().filter(|known| known.feed == *feed);
    known.any(|known| match known.reason {
        Some(Reason::SameVersionOtherBytes) => true,
        Some(Reason::RejectedBefore) => {
            let served = known.served.as_ref().map(|served| &served.vendor_version.version);
            served == known.offered.as_ref().map(|offered| &offered.version)
        }
        _ => false,
    })
}

fn state(offered: Option<&Version>, served: Option<&Version>) -> State {
    match (offered, served) {
        (None, _) => State::Unasked,
        (Some(_), None) => State::Unserved,
        (Some(offered), Some(served)) if offered == served => State::Equal,
        (Some(offered), Some(served)) if offered > served => State::Behind,
        _ => State::Ahead,
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Differs => "differs",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Served => "served",
            Self::Unserved => "unserved",
            Self::Unasked => "unasked",
            Self::Unoffered => "unoffered",
        }
    }
}

impl Row {
    /// Whether endpoints get something else than what the ring serves.
    fn is_other(&self) -> bool {
        matches!(self.route, Some(Gives::Older | Gives::Other)) || !self.elsewhere.is_empty()
    }

    fn given(&self) -> String {
        self.walked.as_ref().and_then(|seen| seen.vendor_version.clone()).unwrap_or_else(show::dash)
    }

    fn other(&self, ring: &RingName, report: Option<&Report>) -> String {
        let (feed, served) = (&self.feed, show::version(self.rings.get(ring)));
        let at = report.map_or("the public route", |report| report.subject.as_str());
        let given = match (self.given(), self.elsewhere.is_empty()) {
            (_, false) if self.route == Some(Gives::Same) => self.elsewhere.join(", "),
            (given, _) if given == served => format!("other bytes of {given}"),
            (given, _) => given,
        };
        format!(
            "{feed}: endpoints are given {given} at {at}, and ring {ring} serves {served}: look for a cache in between that \
             keeps manifests, for a `waystation serve` on an old or copied data folder, and for another mirror that answers \
             there"
        )
    }
}

fn tell(
    job: &Job<'_>,
    rows: &[Row],
    (ring, report): (&RingName, Option<&Report>),
    context: &mut Context,
) -> Result<(), Failure> {
    let troubles: Vec<&Finding> = report.into_iter().flat_map(Report::troubles).collect();
    let out = &mut context.out;
    if job.json {
        rows.iter().try_for_each(|row| out.json(row))?;
        return troubles.iter().try_for_each(|finding| out.json(&Found { finding }));
    }
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("VENDOR OFFERS", Align::Left),
        ("RINGS SERVE", Align::Left),
        ("STATE", Align::Left),
        ("FRESHNESS", Align::Left),
        ("ROUTE GIVES", Align::Left),
        ("FILES", Align::Right),
    ]);
    for row in rows {
        let rings: Vec<String> = row.rings.iter().map(|(ring, version)| format!("{ring} {version}")).collect();
        let walked = row.walked.as_ref();
        table.push([
            row.feed.to_string(),
            show::version(row.offered.as_ref()),
            if rings.is_empty() { show::dash() } else { rings.join(", ") },
            row.state.as_str().to_owned(),
            row.level.to_string(),
            row.given(),
            walked.map_or_else(show::dash, |seen| seen.files.to_string()),
        ]);
    }
    table.write(out)?;
    for row in rows.iter().filter(|row| row.state == State::Unserved) {
        out.line(format!(
            "{}: it is followed, and endpoints get nothing of it; `waystation sync` fetches it, or says why not",
            row.feed
        ))?;
    }
    for row in rows.iter().filter(|row| row.state == State::Differs) {
        out.line(format!(
            "{}: the vendor gave other bytes under the version that is served; `waystation status` says what became of them",
            row.feed
        ))?;
    }
    if !rows.is_empty() && rows.iter().all(|row| row.state == State::Unasked) {
        out.line("where the vendor is not to be reached, --no-vendor compares without asking it")?;
    }
    for row in rows.iter().filter(|row| row.reason.is_some()) {
        let reason = row.reason.map_or_else(String::new, |reason| format!("{reason}: "));
        out.line(format!("{}: {reason}{}", row.feed, row.detail.as_deref().unwrap_or_default()))?;
    }
    for row in rows.iter().filter(|row| row.is_other()) {
        out.line(row.other(ring, report))?;
    }
    for (row, path) in rows.iter().flat_map(|row| row.past.iter().map(move |path| (row, path))) {
        out.line(format!(
            "{}: at {path} ring {ring} serves what was before, until its grace ends: the feed goes on at another path, and \
             endpoints that ask here stay behind",
            row.feed
        ))?;
    }
    let wrong = |row: &Row| row.is_other() || row.state == State::Differs || !row.past.is_empty();
    if let (Some(report), true) = (report, troubles.is_empty() && !rows.iter().any(wrong)) {
        let files: usize = report.feeds.iter().map(|seen| seen.files).sum();
        out.line(format!("{} through {}: nothing is wrong", show::count(files, "file"), report.subject))?;
    }
    for finding in troubles {
        out.line("")?;
        out.line(format!("{:<4}  {} on {}", finding.level.as_str(), finding.check, finding.on.join(", ")))?;
        for (word, text) in [("came", finding.came.as_str()), ("why", finding.why), ("do", finding.remedy)] {
            out.line(format!("      {word:<5} {text}"))?;
        }
    }
    Ok(())
}

fn exit(rows: &[Row], report: Option<&Report>) -> Exit {
    let broken = report.is_some_and(|report| report.level == doctor::Level::Fail);
    let not_got = |row: &Row| matches!(row.state, State::Unserved | State::Unasked | State::Unoffered | State::Differs);
    if broken || rows.iter().any(|row| not_got(row) || row.is_other()) {
        return Exit::FAILED;
    }
    if rows.iter().any(|row| row.level == Level::Fail) { Exit::STALE } else { Exit::DONE }
}
