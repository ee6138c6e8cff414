//! The ways to tell of a configuration.

use std::sync::Arc;

use alarm::{
    Command, Damping, Email, EmailSettings, EmailTls, Heart, Outlet, Quiet, Sink, SinkError, Syslog, SyslogPeer, Way,
    Webhook,
};
use config::{AlarmBy, AlarmWay, Config, MailTls, SyslogAddress};
use model::Clock;
use outbound::{HttpClient, Push, Pusher, stream_tls};

use crate::build::{BuildError, read};
use crate::origins::client_settings;

/// What the heartbeat is called among the ways.
pub(super) const HEARTBEAT: &str = "heartbeat";

/// Everything that it takes to tell.
pub struct Ways {
    /// One for each way, in the order of the configuration.
    pub(crate) outlets: Vec<Outlet>,
    /// The sign of life, where there is one.
    pub(crate) heart: Option<Arc<Heart>>,
    /// What it is sent with.
    pub(crate) pusher: Arc<dyn Pusher>,
}

impl Ways {
    /// Makes every way of a configuration ready; nothing is asked yet.
    ///
    /// # Errors
    /// [`BuildError`] naming what cannot be used.
    pub fn new(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, BuildError> {
        let pusher = pusher(config, clock)?;
        let build = |way: &AlarmWay| {
            Ok(Outlet {
                way: Way { name: way.name.clone(), level: way.level, reasons: way.reasons.clone(), quiet: way.quiet },
                sink: sink(config, way, &pusher, clock)?,
                timeout: way.timeout,
                site: config.site.name.clone(),
            })
        };
        let outlets = config.alarm.ways.iter().map(build).collect::<Result<Vec<_>, BuildError>>()?;
        let heart = config.alarm.heartbeat.as_ref().map(|heartbeat| {
            let url = heartbeat.url.expose().clone();
            let push = if heartbeat.post { Push::post(url) } else { Push::get(url) };
            Arc::new(Heart::new(push, heartbeat.url.to_string(), heartbeat.every, heartbeat.timeout))
        });
        Ok(Self { outlets, heart, pusher })
    }

    /// The names of all ways, the heartbeat's last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let outlets = self.outlets.iter().map(|outlet| outlet.way.name.as_str());
        outlets.chain(self.heart.iter().map(|_| HEARTBEAT))
    }

    /// Tries every way at once, or one alone, and says for each what came of it. The heartbeat is tried only where it is
    /// asked for by its name: a test of ours is no sign that the process lives which it stands for.
    pub async fn test(&self, only: Option<&str>, clock: &dyn Clock) -> Vec<(String, Result<(), SinkError>)> {
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let outlets = self.outlets.iter().filter(|outlet| wanted(&outlet.way.name));
        let attempts = outlets.map(async |outlet| (outlet.way.name.clone(), alarm::test(outlet, clock).await));
        let mut outcomes = futures_util::future::join_all(attempts).await;
        if let Some(heart) = self.heart.as_ref().filter(|_| only == Some(HEARTBEAT)) {
            outcomes.push((HEARTBEAT.to_owned(), heart.beat(self.pusher.as_ref()).await));
        }
        outcomes
    }
}

pub(crate) fn quiet(config: &Config) -> Quiet {
    let alarm = &config.alarm;
    Quiet { windows: alarm.quiet.clone(), zone: alarm.quiet_zone.clone(), except_fail: alarm.quiet_except_fail }
}

pub(crate) fn damping(config: &Config) -> Damping {
    Damping { settle: config.alarm.settle, remind: config.alarm.remind }
}

/// The client that tells: the proxy and the roots are those of vendors, the hosts its own. They may have any address,
/// for most of them stand within; and may be plain http, for the operator wrote that.
fn pusher(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Pusher>, BuildError> {
    let hooks = config.alarm.ways.iter().filter_map(|way| match &way.by {
        AlarmBy::Webhook { url, .. } => Some(url),
        _ => None,
    });
    let urls = hooks.chain(config.alarm.heartbeat.iter().map(|heartbeat| &heartbeat.url));
    let mut settings = client_settings(config, Arc::clone(clock))?;
    settings.named_hosts = urls.filter_map(|url| url.expose().host_str().map(str::to_owned)).collect();
    settings.allow_plain_http = true;
    settings.rate_limit = None;
    Ok(Arc::new(HttpClient::new(settings)?))
}

fn sink(
    config: &Config,
    way: &AlarmWay,
    pusher: &Arc<dyn Pusher>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Sink>, BuildError> {
    let ca = || config.origin.ca_file.as_ref().map(|path| read("origin.ca_file", path)).transpose();
    Ok(match &way.by {
        AlarmBy::Command { argv } => Arc::new(Command::new(argv.clone(), environment())),
        AlarmBy::Webhook { url, header } => {
            let header = header.as_ref().map(|(name, value)| (name.clone(), outbound::Secret::new(value.expose())));
            Arc::new(Webhook::new(Arc::clone(pusher), url.expose().clone(), header))
        }
        AlarmBy::Syslog { address, facility } => {
            let peer = match address {
                SyslogAddress::Unix(path) => SyslogPeer::Unix(path.clone()),
                SyslogAddress::Udp(peer) => SyslogPeer::Udp(peer.host.clone(), peer.port),
                SyslogAddress::Tcp(peer) => SyslogPeer::Tcp(peer.host.clone(), peer.port),
                SyslogAddress::Tls(peer) => {
                    let tls = stream_tls(ca()?.as_deref(), Arc::clone(clock))?;
                    SyslogPeer::Tls(peer.host.clone(), peer.port, tls)
                }
            };
            Arc::new(Syslog::new(peer, *facility))
        }
        AlarmBy::Email(email) => {
            let settings = EmailSettings {
                relay: (email.relay.host.clone(), email.relay.port),
                tls: match email.tls {
                    MailTls::StartTls => EmailTls::StartTls,
                    MailTls::Tls => EmailTls::Tls,
                    MailTls::Off => EmailTls::Off,
                },
                login: email.login.as_ref().map(|(user, password)| (user.clone(), password.expose().to_owned())),
                from: email.from.clone(),
                to: email.to.clone(),
                ca_pem: ca()?,
                timeout: way.timeout,
            };
            let made = Email::new(settings).map_err(|source| BuildError::Alarm { way: way.name.clone(), source })?;
            Arc::new(made)
        }
    })
}

/// What a program is given of our environment: nothing of ours, which may hold secrets.
fn environment() -> Vec<(String, String)> {
    let all = config::environment().into_iter();
    all.filter(|(name, _)| !name.starts_with("WAYSTATION") && name != "NOTIFY_SOCKET").collect()
}
