//! The ways to tell people and machines that something is wrong: whether each can be gone. Nothing is sent on any.

use std::path::Path;

use config::{AlarmBy, Config, HostPort, MailTls, SyslogAddress};
use futures_util::future::join_all;
use model::Timestamp;
use rustix::fs::{Access, access};
use url::Url;

use crate::Check;
use crate::around::issuer;
use crate::finding::Finding;
use crate::tls::Roots;
use crate::wire::{Connection, Place, Waits, Way};

/// The most bytes of a CA file that are read.
const LARGEST_CA: u64 = 16 << 20;

/// What is tried of one way.
enum Try {
    /// A program can be started.
    Program(String),
    /// A socket or a folder is there.
    File(Result<String, String>),
    /// A connection; over TLS also who vouches for the other side.
    Connect(Place, Option<Way>),
    /// Datagrams: the name alone, since nobody answers.
    Name(HostPort),
}

/// Tries every way of `[alarm]` and `[history]`.
pub(crate) async fn look(config: &Config, now: Timestamp, waits: Waits) -> Vec<Finding> {
    let ca = config.origin.ca_file.as_ref().and_then(|path| platform::fs::read_named(path, LARGEST_CA).ok());
    // What is wrong with the CA file is told where files are looked at.
    let roots = Roots::load(ca.as_deref()).or_else(|_| Roots::load(None));
    let tries = ways(config).into_iter().map(|(on, what)| {
        let roots = roots.as_ref().ok();
        async move {
            let (asked, came) = carry_out(what, now, (roots, waits)).await;
            match came {
                Ok(came) => Finding::ok(Check::Way, &on, asked, came),
                Err(came) => Finding::fail(Check::Way, &on, asked, came),
            }
        }
    });
    join_all(tries).await
}

/// Each way with what it is called; URLs, which hold secrets, by scheme and host alone.
fn ways(config: &Config) -> Vec<(String, Try)> {
    let mut ways = Vec::new();
    for way in &config.alarm.ways {
        let on = |where_to: String| format!("alarm.{} {}: {where_to}", way.by.kind(), way.name);
        ways.extend(match &way.by {
            AlarmBy::Command { argv } => {
                argv.first().map(|program| (on(program.clone()), Try::Program(program.clone())))
            }
            AlarmBy::Webhook { url, .. } => http(config, url.expose()).map(|what| (on(url.to_string()), what)),
            AlarmBy::Syslog { address, .. } => Some((on(shown(address)), syslog(address))),
            AlarmBy::Email(email) => {
                let HostPort { host, port } = &email.relay;
                let place = match email.tls {
                    MailTls::Tls => Place::over_tls(host, *port),
                    // Before TLS is asked for, a relay speaks plainly.
                    MailTls::StartTls | MailTls::Off => Place::plain(host, *port),
                };
                Some((on(email.relay.to_string()), Try::Connect(place, Some(Way::Direct))))
            }
        });
    }
    let beat = config.alarm.heartbeat.as_ref();
    ways.extend(
        beat.and_then(|beat| {
            http(config, beat.url.expose()).map(|what| (format!("alarm.heartbeat: {}", beat.url), what))
        }),
    );
    let heads = config.history.head_syslog.as_ref();
    ways.extend(heads.map(|address| (format!("history.head_syslog: {}", shown(address)), syslog(address))));
    let file = config.history.head_file.as_deref();
    ways.extend(file.map(|path| (format!("history.head_file: {}", path.display()), Try::File(folder_of(path)))));
    ways
}

fn http(config: &Config, url: &Url) -> Option<Try> {
    Place::of(url).map(|place| Try::Connect(place, issuer::way(config, url)))
}

fn syslog(address: &SyslogAddress) -> Try {
    match address {
        SyslogAddress::Unix(path) => Try::File(socket(path)),
        SyslogAddress::Udp(host) => Try::Name(host.clone()),
        SyslogAddress::Tcp(host) => Try::Connect(Place::plain(&host.host, host.port), Some(Way::Direct)),
        SyslogAddress::Tls(host) => Try::Connect(Place::over_tls(&host.host, host.port), Some(Way::Direct)),
    }
}

fn shown(address: &SyslogAddress) -> String {
    match address {
        SyslogAddress::Unix(path) => path.display().to_string(),
        SyslogAddress::Udp(host) => format!("udp {host}"),
        SyslogAddress::Tcp(host) => format!("tcp {host}"),
        SyslogAddress::Tls(host) => format!("tls {host}"),
    }
}

fn socket(path: &Path) -> Result<String, String> {
    use std::os::unix::fs::FileTypeExt as _;

    match std::fs::metadata(path) {
        Ok(data) if data.file_type().is_socket() => Ok("is there".to_owned()),
        Ok(_) => Err("it is no socket".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn folder_of(path: &Path) -> Result<String, String> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let on = if path.exists() { path } else { parent };
    access(on, Access::WRITE_OK)
        .map(|()| "may be written".to_owned())
        .map_err(|error| format!("{}: {error}", on.display()))
}

fn program(path: &str) -> Result<String, String> {
    let data = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !data.is_file() {
        return Err("it is no file".to_owned());
    }
    access(path, Access::EXEC_OK)
        .map(|()| "may be started".to_owned())
        .map_err(|error| format!("this user may not start it: {error}"))
}

async fn carry_out(
    what: Try,
    now: Timestamp,
    (roots, waits): (Option<&Roots>, Waits),
) -> (&'static str, Result<String, String>) {
    match what {
        Try::Program(path) => ("to find the program", program(&path)),
        Try::File(found) => ("to find it", found),
        Try::Name(host) => {
            let found = tokio::net::lookup_host((host.host.as_str(), host.port));
            let came = match tokio::time::timeout(waits.left(waits.connect), found).await {
                Ok(Ok(mut addresses)) => addresses.next().map(|address| {
                    format!("the name leads to {}; whether datagrams arrive, nobody says", address.ip())
                }),
                Ok(Err(error)) => return ("to resolve the name", Err(error.to_string())),
                Err(_) => None,
            };
            ("to resolve the name", came.ok_or_else(|| "the name leads nowhere".to_owned()))
        }
        Try::Connect(_, None) => {
            ("to connect", Ok("not tried: origin.proxy itself speaks TLS; `waystation alarm test` tries it".to_owned()))
        }
        Try::Connect(place, Some(way)) => {
            ("to connect; nothing was sent", connect(&place, &way, (now, roots, waits)).await)
        }
    }
}

async fn connect(
    place: &Place,
    way: &Way,
    (now, roots, waits): (Timestamp, Option<&Roots>, Waits),
) -> Result<String, String> {
    let connection = Connection::open(place, way, waits).await.map_err(|error| error.to_string())?;
    let (Some(handshake), Some(roots)) = (connection.handshake.as_ref(), roots) else {
        return Ok("takes connections".to_owned());
    };
    match roots.judge(&handshake.chain, &place.name, now) {
        Ok(anchor) => Ok(format!("takes connections over TLS, vouched for by {}", crate::play::anchor_words(anchor))),
        Err(error) => Err(format!("its certificate is not trusted: {error}; see origin.ca_file")),
    }
}
