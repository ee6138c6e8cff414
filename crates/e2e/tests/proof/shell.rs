//! Lines for a shell, and the sizes of a proof.

use std::path::Path;
use std::process::{Child, Command, Output};

use vendor_sim::{DefenderSettings, ElasticSettings, Settings, Simulator};

/// A process that ends with us.
pub(crate) struct Ends(pub(crate) Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // Its parent process is asked in order, so that its workers go with it.
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// Runs lines in a folder; answers whatever comes.
pub(crate) fn try_sh(folder: &Path, lines: &str) -> Output {
    Command::new("bash").args(["-c", lines]).current_dir(folder).env_remove("http_proxy").output().unwrap()
}

/// Runs lines in a folder, and sees that they end well; answers what they wrote.
#[track_caller]
pub(crate) fn sh(folder: &Path, lines: &str) -> String {
    let answer = try_sh(folder, lines);
    assert!(answer.status.success(), "{lines}\n{}\n{}", answer.status, String::from_utf8_lossy(&answer.stderr));
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

/// Whether this is a continuous run, and not one at full size.
pub(crate) fn is_small() -> bool {
    std::env::var("WAYSTATION_PROOF").is_ok_and(|size| size == "ci")
}

/// Both vendors: the artifacts and archives small for a continuous run, larger than any buffer otherwise.
pub(crate) fn vendor() -> Simulator {
    let (artifact_size, archive_size) = if is_small() { (64 << 10, 256 << 10) } else { (1 << 20, 32 << 20) };
    let elastic = ElasticSettings { artifact_size, ..ElasticSettings::default() };
    let defender = DefenderSettings { archive_size, ..DefenderSettings::default() };
    Simulator::start(Settings { elastic, defender, ..Settings::lately() }).unwrap()
}

/// Every version that is simulated.
pub(crate) const VERSIONS: [&str; 5] = ["8.17.4", "8.18.3", "9.0.0-beta1", "9.0.0", "9.1.2"];

/// The sections that follow all that is simulated.
pub(crate) fn everything(vendor: &Simulator) -> Vec<String> {
    vec![e2e::elastic(&vendor.elastic_url(), &VERSIONS), all_of_defender(&vendor.defender_url())]
}

/// The section that follows all of Defender.
pub(crate) fn all_of_defender(origin: &str) -> String {
    e2e::defender(origin, &["linux", "mac"], &["production", "preview"])
}

/// The digest of a file, as text.
pub(crate) fn digest_of(path: &Path) -> String {
    let mut file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut hasher, mut buffer) = (model::Hasher::new(), vec![0; 1 << 20]);
    loop {
        match std::io::Read::read(&mut file, &mut buffer).unwrap() {
            0 => return hasher.finish().to_string(),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Tells what a proof saw, in one line; `cargo xtask proof` shows it.
pub(crate) fn saw(what: &str) {
    println!("saw: {what}");
}
