//! The client that speaks to the network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::{Reason, TlsAnchor};
use reqwest::redirect::Policy;
use url::Url;

use crate::attempt::{RawAnswer, Rules, Sent, Wire};
use crate::body::Chunks;
use crate::failure::{Failure, of_body, of_request};
use crate::guard::{Guard, Resolver};
use crate::host::HostName;
use crate::meter::Limiter;
use crate::no_proxy::NoProxy;
use crate::text::safe_url;
use crate::tls::{Anchors, config};
use crate::{ClientError, ClientSettings, Outbound, OutboundError, ProxySettings, Request, Response};

/// Idle connections kept to one host; as many as are ever in flight by default.
const MAX_IDLE: usize = 32;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// How often the system probes a silent connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The one HTTP client: HTTP/1.1, because content goes in long bodies over few hosts, and one protocol is one
/// protocol's faults. It keeps no cookies, sends no Referer and never an Authorization.
pub struct HttpClient {
    pub(crate) network: Network,
    pub(crate) rules: Rules,
    checks_addresses: bool,
}

impl HttpClient {
    /// Builds the client; touches neither network nor trust stores.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        if settings.rate_limit == Some(0) {
            return Err(ClientError::Setting { setting: "origin.rate_limit", detail: "must not be 0".to_owned() });
        }
        let guard = Arc::new(Guard::except(&settings.named_hosts));
        let anchors = Arc::new(Anchors::default());
        let tls = config(settings.ca_pem.as_deref(), Arc::clone(&settings.clock), Arc::clone(&anchors))?;
        let direct = builder(&settings, tls.clone(), Arc::clone(&guard))?;
        let proxied = settings.proxy.as_ref().map(|proxy| Proxied::new(&settings, proxy, tls)).transpose()?;
        let rules = Rules {
            guard,
            allow_plain_http: settings.allow_plain_http,
            limits: settings.limits,
            limiter: settings.rate_limit.map(|rate| Arc::new(Limiter::new(rate))),
            clock: settings.clock,
        };
        let checks_addresses = proxied.is_none();
        Ok(Self { network: Network { direct: build(direct)?, proxied, anchors }, rules, checks_addresses })
    }
}

#[async_trait]
impl Outbound for HttpClient {
    async fn get(&self, request: Request) -> Result<Response, OutboundError> {
        self.rules.attempt(&self.network, &request).await
    }

    fn checks_addresses(&self) -> bool {
        self.checks_addresses
    }
}

pub(crate) struct Network {
    direct: reqwest::Client,
    proxied: Option<Proxied>,
    anchors: Arc<Anchors>,
}

struct Proxied {
    client: reqwest::Client,
    shown: String,
    except: NoProxy,
}

impl Proxied {
    fn new(settings: &ClientSettings, proxy: &ProxySettings, tls: rustls::ClientConfig) -> Result<Self, ClientError> {
        let except = NoProxy::parse(&settings.no_proxy)?;
        let shown = safe_url(&proxy.url);
        let bad = || ClientError::Proxy { url: shown.clone() };
        let plain = matches!(proxy.url.scheme(), "http" | "https") && matches!(proxy.url.path(), "" | "/");
        if !plain || proxy.url.query().is_some() || proxy.url.host().is_none() {
            return Err(bad());
        }
        let mut url = proxy.url.clone();
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| bad())?;
        let mut through = reqwest::Proxy::all(url).map_err(|_| bad())?.no_proxy(None);
        if let Some((user, password)) = credentials(proxy) {
            through = through.basic_auth(&user, &password);
        }
        // The one name this client ever looks up is the proxy's own, which the configuration gives.
        let client = build(builder(settings, tls, Arc::new(Guard::Off))?.proxy(through))?;
        Ok(Self { client, shown: shown.trim_end_matches('/').to_owned(), except })
    }
}

fn credentials(proxy: &ProxySettings) -> Option<(String, String)> {
    let in_url = (!proxy.url.username().is_empty()).then(|| percent_decoded(proxy.url.username()));
    let user = proxy.user.clone().or(in_url)?;
    let password = match (&proxy.password, proxy.url.password()) {
        (Some(secret), _) => secret.expose().to_owned(),
        (None, Some(text)) => percent_decoded(text),
        (None, None) => String::new(),
    };
    Some((user, password))
}

fn percent_decoded(text: &str) -> String {
    // `+` is a plus in userinfo, unlike in forms.
    let form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn builder(
    settings: &ClientSettings,
    tls: rustls::ClientConfig,
    guard: Arc<Guard>,
) -> Result<reqwest::ClientBuilder, ClientError> {
    let user_agent = reqwest::header::HeaderValue::from_str(&settings.user_agent).map_err(|_| {
        ClientError::Setting { setting: "user_agent", detail: "holds characters that no header takes".to_owned() }
    })?;
    Ok(reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent(user_agent)
        .tls_backend_preconfigured(tls)
        .dns_resolver(Resolver::new(guard, Arc::clone(&settings.names)))
        .connect_timeout(settings.limits.connect)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(KEEPALIVE))
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    builder.build().map_err(|cause| ClientError::Build { source: Box::new(cause) })
}

impl Network {
    /// The client for a URL, and the proxy it goes through, fit to show.
    pub(crate) fn client_for(&self, url: &Url) -> (&reqwest::Client, Option<&str>) {
        match self.through(url) {
            Some(proxied) => (&proxied.client, Some(proxied.shown.as_str())),
            None => (&self.direct, None),
        }
    }

    fn through(&self, url: &Url) -> Option<&Proxied> {
        self.proxied.as_ref().filter(|proxied| !proxied.except.covers(url))
    }

    fn anchor(&self, url: &Url) -> TlsAnchor {
        match HostName::of(url) {
            Some(host) if url.scheme() == "https" => self.anchors.of(&host),
            _ => TlsAnchor::None,
        }
    }
}

#[async_trait]
impl Wire for Network {
    async fn ask(&self, url: &Url, sent: Sent) -> Result<RawAnswer, Failure> {
        let (client, proxy) = self.client_for(url);
        let request = if sent.head_only { client.head(url.clone()) } else { client.get(url.clone()) };
        let answer = request.headers(sent.headers).send().await;
        let answer = answer.map_err(|error| of_request(&error, proxy))?;
        if answer.version() > reqwest::Version::HTTP_11 {
            return Err(Failure::new(Reason::BadResponse, "the answer is in a version of HTTP that was not asked for"));
        }
        Ok(RawAnswer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            anchor: self.anchor(url),
            chunks: Box::new(NetworkChunks(answer)),
        })
    }

    fn proxy(&self, url: &Url) -> Option<String> {
        self.through(url).map(|proxied| proxied.shown.clone())
    }
}

struct NetworkChunks(reqwest::Response);

#[async_trait]
impl Chunks for NetworkChunks {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.0.chunk().await.map_err(|error| of_body(&error))
    }
}
