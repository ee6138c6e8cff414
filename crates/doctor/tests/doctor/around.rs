//! The way to the vendors: refused, unresolved, intercepted, or as it should be.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use Check::*;
use Level::{Fail, Warn};
use config::Config;
use doctor::{Check, Finding, Level, Quietly, Report, Surroundings, surroundings};
use model::{Clock, Reason, Timestamp};
use outbound::{ClientSettings, HttpClient, Outbound, ProxySettings, ScriptedAnswer, ScriptedClient};
use platform::SystemClock;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;
use vendor_sim::{Settings, Simulator};

use crate::tls::{acceptor, chain, named, whole};

/// The system's clock, and so much later.
struct Later(SystemClock, Duration);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        self.0.now().after(self.1)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

fn clock(later: u64) -> Arc<dyn Clock> {
    Arc::new(Later(SystemClock::new(), Duration::from_secs(later)))
}

async fn look(text: &str, outbound: Arc<dyn Outbound>) -> Report {
    let listen = "[[serve]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let config = Config::parse(&format!("{listen}{text}"), Path::new("none.toml"), &[]).unwrap();
    let site = Surroundings {
        config,
        is_set_up: true,
        environment: Vec::new(),
        settings: vendors::Settings::default(),
        outbound,
        clock: clock(0),
        deadline: Duration::from_secs(60),
    };
    surroundings(&site, &Quietly).await
}

/// What was found of the way to the vendors; the machine that tests run on is its own business.
fn of<'a>(report: &'a Report, checks: &'a [Check]) -> Vec<&'a Finding> {
    report.findings.iter().filter(|finding| checks.contains(&finding.check)).collect()
}

fn client(change: impl FnOnce(&mut ClientSettings), later: u64) -> Arc<dyn Outbound> {
    let mut settings = ClientSettings::new(clock(later));
    settings.named_hosts = vec!["127.0.0.1".to_owned()];
    settings.allow_plain_http = true;
    change(&mut settings);
    Arc::new(HttpClient::new(settings).unwrap())
}

fn both(vendor: &Simulator) -> String {
    format!(
        "[origin]\nallow_plain_http = true\n[elastic]\norigin = \"{}\"\nversions = [\"9.0.0\"]\n\
         [defender]\norigin = \"{}\"\nredirect_hosts = [\"127.0.0.1\", \"*.example.com\"]\n",
        vendor.elastic_url(),
        vendor.defender_url()
    )
}

#[tokio::test]
async fn vendors_that_can_be_reached_say_what_they_offer() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let report = look(&both(&vendor), client(|_| {}, 0)).await;
    assert!(of(&report, &[Host, Clock, Proxy, Intercepted]).iter().all(|finding| finding.level == Level::Ok));
    let told: Vec<&str> = of(&report, &[Host]).iter().map(|finding| finding.came.as_str()).collect();
    assert!(told.iter().any(|came| came.contains("of elastic/9.0.0")), "{told:?}");
    assert!(told.iter().any(|came| came.contains("of defender/linux/production/x86_64")), "{told:?}");
    let pattern = report.hosts.iter().find(|row| row.host == "*.example.com").unwrap();
    assert_eq!((pattern.level, pattern.port), (None, 443));
    assert!(report.hosts.iter().any(|row| row.host == "127.0.0.1" && row.level == Some(Level::Ok)));
}

#[tokio::test]
async fn a_clock_that_is_off_by_an_hour_s28() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let report = look(&both(&vendor), client(|_| {}, 3600)).await;
    let found = of(&report, &[Clock]);
    assert_eq!(found[0].level, Fail);
    assert!(found[0].came.contains("ahead of"), "{}", found[0].came);
}

#[tokio::test]
async fn a_version_that_the_vendor_does_not_have_u12() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let report = look(&both(&vendor).replace("9.0.0", "7.7.7"), client(|_| {}, 0)).await;
    let found = of(&report, &[Host]);
    assert!(found.iter().any(|finding| finding.level == Fail && finding.came.contains("not_found")));
}

#[tokio::test]
async fn names_that_do_not_resolve_u48() {
    let outbound = ScriptedClient::new(clock(0));
    let origin = "https://artifacts.security.elastic.co";
    let url = Url::parse(&format!("{origin}/downloads/endpoint/manifest/artifacts-9.0.0.zip")).unwrap();
    outbound.answer(url.as_str(), ScriptedAnswer::failure(Reason::DnsFailed, "the name could not be resolved"));
    let report = look("[elastic]\nversions = [\"9.0.0\"]\n", Arc::new(outbound)).await;
    let found = of(&report, &[Host]);
    assert_eq!((found[0].level, found[0].remedy), (Fail, Reason::DnsFailed.remedy()));
    assert_eq!(report.hosts[0].level, Some(Fail));
    assert_eq!(of(&report, &[Clock])[0].level, Warn, "nobody told the time");
}

#[tokio::test]
async fn where_a_link_leads_is_not_known_when_it_was_not_reached_u48() {
    let outbound = ScriptedClient::new(clock(0));
    let text = "[defender]\nplatforms = [\"linux\"]\nredirect_hosts = [\"definitionupdates.microsoft.com\"]\n";
    // Nothing is scripted: no name resolves.
    let report = look(text, Arc::new(outbound)).await;
    let row = report.hosts.iter().find(|row| row.host == "definitionupdates.microsoft.com").unwrap();
    assert_eq!(row.level, Some(Fail), "{row:?}");
    assert!(row.result.contains("is not known") && !row.result.contains("does not redirect"), "{row:?}");
    let told = of(&report, &[Host]);
    assert!(
        told.iter().any(|finding| finding.level == Fail && finding.on[0].starts_with("definitionupdates")),
        "{told:?}"
    );
}

/// A proxy that answers CONNECT with a status, and then speaks TLS itself.
async fn proxy(status: &'static str, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut tcp = BufReader::new(tcp);
                if !head(&mut tcp).await {
                    return;
                }
                let _ = tcp.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
                let Some(tls) = tls else { return };
                let Ok(stream) = tls.accept(tcp.into_inner()).await else { return };
                let mut stream = BufReader::new(stream);
                while head(&mut stream).await {
                    let date = SystemClock::new().now().http_date();
                    let answer = format!("HTTP/1.1 404 no\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.flush().await;
                }
            });
        }
    });
    address
}

/// Reads a request's head.
async fn head(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> bool {
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return false,
            Ok(_) if line.trim().is_empty() => return true,
            Ok(_) => {}
        }
    }
}

async fn through(proxy: SocketAddr, ca_pem: Option<String>) -> Report {
    let url = Url::parse(&format!("http://{proxy}")).unwrap();
    let outbound = client(
        |settings| {
            settings.proxy = Some(ProxySettings { url, user: None, password: None });
            settings.ca_pem = ca_pem.map(String::into_bytes);
        },
        0,
    );
    look(&format!("[origin]\nproxy = \"http://{proxy}\"\n[elastic]\nversions = [\"9.0.0\"]\n"), outbound).await
}

#[tokio::test]
async fn a_proxy_that_refuses_u49() {
    for status in ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"] {
        let report = through(proxy(status, None).await, None).await;
        let found = of(&report, &[Proxy, Host]);
        assert_eq!((found[0].check, found[0].level), (Proxy, Fail), "{status}: {:?}", found[0].came);
        assert_eq!((report.hosts[0].protocol, report.hosts[0].level), ("HTTP CONNECT", Some(Fail)));
    }
}

#[tokio::test]
async fn a_proxy_that_opens_tls_is_known_by_its_issuer_u46() {
    let made = chain(named("artifacts", &["artifacts.security.elastic.co"]));
    for (ca, level) in [(Some(made.root_pem.clone()), Warn), (None, Fail)] {
        let address = proxy("200 Connected", Some(acceptor(&made, whole(&made), true))).await;
        let report = through(address, ca).await;
        let found = of(&report, &[Intercepted]);
        assert_eq!(found.len(), 1, "{:?}", report.findings);
        assert_eq!(found[0].level, level);
        assert!(found[0].came.contains("'Corp Root'"), "{}", found[0].came);
        assert!(report.hosts.iter().any(|row| row.via == format!("http://{address}")), "{:?}", report.hosts);
    }
}

#[tokio::test]
async fn silence_ends_in_time_u25() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap();
    let text =
        format!("[origin]\nallow_plain_http = true\n[elastic]\norigin = \"http://{origin}\"\nversions = [\"9.0.0\"]\n");
    let config = Config::parse(&text, Path::new("none.toml"), &[]).unwrap();
    let site = Surroundings {
        config,
        is_set_up: true,
        environment: Vec::new(),
        settings: vendors::Settings::default(),
        outbound: client(|_| {}, 0),
        clock: clock(0),
        deadline: Duration::from_millis(300),
    };
    let report = surroundings(&site, &Quietly).await;
    assert!(of(&report, &[Deadline]).iter().any(|finding| finding.level == Fail));
}

#[tokio::test]
async fn a_redirect_host_that_nobody_led_to_is_no_fault_and_shared_hosts_name_both_vendors() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let text = both(&vendor).replace("\"*.example.com\"", "\"localhost\"");
    let report = look(&text, client(|settings| settings.named_hosts.push("localhost".to_owned()), 0)).await;
    assert!(of(&report, &[Host]).iter().all(|finding| finding.level == Level::Ok), "{:?}", report.findings);
    let row = report.hosts.iter().find(|row| row.host == "localhost").unwrap();
    assert_eq!((row.level, row.protocol, row.port), (None, "HTTPS", 443), "{row:?}");
    let shared = format!(
        "[origin]\nallow_plain_http = true\n[elastic]\norigin = \"{0}\"\nversions = [\"9.0.0\"]\n\
         [defender]\norigin = \"{0}\"\nredirect_hosts = []\n",
        vendor.elastic_url()
    );
    let report = look(&shared, client(|_| {}, 0)).await;
    let port = vendor.elastic_url().parse::<Url>().unwrap().port().unwrap();
    let row = report.hosts.iter().find(|row| row.port == port).unwrap();
    assert_eq!(row.needed_by, "elastic, defender");
}

#[tokio::test]
async fn ways_to_tell_somebody_are_tried_and_nothing_is_sent() {
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let address = open.local_addr().unwrap();
    let text = format!(
        "[[alarm.command]]\nname = \"shell\"\nargv = [\"/bin/sh\"]\n\
         [[alarm.command]]\nname = \"gone\"\nargv = [\"/nowhere/tell\"]\n\
         [[alarm.command]]\nname = \"text\"\nargv = [\"/etc/passwd\"]\n\
         [[alarm.webhook]]\nname = \"open\"\nurl = \"http://{address}/secret\"\n\
         [[alarm.webhook]]\nname = \"closed\"\nurl = \"http://{closed}/secret\"\n\
         [[alarm.syslog]]\nname = \"siem\"\naddress = \"tcp://{address}\"\n"
    );
    let report = look(&text, client(|_| {}, 0)).await;
    let told = |name: &str| {
        let found = of(&report, &[Way]);
        found.iter().find(|finding| finding.on.iter().any(|on| on.contains(name))).unwrap().level
    };
    for (name, level) in [("shell", Level::Ok), ("gone", Fail), ("text", Fail), ("open", Level::Ok), ("closed", Fail)] {
        assert_eq!(told(name), level, "{name}: {:?}", of(&report, &[Way]));
    }
    assert_eq!(told("siem"), Level::Ok);
    assert!(of(&report, &[Way]).iter().all(|finding| finding.on.iter().all(|on| !on.contains("secret"))));
    for _ in 0..2 {
        let (mut stream, _) = open.accept().await.unwrap();
        let mut sent = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut sent).await.unwrap();
        assert!(sent.is_empty());
    }
}
