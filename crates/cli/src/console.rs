//! The way to consoles and clusters of the operator's own: addresses, keys, CAs as they are given on the command line.

use std::path::Path;
use std::sync::Arc;

use fleet::{Access, ApiKey};
use outbound::ClientError;
use settings::OverPlainHttp;

use crate::context::Context;
use crate::failure::{Exit, Failure};

/// The largest file of a key, in bytes.
const KEY_BYTES: usize = 64 << 10;

/// What was given of a console.
pub(crate) struct Given<'a> {
    /// Its address.
    pub(crate) url: &'a str,
    /// The file of its key.
    pub(crate) key_file: Option<&'a Path>,
    /// The variable that its key may stand in.
    pub(crate) key_variable: &'static str,
    /// The file of its CA.
    pub(crate) ca_file: Option<&'a Path>,
    /// Whether its address may be plain HTTP.
    pub(crate) plain: OverPlainHttp,
}

/// Whether plain HTTP is meant.
pub(crate) fn plain(allowed: bool) -> OverPlainHttp {
    if allowed { OverPlainHttp::Accepted } else { OverPlainHttp::Refused }
}

/// The way to it.
pub(crate) fn access(given: &Given<'_>, context: &Context) -> Result<Access, Failure> {
    let url = Access::url(given.url, given.plain).map_err(|error| Failure::usage(error.to_string()))?;
    let key = key(given, context)?;
    let ca_pem = given.ca_file.map(read).transpose()?;
    let caller = fleet::client(&url, ca_pem, Arc::clone(&context.clock)).map_err(|error| match &error {
        ClientError::CaFile { detail } => {
            let file = given.ca_file.unwrap_or_else(|| Path::new(""));
            Failure::usage(format!("{} is no file of CAs: {detail}", file.display()))
        }
        _ => Failure::new("cannot make a client", &error),
    })?;
    Ok(Access::new(caller, &url, Some(key)))
}

fn key(given: &Given<'_>, context: &Context) -> Result<ApiKey, Failure> {
    let variable = given.key_variable;
    let (text, from) = match given.key_file {
        Some(file) => {
            let bytes = read(file)?;
            let text = String::from_utf8(bytes.get(..KEY_BYTES.min(bytes.len())).unwrap_or_default().to_vec());
            (text.unwrap_or_default(), file.display().to_string())
        }
        None => {
            let found = context.environment.iter().find(|(name, value)| name == variable && !value.is_empty());
            let Some((_, value)) = found else {
                let next = format!("name a file with --api-key-file, or set {variable}");
                return Err(Failure::usage(format!("no API key for {}", given.url)).with_next(next));
            };
            (value.clone(), variable.to_owned())
        }
    };
    ApiKey::read(&text).map_err(|error| Failure::usage(format!("{from} cannot be used: {error}")))
}

/// A file that was named on the command line.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(&format!("cannot read {}", path.display()), &error).with_exit(Exit::USAGE))
}
