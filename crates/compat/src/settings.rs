//! The six fields of `settings.json`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The largest file that is read.
const LARGEST: usize = 1 << 20;
/// Where the script logs when it is not told where.
const LOG: &str = "/tmp/mdatp_offline_updates.log";
/// The folder below the home folder that the script fills when it is not told which.
const FOLDER: &str = "wdav-update";

/// What the script is told, with its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder to fill.
    pub folder: PathBuf,
    /// The log.
    pub log: PathBuf,
    /// Whether updates for Linux are wanted.
    pub linux: bool,
    /// Whether updates for macOS are wanted.
    pub mac: bool,
    /// Whether the track `preview` is wanted beside `production`.
    pub preview: bool,
    /// Whether the release before is kept in `_back`.
    pub back: bool,
    /// Fields that mean nothing, told and passed by.
    pub unknown: Vec<String>,
    /// Fields that stand twice: the last one counts, as it does for the script.
    pub twice: Vec<String>,
}

/// Why a file is no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("cannot read {}; name the file with --settings, or put settings.json into the working folder", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no text.
    #[error("{} is neither UTF-8 nor UTF-16 with a byte order mark", path.display())]
    Text {
        /// Which.
        path: PathBuf,
    },
    /// It is no JSON object.
    #[error("{} is not a JSON object with the script's fields", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Where it goes wrong, where that is known.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// A field has a value that it cannot have.
    #[error("{}: {field} is {value}, not {wanted}", path.display())]
    Field {
        /// Which file.
        path: PathBuf,
        /// Which field.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Nothing is asked for.
    #[error(
        "{} asks for nothing: set downloadLinuxUpdates or downloadMacUpdates to true{}",
        path.display(),
        mistaken(unknown)
    )]
    Nothing {
        /// Which file.
        path: PathBuf,
        /// The fields in it that mean nothing.
        unknown: Vec<String>,
    },
    /// There is no home folder to put the default folder in.
    #[error("{} names no downloadFolder, and HOME is not set: name one", path.display())]
    Home {
        /// Which file.
        path: PathBuf,
    },
}

fn mistaken(unknown: &[String]) -> String {
    match unknown {
        [] => String::new(),
        unknown => {
            format!(" (it has {}, which means nothing here; capitals and small letters count)", unknown.join(", "))
        }
    }
}

/// Whether a path begins with what only a shell would replace: `~`, `$HOME`, `${HOME}`, `%USERPROFILE%`.
fn is_for_a_shell(path: &str) -> bool {
    let first = path.split(['/', '\\']).next().unwrap_or_default();
    first.starts_with(['~', '$', '%'])
}

/// Whether a path is one of Windows, or no path but an address: here it would name a folder below the working folder.
fn is_of_elsewhere(path: &str) -> bool {
    let mut start = path.chars();
    let drive = start.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && start.next() == Some(':');
    drive || path.contains('\\') || path.contains("://")
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SettingsError`] naming what is wrong with it.
    pub fn read(path: &Path, home: Option<&str>) -> Result<Self, SettingsError> {
        let failed = |source| SettingsError::Read { path: path.to_owned(), source };
        let kind = path.metadata().map_err(failed)?;
        if !kind.is_file() || kind.len() > LARGEST as u64 {
            return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a small plain file")));
        }
        Self::parse(&std::fs::read(path).map_err(failed)?, path, home)
    }

    /// Reads bytes; `path` is what messages call them.
    ///
    /// # Errors
    /// [`SettingsError`] naming what is wrong with them.
    pub fn parse(bytes: &[u8], path: &Path, home: Option<&str>) -> Result<Self, SettingsError> {
        let text = text(bytes).ok_or_else(|| SettingsError::Text { path: path.to_owned() })?;
        let json = |source| SettingsError::Json { path: path.to_owned(), source };
        let Value::Object(object) = serde_json::from_str(&text).map_err(|error| json(Some(error)))? else {
            return Err(json(None));
        };
        let fields = Fields { object, path };
        let folder = match fields.place("downloadFolder")? {
            Some(folder) => folder,
            None => match home.filter(|home| !home.is_empty()) {
                Some(home) => Path::new(home).join(FOLDER),
                None => return Err(SettingsError::Home { path: path.to_owned() }),
            },
        };
        let settings = Self {
            folder,
            log: fields.place("logFilePath")?.unwrap_or_else(|| PathBuf::from(LOG)),
            linux: fields.flag("downloadLinuxUpdates")?,
            mac: fields.flag("downloadMacUpdates")?,
            preview: fields.flag("downloadPreviewUpdates")?,
            back: fields.flag("backupPreviousUpdates")?,
            unknown: fields.unknown(),
            twice: twice(&text),
        };
        if settings.linux || settings.mac {
            Ok(settings)
        } else {
            Err(SettingsError::Nothing { path: path.to_owned(), unknown: settings.unknown })
        }
    }
}

/// The fields of an object that stand twice in it.
fn twice(text: &str) -> Vec<String> {
    let findings = settings::Document::read(text.as_bytes()).map(|document| document.findings().to_vec());
    let twice = findings.into_iter().flatten().filter(|finding| finding.check == settings::Check::DuplicateKey);
    twice.map(|finding| finding.at.trim_start_matches('/').to_owned()).collect()
}

const KNOWN: [&str; 6] = [
    "downloadFolder",
    "logFilePath",
    "downloadLinuxUpdates",
    "downloadMacUpdates",
    "downloadPreviewUpdates",
    "backupPreviousUpdates",
];

struct Fields<'a> {
    object: Map<String, Value>,
    path: &'a Path,
}

impl Fields<'_> {
    fn wrong(&self, field: &'static str, value: &Value, wanted: &'static str) -> SettingsError {
        let value: String = value.to_string().chars().take(80).collect();
        SettingsError::Field { path: self.path.to_owned(), field, value, wanted }
    }

    fn place(&self, field: &'static str) -> Result<Option<PathBuf>, SettingsError> {
        match self.object.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(wrong @ Value::String(text)) if is_for_a_shell(text) => {
                Err(self.wrong(field, wrong, "a path that is written out: nothing here replaces ~ or $HOME"))
            }
            Some(wrong @ Value::String(text)) if is_of_elsewhere(text) => {
                Err(self.wrong(field, wrong, "a path of this system: in WSL, /mnt/c/… is what C:\\… is in Windows"))
            }
            Some(Value::String(text)) if !text.is_empty() && !text.contains(char::is_control) => {
                Ok(Some(PathBuf::from(text)))
            }
            Some(other) => Err(self.wrong(field, other, "a path")),
        }
    }

    /// The script took the text "true" as well.
    fn flag(&self, field: &'static str) -> Result<bool, SettingsError> {
        match self.object.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(other) => Err(self.wrong(field, other, "true or false")),
        }
    }

    fn unknown(&self) -> Vec<String> {
        self.object.keys().filter(|key| !KNOWN.contains(&key.as_str())).cloned().collect()
    }
}

/// Windows PowerShell writes UTF-16 or UTF-8 with a byte order mark.
fn text(bytes: &[u8]) -> Option<String> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Result<Vec<u16>, _> = rest.chunks(2).map(|pair| pair.try_into().map(unit)).collect();
        String::from_utf16(&units.ok()?).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        plain => String::from_utf8(plain.to_vec()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = r#"{
  "downloadFolder": "/tmp/wdav-update",
  "downloadLinuxUpdates": true,
  "logFilePath": "/tmp/mdatp_offline_updates.log",
  "downloadMacUpdates": true,
  "downloadPreviewUpdates": false,
  "backupPreviousUpdates": true
}"#;

    fn parse(bytes: &[u8]) -> Result<Settings, SettingsError> {
        Settings::parse(bytes, Path::new("settings.json"), Some("/people/me"))
    }

    #[test]
    fn the_shipped_settings_read_in_every_coding_that_editors_write() {
        let plain = parse(SHIPPED.as_bytes()).unwrap();
        assert_eq!(plain.folder, Path::new("/tmp/wdav-update"));
        assert!(plain.linux && plain.mac && !plain.preview && plain.back && plain.unknown.is_empty());
        let little: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(SHIPPED.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(SHIPPED.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let marked: Vec<u8> = [0xef, 0xbb, 0xbf].into_iter().chain(SHIPPED.bytes()).collect();
        for bytes in [little, big, marked, SHIPPED.replace('\n', "\r\n").into_bytes()] {
            assert_eq!(parse(&bytes).unwrap(), plain);
        }
    }

    #[test]
    fn what_is_left_out_is_as_in_the_script() {
        let settings = parse(br#"{"downloadLinuxUpdates": "true", "more": 1, "logFilePath": null}"#).unwrap();
        assert_eq!(settings.folder, Path::new("/people/me/wdav-update"));
        assert_eq!(settings.log, Path::new("/tmp/mdatp_offline_updates.log"));
        assert!(settings.linux && !settings.mac && !settings.preview && !settings.back);
        assert_eq!(settings.unknown, ["more"]);
        assert!(settings.twice.is_empty());
        let settings = parse(
            br#"{"downloadMacUpdates": true, "more": {}, "downloadMacUpdates": false, "downloadLinuxUpdates": true}"#,
        );
        let settings = settings.unwrap();
        assert_eq!(
            (settings.mac, settings.twice.as_slice()),
            (false, &["downloadMacUpdates".to_owned()][..]),
            "as jq has it"
        );
    }

    #[test]
    fn d11_invalid_settings_are_refused_with_what_is_wrong() {
        for (bytes, told) in [
            (&b"{"[..], "is not a JSON object"),
            (b"[]", "is not a JSON object"),
            (b"", "is not a JSON object"),
            (b"\xff\xfe\x00", "neither UTF-8 nor UTF-16"),
            (b"\xc3\x28", "neither UTF-8 nor UTF-16"),
            (br#"{"downloadLinuxUpdates": 1}"#, "downloadLinuxUpdates is 1, not true or false"),
            (br#"{"downloadLinuxUpdates": true, "downloadFolder": ""}"#, "downloadFolder is \"\", not a path"),
            (br#"{"downloadLinuxUpdates": false}"#, "asks for nothing"),
            (br#"{"DownloadLinuxUpdates": true}"#, "it has DownloadLinuxUpdates, which means nothing here"),
            (br#"{"downloadLinuxUpdates": true, "downloadFolder": "$HOME/x"}"#, "not a path that is written out"),
            (br#"{"downloadLinuxUpdates": true, "logFilePath": "~/x.log"}"#, "not a path that is written out"),
            (br#"{"downloadLinuxUpdates": true, "downloadFolder": "C:\\wdav"}"#, "not a path of this system"),
            (br#"{"downloadLinuxUpdates": true, "downloadFolder": "d:/wdav"}"#, "not a path of this system"),
            (br#"{"downloadLinuxUpdates": true, "downloadFolder": "\\\\share\\wdav"}"#, "not a path of this system"),
            (br#"{"downloadLinuxUpdates": true, "downloadFolder": "file:///srv/x"}"#, "not a path of this system"),
        ] {
            let error = parse(bytes).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("settings.json"), "{error}");
        }
        let homeless = Settings::parse(br#"{"downloadMacUpdates": true}"#, Path::new("s"), None).unwrap_err();
        assert!(matches!(homeless, SettingsError::Home { .. }), "{homeless}");
    }
}
