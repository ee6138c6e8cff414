//! The code map of ARCHITECTURE.md names every crate, in the order in which they may lean on each other.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::house::House;

/// The crates of each row of the code map, first to last.
pub(crate) fn rows(architecture: &str) -> Vec<Vec<String>> {
    let section = architecture.split("\n## Code map").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(" |").next())
        .map(|cell| cell.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect())
        .collect()
}

pub(crate) fn check(house: &House) -> Result<Vec<String>> {
    let rows = rows(house.text("ARCHITECTURE.md")?);
    ensure!(!rows.is_empty(), "ARCHITECTURE.md has no table under '## Code map'");
    let mapped: BTreeSet<String> = rows.into_iter().flatten().collect();
    let real: BTreeSet<String> = house.crates().iter().map(|package| package.name.to_string()).collect();
    let gone = mapped.difference(&real).map(|name| format!("ARCHITECTURE.md maps `{name}`, which is no crate"));
    let unknown = real.difference(&mapped).map(|name| format!("ARCHITECTURE.md does not map crates/{name}"));
    Ok(gone.chain(unknown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_in_order() {
        let text = "# A\n\n## Code map\n\n| crate | what |\n|---|---|\n| `model` | words |\n| `e2e`, `xtask` | chores |\n\n## Next\n| `no` | x |\n";
        assert_eq!(rows(text), [vec!["model".to_owned()], vec!["e2e".to_owned(), "xtask".to_owned()]]);
        assert!(rows("# nothing\n").is_empty());
    }
}
