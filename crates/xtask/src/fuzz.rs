//! Runs the fuzz targets under libFuzzer, each for a while, and tells what that came to.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;
use clap::Args;

/// Longer inputs only make each run slower: every limit of a parser lies below it, or has tests of its own.
const LONGEST: &str = "-max_len=8192";

/// What to run, and for how long.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Only these targets; every one there is where none is named.
    targets: Vec<String>,
    /// How long each of them runs, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// What running one target came to.
struct Ran {
    target: String,
    seconds: u64,
    runs: u64,
    finds: usize,
}

/// Fuzzes and prints a table; true when nothing was found.
pub(crate) fn run(what: &Fuzz) -> Result<bool> {
    let folder = MetadataCommand::new().no_deps().exec()?.workspace_root.into_std_path_buf().join("fuzz");
    let there = targets(&folder)?;
    let targets = if what.targets.is_empty() { &there } else { &what.targets };
    if let Some(unknown) = targets.iter().find(|target| !there.contains(target)) {
        anyhow::bail!("there is no fuzz target {unknown}; there are: {}", there.join(", "));
    }
    let found = Command::new("cargo").args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(found.is_ok_and(|found| found.success()), "needs cargo-fuzz: cargo install cargo-fuzz");
    println!("| target | seconds | inputs run | a second | found |\n|---|---|---|---|---|");
    let mut finds = 0;
    for target in targets {
        let ran = fuzz(&folder, target, what.seconds)?;
        let rate = ran.runs / ran.seconds.max(1);
        println!("| `{}` | {} | {} | {} | {} |", ran.target, ran.seconds, grouped(ran.runs), grouped(rate), ran.finds);
        finds += ran.finds;
    }
    Ok(finds == 0)
}

/// The targets' names, in order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let files = std::fs::read_dir(folder.join("fuzz_targets")).context("listing fuzz/fuzz_targets")?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn fuzz(folder: &Path, target: &str, seconds: u64) -> Result<Ran> {
    let new = tempfile::tempdir().context("a folder for new inputs")?;
    let artifacts = folder.join("artifacts").join(target);
    let before = count(&artifacts);
    let answer = Command::new("cargo")
        .args(["fuzz", "run", "-s", "none", target])
        .arg(new.path())
        .arg(format!("corpus/{target}"))
        .args(["--", &format!("-max_total_time={seconds}"), LONGEST])
        .current_dir(folder)
        // Lets a stable compiler do what a nightly one does.
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .context("running cargo fuzz")?;
    let told = String::from_utf8_lossy(&answer.stderr);
    let finds = count(&artifacts).saturating_sub(before);
    let Some((runs, seconds)) = told.lines().rev().find_map(done) else {
        ensure!(finds > 0, "{target} did not run to its end:\n{told}");
        eprintln!("{told}");
        return Ok(Ran { target: target.to_owned(), seconds: 0, runs: 0, finds });
    };
    Ok(Ran { target: target.to_owned(), seconds, runs, finds })
}

/// `Done 1234 runs in 61 second(s)`.
fn done(line: &str) -> Option<(u64, u64)> {
    let mut words = line.strip_prefix("Done ")?.split(' ');
    let runs = words.next()?.parse().ok()?;
    let seconds = words.nth(2)?.parse().ok()?;
    Some((runs, seconds))
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzers_last_line_is_read() {
        assert_eq!(done("Done 12345 runs in 61 second(s)"), Some((12_345, 61)));
        assert_eq!(done("Done"), None);
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }
}
