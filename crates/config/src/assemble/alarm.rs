//! Who is told what is wrong, and how.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use model::{Level, Reason};
use url::Url;

use super::scope;
use crate::keys::{self, FACILITIES};
use crate::load::read_secret;
use crate::problem::quoted;
use crate::reader::{Reader, Scope};
use crate::types::{Alarm, AlarmBy, AlarmWay, Email, Heartbeat, HostPort, MailTls, SyslogAddress};
use crate::{Secret, SecretUrl};

pub(super) fn alarm(reader: &Reader<'_>) -> Option<Alarm> {
    let scope = scope(reader, "alarm")?;
    let quiet = scope.each("quiet");
    let quiet_zone = scope.get("quiet_zone");
    let quiet_except: Option<String> = scope.get("quiet_except");
    let remind = scope.get("remind");
    let settle = scope.get("settle");
    let failures = scope.get::<u64>("failures").and_then(|number| u32::try_from(number).ok());
    let endpoints_silent_after = scope.get("endpoints_silent_after");
    let certificate_warn: Option<Duration> = scope.get("certificate_warn");
    let certificate_fail: Option<Duration> = scope.get("certificate_fail");
    if certificate_warn < certificate_fail && certificate_warn.is_some() {
        scope.wrong(
            "certificate_warn",
            "is shorter than alarm.certificate_fail, so that the failure would come before its warning",
        );
        return None;
    }
    let ways = ways(reader);
    let heartbeat = heartbeat(reader);
    Some(Alarm {
        quiet: quiet?,
        quiet_zone: quiet_zone?,
        quiet_except_fail: quiet_except? == "fail",
        remind: remind?,
        settle: settle?,
        failures: failures?,
        endpoints_silent_after: endpoints_silent_after?,
        certificate_warn: certificate_warn?,
        certificate_fail: certificate_fail?,
        ways: ways?,
        heartbeat: heartbeat?,
    })
}

/// A kind of way, and what reads the keys that it alone has.
type Kind = (&'static str, fn(&Scope<'_>) -> Option<AlarmBy>);

const KINDS: [Kind; 4] =
    [("alarm.command", command), ("alarm.webhook", webhook), ("alarm.syslog", syslog), ("alarm.email", email)];

fn ways(reader: &Reader<'_>) -> Option<Vec<AlarmWay>> {
    // The heartbeat has its name among the ways when they are tried.
    let (mut ways, mut names, mut whole) = (Vec::new(), BTreeSet::from(["heartbeat".to_owned()]), true);
    for (section, by) in KINDS {
        let scopes = reader.list(keys::section(section)?);
        let kind = section.trim_start_matches("alarm.");
        for (number, scope) in (1_usize..).zip(&scopes) {
            let default = if scopes.len() == 1 { kind.to_owned() } else { format!("{kind}-{number}") };
            let by = by(scope);
            match way(scope, default, by) {
                Some(way) if !names.insert(way.name.clone()) => {
                    scope.wrong(
                        "name",
                        format!("{} is the name of another way to tell; choose another", quoted(&way.name)),
                    );
                    whole = false;
                }
                Some(way) => ways.push(way),
                None => whole = false,
            }
        }
        whole &= !scopes.is_empty() || !reader.has(section);
    }
    whole.then_some(ways)
}

fn way(scope: &Scope<'_>, default: String, by: Option<AlarmBy>) -> Option<AlarmWay> {
    let name = name(scope, default);
    let level: Option<String> = scope.get("level");
    let reasons = reasons(scope);
    let quiet = scope.get("quiet");
    let timeout = scope.get("timeout");
    let level = if level? == "fail" { Level::Fail } else { Level::Warn };
    Some(AlarmWay { name: name?, level, reasons: reasons?, quiet: quiet?, timeout: timeout?, by: by? })
}

fn name(scope: &Scope<'_>, default: String) -> Option<String> {
    let Some(name) = scope.maybe::<String>("name")? else { return Some(default) };
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain || name.len() > 32 || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let shown = quoted(&name);
        scope.wrong("name", format!("{shown} is not 1 to 32 lower-case letters, digits or '-' from a letter on; write for example name = \"pager\""));
        return None;
    }
    Some(name)
}

fn reasons(scope: &Scope<'_>) -> Option<Vec<Reason>> {
    let codes: Vec<String> = scope.each("reasons")?;
    let read = |code: &String| {
        let reason = Reason::from_code(code);
        if reason.is_none() {
            scope.wrong("reasons", format!("{} is no reason code; docs/reason-codes.md lists them", quoted(code)));
        }
        reason
    };
    let read: Vec<Option<Reason>> = codes.iter().map(read).collect();
    read.into_iter().collect()
}

fn command(scope: &Scope<'_>) -> Option<AlarmBy> {
    let argv: Vec<String> = scope.sequence("argv")?;
    match argv.first() {
        None => {
            needed(scope, "argv");
            None
        }
        Some(program) if !program.starts_with('/') => {
            scope.wrong("argv", format!("{} is not a program's path from '/' on", quoted(program)));
            None
        }
        Some(_) => Some(AlarmBy::Command { argv }),
    }
}

/// Notes that a list is missing or empty.
fn needed(scope: &Scope<'_>, name: &'static str) {
    if scope.has(name) {
        scope.wrong(name, "is empty");
    } else {
        // Said in the words that it has for every missing key.
        let _ = scope.get::<String>(name);
    }
}

fn webhook(scope: &Scope<'_>) -> Option<AlarmBy> {
    let url = url(scope);
    let header: Option<Option<String>> = scope.maybe("header");
    let value = secret(scope, "header_file");
    let (url, header, value) = (url?, header?, value?);
    let header = match (header, value) {
        (Some(name), Some(value)) => {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let ours = ["content-length", "content-type", "host", "connection", "transfer-encoding", "user-agent"];
            if !plain || name.len() > 64 || ours.contains(&name.to_ascii_lowercase().as_str()) {
                scope.wrong("header", format!("{} is no header that can be set here", quoted(&name)));
                return None;
            }
            Some((name, value))
        }
        (None, None) => None,
        (Some(_), None) => {
            scope.wrong("header", "needs header_file beside it");
            return None;
        }
        (None, Some(_)) => {
            scope.wrong("header_file", "needs header beside it");
            return None;
        }
    };
    if header.is_some() && url.expose().scheme() == "http" && !is_loopback(url.expose()) {
        scope.wrong("header", "would go out for everybody to read, since the URL is plain http; use https");
        return None;
    }
    Some(AlarmBy::Webhook { url, header })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    }
}

/// `url`, or what stands in `url_file`.
fn url(scope: &Scope<'_>) -> Option<SecretUrl> {
    let given: Option<Option<Url>> = scope.maybe("url");
    let file = secret(scope, "url_file");
    let url = match (given?, file?) {
        (Some(_), Some(_)) => {
            scope.wrong("url", "stands beside url_file; keep one of the two");
            return None;
        }
        (None, None) => return scope.get::<Url>("url").map(SecretUrl::new),
        (Some(url), None) => url,
        (None, Some(text)) => match Url::parse(text.expose()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => url,
            _ => {
                scope.wrong("url_file", "names a file that holds no http or https URL");
                return None;
            }
        },
    };
    if !url.username().is_empty() || url.password().is_some() {
        scope.wrong(
            if scope.has("url") { "url" } else { "url_file" },
            "holds a user or password; send them in a header instead",
        );
        return None;
    }
    Some(SecretUrl::new(url))
}

/// What stands in the file that a key names.
fn secret(scope: &Scope<'_>, name: &'static str) -> Option<Option<Secret>> {
    let Some(file): Option<PathBuf> = scope.path(name)? else { return Some(None) };
    match read_secret(&file) {
        Ok(secret) => Some(Some(secret)),
        Err(message) => {
            scope.wrong(name, message);
            None
        }
    }
}

fn syslog(scope: &Scope<'_>) -> Option<AlarmBy> {
    let address: Option<String> = scope.get("address");
    let facility: Option<String> = scope.get("facility");
    let address = address?;
    let Some(read) = syslog_address(&address) else {
        let shown = quoted(&address);
        scope.wrong(
            "address",
            format!(
                "{shown} is no address; write for example address = \"tcp://logs.internal:601\" or \"unix:/dev/log\""
            ),
        );
        return None;
    };
    let facility = facility?;
    let facility = FACILITIES.iter().position(|known| *known == facility).and_then(|at| u8::try_from(at).ok())?;
    Some(AlarmBy::Syslog { address: read, facility })
}

pub(super) fn syslog_address(text: &str) -> Option<SyslogAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        return (path.starts_with('/') && !path.contains('\0')).then(|| SyslogAddress::Unix(path.into()));
    }
    let (scheme, rest) = text.split_once("://")?;
    let peer = host_port(rest)?;
    match scheme {
        "udp" => Some(SyslogAddress::Udp(peer)),
        "tcp" => Some(SyslogAddress::Tcp(peer)),
        "tls" => Some(SyslogAddress::Tls(peer)),
        _ => None,
    }
}

/// `host:port`, with an IPv6 address in brackets.
fn host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None => host.to_owned(),
    };
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let named = bare.is_some() || (plain && !host.is_empty() && host.len() <= 253 && !host.starts_with('-'));
    named.then_some(HostPort { host, port })
}

fn email(scope: &Scope<'_>) -> Option<AlarmBy> {
    let relay = relay(scope);
    let tls: Option<String> = scope.get("tls");
    let user: Option<Option<String>> = scope.maybe("user");
    let password = secret(scope, "password_file");
    let from = scope.get::<String>("from").and_then(|from| address(scope, "from", from));
    let to: Option<Vec<String>> = scope.each("to");
    let to: Option<Vec<Option<String>>> = to.map(|all| all.into_iter().map(|to| address(scope, "to", to)).collect());
    let to: Option<Vec<String>> = to.and_then(|all| all.into_iter().collect());
    if to.as_ref().is_some_and(Vec::is_empty) {
        needed(scope, "to");
        return None;
    }
    let tls = match tls?.as_str() {
        "tls" => MailTls::Tls,
        "off" => MailTls::Off,
        _ => MailTls::StartTls,
    };
    let login = match (user?, password?) {
        (Some(_), Some(_)) if tls == MailTls::Off => {
            scope.wrong("password_file", "would go out for everybody to read, since tls is off");
            return None;
        }
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => {
            scope.wrong("user", "needs password_file beside it");
            return None;
        }
        (None, Some(_)) => {
            scope.wrong("password_file", "needs user beside it");
            return None;
        }
    };
    Some(AlarmBy::Email(Email { relay: relay?, tls, login, from: from?, to: to? }))
}

fn relay(scope: &Scope<'_>) -> Option<HostPort> {
    let text: String = scope.get("relay")?;
    let relay = host_port(&text);
    if relay.is_none() {
        let shown = quoted(&text);
        scope.wrong("relay", format!("{shown} is no host and port; write for example relay = \"smtp.internal:587\""));
    }
    relay
}

/// A plain mail address: the forms that only parsers use are not taken.
fn address(scope: &Scope<'_>, name: &'static str, text: String) -> Option<String> {
    let plain = |part: &str, more: &[u8]| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    let dots = |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
    let fits = text.split_once('@').is_some_and(|(user, host)| {
        plain(user, b".!#$%&'*+/=?^_`{|}~-") && dots(user) && plain(host, b".-") && dots(host) && user.len() <= 64
    });
    if fits && text.len() <= 254 {
        return Some(text);
    }
    scope.wrong(name, format!("{} is no mail address", quoted(&text)));
    None
}

fn heartbeat(reader: &Reader<'_>) -> Option<Option<Heartbeat>> {
    if !reader.has("alarm.heartbeat") {
        return Some(None);
    }
    let scope = scope(reader, "alarm.heartbeat")?;
    let url = url(&scope);
    let every = scope.get("every");
    let method: Option<String> = scope.get("method");
    let timeout = scope.get("timeout");
    Some(Some(Heartbeat { url: url?, every: every?, post: method? == "post", timeout: timeout? }))
}
