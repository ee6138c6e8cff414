//! Findings about settings, for people.

use settings::{Finding, Level};

/// As lines.
pub(super) fn lines(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings {
        let at = if finding.at.is_empty() { String::new() } else { format!(" at {}", finding.at) };
        lines.push(format!("{:<5}  {}{at}", finding.level.as_str(), finding.check));
        for (word, text) in [("seen", finding.seen.as_str()), ("effect", finding.effect), ("mend", finding.mend)] {
            if !text.is_empty() {
                lines.push(format!("       {word:<7} {text}"));
            }
        }
    }
    lines
}

/// How many there are of each level.
pub(super) fn counts(findings: &[Finding]) -> String {
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    [Level::Error, Level::Warn, Level::Note].map(|level| format!("{} {level}", count(level))).join(", ")
}
