//! The catalogue of faults: which tests hold each, found by the ids in their names.
//!
//! A test names the faults that it plays: `fn resets_are_tried_again_u01`, `fn s01_s02_full_disks`, `fn paths_c01_to_c04`.
//! The tables here say what each id means and, where no test holds it, why.

mod content;
mod page;
mod scan;
mod serving;
mod storage;
mod upstream;

use std::collections::BTreeMap;

use super::house::House;
use scan::{Test, Tier, tests};

/// One fault of the catalogue.
pub(super) struct Row {
    id: &'static str,
    injected: &'static str,
    holds: &'static str,
    claim: Claim,
}

/// What a table says of a fault's tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Tests hold it.
    Held,
    /// Tests hold it but for this.
    But(&'static str),
    /// None does, because of this.
    Not(&'static str),
}

impl Row {
    const fn new(id: &'static str, injected: &'static str, holds: &'static str) -> Self {
        Self { id, injected, holds, claim: Claim::Held }
    }

    /// No test holds it, for this reason.
    const fn without(self, why: &'static str) -> Self {
        Self { claim: Claim::Not(why), ..self }
    }

    /// Tests hold it, but for this part, for this reason.
    const fn but(self, what: &'static str) -> Self {
        Self { claim: Claim::But(what), ..self }
    }
}

/// A letter of the catalogue.
struct Family {
    letter: char,
    name: &'static str,
    rows: &'static [Row],
}

const FAMILIES: [Family; 4] = [
    Family { letter: 'U', name: "Upstream", rows: upstream::ROWS },
    Family { letter: 'C', name: "Content", rows: content::ROWS },
    Family { letter: 'S', name: "Storage, process, clock", rows: storage::ROWS },
    Family { letter: 'V', name: "Serving", rows: serving::ROWS },
];

/// The tests of each id, in the order of their crates and names.
type Found = BTreeMap<String, Vec<Test>>;

fn found(house: &House) -> Found {
    let ids: Vec<&str> = FAMILIES.iter().flat_map(|family| family.rows).map(|row| row.id).collect();
    let mut found = Found::new();
    for test in tests(house) {
        for id in scan::ids(&test.name, &ids) {
            found.entry(id).or_default().push(test.clone());
        }
    }
    found.values_mut().for_each(|tests| tests.sort());
    found
}

/// The page of the documents.
pub(super) fn page(house: &House) -> String {
    page::write(&FAMILIES, &found(house))
}

pub(super) fn check(house: &House) -> anyhow::Result<Vec<String>> {
    let found = found(house);
    let rows = || FAMILIES.iter().flat_map(|family| family.rows);
    let mut findings: Vec<String> = rows().filter_map(|row| contradiction(row, &found)).collect();
    for (id, tests) in found.iter().filter(|(id, _)| rows().all(|row| row.id != id.as_str())) {
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        findings.push(format!("{id} is no fault of the catalogue, yet tests are named after it: {}", names.join(", ")));
    }
    Ok(findings)
}

/// What the tables say of a fault and the tests do not.
fn contradiction(row: &Row, found: &Found) -> Option<String> {
    let tests = found.get(row.id).map_or(0, Vec::len);
    match row.claim {
        Claim::Held | Claim::But(_) if tests == 0 => Some(format!(
            "{} has neither a test with its id in the name nor a reason in crates/xtask/src/tidy/faults/",
            row.id
        )),
        Claim::Not(why) if tests > 0 => {
            Some(format!("{} has {tests} tests; take its reason '{why}' out of crates/xtask/src/tidy/faults/", row.id))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> Found {
        let test = Test { package: "a".to_owned(), name: name.to_owned(), tier: Tier::Test };
        BTreeMap::from([("U01".to_owned(), vec![test])])
    }

    #[test]
    fn a_claim_is_what_the_tests_say() {
        let (held, not) = (Row::new("U01", "a", "b"), Row::new("U01", "a", "b").without("why"));
        assert!(contradiction(&held, &one("x_u01")).is_none() && contradiction(&not, &one("x_u01")).is_some());
        assert!(contradiction(&held, &Found::new()).is_some() && contradiction(&not, &Found::new()).is_none());
        assert!(contradiction(&held.but("part"), &Found::new()).is_some());
    }

    #[test]
    fn ids_stand_once_and_in_order() {
        for family in &FAMILIES {
            let ids: Vec<&str> = family.rows.iter().map(|row| row.id).collect();
            assert!(ids.windows(2).all(|two| two[0] < two[1]), "{}", family.name);
            assert!(ids.iter().all(|id| id.starts_with(family.letter) && id.len() == 3), "{}", family.name);
        }
    }
}
