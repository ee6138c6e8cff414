//! Checks that need installed programs, root or minutes. `cargo test --workspace` needs none of them.

mod schema;
mod tests;

use std::path::PathBuf;

use anyhow::Result;
use cargo_metadata::MetadataCommand;

/// How much is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// What fits a continuous run.
    Ci,
    /// Everything.
    Full,
}

/// Where and how large a proof runs.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    pub(crate) size: Size,
}

/// One check.
pub(crate) struct Proof {
    /// What it proves, in a few words.
    pub(crate) name: &'static str,
    /// The smallest size that it belongs to.
    pub(crate) from: Size,
    /// The programs it needs, each with the Debian package that brings it.
    pub(crate) needs: &'static [(&'static str, &'static str)],
    /// Runs it; an error says what did not hold.
    pub(crate) run: fn(&Stage) -> Result<()>,
}

/// Every proof. One that is a test lives in a crate's `tests` behind the feature `proof` and runs by
/// [`tests::cargo_test`]; its row names the programs.
const PROOFS: &[Proof] = &[
    Proof {
        name: "the schema of the configuration, read by another program, explains every key",
        from: Size::Ci,
        needs: &[("jq", "jq")],
        run: schema::explained,
    },
    Proof { name: "properties hold over many more cases", from: Size::Ci, needs: &[], run: tests::properties },
];

fn chosen(size: Size) -> impl Iterator<Item = &'static Proof> {
    PROOFS.iter().filter(move |proof| size == Size::Full || proof.from == Size::Ci)
}

fn missing(proof: &Proof) -> Vec<(&'static str, &'static str)> {
    proof.needs.iter().copied().filter(|(program, _)| !is_installed(program)).collect()
}

/// Whether a program can be started at all. Asked by starting it, since that is what a proof will do.
fn is_installed(program: &str) -> bool {
    use std::process::{Command, Stdio};
    let null = Stdio::null;
    match Command::new(program).arg("--version").stdin(null()).stdout(null()).stderr(null()).status() {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Runs the proofs of a size; true when all of them hold. One whose programs are missing does not.
pub(crate) fn run(size: Size) -> Result<bool> {
    let root = MetadataCommand::new().no_deps().exec()?.workspace_root.into_std_path_buf();
    let stage = Stage { root, size };
    let mut failed = 0usize;
    for proof in chosen(size) {
        let missing = missing(proof);
        if let Err(error) = outcome(proof, &stage, &missing) {
            println!("FAIL {}\n       {error:#}", proof.name);
            failed += 1;
        } else {
            println!("ok   {}", proof.name);
        }
    }
    if failed > 0 {
        println!("{failed} of {} proofs failed", chosen(size).count());
    }
    Ok(failed == 0)
}

fn outcome(proof: &Proof, stage: &Stage, missing: &[(&str, &str)]) -> Result<()> {
    if !missing.is_empty() {
        let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
        let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        anyhow::bail!("needs {}: apt-get install {}", programs.join(", "), packages.join(" "));
    }
    (proof.run)(stage)
}

/// Prints the packages whose programs are missing, one a line.
pub(crate) fn list_missing(size: Size) -> Result<bool> {
    let mut packages: Vec<&str> = chosen(size).flat_map(missing).map(|(_, package)| package).collect();
    packages.sort_unstable();
    packages.dedup();
    for package in packages {
        println!("{package}");
    }
    Ok(true)
}
