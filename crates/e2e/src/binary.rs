//! Where the program is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program, built from the sources as they are: once per process, in the profile that this test has.
pub fn waystation() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

/// Cargo tells a test where the programs of its own package are, and of no other; so it is asked again.
fn build() -> PathBuf {
    let own = std::env::current_exe().expect("this test has a path");
    let folder = own.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps");
    let (target, profile) = (folder.parent().expect("a target folder"), folder.file_name().expect("a profile"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "cli", "--bin", "waystation"]);
    command.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    match profile.to_str() {
        Some("debug") => {}
        Some(name) => drop(command.args(["--profile", name])),
        None => panic!("no profile has such a name: {}", profile.display()),
    }
    let answer = command.output().expect("cargo starts");
    assert!(answer.status.success(), "the program does not build:\n{}", String::from_utf8_lossy(&answer.stderr));
    folder.join(format!("waystation{}", std::env::consts::EXE_SUFFIX))
}
