//! What the documents promise, held by a machine.

mod codemap;
mod command_line;
mod faults;
mod generated;
mod house;
mod licences;
mod links;
mod names;
mod sources;
mod spdx;
mod walls;

use anyhow::Result;
use house::House;

/// Whether generated documents are compared or written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Only compared.
    Check,
    /// Written.
    Fix,
}

/// One promise and how it is held.
struct Check {
    name: &'static str,
    run: fn(&House) -> Result<Vec<String>>,
}

const CHECKS: &[Check] = &[
    Check { name: "code map", run: codemap::check },
    Check { name: "dependency walls", run: walls::check },
    Check { name: "licences, bans and sources of dependencies", run: licences::check },
    Check { name: "faults", run: faults::check },
    Check { name: "generated documents", run: generated::check },
    Check { name: "links", run: links::check },
    Check { name: "names in documents", run: names::check },
    Check { name: "sources", run: sources::check },
];

/// Runs every check; true when nothing was found.
pub(crate) fn run(mode: Mode) -> Result<bool> {
    let house = House::open()?;
    if mode == Mode::Fix {
        generated::write(&house)?;
    }
    let mut found = 0usize;
    for check in CHECKS {
        let findings = (check.run)(&house)?;
        println!("{} {}", if findings.is_empty() { "ok  " } else { "FAIL" }, check.name);
        for finding in &findings {
            println!("       {finding}");
        }
        found += findings.len();
    }
    println!("{}", sources::lengths(&house));
    if found > 0 {
        println!("{found} found");
    }
    Ok(found == 0)
}
