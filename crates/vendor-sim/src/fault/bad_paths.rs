//! Paths that no manifest should name.

use super::{Fault, ManifestFault};

const PATHS: [(&str, &str); 48] = [
    ("C01", "../../etc/cron.d/x"),
    ("C01", "/../../etc/cron.d/x"),
    ("C01", "/downloads/../../x"),
    ("C01", "/downloads/.."),
    ("C02", "https://evil.invalid/x"),
    ("C02", "http:evil"),
    ("C03", "//evil.invalid/x"),
    ("C03", "///x"),
    ("C03", "/\\evil.invalid"),
    ("C04", "@evil.invalid/x"),
    ("C04", ".evil.invalid/x"),
    ("C04", ":8443/x"),
    ("C04", "x"),
    ("C04", ""),
    ("C05", "/downloads/%2e%2e/x"),
    ("C05", "/downloads/%252e/x"),
    ("C05", "/downloads/%c0%ae/x"),
    ("C05", "/downloads/..;/x"),
    ("C05", "/downloads/./x"),
    ("C05", "/downloads//x"),
    ("C05", "/downloads/x/"),
    ("C05", "/downloads/x?q"),
    ("C05", "/downloads/x#f"),
    ("C05", "/"),
    ("C06", "/downloads\\x"),
    ("C06", "C:\\x"),
    ("C06", "/C:/x"),
    ("C06", "\\\\server\\share"),
    ("C06", "/downloads/CON"),
    ("C06", "/downloads/NUL.txt"),
    ("C06", "/downloads/x."),
    ("C06", "/downloads/x "),
    ("C06", "/downloads/a:b"),
    ("C07", "/downloads/a\0b"),
    ("C07", "/downloads/a\rb"),
    ("C07", "/downloads/a\nb"),
    ("C07", "/downloads/a\tb"),
    ("C07", "/downloads/a\u{7f}b"),
    ("C07", "/downloads/a\u{202e}b"),
    ("C07", "/downloads/a\u{200b}b"),
    ("C07", "/downloads/a%00b"),
    ("C07", "/downloads/a%0d%0ab"),
    ("C10", "/downloads/endpoint/manifest/artifacts-9.9.9.zip"),
    ("C10", "/rings/x"),
    ("C10", "/waystation/x"),
    ("C10", "/linux/production/arch_x86_64/updates.zip"),
    ("C41", "/downloads/endpoint/manifest/artifacts-9.0.0.zip"),
    ("C05", "/downloads/endpoint/../x"),
];

/// Manifest faults for every bad path of the catalogue, C01 to C10, each with its id.
pub fn bad_paths() -> impl Iterator<Item = (&'static str, Fault)> {
    let long = [
        ("C08", format!("/{}", "a".repeat(1 << 20))),
        ("C08", format!("/downloads/{}", "a".repeat(300))),
        ("C08", "/a".repeat(10_000)),
    ];
    let short = PATHS.into_iter().map(|(id, path)| (id, path.to_owned()));
    short.chain(long).map(|(id, path)| (id, Fault::Manifest(ManifestFault::BadPath(path.into()))))
}
