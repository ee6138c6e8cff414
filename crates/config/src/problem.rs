//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// How many mistakes are reported together.
pub(crate) const SHOWN: usize = 20;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Somewhere in the file as a whole.
    File,
    /// A line of the file, from 1.
    Line(usize),
    /// A variable of the environment.
    Variable(String),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The key, with its section: `elastic.schedule`; empty where no single key is to blame.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A configuration that cannot be used: up to 20 of its mistakes, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    problems: Vec<Problem>,
    more: usize,
}

impl ConfigError {
    pub(crate) fn new(file: PathBuf, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match problem.place {
            Place::File => (0, 0),
            Place::Line(line) => (1, line),
            Place::Variable(_) => (2, 0),
        });
        problems.dedup();
        let more = problems.len().saturating_sub(SHOWN);
        problems.truncate(SHOWN);
        Self { file, problems, more }
    }

    pub(crate) fn of_file(file: PathBuf, message: impl Into<String>) -> Self {
        let problem = Problem { place: Place::File, key: String::new(), message: message.into() };
        Self::new(file, vec![problem])
    }

    /// The mistakes, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ConfigError {}

/// One mistake a line: `file:line: key: what is wrong; what would be right`.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match &problem.place {
                Place::File => write!(f, "{}: ", self.file.display())?,
                Place::Line(line) => write!(f, "{}:{line}: ", self.file.display())?,
                Place::Variable(name) => write!(f, "environment {name}: ")?,
            }
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            f.write_str(&problem.message)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more mistakes", self.file.display()),
        }
    }
}

/// A text from outside as it may stand in a message: cut short, with nothing a terminal would act on.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", shown(text, 60))
}

/// A text from outside, at most so many characters of it, with nothing a terminal would act on.
pub(crate) fn shown(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).flat_map(visible).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

fn visible(c: char) -> Vec<char> {
    let hidden = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if hidden { c.escape_default().collect() } else { vec![c] }
}
