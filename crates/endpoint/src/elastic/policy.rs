//! A policy: what of an Elastic Defend integration policy decides over global artifacts.
//!
//! Read as Kibana's API gives it (`item`, `inputs`), as its `value` alone, nested or with dotted keys. The advanced
//! settings are typed into text fields, so numbers and truths may be strings.

use std::time::Duration;

use model::FeedId;
use serde_json::Value;
use settings::elastic::{Channel, System};
use url::Url;
use vendors::json::{self, JsonError, Limits};

const VENDOR: &str = "https://artifacts.security.elastic.co";
/// Seconds, the vendor's default.
const INTERVAL: u64 = 3600;

/// Which state of the artifacts is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// The newest.
    Latest,
    /// As of a day, `YYYY-MM-DD`.
    Date(String),
}

impl Snapshot {
    /// The vendor's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Latest => "latest",
            Self::Date(date) => date,
        }
    }
}

/// What decides over global artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The policy's id; empty where the text names none.
    pub id: String,
    /// Its name; empty where the text names none.
    pub name: String,
    /// Its revision; 0 where the text names none.
    pub revision: u64,
    /// `artifacts.global.base_url`, as written.
    pub base_url: String,
    /// `artifacts.global.manifest_relative_url`: taken literally.
    pub manifest_relative_url: Option<String>,
    /// `artifacts.global.public_key`: instead of the built-in one.
    pub public_key: Option<String>,
    /// `artifacts.global.ca_cert`: beside the system's.
    pub ca_cert: Option<String>,
    /// `artifacts.global.interval`.
    pub interval: Duration,
    /// `artifacts.global.channel`.
    pub channel: Channel,
    /// `artifacts.global.proxy_url`, unless `proxy_disable` is set.
    pub proxy: Option<String>,
    /// `global_manifest_version`.
    pub snapshot: Snapshot,
    /// Whether `allow_cloud_features` lets artifacts be updated.
    pub allows_updates: bool,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

/// A policy cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is no JSON.
    #[error("the policy cannot be read: JSON is meant, as Kibana's API gives a policy")]
    Json(#[from] JsonError),
    /// It is JSON, and no policy.
    #[error("the policy is JSON, and holds neither `inputs` (as Kibana's API gives it), nor settings for {0}")]
    Shape(System),
    /// A setting cannot be used.
    #[error("{key} '{value}' {what}")]
    Setting {
        /// Which.
        key: String,
        /// As it is written, cut.
        value: String,
        /// What is wrong, as the end of a sentence.
        what: &'static str,
    },
}

impl Policy {
    /// The defaults, with this address.
    ///
    /// # Errors
    /// The address is none.
    pub fn plain(base_url: &str, os: System) -> Result<Self, PolicyError> {
        let mut policy = Self {
            id: String::new(),
            name: String::new(),
            revision: 0,
            base_url: VENDOR.to_owned(),
            manifest_relative_url: None,
            public_key: None,
            ca_cert: None,
            interval: Duration::from_secs(INTERVAL),
            channel: Channel::Default,
            proxy: None,
            snapshot: Snapshot::Latest,
            allows_updates: true,
            warnings: Vec::new(),
        };
        policy.set_base(base_url, &format!("{os}.advanced.artifacts.global.base_url"))?;
        Ok(policy)
    }

    /// Reads a policy for a host of this system.
    ///
    /// # Errors
    /// [`PolicyError`]: it is none, or a setting cannot be used.
    pub fn read(bytes: &[u8], os: System) -> Result<Self, PolicyError> {
        let document = json::parse(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), &Limits::default())?;
        let package = document.get("item").unwrap_or(&document);
        let value = package.pointer("/inputs/0/config/policy/value").unwrap_or(package);
        let prefix = format!("{os}.advanced.");
        let dotted = value.as_object().is_some_and(|object| object.keys().any(|key| key.starts_with(&prefix)));
        if value.get(os.as_str()).is_none() && value.get("global_manifest_version").is_none() && !dotted {
            return Err(PolicyError::Shape(os));
        }
        let mut policy = Self::plain(VENDOR, os)?;
        let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        (policy.id, policy.name) = (text("id"), text("name"));
        policy.revision = package.get("revision").and_then(Value::as_u64).unwrap_or(0);
        let settings = Settings { value, os };
        policy.take(&settings)?;
        policy.snapshot = snapshot(value)?;
        Ok(policy)
    }

    /// This policy, with another address than its own.
    ///
    /// # Errors
    /// The address is none.
    pub fn at(mut self, base_url: &str, os: System) -> Result<Self, PolicyError> {
        self.set_base(base_url, &format!("{os}.advanced.artifacts.global.base_url"))?;
        let told = no_base(os);
        self.warnings.retain(|warning| *warning != told);
        Ok(self)
    }

    fn take(&mut self, settings: &Settings<'_>) -> Result<(), PolicyError> {
        const GLOBAL: &str = "artifacts.global";
        let of = |name: &str| settings.text(&format!("{GLOBAL}.{name}"));
        if let Some((key, url)) = of("base_url") {
            self.set_base(&url, &key)?;
        } else {
            self.warnings.push(no_base(settings.os));
        }
        self.manifest_relative_url = of("manifest_relative_url").map(|(_, path)| path);
        self.public_key = of("public_key").map(|(_, pem)| pem);
        self.ca_cert = of("ca_cert").map(|(_, pem)| pem);
        if let Some((key, text)) = of("interval") {
            let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds > 0);
            let seconds = seconds.ok_or_else(|| wrong(&key, &text, "is no number of seconds"))?;
            self.interval = Duration::from_secs(seconds);
        }
        if let Some((key, text)) = of("channel") {
            self.channel = match text.as_str() {
                "default" => Channel::Default,
                "rapid" => Channel::Rapid,
                "stable" => Channel::Stable,
                _ => return Err(wrong(&key, &text, "is not default, rapid or stable")),
            };
        }
        let disabled = of("proxy_disable").is_some_and(|(_, text)| text == "true");
        self.proxy = of("proxy_url").map(|(_, url)| url).filter(|_| !disabled);
        if let Some((key, list)) = settings.text("allow_cloud_features") {
            self.allows_updates = list.split(',').any(|one| matches!(one.trim(), "artifacts-update" | "all"));
            if !self.allows_updates {
                self.warnings.push(format!("{key} leaves artifacts-update out: artifacts are not updated"));
            }
        }
        Ok(())
    }

    fn set_base(&mut self, text: &str, key: &str) -> Result<(), PolicyError> {
        let url =
            Url::parse(text).map_err(|_| wrong(key, text, "is no URL: it must begin with http:// or https://"))?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(key, text, "is no base: it must begin with http:// or https://, and have no query"));
        }
        self.base_url = text.to_owned();
        Ok(())
    }
}

/// A misspelt key is passed over in silence, and then no mirror is asked.
fn no_base(os: System) -> String {
    format!("no {os}.advanced.artifacts.global.base_url in the policy: the vendor itself is asked, and no mirror")
}

/// The day that is pinned, if one is.
fn snapshot(value: &Value) -> Result<Snapshot, PolicyError> {
    const KEY: &str = "global_manifest_version";
    let text = match value.get(KEY) {
        None => return Ok(Snapshot::Latest),
        Some(Value::String(text)) => text,
        Some(other) => return Err(wrong(KEY, &other.to_string(), "is neither \"latest\" nor a day as a string")),
    };
    if text == "latest" {
        return Ok(Snapshot::Latest);
    }
    // A feed's name holds a day, and only one that the calendar has.
    match format!("elastic/0.0.0@{text}").parse::<FeedId>() {
        Ok(_) => Ok(Snapshot::Date(text.clone())),
        Err(_) => Err(wrong(KEY, text, "is neither latest nor a day such as 2026-01-15")),
    }
}

/// The advanced settings of one system.
struct Settings<'v> {
    value: &'v Value,
    os: System,
}

impl Settings<'_> {
    /// A setting's full name and its text, if it is there and not empty.
    fn text(&self, name: &str) -> Option<(String, String)> {
        let key = format!("{}.advanced.{name}", self.os);
        let nested = format!("/{}", key.replace('.', "/"));
        let value = self.value.pointer(&nested).or_else(|| self.value.get(&key))?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some((key, text))
    }
}

fn wrong(key: &str, value: &str, what: &'static str) -> PolicyError {
    let value = value.chars().take(120).flat_map(char::escape_default).collect();
    PolicyError::Setting { key: key.to_owned(), value, what }
}
