//! Files and the environment: the only code here that is not pure.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::problem::{self, ConfigError, Place, Problem};
use crate::types::Config;
use crate::{Secret, keys};

/// The largest file that is read; the template is near a fiftieth of it.
const LARGEST: u64 = 1 << 20;

/// The variables of the environment that are text. The one place in the program that reads them.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Which file is meant: the one given, else `WAYSTATION_CONFIG`, else `waystation.toml` in the working folder,
/// else the one in `/etc/waystation`.
pub fn find(given: Option<&Path>, environment: &[(String, String)]) -> Result<PathBuf, ConfigError> {
    if let Some(path) = given {
        return Ok(path.to_path_buf());
    }
    if let Some((_, path)) = environment.iter().find(|(name, value)| name == "WAYSTATION_CONFIG" && !value.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let usual = [PathBuf::from("waystation.toml"), PathBuf::from("/etc/waystation/waystation.toml")];
    // One that exists and cannot be read is still the one that is meant, and loading it says why it cannot be.
    let found = usual.iter().find(|path| path.symlink_metadata().is_ok());
    found.cloned().ok_or_else(|| {
        ConfigError::of_file(
            PathBuf::from("waystation.toml"),
            "no configuration here or at /etc/waystation/waystation.toml; `waystation init` writes one, --config or WAYSTATION_CONFIG names one elsewhere",
        )
    })
}

impl Config {
    /// Finds, reads and validates the configuration; see [`find`] and [`Config::parse`].
    pub fn load(given: Option<&Path>, environment: &[(String, String)]) -> Result<Self, ConfigError> {
        let path = find(given, environment)?;
        let text = read_text(&path)?;
        Self::parse(&text, &path, environment)
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let failed = |message: String| ConfigError::of_file(path.to_path_buf(), message);
    let bytes = read_capped(path, LARGEST).map_err(failed)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(failed("the file is UTF-16; save it as UTF-8".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = "holds bytes that are not UTF-8; save the file as UTF-8".to_owned();
        ConfigError::new(path.to_path_buf(), vec![Problem { place: Place::Line(line), key: String::new(), message }])
    })
}

/// Reads a plain file of at most `cap` bytes. Others are refused before they are opened: a pipe would wait for its
/// writer.
fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>, String> {
    let refused = |error: std::io::Error| format!("cannot be read: {error}");
    let kind = path.metadata().map_err(refused)?;
    if !kind.is_file() {
        return Err("is not a plain file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(refused)?.take(cap + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > cap {
        return Err(format!("is larger than {}", crate::units::show_size(cap)));
    }
    Ok(bytes)
}

/// Reads a secret; a line end behind it is dropped.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, String> {
    let shown = problem::shown(&path.to_string_lossy(), 255);
    let bytes = read_capped(path, 4096).map_err(|error| format!("{shown} {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} holds bytes that are not UTF-8"))?;
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    match secret {
        "" => Err(format!("{shown} is empty")),
        secret if secret.contains(['\n', '\r', '\0']) => Err(format!("{shown} holds more than one line")),
        secret => Ok(Secret::new(secret)),
    }
}

/// The variable that overrides a key, where one can.
pub(crate) fn variable(section: &keys::Section, key: &str) -> Option<String> {
    (!section.shape.is_list())
        .then(|| format!("WAYSTATION__{}", keys::joined(section.name, key).replace('.', "__").to_ascii_uppercase()))
}
