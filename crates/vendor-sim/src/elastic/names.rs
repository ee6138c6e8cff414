//! The names that artifacts really have, and the folders that ours lie in.

/// Seen on Windows hosts, then those that only Linux hosts had, then macOS.
const NAMES: [&str; 32] = [
    "diagnostic-configuration-v1",
    "diagnostic-endpointpe-v4-blocklist",
    "diagnostic-endpointpe-v4-exceptionlist",
    "diagnostic-endpointpe-v4-model",
    "diagnostic-malware-signature-v1-windows",
    "diagnostic-ransomware-v1-windows",
    "diagnostic-rules-windows-v1",
    "endpointpe-v4-blocklist",
    "endpointpe-v4-exceptionlist",
    "endpointpe-v4-model",
    "global-configuration-v1",
    "global-exceptionlist-windows",
    "global-trustlist-windows-v1",
    "production-malware-signature-v1-windows",
    "production-ransomware-v1-windows",
    "production-rules-windows-v1",
    "diagnostic-endpointelf-v1-blocklist",
    "diagnostic-endpointelf-v1-exceptionlist",
    "diagnostic-endpointelf-v1-model",
    "diagnostic-malware-signature-v1-linux",
    "diagnostic-rules-linux-v1",
    "endpointelf-v1-blocklist",
    "endpointelf-v1-exceptionlist",
    "endpointelf-v1-model",
    "global-eventfilterlist-linux-v1",
    "global-exceptionlist-linux",
    "global-trustlist-linux-v1",
    "production-malware-signature-v1-linux",
    "production-rules-linux-v1",
    "tamper-protection-config-v1",
    "production-rules-macos-v1",
    "diagnostic-rules-macos-v1",
];

/// Not all in one folder, because the vendor's are not: a mirror that flattens them fails.
const FOLDERS: [&str; 3] =
    ["/downloads/endpoint/simulated", "/downloads/other/simulated/models", "/downloads/simulated"];

/// The name of the artifact with this number.
pub(super) fn name(number: usize) -> String {
    NAMES.get(number).map_or_else(|| format!("simulated-artifact-{number}-v1"), |name| (*name).to_owned())
}

/// The folder of the artifact with this number.
pub(super) fn folder(number: usize) -> &'static str {
    FOLDERS.get(number % FOLDERS.len()).copied().unwrap_or_default()
}
