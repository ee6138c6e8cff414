use settings::elastic::System;

use crate::elastic::takes;

/// Seen on a Windows host (8.3) and on a Linux host (2024): the vendor's own documents.
const WINDOWS: &str = "diagnostic-configuration-v1 diagnostic-endpointpe-v4-blocklist \
    diagnostic-endpointpe-v4-exceptionlist diagnostic-endpointpe-v4-model diagnostic-malware-signature-v1-windows \
    diagnostic-ransomware-v1-windows diagnostic-rules-windows-v1 endpointpe-v4-blocklist endpointpe-v4-exceptionlist \
    endpointpe-v4-model global-configuration-v1 global-exceptionlist-windows global-trustlist-windows-v1 \
    production-malware-signature-v1-windows production-ransomware-v1-windows production-rules-windows-v1";
const LINUX: &str = "diagnostic-configuration-v1 diagnostic-endpointelf-v1-blocklist \
    diagnostic-endpointelf-v1-exceptionlist diagnostic-endpointelf-v1-model diagnostic-malware-signature-v1-linux \
    diagnostic-rules-linux-v1 endpointelf-v1-blocklist endpointelf-v1-exceptionlist endpointelf-v1-model \
    global-configuration-v1 global-eventfilterlist-linux-v1 global-exceptionlist-linux global-trustlist-linux-v1 \
    production-malware-signature-v1-linux production-rules-linux-v1 tamper-protection-config-v1";

#[test]
fn each_system_takes_what_its_hosts_were_seen_with_and_nothing_of_the_others() {
    assert!(WINDOWS.split_whitespace().all(|name| takes(System::Windows, name)));
    assert!(LINUX.split_whitespace().all(|name| takes(System::Linux, name)));
    let shared = ["diagnostic-configuration-v1", "global-configuration-v1", "tamper-protection-config-v1"];
    for name in WINDOWS.split_whitespace().filter(|name| !shared.contains(name)) {
        assert!(!takes(System::Linux, name) && !takes(System::Mac, name), "{name}");
    }
    for name in LINUX.split_whitespace().filter(|name| !shared.contains(name)) {
        assert!(!takes(System::Windows, name) && !takes(System::Mac, name), "{name}");
    }
    assert!(takes(System::Mac, "production-rules-macos-v1") && !takes(System::Linux, "production-rules-macos-v1"));
    assert!([System::Linux, System::Mac, System::Windows].iter().all(|os| takes(*os, "something-new-v1")));
}
