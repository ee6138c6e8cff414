//! One installation whose data folder can be put on any file system.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fault_lab::{Mounted, sh};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here may take: what is still there then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How large everything is.
pub(crate) fn is_full() -> bool {
    std::env::var("WAYSTATION_PROOF").is_ok_and(|size| size == "full")
}

/// Tells what was seen, in one line; `cargo xtask proof` shows it.
pub(crate) fn saw(what: &str) {
    println!("saw: {what}");
}

/// Sees that the machine has what is needed, and says what is not there.
pub(crate) fn need_a_lab() {
    static CHECKED: OnceLock<()> = OnceLock::new();
    CHECKED.get_or_init(|| {
        if let Err(missing) = fault_lab::available() {
            panic!("{missing}");
        }
    });
}

/// A configuration and a data folder, in memory unless something else is mounted there.
#[derive(Debug)]
pub(crate) struct Bench {
    // Taken down before its place is removed.
    room: Mounted,
    _place: TempDir,
}

impl Bench {
    /// In memory, with these sections of configuration.
    pub(crate) fn new(sections: &str) -> Self {
        need_a_lab();
        let place = tempfile::tempdir().unwrap();
        let room = Mounted::tmpfs(place.path(), 512 << 20, 0).unwrap();
        let bench = Self { room, _place: place };
        let head = "data_dir = \"data\"\n[[serve]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
        fs::write(bench.config(), format!("{head}{sections}")).unwrap();
        bench
    }

    pub(crate) fn folder(&self) -> &Path {
        self.room.at()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("waystation.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// A command of the program; `before` stands in front of it, such as a tracer and its arguments.
    pub(crate) fn command(&self, before: &[&str], arguments: &[&str]) -> Command {
        let program = e2e::waystation().as_os_str();
        let mut words = before.iter().map(OsStr::new).chain([program]).chain(arguments.iter().map(OsStr::new));
        let mut command = Command::new(words.next().unwrap());
        command.args(words).env("WAYSTATION_CONFIG", self.config()).current_dir(self.folder());
        command
    }

    /// Starts a command whose output nobody reads.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(&[], arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs a command to its end.
    pub(crate) fn act(&self, arguments: &[&str]) -> Ended {
        ended(self.command(&[], arguments))
    }

    /// Takes the data folder away and puts a copy of another one there, or nothing.
    pub(crate) fn put(&self, name: &str, copy_of: Option<&Path>) -> PathBuf {
        let at = self.folder().join(name);
        if at.exists() {
            fs::remove_dir_all(&at).unwrap();
        }
        match copy_of {
            Some(from) => drop(sh("cp", &["-a", from.to_str().unwrap(), at.to_str().unwrap()]).unwrap()),
            None => {
                fs::create_dir(&at).unwrap();
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        at
    }
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end; one that hangs is killed, and the test fails.
pub(crate) fn ended(mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _the_rest_is_lost = from.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let err = read(Box::new(child.stderr.take().unwrap()));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it hangs: {command:?}\n{}", err.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ended { code: status.code(), out: out.join().unwrap(), err: err.join().unwrap() }
}

impl Ended {
    pub(crate) fn text(&self) -> String {
        format!("exit {:?}\n{}{}", self.code, self.out, self.err)
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text());
        self
    }

    /// Everything it wrote as JSON lines, what is not JSON aside.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Every reason that it gave, in lines about feeds and in errors.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let of = |line: &Value| line.get("reason").and_then(Value::as_str).map(str::to_owned);
        self.lines().iter().filter_map(of).collect()
    }
}
