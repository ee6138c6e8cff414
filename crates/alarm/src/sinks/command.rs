//! Tells by starting a program: never through a shell.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr};

use crate::{Message, Sink, SinkError, text};

/// How much of what a program complains is kept.
const HEARD: usize = 400;
/// How long its last words are waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The longest value of a variable.
const LONGEST: usize = 4000;

/// A program and its arguments. It is told the message as JSON on its standard input, and as variables
/// `WAYSTATION_ALARM_KIND`, `…_LEVEL`, `…_REASON`, `…_SITE`, `…_SUBJECT`, `…_TEXT` and `…_ID`. Its standard output
/// goes nowhere; it says by its exit code whether it was told. It leads a process group of its own, which ends with
/// it, or at the deadline.
#[derive(Clone, Debug)]
pub struct Command {
    argv: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Command {
    /// The program, as a path, and its arguments; `environment` is all that it gets beside its own variables.
    pub fn new(argv: Vec<String>, environment: Vec<(String, String)>) -> Self {
        Self { argv, environment }
    }

    fn spawn(&self, message: &Message) -> Result<Child, SinkError> {
        let mut argv = self.argv.iter();
        let program = argv.next().ok_or_else(|| SinkError::new("no program is named"))?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(argv)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(variables(message))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .current_dir("/")
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map_err(|error| SinkError::of(&format!("cannot start {program}"), &error))
    }
}

/// Every value is one line but the text, which has the lines that we made.
fn variables(message: &Message) -> [(&'static str, String); 7] {
    let cut = |text: String| text.chars().filter(|c| *c != '\0').take(LONGEST).collect::<String>();
    [
        ("WAYSTATION_ALARM_KIND", message.kind().as_str().to_owned()),
        ("WAYSTATION_ALARM_LEVEL", message.level().as_str().to_owned()),
        ("WAYSTATION_ALARM_REASON", message.reason().unwrap_or_default().to_owned()),
        ("WAYSTATION_ALARM_SITE", message.site().unwrap_or_default().to_owned()),
        ("WAYSTATION_ALARM_SUBJECT", cut(message.subject())),
        ("WAYSTATION_ALARM_TEXT", cut(message.body())),
        ("WAYSTATION_ALARM_ID", message.id()),
    ]
}

#[async_trait]
impl Sink for Command {
    async fn tell(&self, message: &Message) -> Result<(), SinkError> {
        let mut child = self.spawn(message)?;
        let group = Group(child.id());
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut json =
            serde_json::to_vec(&message.json()).map_err(|error| SinkError::of("cannot write JSON", &error))?;
        json.push(b'\n');
        let writing = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read is not at fault for that.
                let _ = stdin.write_all(&json).await;
            }
        };
        let mut heard = Vec::new();
        let status = {
            let hearing = hear(stderr, &mut heard);
            tokio::pin!(writing, hearing);
            let (mut written, mut silent) = (false, false);
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status,
                    () = &mut writing, if !written => written = true,
                    () = &mut hearing, if !silent => silent = true,
                }
            };
            // What it left behind may hold its standard error open for ever.
            drop(group);
            if !silent {
                let _ = tokio::time::timeout(LAST_WORDS, hearing).await;
            }
            status
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let said = text::line(String::from_utf8_lossy(&heard).trim(), HEARD);
                let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                Err(SinkError::new(format!("{status}{said}")))
            }
            Err(error) => Err(SinkError::of("cannot wait for the program", &error)),
        }
    }
}

/// A process group; it ends when this is dropped, whoever of it is left.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            platform::kill_group(leader);
        }
    }
}

/// Reads to the end, keeping the first part.
async fn hear(stderr: Option<ChildStderr>, heard: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut piece = [0_u8; 1024];
    while let Ok(count) = stderr.read(&mut piece).await {
        if count == 0 {
            return;
        }
        let room = HEARD.saturating_sub(heard.len());
        heard.extend(piece.iter().take(count.min(room)));
    }
}
