//! What `mdatp health` says, in the vendor's two forms.
//!
//! Text: the key in 44 columns, then `: value`; strings in quotes, and ` [managed]` behind what a policy set. JSON: keys
//! in camel case; settings as objects of `displayValue`, `isManaged` and `value`; times as strings of milliseconds;
//! states as objects with a `$type`. The form of `--details definitions` in JSON is nowhere shown: it is made by the same
//! rules.

use jiff::tz::TimeZone;
use model::Timestamp;
use serde_json::{Map, Value, json};

use super::agent::Agent;
use super::managed::{Enforcement, Managed, Setting};
use super::store::{Installed, Record};

/// What a field shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Bare.
    Bool(bool),
    /// In quotes.
    Text(String),
    /// In quotes; in JSON a state of its own.
    State(&'static str),
    /// Bare.
    Number(u64),
    /// A date in local time; none where there is nothing to date.
    Date(Option<Timestamp>),
    /// A list of texts.
    List(Vec<String>),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The vendor's key.
    pub key: &'static str,
    /// What it shows.
    pub shown: Shown,
    /// Whether it is a setting, and whether a policy set it.
    pub managed: Option<bool>,
}

/// What an endpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The lines, in the vendor's order.
    pub fields: Vec<Field>,
    name: &'static str,
}

/// No field has that name.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no field '{asked}'; there are: {known}")]
pub struct UnknownField {
    asked: String,
    known: String,
}

/// What health is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// The agent that is played.
    pub agent: &'f Agent,
    /// Its settings.
    pub managed: &'f Managed,
    /// The set in use.
    pub installed: Option<&'f Installed>,
    /// Files of the set in use that are gone, or have another size: with one of them no engine is loaded.
    pub damaged: &'f [String],
    /// What was tried last.
    pub record: &'f Record,
    /// Whether an update is under way.
    pub is_updating: bool,
    /// The time.
    pub now: Timestamp,
}

impl Facts<'_> {
    /// The vendor's word for where the definitions stand.
    pub fn status(&self) -> &'static str {
        match self.installed {
            _ if self.is_updating => "updating",
            None => "unavailable",
            Some(_) if !self.damaged.is_empty() => "unavailable",
            Some(installed) if self.now.since(installed.at) > self.managed.due.value => "out_of_date",
            Some(_) => "up_to_date",
        }
    }

    fn definitions_version(&self) -> Shown {
        let version = self.installed.and_then(|installed| installed.version.as_ref());
        Shown::Text(version.map(|version| version.version.to_string()).unwrap_or_default())
    }

    fn engine_version(&self) -> Shown {
        let version = self.installed.and_then(|installed| installed.version.as_ref());
        let engine = version.and_then(|version| version.engine.as_ref());
        Shown::Text(engine.map(ToString::to_string).unwrap_or_default())
    }

    fn updated(&self) -> [Field; 2] {
        let at = self.installed.map(|installed| installed.at);
        let minutes = at.map_or(0, |at| self.now.since(at).as_secs() / 60);
        [
            plain("definitions_updated", Shown::Date(at)),
            plain("definitions_updated_minutes_ago", Shown::Number(minutes)),
        ]
    }

    fn issues(&self) -> Vec<String> {
        let mut issues = Vec::new();
        match self.status() {
            _ if !self.damaged.is_empty() => {
                issues.push(format!("definitions are damaged: {}", self.damaged.join(", ")));
            }
            "unavailable" => issues.push("no definitions available".to_owned()),
            "out_of_date" => issues.push("definitions are out of date".to_owned()),
            _ => {}
        }
        issues.extend(self.record.fail.iter().map(|fail| format!("definitions update failed: {}", fail.code)));
        issues
    }
}

impl Health {
    /// `health`: of the vendor's lines those that a stand-in can say.
    pub fn all(facts: &Facts<'_>) -> Self {
        let managed = facts.managed;
        let issues = facts.issues();
        let real_time = managed.enforcement.value == Enforcement::RealTime;
        let [updated, minutes] = facts.updated();
        // The vendor's engine is down in passive and on-demand mode but for scans (since 101.24032.0007).
        let engine = match facts.installed {
            Some(_) if real_time && facts.damaged.is_empty() => "Engine load succeeded",
            _ => "Engine not loaded",
        };
        let fields = vec![
            plain("healthy", Shown::Bool(issues.is_empty())),
            plain("health_issues", Shown::List(issues)),
            plain("licensed", Shown::Bool(true)),
            plain("engine_version", facts.engine_version()),
            plain("engine_load_status", Shown::Text(engine.to_owned())),
            plain("app_version", Shown::Text(facts.agent.version.to_string())),
            plain("release_ring", Shown::Text("Production".to_owned())),
            setting("automatic_definition_update_enabled", Shown::Bool, &managed.automatic),
            setting("passive_mode_enabled", |level| Shown::Bool(level == Enforcement::Passive), &managed.enforcement),
            setting(
                "real_time_protection_enabled",
                |level| Shown::Bool(level == Enforcement::RealTime),
                &managed.enforcement,
            ),
            updated,
            minutes,
            plain("definitions_version", facts.definitions_version()),
            plain("definitions_status", Shown::State(facts.status())),
        ];
        Self { fields, name: "getHealthAllResult" }
    }

    /// `health --details definitions`.
    pub fn definitions(facts: &Facts<'_>) -> Self {
        let (managed, record) = (facts.managed, facts.record);
        let [updated, minutes] = facts.updated();
        let reason = record.fail.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut fields = vec![
            setting("automatic_definition_update_enabled", Shown::Bool, &managed.automatic),
            updated,
            minutes,
            plain("definitions_version", facts.definitions_version()),
            plain("definitions_status", Shown::State(facts.status())),
            plain("definitions_update_source_uri", Shown::Text(record.source.clone())),
            plain("definitions_update_fail_reason", Shown::Text(reason)),
            setting("offline_definition_url_configured", |url| Shown::Text(url.unwrap_or_default()), &managed.url),
            setting("offline_definition_update", switch, &managed.offline),
        ];
        if facts.agent.always_checks_engine() {
            fields.push(plain("offline_definition_update_verify_sig", Shown::Text("DEPRECATED".to_owned())));
            fields.push(plain("engine_signature_verification", Shown::Text("enabled".to_owned())));
        } else {
            fields.push(setting("offline_definition_update_verify_sig", switch, &managed.verify_signature));
        }
        fields.push(setting("offline_definition_update_fallback_to_cloud", Shown::Bool, &managed.fallback));
        Self { fields, name: "getHealthDefinitionsResult" }
    }

    /// The lines, dates in this zone.
    pub fn lines(&self, zone: &TimeZone) -> Vec<String> {
        let line = |field: &Field| {
            let managed = if field.managed == Some(true) { " [managed]" } else { "" };
            format!("{:<44}: {}{managed}", field.key, text(&field.shown, zone))
        };
        self.fields.iter().map(line).collect()
    }

    /// The value of one field, as `--field` prints it.
    ///
    /// # Errors
    /// There is no such field.
    pub fn field(&self, name: &str, zone: &TimeZone) -> Result<String, UnknownField> {
        match self.fields.iter().find(|field| field.key == name) {
            Some(field) => Ok(text(&field.shown, zone)),
            None => {
                let known: Vec<&str> = self.fields.iter().map(|field| field.key).collect();
                Err(UnknownField { asked: name.chars().take(80).collect(), known: known.join(", ") })
            }
        }
    }

    /// The JSON object.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("$type".to_owned(), Value::from(self.name));
        for field in &self.fields {
            let value = match (&field.shown, field.managed) {
                (shown, Some(is_managed)) => {
                    let value = bare(shown);
                    json!({ "displayValue": value, "isManaged": is_managed, "value": value })
                }
                (Shown::State(state), None) => json!({ "$type": camel(state) }),
                (shown, None) => bare(shown),
            };
            object.insert(camel(field.key), value);
        }
        Value::Object(object)
    }
}

fn plain(key: &'static str, shown: Shown) -> Field {
    Field { key, shown, managed: None }
}

fn setting<T: Clone>(key: &'static str, shown: impl Fn(T) -> Shown, setting: &Setting<T>) -> Field {
    Field { key, shown: shown(setting.value.clone()), managed: Some(setting.is_managed) }
}

fn switch(is_on: bool) -> Shown {
    Shown::Text(if is_on { "enabled" } else { "disabled" }.to_owned())
}

fn text(shown: &Shown, zone: &TimeZone) -> String {
    let quoted = |text: &str| {
        let plain: String = text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        format!("\"{plain}\"")
    };
    match shown {
        Shown::Bool(value) => value.to_string(),
        Shown::Text(text) => quoted(text),
        Shown::State(state) => quoted(state),
        Shown::Number(number) => number.to_string(),
        Shown::Date(None) => quoted(""),
        Shown::Date(Some(at)) => {
            let at = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            at.to_zoned(zone.clone()).strftime("%b %d, %Y at %I:%M:%S %p").to_string()
        }
        Shown::List(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("[{}]", texts.join(", "))
        }
    }
}

fn bare(shown: &Shown) -> Value {
    match shown {
        Shown::Bool(value) => Value::from(*value),
        Shown::Text(text) => Value::from(text.as_str()),
        Shown::State(state) => Value::from(camel(state)),
        Shown::Number(number) => Value::from(*number),
        Shown::Date(at) => Value::from(at.map(|at| at.as_micros().div_euclid(1000).to_string()).unwrap_or_default()),
        Shown::List(texts) => Value::from(texts.clone()),
    }
}

/// `up_to_date` as `upToDate`.
fn camel(snake: &str) -> String {
    let mut parts = snake.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut camel, part| {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
}
