use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use platform::SystemClock;
use trust::KeyRing;
use url::Url;
use vendor_sim::tls::{CertificateFault, Identity, TlsFault, TlsFront};
use vendor_sim::{ElasticSettings, Fault, FaultRule, Kind, Manner, Pattern, Relay, Settings, Simulator, Times, Wait};

use super::play::play_with;
use super::{Addresses, Arrival, Connections, Rehearsal, Report, Target, TargetError, play};

fn vendor() -> Simulator {
    let elastic = ElasticSettings { artifacts: 12, artifact_size: 2048, ..ElasticSettings::default() };
    Simulator::start(Settings { elastic, ..Settings::default() }).unwrap()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

async fn target(url: &str) -> Target {
    Target::find(&Url::parse(url).unwrap(), None, || panic!("no TLS")).await.unwrap()
}

/// An hour in a second.
fn rehearsal(vendor: &Simulator) -> Rehearsal {
    Rehearsal {
        elastic: 40,
        versions: vec!["9.0.0".to_owned(), "8.18.3".to_owned()],
        speed: 3600,
        keys: KeyRing::empty().with_pem(&vendor.public_key_pem().unwrap()).unwrap(),
        ..Rehearsal::default()
    }
}

async fn played(vendor: &Simulator, rehearsal: Rehearsal) -> Report {
    play(rehearsal, target(&vendor.elastic_url()).await, clock(), |_| {}).await
}

#[tokio::test]
async fn a_cold_fleet_takes_everything_and_then_polls() {
    let vendor = vendor();
    let cold = Rehearsal { warm_percent: 0, restart_percent: 0, slow_percent: 0, ..rehearsal(&vendor) };
    let report = played(&vendor, cold).await;
    assert!(report.errors.is_empty(), "{report:#?}");
    assert_eq!((report.endpoints, report.statuses.get(&304)), (40, Some(&40)), "each polls twice: {report:#?}");
    for feed in &report.feeds {
        assert_eq!((feed.endpoints, feed.newest, feed.behind, feed.empty), (20, 20, 0, 0), "{feed:?}");
    }
    assert!(report.is_good() && report.bytes > 0);
    assert!(report.requests.iter().all(|kind| kind.head.p50 <= kind.head.p99 && kind.head.p99 <= kind.head.max));
}

#[tokio::test]
async fn a_warm_fleet_polls_alone() {
    let vendor = vendor();
    let warm =
        Rehearsal { warm_percent: 100, arrival: Arrival::Hour, connections: Connections::Kept, ..rehearsal(&vendor) };
    let report = played(&vendor, Rehearsal { restart_percent: 0, ..warm }).await;
    assert_eq!(report.statuses.into_iter().collect::<Vec<_>>(), [(304, 80)]);
    assert_eq!(report.connections, 40, "kept between polls");
}

#[tokio::test]
async fn who_never_asked_is_not_called_current() {
    let vendor = vendor();
    // It ends long before the moments of most.
    let short = Rehearsal { warm_percent: 100, restart_percent: 0, ..rehearsal(&vendor) };
    let report = played(&vendor, Rehearsal { length: Duration::from_secs(60), ..short }).await;
    for feed in &report.feeds {
        assert_eq!(feed.newest + feed.silent, feed.endpoints, "{feed:?}");
    }
    let silent: u32 = report.feeds.iter().map(|feed| feed.silent).sum();
    assert!(silent > 20 && report.errors.is_empty() && !report.is_good(), "{report:#?}");
}

#[tokio::test]
async fn over_tls_every_connection_has_its_handshake_and_an_unknown_root_is_no_mirror() {
    let vendor = vendor();
    let identity = Identity::new(CertificateFault::Good).unwrap();
    let front = TlsFront::start(vendor.address(), &identity, TlsFault::None).unwrap();
    let url = Url::parse(&format!("https://{}", front.address())).unwrap();
    let find = |roots: Option<&str>| {
        let tls = outbound::stream_tls(roots.map(str::as_bytes), clock()).unwrap();
        let url = url.clone();
        async move { Target::find(&url, None, || tls).await.unwrap() }
    };
    let warm = || Rehearsal { warm_percent: 100, restart_percent: 0, ..rehearsal(&vendor) };
    let report = play(warm(), find(Some(identity.trusted_pem())).await, clock(), |_| {}).await;
    assert!(report.is_good() && report.errors.is_empty(), "{report:#?}");
    assert_eq!((report.connections, report.connect.count), (80, 80), "closed between polls");
    let report = play(warm(), find(None).await, clock(), |_| {}).await;
    assert_eq!(report.errors.keys().collect::<Vec<_>>(), ["no_tls"], "{report:#?}");
}

#[tokio::test]
async fn what_it_takes_to_connect_belongs_to_the_answer() {
    let vendor = vendor();
    let identity = Identity::new(CertificateFault::Good).unwrap();
    let front = TlsFront::start(vendor.address(), &identity, TlsFault::None).unwrap();
    // Every piece is late, those of the handshake too.
    let manner = Manner { lost_percent: 100, again: Duration::from_millis(100), ..Manner::default() };
    let slow = Relay::start(front.address(), manner).unwrap();
    let url = Url::parse(&format!("https://{}", slow.address())).unwrap();
    let tls = outbound::stream_tls(Some(identity.trusted_pem().as_bytes()), clock()).unwrap();
    let target = Target::find(&url, None, || tls).await.unwrap();
    let warm = Rehearsal { warm_percent: 100, restart_percent: 0, slow_percent: 0, ..rehearsal(&vendor) };
    let report = play(warm, target, clock(), |_| {}).await;
    assert!(report.is_good(), "{report:#?}");
    assert!(report.connect.p50 >= 100.0, "{report:#?}");
    for kind in &report.requests {
        assert!(kind.head.p50 > report.connect.p50, "{report:#?}");
    }
}

#[tokio::test]
async fn a_swarm_without_sockets_enough_says_who_waited() {
    let vendor = vendor();
    let burst = || Rehearsal { arrival: Arrival::Burst, warm_percent: 0, restart_percent: 0, ..rehearsal(&vendor) };
    let with = |sockets: usize| {
        let vendor = &vendor;
        async move { play_with(sockets, (burst(), target(&vendor.elastic_url()).await), clock(), |_| {}).await }
    };
    let enough = with(1000).await;
    assert_eq!((enough.waited.count, enough.is_good()), (0, true), "{enough:#?}");
    let few = with(2).await;
    assert!(few.is_good() && few.waited.count > 0 && few.waited.max > 0.0, "{few:#?}");
    assert!(few.most_connections <= 2, "{few:#?}");
}

#[tokio::test]
async fn slow_lines_restarts_and_a_burst_end_well() {
    let vendor = vendor();
    let rough = Rehearsal {
        arrival: Arrival::Burst,
        slow_percent: 50,
        slow_rate: 1 << 10,
        restart_percent: 30,
        warm_percent: 0,
        addresses: Addresses::One,
        ..rehearsal(&vendor)
    };
    let report = played(&vendor, rough).await;
    assert!(report.errors.is_empty() && report.restarts > 0, "{report:#?}");
    assert!(report.is_good(), "{report:#?}");
}

#[tokio::test]
async fn what_goes_wrong_is_counted_by_what_it_is() {
    let vendor = vendor();
    let inject = |fault, pattern| {
        vendor.inject(FaultRule { pattern, fault, times: Times::Always });
    };
    inject(Fault::OtherBytes, Pattern::Kind(Kind::Artifact(10)));
    let cold = || Rehearsal { warm_percent: 0, restart_percent: 0, ..rehearsal(&vendor) };
    let report = played(&vendor, cold()).await;
    assert!(report.errors.keys().any(|what| what.contains("other bytes")), "{report:#?}");
    assert!(!report.is_good());
    vendor.clear_faults();
    inject(Fault::RetryAfter(503, Wait::Text("1".into())), Pattern::Kind(Kind::Manifest));
    let report = played(&vendor, cold()).await;
    assert_eq!(report.errors.keys().collect::<Vec<_>>(), ["status 503"], "{report:#?}");
    assert!(report.feeds.iter().all(|feed| feed.empty == feed.endpoints));
}

#[tokio::test]
async fn a_mirror_that_is_not_there_is_counted_too() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let none = Rehearsal { defender: 10, speed: 7200, ..Rehearsal::default() };
    let report = play(none, target(&format!("http://{closed}")).await, clock(), |_| {}).await;
    assert_eq!(report.errors.keys().collect::<Vec<_>>(), ["no_connection"], "{report:#?}");
}

#[tokio::test]
async fn only_this_machine_or_a_host_that_is_named_twice() {
    let find = |url: &str, confirmed: Option<&'static str>| {
        let url = Url::parse(url).unwrap();
        async move { Target::find(&url, confirmed, || panic!("no TLS")).await }
    };
    assert!(find("http://127.0.0.1:8080/rings/canary/", None).await.is_ok());
    assert!(find("http://[::1]:8080", None).await.is_ok());
    assert!(matches!(find("http://192.0.2.7", None).await, Err(TargetError::Unconfirmed { .. })));
    assert!(find("http://192.0.2.7", Some("192.0.2.7")).await.is_ok());
    assert!(matches!(find("http://192.0.2.7", Some("192.0.2.8")).await, Err(TargetError::Another { .. })));
    for vendor in ["http://artifacts.security.elastic.co", "http://go.microsoft.com.", "http://ELASTIC.CO"] {
        let host = if vendor.contains("go.") { "go.microsoft.com." } else { "artifacts.security.elastic.co" };
        assert!(matches!(find(vendor, Some(host)).await, Err(TargetError::Vendor(_))), "{vendor}");
    }
    for bad in ["ftp://127.0.0.1", "http://127.0.0.1/?x=1"] {
        assert!(matches!(find(bad, None).await, Err(TargetError::Url(_))), "{bad}");
    }
}
