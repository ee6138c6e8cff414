//! Hosts that refuse, send away, redirect, or keep us waiting.

use std::time::Duration;

use model::Outcome::{Failed, Published};
use model::{Clock as _, Reason};
use vendor_sim::{Fault, FaultRule, Kind, Wait};

use crate::upstream::{fault, on, refused};
use crate::world::{Build, DEFENDER, ELASTIC, OTHER, World, ended, line};

#[tokio::test]
async fn refusals_are_not_repeated_u14() {
    let world = World::new().await;
    world.sync().await;
    for (name, reason) in
        [("status-401", Reason::Refused), ("status-403", Reason::Refused), ("status-407", Reason::ProxyFailed)]
    {
        let rule = world.sim.inject(FaultRule::always(on("manifest"), fault(name)));
        ended(&world.sync().await, ELASTIC, Failed, Some(reason));
        assert_eq!(world.sim.hits(rule), 1, "{name}");
        world.converges().await;
    }
}

fn wait(status: u16, text: impl Into<String>) -> Fault {
    Fault::RetryAfter(status, Wait::Text(text.into().into()))
}

#[tokio::test]
async fn no_request_goes_out_before_its_time_even_from_a_new_process_u15() {
    let mut world = World::on_files().await;
    world.sync().await;
    let date = world.clock.now().after(Duration::from_secs(3000)).http_date();
    for (fault, seconds) in [(wait(429, "120"), 130), (wait(503, date), 2900)] {
        world.publish();
        let before = world.tree().await;
        world.inject(FaultRule::always(on("manifest"), fault));
        let report = world.sync().await;
        ended(&report, ELASTIC, Failed, Some(Reason::RateLimited));
        world.sim.clear_faults();
        world.sim.reset_counters();
        world.reopen().await;
        let report = world.sync().await;
        for feed in [ELASTIC, OTHER, DEFENDER] {
            assert_eq!(line(&report, feed).requests, 0, "{feed}");
            ended(&report, feed, Failed, Some(Reason::RateLimited));
        }
        assert_eq!(world.sim.requests().requests, 0);
        assert_eq!(
            world.tree().await.get("/downloads/endpoint/manifest/artifacts-9.0.0.zip"),
            before.get("/downloads/endpoint/manifest/artifacts-9.0.0.zip")
        );
        let status = world.engine().status().await.unwrap();
        assert_eq!(status.host_waits.len(), 1);
        world.clock.advance(Duration::from_secs(seconds));
        world.converges().await;
    }
}

#[tokio::test]
async fn a_short_wait_is_sat_out_u15() {
    let world = World::new().await;
    let began = world.clock.monotonic();
    world.inject(FaultRule::once(on("manifest"), wait(429, "1")));
    let report = world.sync().await;
    ended(&report, ELASTIC, Published, None);
    assert!(world.clock.monotonic() - began >= Duration::from_secs(1));
}

#[tokio::test]
async fn waits_that_are_none_or_too_long_u16() {
    let world = World::new().await;
    world.sync().await;
    for text in ["-5", "soon", "", "1.5"] {
        world.publish();
        world.inject(FaultRule::once(on("manifest"), wait(429, text)));
        ended(&world.sync().await, ELASTIC, Failed, Some(Reason::RateLimited));
        world.converges().await;
    }
    let years = world.clock.now().after(Duration::from_secs(40 * 365 * 86_400)).http_date();
    for text in ["1000000000000000000", "99999999999999999999999999", years.as_str()] {
        world.publish();
        world.inject(FaultRule::once(on("manifest"), wait(503, text)));
        ended(&world.sync().await, ELASTIC, Failed, Some(Reason::RateLimited));
        world.clock.advance(Duration::from_secs(23 * 3600));
        ended(&world.sync().await, ELASTIC, Failed, Some(Reason::RateLimited));
        world.clock.advance(Duration::from_secs(2 * 3600));
        world.converges().await;
    }
}

#[tokio::test]
async fn redirects_that_lead_nowhere_good_u17_u18_u19_u21_u22() {
    let world = World::new().await;
    let mut table = vec![
        ("manifest", "redirect-loop", Reason::RedirectLimit),
        ("manifest", "redirect-chain", Reason::RedirectLimit),
        ("archive", "redirect-loop", Reason::RedirectLimit),
        ("manifest", "redirect-http", Reason::RedirectLimit),
        ("manifest", "redirect-loopback", Reason::ConnectFailed),
        ("manifest", "redirect-nowhere", Reason::BadResponse),
    ];
    for name in [
        "redirect-metadata",
        "redirect-private",
        "redirect-ula",
        "redirect-any-address",
        "redirect-mapped",
        "redirect-localhost",
        "redirect-file",
        "redirect-ftp",
        "redirect-gopher",
        "redirect-data",
        "redirect-javascript",
        "redirect-unix",
        "redirect-off-list",
        "redirect-userinfo",
    ] {
        table.push(("manifest", name, Reason::RedirectRefused));
        table.push(("packages", name, Reason::RedirectRefused));
    }
    refused(&world, &table).await;
}

#[tokio::test]
async fn a_redirect_to_another_host_must_be_on_the_list_u22() {
    let mut build = Build::default();
    build.sim.defender.content_base = Some("http://localhost:{port}".to_owned());
    let mut world = build.start().await;
    let report = world.sync().await;
    ended(&report, DEFENDER, Failed, Some(Reason::RedirectRefused));
    ended(&report, ELASTIC, Published, None);
    world.redirect_hosts = vec!["localhost".to_owned()];
    let report = world.sync().await;
    ended(&report, DEFENDER, Failed, Some(Reason::AddressRefused));
    world.named_hosts.push("localhost".to_owned());
    ended(&world.sync().await, DEFENDER, Published, None);
}

/// Limits that a test can wait for; honest answers over loopback keep to them with ease.
fn hurry(world: &mut World) {
    world.limits.head = Duration::from_millis(400);
    world.limits.pause = Duration::from_millis(400);
    world.limits.total = Duration::from_millis(1500);
    world.retry.attempts = 1;
}

#[tokio::test]
async fn drips_and_silence_end_u24_u25() {
    for (name, reasons) in [
        ("slow-drip", [Reason::Stalled; 2]),
        ("slow-drip:100", [Reason::Deadline; 2]),
        ("stall-before-head", [Reason::Timeout; 2]),
        ("stall-in-head", [Reason::Timeout; 2]),
        ("stall-mid-body", [Reason::Stalled; 2]),
        ("stall-between-chunks", [Reason::Stalled; 2]),
    ] {
        let mut world = World::new().await;
        world.sync().await;
        let before = world.tree().await;
        world.publish();
        let patient = (world.limits, world.retry);
        hurry(&mut world);
        world.inject(FaultRule::always(on("manifest"), fault(name)));
        world.inject(FaultRule::always(Kind::Archive, fault(name)));
        let report = world.sync().await;
        ended(&report, ELASTIC, Failed, Some(reasons[0]));
        ended(&report, DEFENDER, Failed, Some(reasons[1]));
        ended(&report, OTHER, Published, None);
        for (path, bytes) in before.iter().filter(|(path, _)| path.starts_with("/linux")) {
            assert_eq!(world.tree().await.get(path), Some(bytes));
        }
        (world.limits, world.retry) = patient;
        world.converges().await;
    }
}
