//! The service's unit, where systemd runs.

use std::fs;
use std::path::Path;

use crate::Check;
use crate::finding::Finding;

const UNITS: [&str; 3] = [
    "/etc/systemd/system/waystation.service",
    "/usr/lib/systemd/system/waystation.service",
    "/lib/systemd/system/waystation.service",
];

/// Looks for the unit and reads what matters in it.
pub(crate) fn look() -> Vec<Finding> {
    if !Path::new("/run/systemd/system").exists() {
        return Vec::new();
    }
    let found = UNITS.iter().find_map(|path| Some((*path, fs::read_to_string(path).ok()?)));
    match found {
        None => vec![Finding::ok(Check::Systemd, "waystation.service", "to find it", "there is none yet")],
        Some((path, text)) => vec![weigh(path, &text)],
    }
}

fn weigh(path: &str, text: &str) -> Finding {
    let value = |key: &str| text.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    let mut missing = Vec::new();
    if value("User").is_none_or(|user| user.trim() == "root") && value("DynamicUser").is_none() {
        missing.push("User= (it runs as root)");
    }
    if value("LimitNOFILE").is_none() {
        missing.push("LimitNOFILE=");
    }
    if !text.contains("ExecStart=") || !text.contains("waystation") {
        missing.push("ExecStart= with waystation");
    }
    let asked = "user and limits";
    if missing.is_empty() {
        Finding::ok(Check::Systemd, path, asked, "both are set")
    } else {
        Finding::warn(Check::Systemd, path, asked, format!("without {}", missing.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn units_that_leave_much_out_are_told() {
        let whole = "[Service]\nUser=waystation\nExecStart=/usr/local/bin/waystation run\nLimitNOFILE=65536\n";
        assert_eq!(weigh("x", whole).level, Level::Ok);
        let found = weigh("x", "[Service]\nExecStart=/usr/local/bin/waystation run\n");
        assert_eq!(found.level, Level::Warn);
        assert!(found.came.contains("LimitNOFILE") && found.came.contains("root"));
    }
}
