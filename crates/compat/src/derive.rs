//! The configuration that a `settings.json` comes to.

use std::path::{Path, PathBuf};

use config::{Config, ConfigError};
use model::Digest;
use url::Url;

use crate::{Settings, place};

/// How many digits of a folder's digest name its state.
const DIGITS: usize = 8;
/// Where the state of the one who runs the system lies.
const SYSTEM: &str = "/var/lib/waystation";
/// The name of the folder of all states.
const ALL: &str = "defender-downloader";
/// What the file in a state begins with: no other installation's does.
pub(crate) const MADE: &str = "# Made from a settings.json by `waystation compat defender-downloader`.";
/// What settings.json says, and the environment of a daemon beside it may say otherwise.
const SETTLED: [&str; 4] = [
    "WAYSTATION__ELASTIC__",
    "WAYSTATION__DEFENDER__PLATFORMS",
    "WAYSTATION__DEFENDER__ARCHITECTURES",
    "WAYSTATION__DEFENDER__TRACKS",
];

/// The configuration that a `settings.json` comes to, and the text of it that other commands may read.
pub struct Derived {
    /// The configuration.
    pub config: Config,
    /// As a file, without what only this run's environment says.
    pub text: String,
}

impl Derived {
    /// Derives it. The environment overrides it as it does any configuration, and the variables that `curl` takes
    /// from it (`https_proxy`, `no_proxy`, `CURL_CA_BUNDLE`) count as they did for the script.
    ///
    /// # Errors
    /// [`ConfigError`] when the environment says what no configuration may say.
    pub fn of(settings: &Settings, state: &Path, environment: &[(String, String)]) -> Result<Self, ConfigError> {
        let file = state.join("waystation.toml");
        let text = body(settings);
        let document = format!("{}\n{text}", way_out(environment));
        let config = Config::parse(&document, &file, environment)?;
        Ok(Self { config, text: format!("{MADE}\n{text}") })
    }
}

/// The variable that would have something else fetched than what the settings ask for, if there is one.
pub(crate) fn overruling(environment: &[(String, String)]) -> Option<&str> {
    let names = environment.iter().map(|(name, _)| name.as_str());
    names.into_iter().find(|name| SETTLED.iter().any(|settled| name.starts_with(settled)))
}

/// Where the state of a folder lies when nobody says where.
pub fn state_folder(folder: &Path, environment: &[(String, String)]) -> Option<PathBuf> {
    let value = |name: &str| environment.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, v)| v);
    let base = if platform::uid() == 0 {
        PathBuf::from(SYSTEM)
    } else if let Some(state) = value("XDG_STATE_HOME") {
        Path::new(state).join("waystation")
    } else {
        Path::new(value("HOME")?).join(".local/state/waystation")
    };
    state_among(&base.join(ALL), folder)
}

/// The state of a folder among all: each has its own, and one that was moved keeps the one that it had, with all that was
/// said in it.
pub fn state_among(states: &Path, folder: &Path) -> Option<PathBuf> {
    let digest = Digest::of(real(folder).as_os_str().as_encoded_bytes()).to_string();
    let own = states.join(digest.get(..DIGITS)?);
    let moved = if own.exists() { None } else { place::moved_here(states, folder) };
    Some(moved.unwrap_or(own))
}

/// However it is written, a folder is one: a slash at its end, or a link on the way to it, makes no other of it. What of
/// it is not there yet stays as it is written.
pub(crate) fn real(folder: &Path) -> PathBuf {
    let plain: PathBuf = folder.components().collect();
    let resolved =
        plain.ancestors().find_map(|above| Some((above.canonicalize().ok()?, plain.strip_prefix(above).ok()?)));
    resolved.map_or_else(|| plain.clone(), |(real, rest)| rest.components().fold(real, |path, part| path.join(part)))
}

fn body(settings: &Settings) -> String {
    let platforms: Vec<&str> = [("linux", settings.linux), ("mac", settings.mac)]
        .iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| *name)
        .collect();
    let tracks: &[&str] = if settings.preview { &["production", "preview"] } else { &["production"] };
    format!(
        "data_dir = \"data\"\n\
         [defender]\n\
         platforms = {platforms:?}\n\
         architectures = [\"x86_64\", \"arm64\"]\n\
         tracks = {tracks:?}\n\
         [retention]\n\
         days = 7\n"
    )
}

/// What the script's `curl` took from the environment.
fn way_out(environment: &[(String, String)]) -> String {
    let value = |names: &[&str]| {
        names.iter().find_map(|name| {
            environment
                .iter()
                .find(|(key, value)| key == name && !value.trim().is_empty())
                .map(|(_, value)| value.trim())
        })
    };
    let mut lines = vec!["[origin]".to_owned()];
    let exempt = value(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
    let proxy = value(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).filter(|_| exempt != "*");
    if let Some((url, password)) = proxy.and_then(proxy_of) {
        lines.push(format!("proxy = {}", quoted(&url)));
        lines.extend(password.map(|password| format!("proxy_password = {}", quoted(&password))));
        let hosts: Vec<String> = exempt.split(',').filter_map(exempted).map(|host| quoted(&host)).collect();
        lines.push(format!("no_proxy = [{}]", hosts.join(", ")));
    }
    lines.extend(value(&["CURL_CA_BUNDLE"]).map(|file| format!("ca_file = {}", quoted(file))));
    // Each key stands before the tables of the body, which begin with the top of the file.
    let inline: Vec<String> = lines.iter().skip(1).map(|line| format!("origin.{line}")).collect();
    inline.join("\n")
}

/// A proxy as the configuration has it, and its password apart.
fn proxy_of(text: &str) -> Option<(String, Option<String>)> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&whole).ok()?;
    let password = url.password().map(decoded);
    url.set_password(None).ok()?;
    Some((url.to_string().trim_end_matches('/').to_owned(), password))
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("p={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// A host of `no_proxy` as the configuration has it: a name there means all below it, too.
fn exempted(host: &str) -> Option<String> {
    let host = host.trim().trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:/".contains(&byte));
    (!host.is_empty() && plain).then_some(host)
}

/// A basic string of TOML; control characters are nowhere in it.
fn quoted(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    serde_json::Value::String(clean).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        Settings::parse(json.as_bytes(), Path::new("settings.json"), Some("/people/me")).unwrap()
    }

    fn derived(json: &str, environment: &[(&str, &str)]) -> Derived {
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Derived::of(&settings(json), Path::new("/state"), &environment).unwrap()
    }

    #[test]
    fn the_feeds_are_those_that_the_script_would_fetch() {
        let feeds =
            |json: &str| -> Vec<String> { derived(json, &[]).config.feeds().iter().map(ToString::to_string).collect() };
        assert_eq!(
            feeds(r#"{"downloadLinuxUpdates": true}"#),
            ["defender/linux/production/x86_64", "defender/linux/production/arm64"]
        );
        let all = r#"{"downloadLinuxUpdates": true, "downloadMacUpdates": true, "downloadPreviewUpdates": true}"#;
        assert_eq!(feeds(all).len(), 8);
    }

    #[test]
    fn proxy_and_ca_are_taken_from_where_curl_takes_them() {
        let linux = r#"{"downloadLinuxUpdates": true}"#;
        let config = derived(
            linux,
            &[("https_proxy", "http://me:s%40cret@proxy.example:3128/"), ("NO_PROXY", ".internal, 10.0.0.0/8,*.x.org")],
        );
        let proxy = config.config.origin.proxy.clone().unwrap();
        assert_eq!((proxy.url.as_str(), proxy.user.as_deref()), ("http://proxy.example:3128/", Some("me")));
        assert_eq!(proxy.password.unwrap().expose(), "s@cret");
        assert_eq!(config.config.origin.no_proxy, ["internal", "10.0.0.0/8", "x.org"]);
        assert!(!config.text.contains("proxy"), "what the environment says stays there");
        assert!(derived(linux, &[("HTTPS_PROXY", "p:1"), ("no_proxy", "*")]).config.origin.proxy.is_none());
        let plain = derived(linux, &[("ALL_PROXY", "proxy.example:8080")]).config.origin.proxy.unwrap();
        assert_eq!(plain.url.as_str(), "http://proxy.example:8080/");
        let over = [("WAYSTATION__DEFENDER__ORIGIN", "https://mirror.example/fwlink/")];
        assert_eq!(derived(linux, &over).config.defender.unwrap().origin.host_str(), Some("mirror.example"));
    }

    #[test]
    fn what_is_fetched_is_for_the_settings_to_say() {
        let found = |name: &str| {
            overruling(&[("HOME".to_owned(), String::new()), (name.to_owned(), "mac".to_owned())]).is_some()
        };
        for name in ["DEFENDER__PLATFORMS", "DEFENDER__ARCHITECTURES", "DEFENDER__TRACKS", "ELASTIC__VERSIONS"] {
            assert!(found(&format!("WAYSTATION__{name}")), "{name}");
        }
        for name in ["DEFENDER__ORIGIN", "DEFENDER__EXPECTED_MEMBERS", "ORIGIN__RATE_LIMIT", "RETENTION__DAYS"] {
            assert!(!found(&format!("WAYSTATION__{name}")), "{name}");
        }
    }

    #[test]
    fn every_folder_has_a_state_of_its_own_and_none_in_it() {
        let environment = [("HOME".to_owned(), "/people/me".to_owned())];
        let one = state_folder(Path::new("/srv/a"), &environment).unwrap();
        let other = state_folder(Path::new("/srv/b"), &environment).unwrap();
        assert_ne!(one, other);
        assert!(!one.starts_with("/srv") && one.parent() == other.parent());
        assert_eq!(state_folder(Path::new("/srv/./a/"), &environment).unwrap(), one, "however it is written");
    }
}
