//! What stands in what vendors send.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row::new("C01", "a path that climbs out", "the release is refused, nothing is written"),
    Row::new("C02", "a path that is a URL", "refused"),
    Row::new("C03", "a path that names a host after two slashes or a backslash", "refused"),
    Row::new("C04", "a path that changes the host when it is appended", "refused: it begins with one slash"),
    Row::new(
        "C05",
        "a path in another spelling: percent, dots, doubled slashes, query, fragment",
        "refused: one form alone",
    ),
    Row::new("C06", "names that mean something else on Windows", "refused"),
    Row::new(
        "C07",
        "controls, bidirectional and invisible characters, also percent-encoded",
        "refused, and shown escaped",
    ),
    Row::new("C08", "a path of a megabyte, a part of 300 bytes, ten thousand parts", "caps"),
    Row::new("C10", "a path where a manifest, our own routes or another vendor's lie", "refused"),
    Row::new("C12", "a key twice, at any level", "refused by the strict reader"),
    Row::new("C13", "nesting of 200 and of 100,000", "an error, on any stack"),
    Row::new(
        "C14",
        "a million artifacts, or a stream that would be a thousand million",
        "a cap before anything is allocated for them",
    ),
    Row::new("C15", "sizes negative, broken, enormous, beyond 2^53, as text, no number", "refused"),
    Row::new("C16", "digests of another length, alphabet, case or kind", "one form alone"),
    Row::new(
        "C17",
        "bytes that are not UTF-8, marks, UTF-16, lone surrogates, names beyond ASCII",
        "an error, no panic",
    ),
    Row::new(
        "C18",
        "unknown fields; required ones missing or of another type",
        "served as they came; refused; others missing weaken the verdict",
    ),
    Row::new("C19", "odd versions", "a total order"),
    Row::new("C20", "whitespace of gigabytes, a string of one", "a cap"),
    Row::new("C21", "zip bombs: flat, overlapping, nested", "caps on output, ratio and depth"),
    Row::new("C23", "names twice; headers that disagree", "refused"),
    Row::new(
        "C24",
        "zips that are one thing to one reader and another to the next",
        "refused: no prefix, no gap, nothing behind",
    ),
    Row::new("C25", "members that are links, devices, absolute, climbing", "refused"),
    Row::new("C27", "encrypted members, other methods, descriptors and sizes that lie", "refused"),
    Row::new("C28", "a wrong checksum under a right digest", "refused"),
    Row::new("C29", "zips and manifests cut anywhere", "an error, soon"),
    Row::new("C30", "zips and manifests with a bit flipped anywhere", "an error or another digest; no panic"),
    Row::new(
        "C32",
        "a signature that is absent, empty, of another manifest or version",
        "refused where it is required, noted where it is not",
    ),
    Row::new("C33", "an unknown key, one key twice, another algorithm, a cut or altered signature", "refused"),
    Row::new(
        "C34",
        "an artifact that unpacks to something else, or to too much",
        "checked without keeping what comes out",
    ),
    Row::new(
        "C35",
        "XML with entities, a document type, a gigabyte, another root, attributes swapped",
        "no document types; caps",
    ),
    Row::new(
        "C36",
        "versions and names for shells, pages, templates and terminals",
        "nothing but text wherever they go",
    )
    .but("there are no gates, no console and no CSV yet to be inert in"),
    Row::new("C38", "an artifact of no bytes", "taken only with the digest of none"),
    Row::new(
        "C39",
        "one track's or system's content under another",
        "the track is part of the identity; refused or told",
    ),
    Row::new("C41", "a manifest that names itself, or goes in circles", "refused")
        .but("no manifest of either vendor names another, so there is no cycle to make"),
    Row::new("C42", "weaker digests that match where SHA-256 does not", "SHA-256 alone counts"),
];
