//! The way to a console or a search cluster: its URL, its key, and answers in JSON.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use outbound::{Call, Caller, ClientError, ClientSettings, HttpClient, Limits, OutboundError, Secret, Verb};
use serde_json::Value;
use settings::{MirrorUrl, MirrorUrlError, OverPlainHttp};
use url::Url;

use model::shown;

/// The longest text of an answer that a message shows, in characters.
const MOST: usize = 400;

/// A key of Elasticsearch or Kibana, as the `Authorization` header takes it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds no API key: one line is meant, either id:key or that in base64 (the field 'encoded')")]
pub struct ApiKeyError;

impl ApiKey {
    /// Reads a key: `id:key`, or that in base64 as the console shows it.
    ///
    /// # Errors
    /// [`ApiKeyError`] when it is neither.
    pub fn read(text: &str) -> Result<Self, ApiKeyError> {
        let text = text.trim();
        let text = text.strip_prefix("ApiKey ").unwrap_or(text).trim();
        let plain = (8..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain {
            return Err(ApiKeyError);
        }
        match text.split_once(':') {
            Some((id, key)) if !id.is_empty() && !key.is_empty() => Ok(Self(base64(text.as_bytes()))),
            Some(_) => Err(ApiKeyError),
            None if text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_')) =>
            {
                Ok(Self(text.to_owned()))
            }
            None => Err(ApiKeyError),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit =
        |group: u32, at: u32| DIGITS.get((group >> (18 - 6 * at) & 63) as usize).map_or('=', |byte| char::from(*byte));
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        text.extend((0..4).map(|at| if at as usize <= chunk.len() { digit(group, at) } else { '=' }));
    }
    text
}

/// A client for one host: straight to it, whatever its address.
///
/// # Errors
/// [`ClientError`] when the CA file cannot be used.
pub fn client(url: &Url, ca_pem: Option<Vec<u8>>, clock: Arc<dyn Clock>) -> Result<Arc<dyn Caller>, ClientError> {
    let limits = Limits {
        head: Duration::from_secs(120),
        pause: Duration::from_secs(60),
        total: Duration::from_secs(600),
        ..Limits::default()
    };
    Ok(Arc::new(HttpClient::new(ClientSettings {
        ca_pem,
        // Whether plain HTTP is meant was weighed where the URL was read.
        allow_plain_http: true,
        named_hosts: url.host_str().map(str::to_owned).into_iter().collect(),
        limits,
        ..ClientSettings::new(clock)
    })?))
}

/// The way to one console or cluster.
#[derive(Clone)]
pub struct Access {
    caller: Arc<dyn Caller>,
    base: String,
    key: Option<ApiKey>,
}

/// Why a question brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The URL is none.
    #[error("{0}")]
    Url(String),
    /// There was no answer.
    #[error(transparent)]
    Unanswered(#[from] OutboundError),
    /// It is not JSON.
    #[error("{url} answered {status} with something other than JSON ({detail}): is this the right address?")]
    NotJson {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// Why it is none.
        detail: String,
    },
    /// It leads elsewhere.
    #[error("{url} answered {status}: it leads elsewhere, and no key is sent after it; give the address it leads to")]
    Elsewhere {
        /// Where.
        url: String,
        /// The status.
        status: u16,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) value: Value,
}

impl Said {
    /// What an answer says went wrong, in its own words; made fit to show.
    pub(crate) fn message(&self) -> String {
        let pointers = ["/message", "/error/reason", "/error/root_cause/0/reason", "/error"];
        let text = pointers.iter().find_map(|pointer| self.value.pointer(pointer)?.as_str());
        text.map_or_else(|| "no message".to_owned(), |text| shown(text, MOST))
    }
}

impl Access {
    /// The way to a base URL; with a key where one is given.
    ///
    /// # Errors
    /// [`AccessError::Url`] when the address cannot be one: a key goes over plain HTTP only where that is accepted.
    pub fn new(caller: Arc<dyn Caller>, base: &Url, key: Option<ApiKey>) -> Self {
        Self { caller, base: base.as_str().trim_end_matches('/').to_owned(), key }
    }

    /// Reads the address of a console or a cluster: as a mirror's, a scheme, no user, no query; but what goes over it is
    /// a key and not what endpoints fetch.
    ///
    /// # Errors
    /// [`AccessError::Url`] when it cannot be one.
    pub fn url(text: &str, plain: OverPlainHttp) -> Result<Url, AccessError> {
        let told = |error: MirrorUrlError| match error {
            MirrorUrlError::Plain(url) => format!(
                "'{url}' is plain HTTP: the API key would go over the network in clear, and whoever stands between could \
                 use it; give an https address, or say --allow-plain-http"
            ),
            MirrorUrlError::Credentials(url) => format!(
                "'{url}' has a user or a password in it: leave it out, and give an API key in a file (--api-key-file) or \
                 in the environment"
            ),
            MirrorUrlError::NoScheme(url) => format!("'{url}' has no scheme: write https://{url}"),
            MirrorUrlError::Scheme(url) => format!("'{url}' is neither https nor http"),
            MirrorUrlError::Folder(path) => format!("'{path}' is a folder: write https://host:port"),
            MirrorUrlError::Query(url) => format!("'{url}' has a query or a fragment: leave it out"),
            error => error.to_string(),
        };
        MirrorUrl::parse(text, plain).map(|url| url.url().clone()).map_err(|error| AccessError::Url(told(error)))
    }

    /// Asks; every status below 300 and above 399 is an answer.
    pub(crate) async fn ask(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&Value>,
        cap: u64,
    ) -> Result<Said, AccessError> {
        let shown_url = format!("{}{path}", self.base);
        let url = Url::parse(&shown_url).map_err(|error| AccessError::Url(format!("{shown_url}: {error}")))?;
        let mut call = Call::new(verb, url, cap);
        if let Some(ApiKey(key)) = &self.key {
            call = call.with_header("authorization", Secret::new(format!("ApiKey {key}")));
        }
        // Kibana asks for it; Elasticsearch passes over it.
        call = call.with_header("kbn-xsrf", Secret::new("waystation"));
        if let Some(body) = body {
            call = call.with_json(body.to_string().into_bytes());
        }
        let reply = self.caller.call(call).await?;
        if (300..400).contains(&reply.status) {
            return Err(AccessError::Elsewhere { url: shown_url, status: reply.status });
        }
        match serde_json::from_slice(&reply.body) {
            Ok(value) => Ok(Said { status: reply.status, value }),
            // Proxies in between answer in HTML; their status says enough.
            Err(_) if reply.status >= 400 => Ok(Said { status: reply.status, value: Value::Null }),
            Err(error) => Err(AccessError::NotJson {
                url: shown_url,
                status: reply.status,
                detail: shown(&error.to_string(), MOST),
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_console_is_refused_in_its_own_terms() {
        let told = |text: &str| Access::url(text, OverPlainHttp::Refused).unwrap_err().to_string();
        assert!(told("http://es.example:9200").contains("the API key would go over the network in clear"));
        assert!(told("https://elastic:hunter2@es.example").contains("--api-key-file"));
        for text in [
            "http://es.example",
            "https://u:p@es.example",
            "es.example:9200",
            "ftp://es.example",
            "https://es.example/?a",
        ] {
            let told = told(text);
            assert!(!told.contains("endpoint") && !told.contains("polic") && !told.contains(":p@"), "{told}");
        }
    }

    #[test]
    fn keys_are_taken_in_both_forms_and_never_shown_i13() {
        let ApiKey(encoded) = ApiKey::read("VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw\n").unwrap();
        assert_eq!(encoded, "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==");
        assert_eq!(ApiKey::read(&format!("ApiKey {encoded}")).unwrap(), ApiKey(encoded.clone()));
        for bad in ["", "short", ":aaaaaaaaa", "aaaaaaaaa:", "two words here", "a\nb aaaaaaa", "<html>aaaa", "ключключ"]
        {
            assert_eq!(ApiKey::read(bad), Err(ApiKeyError), "{bad:?}");
        }
        assert_eq!(format!("{:?}", ApiKey(encoded)), "ApiKey(…)");
    }

    #[test]
    fn messages_are_found_in_both_products_answers_c36() {
        for (value, message) in [
            (serde_json::json!({"statusCode": 409, "message": "a\u{1b}[2J"}), "a\\u{1b}[2J"),
            (serde_json::json!({"error": {"reason": "no such index"}, "status": 404}), "no such index"),
            (serde_json::json!({"error": "plain"}), "plain"),
            (serde_json::json!([1]), "no message"),
        ] {
            assert_eq!(Said { status: 400, value }.message(), message);
        }
    }
}
