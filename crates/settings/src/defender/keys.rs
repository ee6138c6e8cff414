//! The keys that updates depend on: where they stand, what they take, their history and its source.
//!
//! Sources are named as in Microsoft's public material: the page on offline updates for Linux (2024-03, 2025-03,
//! 2026-09), the one for macOS (2025-06, 2026-07), `linux-preferences`, `macos/schema/schema.json` (101.25102.0001) and
//! `linux/configs/mdatp_managed.json` of the repository microsoft/mdatp-xplat.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// The string `enabled` or `disabled`.
    Toggle,
    /// One of these strings.
    Words(&'static [&'static str]),
    /// A whole number from one to another, both taken.
    Whole {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A string.
    Text,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The object at the top that it stands in.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it.
    pub default: &'static str,
    /// What became of it, and when.
    pub history: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// What it is called in Intune and in the Defender portal; empty where no name is published.
    pub portal: &'static str,
    /// Its name in Graph and DSC; empty where none is published.
    pub graph: &'static str,
}

/// The section that definitions are set in.
pub(crate) const ENGINE: &str = "antivirusEngine";
/// The section of updates in general.
pub(crate) const CLOUD: &str = "cloudService";
/// The section of what may be switched.
pub(crate) const FEATURES: &str = "features";

pub(crate) const OFFLINE: &str = "offlineDefinitionUpdate";
pub(crate) const URL: &str = "offlineDefinitionUpdateUrl";
pub(crate) const FALLBACK: &str = "offlineDefinitionUpdateFallbackToCloud";
pub(crate) const VERIFY_SIG: &str = "offlineDefinitionUpdateVerifySig";
pub(crate) const ENFORCEMENT: &str = "enforcementLevel";
pub(crate) const AUTOMATIC: &str = "automaticDefinitionUpdateEnabled";
pub(crate) const INTERVAL: &str = "definitionUpdatesInterval";
pub(crate) const PROXY: &str = "proxy";
/// The fallback key as Microsoft's samples misspelt it.
pub(crate) const FALLBACK_TYPO: &str = "offlineDefintionUpdateFallbackToCloud";

/// The sections of Microsoft's schema.
pub(crate) const SECTIONS: [&str; 10] = [
    ENGINE,
    CLOUD,
    "userInterface",
    "edr",
    FEATURES,
    "tamperProtection",
    "deviceControl",
    "networkProtection",
    "dlp",
    "scheduledScan",
];

/// The table.
pub const KEYS: &[Key] = &[
    Key {
        section: ENGINE,
        name: OFFLINE,
        kind: Kind::Toggle,
        default: "disabled",
        history: "In features until agent 101.24012.0001; in antivirusEngine since 101.24022.0001.",
        source: "Linux page 2024-03, 2025-03, 2026-09",
        portal: "Antivirus engine > Enable offline security intelligence update",
        graph: "antivirusengine_offlineDefinitionUpdate (Enabled/Disabled)",
    },
    Key {
        section: ENGINE,
        name: URL,
        kind: Kind::Text,
        default: "none",
        history: "Samples without a scheme until 2025 and on the macOS page of 2026-07; with http:// since 2026-09.",
        source: "Linux page 2025-03, 2026-09; macOS page 2026-07",
        portal: "Antivirus engine > Offline security intelligence update URL or directory",
        graph: "offlinedefinitionupdateurl",
    },
    Key {
        section: ENGINE,
        name: FALLBACK,
        kind: Kind::Bool,
        default: "macOS true; Linux not published",
        history: "Misspelt offlineDefintionUpdateFallbackToCloud in the samples of 2023 and 2024, in linux-preferences \
                  until 2025-09 and on the macOS page of 2026-07.",
        source: "all pages; schema 101.25102; defender-docs PR #352",
        portal: "Antivirus engine > Offline security intelligence update fallback to cloud",
        graph: "offlinedefinitionupdatefallbacktocloud (\"true\"/\"false\")",
    },
    Key {
        section: ENGINE,
        name: ENFORCEMENT,
        kind: Kind::Words(&["real_time", "on_demand", "passive"]),
        default: "Linux passive since 101.23062.0001; macOS real_time",
        history: "Nothing is pulled on a timer unless it is real_time; since 2024-03 updates come before scans otherwise.",
        source: "linux-preferences; Linux page 2026-09; schema 101.25102",
        portal: "",
        graph: "",
    },
    Key {
        section: ENGINE,
        name: "scanAfterDefinitionUpdate",
        kind: Kind::Bool,
        default: "true",
        history: "A process scan follows new definitions in real_time mode: a promotion is a load on every endpoint.",
        source: "linux-preferences",
        portal: "",
        graph: "",
    },
    Key {
        section: CLOUD,
        name: AUTOMATIC,
        kind: Kind::Bool,
        default: "true",
        history: "The pages write True and False; JSON has true and false.",
        source: "Linux page 2025-03, 2026-09",
        portal: "Cloud delivered protection preferences > Automatic security intelligence updates",
        graph: "",
    },
    Key {
        section: CLOUD,
        name: INTERVAL,
        kind: Kind::Whole { least: 60, most: 86_400 },
        default: "28800 seconds",
        history: "The schema takes 60 to 86400; the Intune policy takes 0 as well.",
        source: "schema 101.25102; Microsoft365DSC",
        portal: "Cloud delivered protection preferences > Security intelligence update time interval (seconds)",
        graph: "definitionUpdatesInterval",
    },
    Key {
        section: CLOUD,
        name: "definitionUpdateDue",
        kind: Kind::Whole { least: 1, most: 30 },
        default: "7 days (macOS)",
        history: "After how many days definitions count as out of date.",
        source: "schema 101.25102",
        portal: "",
        graph: "",
    },
    Key {
        section: CLOUD,
        name: PROXY,
        kind: Kind::Text,
        default: "the system's",
        history: "The sample's http://proxy.server:port/ was copied into real files and made updates fail.",
        source: "microsoft-365-docs #7558",
        portal: "",
        graph: "",
    },
    Key {
        section: FEATURES,
        name: VERIFY_SIG,
        kind: Kind::Toggle,
        default: "macOS enabled; Linux not published",
        history: "Linux agents from 101.26062.0005 always verify the engine and do not read it; macOS still does.",
        source: "Linux page 2026-09; macOS page 2026-07; mdatp_managed.json of mdatp-xplat ships it disabled",
        portal: "",
        graph: "",
    },
    Key {
        section: "scheduledScan",
        name: "checkForDefinitionsUpdate",
        kind: Kind::Bool,
        default: "false",
        history: "Linux agents from 101.26032.0000.",
        source: "Linux page 2026-09",
        portal: "",
        graph: "",
    },
];

/// The key of a section.
pub(crate) fn key(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// A key by its name alone, where no other section has a key of that name.
pub(crate) fn by_name(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name && name.contains("efinition"))
}

/// What a key takes, in words.
pub(crate) fn takes(kind: Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Toggle => "\"enabled\" or \"disabled\"".to_owned(),
        Kind::Words(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "),
        Kind::Whole { least, most } => format!("a whole number from {least} to {most}"),
        Kind::Text => "a string".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_one_section() {
        for one in KEYS {
            let places = KEYS.iter().filter(|key| key.name == one.name).count();
            assert_eq!(places, 1, "{}", one.name);
            assert!(SECTIONS.contains(&one.section));
            assert!(!one.source.is_empty() && one.history.ends_with('.'), "{}", one.name);
        }
    }

    #[test]
    fn the_page_lists_every_key() {
        let page = include_str!("../../../../docs/configure-endpoints.md");
        let row = |key: &Key| {
            let Key { section, name, default, history, source, .. } = key;
            format!("| `{section}.{name}` | {} | {default} | {history} | {source} |", takes(key.kind))
        };
        let missing: Vec<String> = KEYS.iter().map(row).filter(|row| !page.contains(row)).collect();
        assert!(missing.is_empty(), "docs/configure-endpoints.md lacks these rows:\n{}\n", missing.join("\n"));
    }
}
