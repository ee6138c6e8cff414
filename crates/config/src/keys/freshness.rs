//! From when on silence is a warning, and from when on a failure.

use super::Kind::{Duration, Table, Text, Word};
use super::{Key, Section, Shape, key};

const PRESETS: &[&str] = &["1d", "3-7d", "stig-7d"];

/// The two limits of one measure; neither has a default of its own, since the preset has both.
const BOUND: &[Key] = &[
    key("warn", Duration(1000), "\"1d\"", "Beyond this: a warning."),
    key("fail", Duration(1000), "\"3d\"", "Beyond this: a failure, and `status` exits 4."),
];

const CHECK_EXAMPLE: &str = "{ warn = \"1d\", fail = \"3d\" }";
const AGE_EXAMPLE: &str = "{ warn = \"3d\", fail = \"7d\" }";
const LAG_EXAMPLE: &str = "{ warn = \"6h\", fail = \"1d\" }";

const OWN_CHECK: Key = key("check", Table(BOUND), CHECK_EXAMPLE, "Instead of freshness.check.");
const OWN_AGE: Key = key("age", Table(BOUND), AGE_EXAMPLE, "Instead of freshness.age.");
const OWN_LAG: Key = key("lag", Table(BOUND), LAG_EXAMPLE, "Instead of freshness.lag.");

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
        key(
            "check",
            Table(BOUND),
            CHECK_EXAMPLE,
            "The time since the last check that found things in order, in place of the preset's. It has to be longer than the schedule.",
        ),
        key(
            "age",
            Table(BOUND),
            AGE_EXAMPLE,
            "The age of what is held, in place of the preset's: from the vendor's own date, or from when it was first offered here. Dated feeds have none.",
        ),
        key(
            "lag",
            Table(BOUND),
            LAG_EXAMPLE,
            "How long a ring may be behind what was admitted, beyond its soak, in place of the preset's.",
        ),
    ],
};

/// A vendor's own limits, without a default: what is left out here is taken from `[freshness]`.
const OWN: &[Key] = &[
    key("preset", Word(PRESETS), "\"1d\"", "Instead of freshness.preset, and of its measures."),
    OWN_CHECK,
    OWN_AGE,
    OWN_LAG,
];

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
        OWN_CHECK,
        OWN_AGE,
        OWN_LAG,
    ],
};

pub(super) const RING: Section = Section {
    name: "freshness.ring",
    shape: Shape::HiddenList,
    doc: "From when on a ring is too far behind, for every feed in it and before any other word on lag.",
    keys: &[key("name", Text, "\"broad\"", "The ring."), OWN_LAG],
};

#[cfg(test)]
mod tests {
    use model::{Bound, Preset, Vendor};

    use super::*;
    use crate::units::show_duration;

    const GUIDE: &str = include_str!("../../../../docs/operating.md");

    /// The figures are the model's: what the reference and the operator's guide say of them is held here.
    #[test]
    fn the_reference_says_what_presets_are() {
        let said = COMMON
            .keys
            .first()
            .map_or("", |key| key.doc)
            .replace(" (the most that the DISA STIGs for antivirus allow)", "");
        let show = |bound: Bound| format!("{}/{}", show_duration(bound.warn), show_duration(bound.fail));
        for preset in Preset::ALL {
            let [elastic, defender] = Vendor::ALL.map(|vendor| preset.limits(vendor));
            let age = if elastic.age == defender.age {
                format!("age {}", show(elastic.age))
            } else {
                format!("age of Defender {} and of Elastic {}", show(defender.age), show(elastic.age))
            };
            let figures =
                format!("{}: check {}, {age}, lag {}.", preset.as_str(), show(elastic.check), show(elastic.lag));
            assert_eq!((elastic.check, elastic.lag), (defender.check, defender.lag));
            assert!(said.contains(&figures), "{figures} is not in: {said}");
            assert!(PRESETS.contains(&preset.as_str()));
            let [check, lag] = [elastic.check, elastic.lag].map(show);
            let row =
                format!("| `{}` | {check} | {} | {} | {lag} |", preset.as_str(), show(defender.age), show(elastic.age));
            assert!(GUIDE.contains(&row), "the operator's guide lacks: {row}");
        }
    }
}
