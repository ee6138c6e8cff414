//! How a command ends: its exit code and, when it failed, what is told.

use std::error::Error;
use std::fmt;

use app::BuildError;
use config::ConfigError;
use mirror::EngineError;
use model::Reason;

use crate::show;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// All was done.
    pub(crate) const DONE: Self = Self(0);
    /// It failed.
    pub(crate) const FAILED: Self = Self(1);
    /// Wrong usage or configuration.
    pub(crate) const USAGE: Self = Self(2);
    /// Done in part.
    pub(crate) const PART: Self = Self(3);
    /// Freshness beyond policy.
    pub(crate) const STALE: Self = Self(4);

    /// The code that an engine's report gives.
    pub(crate) fn of(code: u8) -> Self {
        Self(code)
    }

    /// All, none or some of `total` failed.
    pub(crate) fn share(failed: usize, total: usize) -> Self {
        match failed {
            0 => Self::DONE,
            all if all == total => Self::FAILED,
            _ => Self::PART,
        }
    }

    pub(crate) fn code(self) -> u8 {
        self.0
    }
}

/// Why a command failed as a whole, and what the operator can do next.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: String,
    next: Option<String>,
}

impl Failure {
    /// Failed at `what`, because of `error` and its causes.
    pub(crate) fn new(what: &str, error: &dyn Error) -> Self {
        Self { exit: Exit::FAILED, text: format!("{what}: {}", model::error_chain(error)), next: None }
    }

    /// What was asked for makes no sense.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::USAGE, text: text.into(), next: None }
    }

    /// With another exit code.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// And another one, told below it.
    pub(crate) fn and(self, other: &Self) -> Self {
        let next = self.next.map_or_else(String::new, |next| format!("{next}\n"));
        Self { next: Some(format!("{next}{other}")), ..self }
    }

    /// With what to do next.
    pub(crate) fn with_next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// What failed, without what to do next.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// An engine could not do `what`.
    pub(crate) fn engine(what: &str, error: &EngineError) -> Self {
        let failure = Self::new(what, error);
        match error {
            // Nothing is wrong with the site: another moment has to be named.
            EngineError::NoPast(_) => failure.with_exit(Exit::USAGE),
            // Both say what to do themselves.
            EngineError::NoFeeds | EngineError::UnknownFeed { .. } => failure.with_exit(Exit::USAGE),
            EngineError::NoSuchRelease(_) | EngineError::NotNow(_) => failure,
            other => {
                let reason = other.reason();
                failure.with_next(format!("{} (reason {reason})", reason.remedy()))
            }
        }
    }

    /// An engine could not be built.
    pub(crate) fn build(what: &str, error: &BuildError) -> Self {
        let exit = if error.is_configuration() { Exit::USAGE } else { Exit::FAILED };
        let next = match (error, error.reason()) {
            (BuildError::Group { .. }, _) => "correct data_group, or leave it out".to_owned(),
            (BuildError::Client(_), _) => "check [origin] in the configuration".to_owned(),
            (BuildError::File { .. } | BuildError::Key { .. }, _) | (_, None) => {
                "correct the key or the file that it names".to_owned()
            }
            (_, Some(Reason::StoreFailed)) => format!(
                "check that data_dir in the configuration is right and that this user may use it (reason {})",
                Reason::StoreFailed
            ),
            (_, Some(reason)) => format!("{} (reason {reason})", reason.remedy()),
        };
        Self::new(what, error).with_exit(exit).with_next(next)
    }

    /// The configuration cannot be used: each of its mistakes on a line of its own.
    pub(crate) fn config(error: &ConfigError) -> Self {
        Self::usage(format!("the configuration cannot be used:\n{error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.text.lines();
        f.write_str(&show::clean(lines.next().unwrap_or_default()))?;
        for line in lines {
            write!(f, "\n  {}", show::clean(line))?;
        }
        match &self.next {
            Some(next) => next.lines().try_for_each(|line| write!(f, "\n  {}", show::clean(line))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_failed_gives_the_code_u57() {
        assert_eq!(Exit::share(0, 0), Exit::DONE);
        assert_eq!(Exit::share(0, 2), Exit::DONE);
        assert_eq!(Exit::share(1, 2), Exit::PART);
        assert_eq!(Exit::share(2, 2), Exit::FAILED);
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_without_control_characters_c36() {
        let inner = std::io::Error::other("disk\u{1b}[2J gone");
        let failure = Failure::new("sync", &inner).with_next("look");
        assert_eq!(failure.to_string(), "sync: disk\\u{1b}[2J gone\n  look");
    }
}
