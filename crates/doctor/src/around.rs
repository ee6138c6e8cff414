//! What a site stands on: the way to the vendors, the machine, the folder, the configuration.
//!
//! Usable before anything is set up. Each part looks first and weighs afterwards: what is weighed is a value, so that
//! a full disk or a wrong clock is a row in a test.

mod clock;
mod disk;
mod folder;
mod hosts;
mod issuer;
mod machine;
mod mounts;
mod ports;
mod secrets;
mod selinux;
mod unit;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use config::Config;
use model::{Clock, Timestamp};
use outbound::Outbound;
use tokio::time::Instant;

use crate::finding::Finding;
use crate::wire::Waits;
use crate::{Check, Report, Watch};

/// What is looked at, and with what.
pub struct Surroundings {
    /// What is configured, or what would be by default.
    pub config: Config,
    /// Whether there is a configuration already.
    pub is_set_up: bool,
    /// The environment's variables.
    pub environment: Vec<(String, String)>,
    /// What vendors' modules need to know.
    pub settings: vendors::Settings,
    /// The client of that configuration; its limits bound each probe.
    pub outbound: Arc<dyn Outbound>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For everything together.
    pub deadline: Duration,
}

const CONNECT: Duration = Duration::from_secs(10);

/// Probes the surroundings. Nothing is changed, and nothing is written but to the vendors' hosts, which are asked.
pub async fn surroundings(site: &Surroundings, watch: &dyn Watch) -> Report {
    let mut report = Report::new("surroundings", site.clock.now());
    let began = Instant::now();
    let end = began.checked_add(site.deadline).unwrap_or(began);
    report.add(configuration(site));
    watch.on("asking the vendors' hosts");
    let waits = Waits { connect: CONNECT, head: CONNECT, pause: CONNECT, end };
    match tokio::time::timeout_at(end, hosts::look(site, waits)).await {
        Ok(seen) => {
            report.add_all(clock::weigh(&seen.dates));
            report.hosts = seen.rows;
            report.add_all(seen.findings);
        }
        Err(_) => {
            let given = format!("{} s", site.deadline.as_secs());
            report.add(Finding::fail(Check::Deadline, "the vendors' hosts", given, "the time was over"));
        }
    }
    watch.on("trying the ways to tell somebody");
    match tokio::time::timeout_at(end, ways::look(&site.config, site.clock.now(), waits)).await {
        Ok(findings) => report.add_all(findings),
        Err(_) => report.add(Finding::fail(Check::Deadline, "[alarm] and [history]", "to try", "the time was over")),
    }
    watch.on("looking at this machine");
    let (config, environment, now) = (site.config.clone(), site.environment.clone(), site.clock.now());
    let looked = tokio::task::spawn_blocking(move || machine_findings(&config, &environment, now));
    match tokio::time::timeout(site.deadline, looked).await {
        Ok(Ok(findings)) => report.add_all(findings),
        Ok(Err(_)) | Err(_) => {
            report.add(Finding::fail(Check::Deadline, "this machine", "to look at it", "it did not come to an end"));
        }
    }
    report.sorted()
}

fn configuration(site: &Surroundings) -> Finding {
    let on = site.config.file.display().to_string();
    if site.is_set_up {
        let feeds = site.config.feeds().len();
        Finding::ok(Check::Configuration, &on, "to read it", format!("read; it follows {feeds} feeds"))
    } else {
        let came = "there is none: both vendors' defaults are assumed";
        Finding::ok(Check::Configuration, "waystation.toml", "to find it", came)
    }
}

fn machine_findings(config: &Config, environment: &[(String, String)], now: Timestamp) -> Vec<Finding> {
    let mut findings = disk::look(config);
    findings.extend(folder::look(&config.data_dir));
    findings.extend(folder::locks(&config.data_dir));
    findings.extend(secrets::look(config, now));
    findings.extend(ports::look(config));
    findings.extend(selinux::look(&config.data_dir));
    findings.extend(machine::look(config, environment));
    findings.extend(unit::look());
    findings
}
