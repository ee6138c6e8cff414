//! One endpoint's report.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{Timestamp, Version};
use serde_json::Value;

use model::shown;

/// The largest report, in bytes.
pub(crate) const LARGEST: usize = 1 << 20;
/// The most keys of a report.
const KEYS: usize = 2_000;
/// The longest value that is kept, in characters.
const MOST: usize = 300;

/// A value, and whether a policy set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As it is printed, without its quotes.
    pub text: String,
    /// Whether a policy set it.
    pub managed: bool,
}

/// One endpoint's report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Every value, by the key of the text form.
    pub values: BTreeMap<String, Setting>,
    /// Lines that are neither a value nor a known message.
    pub odd: Vec<String>,
    /// The agent says that it has no license.
    pub unlicensed: bool,
    /// Values that one endpoint has once stand there twice, and differ.
    pub contradicts: bool,
}

/// What differs between endpoints, or between moments of one.
const OWN: [&str; 6] = [
    "app_version",
    "definitions_update_source_uri",
    "definitions_version",
    "edr_machine_id",
    "engine_version",
    "offline_definition_url_configured",
];

/// How the keys of such reports begin, all that is looked at among them: a text with none of them is another's.
const KNOWN: [&str; 18] = [
    "antivirus_",
    "app_version",
    "automatic_definition_update",
    "cloud_",
    "definitions_",
    "edr_",
    "engine_",
    "health",
    "licensed",
    "managed_by",
    "offline_definition_",
    "org_id",
    "passive_mode_",
    "product_expiration",
    "real_time_protection_",
    "release_ring",
    "supplementary_events_",
    "tamper_protection",
];

/// Why a report cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HealthError {
    /// It is too large to be one.
    #[error("has more than {LARGEST} bytes: `mdatp health` prints a few thousand")]
    TooLarge,
    /// It is no text.
    #[error("is not UTF-8 at byte {0}: save what `mdatp health` prints as it is, in UTF-8 or UTF-16")]
    NotText(usize),
    /// It is broken JSON.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// It holds nothing that is known of such reports.
    #[error(
        "holds no value of `mdatp health`: save what `mdatp health --details definitions` prints, or `mdatp health \
         --output json`"
    )]
    Nothing,
    /// It is an answer of the agent's in place of a report.
    #[error("is no report, the agent answers: {0}")]
    Answer(String),
    /// It holds too many values.
    #[error("holds more than {KEYS} values")]
    TooMany,
}

impl Health {
    /// Reads a report in either form, and both of them in one text, the text form first. Several reports in one text are
    /// one: the last value counts, and [`Health::contradicts`] says whether they differ. UTF-16 with its mark, as
    /// PowerShell writes it, is read too.
    ///
    /// # Errors
    /// [`HealthError`] when it is no such report.
    pub fn read(bytes: &[u8]) -> Result<Self, HealthError> {
        if bytes.len() > LARGEST {
            return Err(HealthError::TooLarge);
        }
        let text = decoded(bytes)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
        let mut health = Self::default();
        // Messages may stand in front of JSON, as they do in front of single values; and so may the text form.
        match text.lines().position(|line| line.trim_start().starts_with('{')) {
            Some(at) => {
                health.text(&text.lines().take(at).collect::<Vec<_>>().join("\n"))?;
                let json: String = text.lines().skip(at).collect::<Vec<_>>().join("\n");
                health.json(&json)?;
            }
            None => health.text(text)?,
        }
        if health.get("$type") == Some("error") {
            return Err(HealthError::Answer(health.get("message").unwrap_or("error").to_owned()));
        }
        if health.says_anything() { Ok(health) } else { Err(HealthError::Nothing) }
    }

    /// Whether a value is there that such reports have.
    fn says_anything(&self) -> bool {
        let is_known = |key: &String| KNOWN.iter().any(|known| key.starts_with(known));
        self.unlicensed || self.values.keys().any(is_known)
    }

    fn text(&mut self, text: &str) -> Result<(), HealthError> {
        for line in text.lines() {
            match pair(line) {
                Some((key, setting)) => self.put(key.to_owned(), setting)?,
                None => self.message(line),
            }
        }
        Ok(())
    }

    fn json(&mut self, text: &str) -> Result<(), HealthError> {
        let told = |error: serde_json::Error| HealthError::NotJson(shown(&error.to_string(), MOST));
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            let Value::Object(members) = value.map_err(told)? else { return Err(HealthError::Nothing) };
            for (name, value) in members {
                if let Some(setting) = setting(&value) {
                    self.put(snake(&name), setting)?;
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if line.contains("No license found") {
            self.unlicensed = true;
        } else if self.odd.len() < 8 {
            self.odd.push(shown(line.trim(), 120));
        }
    }

    fn put(&mut self, key: String, setting: Setting) -> Result<(), HealthError> {
        if self.values.len() >= KEYS && !self.values.contains_key(&key) {
            return Err(HealthError::TooMany);
        }
        let differs = self.values.get(&key).is_some_and(|before| before.text != setting.text);
        self.contradicts |= differs && OWN.contains(&key.as_str());
        self.values.insert(key, setting);
        Ok(())
    }

    /// A value that says something.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|setting| setting.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The definitions that are loaded.
    pub fn definitions(&self) -> Option<Version> {
        self.quad("definitions_version")
    }

    /// The engine that is loaded; only the general report says it.
    pub fn engine(&self) -> Option<Version> {
        self.quad("engine_version")
    }

    fn quad(&self, key: &str) -> Option<Version> {
        self.get(key)?.parse().ok().filter(|version: &Version| version.is_dotted(4))
    }

    /// A boolean, or none where it is not said.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// When the definitions were updated. Only JSON says it in a way that names a moment; the text form is local time.
    pub fn updated_at(&self) -> Option<Timestamp> {
        let millis: i64 = self.get("definitions_updated")?.parse().ok()?;
        millis.checked_mul(1_000).map(Timestamp::from_micros)
    }

    /// How many minutes ago the definitions were updated, when the report was made.
    pub fn updated_minutes_ago(&self) -> Option<u64> {
        self.get("definitions_updated_minutes_ago")?.parse().ok()
    }
}

/// UTF-8, or UTF-16 by its mark.
fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, HealthError> {
    let units = match bytes {
        [0xff, 0xfe, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => units(rest, u16::from_be_bytes),
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| HealthError::NotText(error.valid_up_to()))?;
            return Ok(Cow::Borrowed(text));
        }
    };
    let text = String::from_utf16(&units).map_err(|_| HealthError::NotText(0))?;
    if bytes.len().is_multiple_of(2) { Ok(Cow::Owned(text)) } else { Err(HealthError::NotText(bytes.len() - 1)) }
}

fn units(bytes: &[u8], of: fn([u8; 2]) -> u16) -> Vec<u16> {
    bytes.as_chunks::<2>().0.iter().map(|pair| of(*pair)).collect()
}

/// `key                : value [managed]`.
fn pair(line: &str) -> Option<(&str, Setting)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim();
    let named = !key.is_empty()
        && key.len() <= 64
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !named {
        return None;
    }
    let value = value.trim();
    let (value, managed) = match value.strip_suffix("[managed]") {
        Some(rest) => (rest.trim_end(), true),
        None => (value, false),
    };
    let text = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    Some((key, Setting { text: shown(text, MOST), managed }))
}

/// A value of the JSON form: plain, an enum as `{"$type": …}`, or a setting with who set it.
fn setting(value: &Value) -> Option<Setting> {
    let plain = |text: String| Some(Setting { text: shown(&text, MOST), managed: false });
    match value {
        Value::String(text) => plain(text.clone()),
        Value::Bool(_) | Value::Number(_) => plain(value.to_string()),
        Value::Object(members) => {
            if let Some(inner) = members.get("value") {
                let managed = members.get("isManaged") == Some(&Value::Bool(true));
                // Nothing nests deeper in a setting.
                let inner = if inner.get("value").is_some() { None } else { setting(inner) };
                return inner.map(|setting| Setting { managed, ..setting });
            }
            members.get("$type").and_then(Value::as_str).map(snake).and_then(plain)
        }
        Value::Null | Value::Array(_) => None,
    }
}

/// `definitionsUpdatedMinutesAgo` as `definitions_updated_minutes_ago`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().take(64) {
        if c.is_ascii_uppercase() {
            out.push('_');
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    shown(&out, MOST)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As on the vendor's page, with other values.
    pub(crate) const TEXT: &str = r#"automatic_definition_update_enabled         : true [managed]
definitions_updated                         : Oct 04, 2026 at 06:05:09 AM
definitions_updated_minutes_ago             : 2
definitions_version                         : "1.459.553.0"
definitions_status                          : "up_to_date"
definitions_update_source_uri               : "http://mirror.example:8000/linux/production/"
definitions_update_fail_reason              : ""
offline_definition_url_configured           : "http://mirror.example:8000/linux/production/" [managed]
offline_definition_update                   : "enabled" [managed]
offline_definition_update_verify_sig        : "DEPRECATED"
engine_signature_verification               : "enabled"
offline_definition_update_fallback_to_cloud : false[managed]
"#;

    #[test]
    fn the_text_form_is_read() {
        let health = Health::read(TEXT.as_bytes()).unwrap();
        assert_eq!(health.definitions().unwrap().as_str(), "1.459.553.0");
        assert_eq!(health.get("definitions_update_source_uri"), Some("http://mirror.example:8000/linux/production/"));
        assert_eq!((health.get("definitions_update_fail_reason"), health.updated_minutes_ago()), (None, Some(2)));
        assert_eq!(health.flag("offline_definition_update_fallback_to_cloud"), Some(false));
        assert!(health.values["offline_definition_update_fallback_to_cloud"].managed);
        assert!(health.updated_at().is_none() && health.odd.is_empty());
        let windows = TEXT.replace('\n', "\r\n");
        assert_eq!(Health::read(format!("\u{feff}{windows}").as_bytes()).unwrap(), health);
    }

    #[test]
    fn what_powershell_writes_is_read() {
        let plain = Health::read(TEXT.as_bytes()).unwrap();
        let utf16 =
            |of: fn(u16) -> [u8; 2]| -> Vec<u8> { format!("\u{feff}{TEXT}").encode_utf16().flat_map(of).collect() };
        assert_eq!(Health::read(&utf16(u16::to_le_bytes)).as_ref(), Ok(&plain));
        assert_eq!(Health::read(&utf16(u16::to_be_bytes)).as_ref(), Ok(&plain));
    }

    #[test]
    fn both_forms_in_one_file_are_one_report_and_two_endpoints_are_told() {
        let json = r#"{"definitionsVersion":"1.459.553.0","engineVersion":"1.1.26080.3"}"#;
        let both = Health::read(format!("{TEXT}{json}").as_bytes()).unwrap();
        assert_eq!(both.get("definitions_update_source_uri"), Some("http://mirror.example:8000/linux/production/"));
        assert_eq!((both.engine().unwrap().as_str(), both.contradicts), ("1.1.26080.3", false));
        assert!(!Health::read(format!("{TEXT}{TEXT}").as_bytes()).unwrap().contradicts);
        let other = TEXT.replace("1.459.553.0", "1.459.1.0");
        assert!(Health::read(format!("{TEXT}{other}").as_bytes()).unwrap().contradicts);
    }

    #[test]
    fn the_json_form_says_the_same() {
        let json = r#"ATTENTION: No license found. Contact your administrator for help.
{"$type":"getHealthAllResult","appVersion":"101.26062.0007","definitionsStatus":{"$type":"upToDate"},
"automaticDefinitionUpdateEnabled":{"displayValue":true,"isManaged":true,"value":true},
"definitionsUpdated":"1791093909000","definitionsUpdatedMinutesAgo":2,"definitionsVersion":"1.459.553.0",
"engineVersion":"1.1.26080.3","healthIssues":["x"],"healthy":true,"managedBy":{"isManaged":false,"value":""}}"#;
        let health = Health::read(json.as_bytes()).unwrap();
        assert_eq!(health.get("definitions_status"), Some("up_to_date"));
        assert_eq!(health.engine().unwrap().as_str(), "1.1.26080.3");
        assert_eq!(health.updated_at(), Some(Timestamp::from_micros(1_791_093_909_000_000)));
        assert!(health.unlicensed && health.values["automatic_definition_update_enabled"].managed);
        assert_eq!(health.get("managed_by"), None);
    }

    #[test]
    fn hostile_reports_end_in_words_c13_c16_c18() {
        for (bytes, part) in [
            (vec![b'x'; LARGEST + 1], "more than"),
            (b"a : \xff".to_vec(), "not UTF-8"),
            (b"\xff\xfe".to_vec(), "no value"),
            (b"\xff\xfea".to_vec(), "not UTF-8"),
            (b"\xff\xfe\x00\xd8".to_vec(), "not UTF-8"),
            (b"{\"a\":NaN}".to_vec(), "not JSON"),
            (b"{".repeat(100_000), "not JSON"),
            (b"{\"a\":1} x".to_vec(), "not JSON"),
            (b"{\"a\":[1]}".to_vec(), "no value"),
            (b"<html>: x</html>".to_vec(), "no value"),
            (b"".to_vec(), "no value"),
            // What the agent says where it has no report to give, and what is a text of somebody else's.
            (
                br#"{"$type":"error","message":"Could not connect to the daemon"}"#.to_vec(),
                "is no report, the agent answers: Could not connect to the daemon",
            ),
            (b"Error: Could not connect to the daemon".to_vec(), "no value"),
            (b"{\"a\":1}".to_vec(), "no value"),
            (b"name : x\nversion : 1\n".to_vec(), "no value"),
            ((0..=KEYS).flat_map(|n| format!("k{n} : 1\n").into_bytes()).collect(), "more than"),
        ] {
            let told = Health::read(&bytes).unwrap_err().to_string();
            assert!(told.contains(part), "{told}");
        }
        let odd = "definitions_version : \"1.2\"\ndefinitions_updated_minutes_ago : NaN\nX : 1\nengine_version : \"\u{1b}[2J\"\n";
        let health = Health::read(odd.as_bytes()).unwrap();
        assert_eq!((health.definitions(), health.updated_minutes_ago(), health.engine()), (None, None, None));
        assert_eq!(health.odd, ["X : 1"]);
        let far = r#"{"definitionsUpdated":"99999999999999999999","definitionsUpdatedMinutesAgo":1e300}"#;
        let health = Health::read(far.as_bytes()).unwrap();
        assert_eq!((health.updated_at(), health.updated_minutes_ago()), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_end_and_are_fit_to_show_c36_i10(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(health) = Health::read(&bytes) {
                prop_assert!(health.values.values().all(|setting| !setting.text.chars().any(char::is_control)));
            }
        }

        #[test]
        fn any_value_is_read_as_it_is_printed(text in "[ -!#-~]{0,40}", managed: bool) {
            let suffix = if managed { " [managed]" } else { "" };
            let line = format!("definitions_update_fail_reason              : \"{text}\"{suffix}\nx : 1");
            let health = Health::read(line.as_bytes()).unwrap();
            prop_assert_eq!(&health.values["definitions_update_fail_reason"], &Setting { text, managed });
        }
    }
}
