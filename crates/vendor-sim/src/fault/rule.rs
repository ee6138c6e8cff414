//! Which requests a fault befalls, and how often.

use std::fmt;
use std::str::FromStr;

use super::Fault;

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A manifest's archive.
    Manifest,
    /// An artifact, by its place in the manifest, from 0.
    Artifact(usize),
    /// An info document.
    Info,
    /// A Defender archive.
    Archive,
    /// The first hop of Microsoft's chain.
    Fwlink,
    /// The second hop.
    Packages,
    /// Anything else: unknown paths.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("manifest"),
            Self::Artifact(number) => write!(f, "artifact#{number}"),
            Self::Info => f.write_str("info"),
            Self::Archive => f.write_str("archive"),
            Self::Fwlink => f.write_str("fwlink"),
            Self::Packages => f.write_str("packages"),
            Self::Other => f.write_str("other"),
        }
    }
}

/// Which requests; reads `any`, `manifest`, `artifact`, `artifact#3`, `info`, `archive`, `fwlink`, `packages`, or
/// a part of the request target that holds a `/`, `=` or `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// All.
    Any,
    /// Those for this kind of resource.
    Kind(Kind),
    /// Those for any artifact.
    Artifacts,
    /// Those whose target (path and query) has this in it.
    Target(String),
}

/// A text is no pattern.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is no pattern; there are any, manifest, artifact, artifact#N, info, archive, fwlink, packages, and parts of \
     a path such as /artifacts-9.0.0.zip"
)]
pub struct PatternError(String);

impl Pattern {
    fn matches(&self, kind: Kind, target: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Kind(wanted) => *wanted == kind,
            Self::Artifacts => matches!(kind, Kind::Artifact(_)),
            Self::Target(part) => target.contains(part.as_str()),
        }
    }
}

impl From<Kind> for Pattern {
    fn from(kind: Kind) -> Self {
        Self::Kind(kind)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = || PatternError(text.to_owned());
        Ok(match text {
            "any" => Self::Any,
            "manifest" => Self::Kind(Kind::Manifest),
            "artifact" => Self::Artifacts,
            "info" => Self::Kind(Kind::Info),
            "archive" => Self::Kind(Kind::Archive),
            "fwlink" => Self::Kind(Kind::Fwlink),
            "packages" => Self::Kind(Kind::Packages),
            _ => match text.strip_prefix("artifact#") {
                Some(number) => Self::Kind(Kind::Artifact(number.parse().map_err(|_| error())?)),
                None if text.contains(['/', '=', '.']) => Self::Target(text.to_owned()),
                None => return Err(error()),
            },
        })
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next time.
    Once,
    /// So many times.
    Count(u64),
    /// Until cleared.
    Always,
}

/// A fault that waits for requests.
///
/// Of several rules that fit a request, the first of each stage strikes: content, then validators and ranges, then
/// the answer itself. A rule is used up only by a request that it could strike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// Which requests.
    pub pattern: Pattern,
    /// What befalls them.
    pub fault: Fault,
    /// How often.
    pub times: Times,
}

impl FaultRule {
    /// The next such request.
    pub fn once(pattern: impl Into<Pattern>, fault: Fault) -> Self {
        Self { pattern: pattern.into(), fault, times: Times::Once }
    }

    /// All such requests.
    pub fn always(pattern: impl Into<Pattern>, fault: Fault) -> Self {
        Self { pattern: pattern.into(), fault, times: Times::Always }
    }
}

/// Names an injected rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) u64);

/// When a fault acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Content,
    Promise,
    Answer,
    After,
}

/// An injected rule and what it has done.
#[derive(Clone, Debug)]
pub(crate) struct ActiveRule {
    pub(crate) id: RuleId,
    pub(crate) rule: FaultRule,
    pub(crate) hits: u64,
}

impl ActiveRule {
    /// Whether this rule strikes such a request now.
    pub(crate) fn strikes(&self, kind: Kind, target: &str) -> bool {
        let left = match self.rule.times {
            Times::Once => self.hits == 0,
            Times::Count(times) => self.hits < times,
            Times::Always => true,
        };
        left && self.rule.fault.fits(kind) && self.rule.pattern.matches(kind, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read() {
        assert_eq!("artifact#3".parse(), Ok(Pattern::Kind(Kind::Artifact(3))));
        assert_eq!("/manifest/".parse(), Ok(Pattern::Target("/manifest/".to_owned())));
        assert!("artifact#x".parse::<Pattern>().is_err() && "manifets".parse::<Pattern>().is_err());
        assert!(Pattern::Artifacts.matches(Kind::Artifact(9), "/x"));
    }
}
