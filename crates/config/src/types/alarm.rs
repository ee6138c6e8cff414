//! Who is told what is wrong, and how.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use model::{Level, Reason, Window, Zone};

use crate::{Secret, SecretUrl};

/// Who is told what is wrong, when and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Hours in which little is told.
    pub quiet: Vec<Window>,
    /// The time zone that they are meant in.
    pub quiet_zone: Zone,
    /// Whether what fails is told in them all the same.
    pub quiet_except_fail: bool,
    /// How often what still stands is told again.
    pub remind: Duration,
    /// How long something must be gone until that is told.
    pub settle: Duration,
    /// How many runs in a row a feed must fail before that is told.
    pub failures: u32,
    /// How long no endpoint may ask for content, once one has; zero for ever.
    pub endpoints_silent_after: Duration,
    /// How long before its end a certificate is a warning.
    pub certificate_warn: Duration,
    /// How long before its end a certificate is a failure.
    pub certificate_fail: Duration,
    /// The ways to tell, in the order of the reference; each with a name of its own.
    pub ways: Vec<AlarmWay>,
    /// The sign of life for somebody outside.
    pub heartbeat: Option<Heartbeat>,
}

impl Alarm {
    /// Every secret, each with what it belongs to.
    pub(super) fn secrets(&self) -> Vec<(String, &str)> {
        let mut secrets = Vec::new();
        for way in &self.ways {
            let key = |what: &str| format!("alarm.{} {} {what}", way.by.kind(), way.name);
            match &way.by {
                AlarmBy::Webhook { url, header } => {
                    secrets.push((key("url"), url.expose().as_str()));
                    secrets.extend(header.iter().map(|(_, value)| (key("header"), value.expose())));
                }
                AlarmBy::Email(email) => {
                    secrets.extend(email.login.iter().map(|(_, password)| (key("password"), password.expose())));
                }
                AlarmBy::Command { .. } | AlarmBy::Syslog { .. } => {}
            }
        }
        let heartbeat = self.heartbeat.iter().map(|heartbeat| heartbeat.url.expose().as_str());
        secrets.extend(heartbeat.map(|url| ("alarm.heartbeat url".to_owned(), url)));
        secrets
    }
}

/// One way to tell somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmWay {
    /// What it is called.
    pub name: String,
    /// The mildest that it is told; never [`Level::Fine`].
    pub level: Level,
    /// The only reasons that it is told; all when empty.
    pub reasons: Vec<Reason>,
    /// Whether quiet hours hold for it.
    pub quiet: bool,
    /// For one attempt.
    pub timeout: Duration,
    /// How.
    pub by: AlarmBy,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmBy {
    /// By starting a program.
    Command {
        /// The program, as a path from `/` on, and its arguments.
        argv: Vec<String>,
    },
    /// By an HTTP POST.
    Webhook {
        /// Where to.
        url: SecretUrl,
        /// A header to send: its name and its value.
        header: Option<(String, Secret)>,
    },
    /// By syslog.
    Syslog {
        /// Where to.
        address: SyslogAddress,
        /// The facility's number.
        facility: u8,
    },
    /// By mail.
    Email(Email),
}

impl AlarmBy {
    /// The word in configuration and reports.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
            Self::Webhook { .. } => "webhook",
            Self::Syslog { .. } => "syslog",
            Self::Email(_) => "email",
        }
    }
}

/// Where syslog messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Datagrams.
    Udp(HostPort),
    /// Octet-counted messages on a connection.
    Tcp(HostPort),
    /// The same within TLS.
    Tls(HostPort),
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an address without brackets.
    pub host: String,
    /// A port; never 0.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(address) => write!(f, "{}", SocketAddr::new(address, self.port)),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Mail through a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The relay.
    pub relay: HostPort,
    /// How the line is kept private.
    pub tls: MailTls,
    /// The user that the relay asks for, and the user's password.
    pub login: Option<(String, Secret)>,
    /// The sender's address.
    pub from: String,
    /// The addresses that it goes to; at least one.
    pub to: Vec<String>,
}

/// How a line to a relay is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Plain at first, TLS before anything is said.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    Off,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where to.
    pub url: SecretUrl,
    /// How often.
    pub every: Duration,
    /// Whether it is a POST; else a GET.
    pub post: bool,
    /// For one.
    pub timeout: Duration,
}
