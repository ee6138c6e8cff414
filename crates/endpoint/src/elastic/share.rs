//! Which artifacts a host of a system takes.
//!
//! One manifest names those of all systems. Which a host uses is told by their names, as far as hosts' documents show:
//! sixteen names on Windows (8.3), sixteen on Linux (2024), one on macOS.

use settings::elastic::System;

/// Parts of names that tell the system, and whence they are known. A name with none of them is for every system.
const MARKS: [(&str, System); 7] = [
    ("windows", System::Windows),
    ("endpointpe", System::Windows),
    ("linux", System::Linux),
    ("endpointelf", System::Linux),
    ("macos", System::Mac),
    // By the pattern of the two above; never seen.
    ("endpointmacho", System::Mac),
    // Seen on Windows alone, with the system in its name; without it, the protection exists on Windows alone.
    ("ransomware", System::Windows),
];

/// Whether a host of this system takes an artifact of that name.
pub fn takes(system: System, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    MARKS.iter().find(|(mark, _)| name.contains(mark)).is_none_or(|(_, marked)| *marked == system)
}
