//! What it was measured on and beside.

use std::process::Command;

/// One line: cores, kernel, tools.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let tools = [("uname", "-sr"), ("curl", "--version"), ("wget", "--version"), ("jq", "--version")];
    let tools: Vec<String> = tools.into_iter().filter_map(|(program, option)| first_line(program, option)).collect();
    format!("{cores} cores; {}", tools.join("; "))
}

fn first_line(program: &str, option: &str) -> Option<String> {
    let answer = Command::new(program).arg(option).output().ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let words: Vec<&str> = text.lines().next()?.split_whitespace().take(3).collect();
    Some(words.join(" "))
}
