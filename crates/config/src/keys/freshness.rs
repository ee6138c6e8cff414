//! From when on silence is a warning, and from when on a failure.

use super::Kind::{Duration, Table, Text, Word};
use super::{Key, Section, Shape, key};

const PRESETS: &[&str] = &["1d", "3-7d", "stig-7d"];

/// The two limits of one measure; neither has a default of its own, since the preset has both.
const BOUND: &[Key] = &[
    key("warn", Duration(1000), "\"1d\"", "Longer than this is a warning."),
    key("fail", Duration(1000), "\"3d\"", "Longer than this is a failure: `status` exits 4."),
];

const CHECK: Key = key(
    "check",
    Table(BOUND),
    "{ warn = \"1d\", fail = \"3d\" }",
    "The time since the last check that found things in order, in place of the preset's. More than the schedule.",
);
const AGE: Key = key(
    "age",
    Table(BOUND),
    "{ warn = \"3d\", fail = \"7d\" }",
    "The age of what is held, in place of the preset's: from the vendor's own date, or from when it was first offered here. Dated feeds have none.",
);
const LAG: Key = key(
    "lag",
    Table(BOUND),
    "{ warn = \"6h\", fail = \"1d\" }",
    "How long a ring may be behind what was admitted, beyond its soak, in place of the preset's.",
);

pub(super) const COMMON: Section = Section {
    name: "freshness",
    shape: Shape::Table,
    doc: "From when on silence is a warning, and from when on a failure. What is nearest counts: [[freshness.feed]] before [elastic.freshness] or [defender.freshness] before this; there, a measure of its own before a preset.",
    keys: &[
        key(
            "preset",
            Word(PRESETS),
            "\"stig-7d\"",
            "Limits as warn/fail. 1d: check 12h/1d, age of Defender 18h/1d and of Elastic 3d/7d, lag 6h/12h. 3-7d: check 1d/3d, age 3d/7d, lag 1d/3d. stig-7d: check 2d/5d, age 5d/7d (the most that the DISA STIGs for antivirus allow), lag 1d/3d.",
        )
        .or("\"stig-7d\""),
        CHECK,
        AGE,
        LAG,
    ],
};

/// A vendor's own limits, without a default: what is left out here is taken from `[freshness]`.
const OWN: &[Key] =
    &[key("preset", Word(PRESETS), "\"1d\"", "Instead of freshness.preset and its measures."), CHECK, AGE, LAG];

pub(super) const ELASTIC: Section = Section {
    name: "elastic.freshness",
    shape: Shape::Hidden,
    doc: "From when on silence of Elastic's feeds matters, where it differs from [freshness].",
    keys: OWN,
};

pub(super) const DEFENDER: Section = Section {
    name: "defender.freshness",
    shape: Shape::Hidden,
    doc: "From when on silence of Defender's feeds matters, where it differs from [freshness].",
    keys: OWN,
};

pub(super) const FEED: Section = Section {
    name: "freshness.feed",
    shape: Shape::HiddenList,
    doc: "From when on silence of some feeds matters, such as those of a version that its vendor hardly touches any more. The first that matches a feed counts.",
    keys: &[
        key(
            "match",
            Text,
            "\"elastic/8.*\"",
            "The feeds, by name; a '*' stands for anything. It must match a feed that is followed.",
        ),
        key("preset", Word(PRESETS), "\"3-7d\"", "Instead of the vendor's preset and its measures."),
        CHECK,
        AGE,
        LAG,
    ],
};

pub(super) const RING: Section = Section {
    name: "freshness.ring",
    shape: Shape::HiddenList,
    doc: "From when on a ring is too far behind, for every feed in it and before any other word on lag.",
    keys: &[key("name", Text, "\"broad\"", "The ring."), LAG],
};
