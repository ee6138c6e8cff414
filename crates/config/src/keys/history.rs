//! What is recorded, for how long, and where its digests are kept besides.

use super::Kind::{Duration, Number, Path, Text};
use super::{Section, Shape, key};

/// A month: less could not answer what an auditor asks.
const LEAST: u64 = 30 * 86_400_000;

pub(super) const HISTORY: Section = Section {
    name: "history",
    shape: Shape::Table,
    doc: "The record of what happened, and where its heads go: an entry's number and the digest that stands for all before it, so that entries cut off at the end show.",
    keys: &[
        key(
            "keep",
            Duration(LEAST),
            "\"400d\"",
            "Entries older than this are let go, a month's worth at a time; what still matters of them is carried over.",
        )
        .or("\"400d\""),
        key(
            "head_file",
            Path,
            "\"/mnt/worm/waystation-heads\"",
            "The file that heads are appended to. Put it where who can write to data_dir cannot rewrite it.",
        ),
        key(
            "head_syslog",
            Text,
            "\"udp://logs.internal:514\"",
            "The syslog that heads are sent to: udp://HOST:PORT, tcp://HOST:PORT, or unix:/dev/log.",
        ),
        key("head_every", Duration(1000), "\"1h\"", "How long a new head may wait until it is told.").or("\"1h\""),
        key("head_entries", Number(1, 1_000_000), "100", "After how many entries a head is told at once.").or("100"),
    ],
};
