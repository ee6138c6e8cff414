//! The vendor page's one-liner.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// As it stands on the page, but for host and version.
const LINE: &str = r#"export ENDPOINT_VERSION=VERSION && wget -P downloads/endpoint/manifest HOST/downloads/endpoint/manifest/artifacts-$ENDPOINT_VERSION.zip && zcat -q downloads/endpoint/manifest/artifacts-$ENDPOINT_VERSION.zip | jq -r '.artifacts | to_entries[] | .value.relative_url' | xargs -I@ curl "HOST@" --create-dirs -o ".@""#;

/// The time that it takes for each version in turn.
pub(crate) fn fetch(folder: &Path, host: &str, versions: &[&str]) -> Result<Duration> {
    let begun = Instant::now();
    for version in versions {
        let line = LINE.replace("VERSION=VERSION", &format!("VERSION={version}")).replace("HOST", host);
        let mut command = Command::new("sh");
        command
            .args(["-c", &line])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = command.status().context("running the one-liner")?;
        ensure!(status.success(), "the one-liner ended with {status}");
    }
    Ok(begun.elapsed())
}
