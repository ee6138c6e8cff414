//! Managed settings: what of `mdatp_managed.json`, or of a macOS profile, decides over updates.
//!
//! Read as leniently as the vendor's own sample needs (keys may stand twice, the last one counts). What has the wrong
//! type or a name that is known to be misspelt is left out and told, never guessed. Which keys there are, what they take
//! and where that is written stands in [`settings::defender::KEYS`].

use std::time::Duration;

use serde_json::{Map, Value};
use settings::defender::{Address, Context, KEYS, Kind, proxy};
use settings::{Check, Document, DocumentError, Format};

use super::agent::{Agent, Assumptions, Fallback, Platform};
use super::plan::other_system;

/// Eight hours, the vendor's default.
const INTERVAL: u64 = 28_800;
/// Days, the vendor's default (macOS schema).
const DUE: u64 = 7;

/// A setting, and whether the managed file set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// Its value.
    pub value: T,
    /// Whether a policy set it.
    pub is_managed: bool,
}

/// What the engine does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It guards, and updates on a timer.
    RealTime,
    /// It scans when told.
    OnDemand,
    /// It only looks.
    Passive,
}

impl Enforcement {
    /// The vendor's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RealTime => "real_time",
            Self::OnDemand => "on_demand",
            Self::Passive => "passive",
        }
    }
}

/// What decides over updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// `cloudService.automaticDefinitionUpdateEnabled`.
    pub automatic: Setting<bool>,
    /// `cloudService.definitionUpdatesInterval`.
    pub interval: Setting<Duration>,
    /// `cloudService.definitionUpdateDue`: older definitions are out of date.
    pub due: Setting<Duration>,
    /// `cloudService.proxy`.
    pub proxy: Setting<Option<String>>,
    /// `antivirusEngine.enforcementLevel`.
    pub enforcement: Setting<Enforcement>,
    /// `antivirusEngine.offlineDefinitionUpdate`.
    pub offline: Setting<bool>,
    /// `antivirusEngine.offlineDefinitionUpdateUrl`, as it is written.
    pub url: Setting<Option<String>>,
    /// `antivirusEngine.offlineDefinitionUpdateFallbackToCloud`.
    pub fallback: Setting<bool>,
    /// `features.offlineDefinitionUpdateVerifySig`.
    pub verify_signature: Setting<bool>,
    /// `scheduledScan.checkForDefinitionsUpdate`.
    pub scan_checks: Setting<bool>,
    /// Whether the timer wants `real_time`: the Linux page has that condition, the macOS page has none.
    pub timer_wants_real_time: bool,
    /// What was left out, or bent, and why.
    pub warnings: Vec<String>,
}

impl Managed {
    /// Whether the enforcement level lets definitions be updated on a timer.
    pub fn is_timed(&self) -> bool {
        !self.timer_wants_real_time || self.enforcement.value == Enforcement::RealTime
    }
}

/// The managed settings cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("the managed settings cannot be read, so none of them counts")]
pub struct ManagedError(#[from] DocumentError);

impl Managed {
    /// What holds where nothing is managed.
    pub fn defaults(agent: &Agent, assumptions: &Assumptions) -> Self {
        let default_of = |value| Setting { value, is_managed: false };
        let falls_back = agent.platform == Platform::Mac || assumptions.linux_falls_back == Fallback::Cloud;
        let passive = agent.is_passive_by_default();
        Self {
            automatic: default_of(true),
            interval: Setting { value: Duration::from_secs(INTERVAL), is_managed: false },
            due: Setting { value: days(DUE), is_managed: false },
            proxy: Setting { value: None, is_managed: false },
            enforcement: Setting {
                value: if passive { Enforcement::Passive } else { Enforcement::RealTime },
                is_managed: false,
            },
            offline: default_of(false),
            url: Setting { value: None, is_managed: false },
            fallback: default_of(falls_back),
            verify_signature: default_of(true),
            scan_checks: default_of(false),
            timer_wants_real_time: agent.platform == Platform::Linux,
            warnings: Vec::new(),
        }
    }

    /// Reads `mdatp_managed.json`, a property list or a configuration profile.
    ///
    /// # Errors
    /// It is none of them, or holds no settings.
    pub fn read(bytes: &[u8], agent: &Agent, assumptions: &Assumptions) -> Result<Self, ManagedError> {
        let document = Document::read(bytes)?;
        let (sections, _) = document.sections();
        let mut reading = Reading { sections: &sections, managed: Self::defaults(agent, assumptions) };
        reading.cloud_service();
        reading.engine(agent);
        reading.features(agent);
        reading.scheduled_scan(agent);
        reading.managed.warnings.extend(passed_over(&document, agent));
        Ok(reading.managed)
    }
}

/// The system that a file of settings is for: `mdatp_managed.json` for Linux, a property list or profile for macOS. None
/// where it holds no settings.
pub fn system_of(settings: &[u8]) -> Option<Platform> {
    match Document::read(settings).ok()?.format() {
        Format::Json => Some(Platform::Linux),
        Format::Plist | Format::Profile => Some(Platform::Mac),
    }
}

/// What of a file this agent passes over, in words: what the linter knows of that, nobody has to find out twice.
fn passed_over(document: &Document, agent: &Agent) -> Vec<String> {
    let platform = match agent.platform {
        Platform::Linux => settings::defender::Platform::Linux,
        Platform::Mac => settings::defender::Platform::Mac,
    };
    let context = Context { platform, agent: Some(agent.version.clone()), url: None };
    let passed = settings::defender::passed_over(document, &context);
    let passed = passed
        .into_iter()
        .map(|finding| format!("{} is not read by agent {}: {}", finding.at, agent.version, finding.seen));
    let twice = document.findings().iter().filter(|finding| finding.check == Check::DuplicateKey);
    passed.chain(twice.map(|finding| format!("{} stands twice: the last one counts here", finding.at))).collect()
}

/// A document, and what was understood of it so far.
struct Reading<'d> {
    sections: &'d Map<String, Value>,
    managed: Managed,
}

impl Reading<'_> {
    fn cloud_service(&mut self) {
        if let Some(value) = self.boolean("cloudService", "automaticDefinitionUpdateEnabled") {
            self.managed.automatic = set(value);
        }
        if let Some(seconds) = self.number("cloudService", "definitionUpdatesInterval") {
            self.managed.interval = set(Duration::from_secs(seconds));
        }
        if let Some(count) = self.number("cloudService", "definitionUpdateDue") {
            self.managed.due = set(days(count));
        }
        if let Some(text) = self.text("cloudService", "proxy") {
            if proxy(&text).is_some() {
                self.managed.proxy = set(Some(text));
            } else {
                self.wrong("cloudService", "proxy", "of the form http://host:port/");
            }
        }
    }

    fn engine(&mut self, agent: &Agent) {
        const ENGINE: &str = "antivirusEngine";
        let section = if agent.reads_antivirus_engine() { ENGINE } else { "features" };
        if let Some(value) = self.switch(section, "offlineDefinitionUpdate") {
            self.managed.offline = set(value && agent.takes_offline_updates());
            if value && !agent.takes_offline_updates() {
                let told = format!("agent {} is older than offline updates: it asks the cloud", agent.version);
                self.managed.warnings.push(told);
            }
        }
        if let Some(text) = self.text(ENGINE, "offlineDefinitionUpdateUrl") {
            if let Some(other) = other_system(&Address::read(&text), agent) {
                let told = format!(
                    "antivirusEngine.offlineDefinitionUpdateUrl leads to {other}: a real agent does not load that system's \
                     engine"
                );
                self.managed.warnings.push(told);
            }
            self.managed.url = set(Some(text));
        }
        if let Some(value) = self.boolean(ENGINE, "offlineDefinitionUpdateFallbackToCloud") {
            self.managed.fallback = set(value);
        }
        self.enforcement();
    }

    fn enforcement(&mut self) {
        let Some(text) = self.text("antivirusEngine", "enforcementLevel") else { return };
        self.managed.enforcement = set(match text.as_str() {
            "real_time" => Enforcement::RealTime,
            "on_demand" => Enforcement::OnDemand,
            "passive" => Enforcement::Passive,
            other => {
                let told = format!("antivirusEngine.enforcementLevel '{}' is none that is known", shown(other));
                self.managed.warnings.push(told);
                return;
            }
        });
    }

    fn features(&mut self, agent: &Agent) {
        let Some(value) = self.switch("features", "offlineDefinitionUpdateVerifySig") else { return };
        if agent.always_checks_engine() {
            let told = format!("features.offlineDefinitionUpdateVerifySig has no effect on agent {}", agent.version);
            self.managed.warnings.push(told);
        }
        self.managed.verify_signature = set(value);
    }

    fn scheduled_scan(&mut self, agent: &Agent) {
        let Some(value) = self.boolean("scheduledScan", "checkForDefinitionsUpdate") else { return };
        if value && !agent.checks_before_scheduled_scans() {
            let on = agent.platform.as_str();
            let version = &agent.version;
            let told =
                format!("scheduledScan.checkForDefinitionsUpdate is not known to be read by agent {version} on {on}");
            self.managed.warnings.push(told);
        }
        self.managed.scan_checks = set(value);
    }

    fn at(&self, section: &str, key: &str) -> Option<&Value> {
        self.sections.get(section)?.get(key)
    }

    fn wrong(&mut self, section: &str, key: &str, expected: &str) {
        self.managed.warnings.push(format!("{section}.{key} is not {expected}, and is left out"));
    }

    fn boolean(&mut self, section: &str, key: &str) -> Option<bool> {
        match self.at(section, key)? {
            Value::Bool(value) => Some(*value),
            _ => {
                self.wrong(section, key, "true or false (without quotes)");
                None
            }
        }
    }

    fn switch(&mut self, section: &str, key: &str) -> Option<bool> {
        match self.at(section, key)?.as_str() {
            Some("enabled") => Some(true),
            Some("disabled") => Some(false),
            _ => {
                self.wrong(section, key, "\"enabled\" or \"disabled\"");
                None
            }
        }
    }

    fn text(&mut self, section: &str, key: &str) -> Option<String> {
        match self.at(section, key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wrong(section, key, "a string");
                None
            }
        }
    }

    fn number(&mut self, section: &str, key: &str) -> Option<u64> {
        let Some(number) = self.at(section, key)?.as_u64() else {
            self.wrong(section, key, "a whole number (without quotes)");
            return None;
        };
        let Some((least, most)) = bounds(section, key) else { return Some(number) };
        let taken = number.clamp(least, most);
        if taken != number {
            let told = format!("{section}.{key} {number} is outside of {least} to {most}: {taken} is taken");
            self.managed.warnings.push(told);
        }
        Some(taken)
    }
}

/// The least and the most that a key takes.
fn bounds(section: &str, name: &str) -> Option<(u64, u64)> {
    let key = KEYS.iter().find(|key| key.section == section && key.name == name)?;
    if let Kind::Whole { least, most } = key.kind { Some((least, most)) } else { None }
}

fn set<T>(value: T) -> Setting<T> {
    Setting { value, is_managed: true }
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}
