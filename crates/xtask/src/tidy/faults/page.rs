//! The page that tells every fault and its tests.

use std::fmt::Write as _;

use super::{Claim, Family, Found, Row, Test, Tier};

const HEAD: &str = "\
# Faults

<!-- Written by `cargo xtask tidy --fix` from crates/xtask/src/tidy/faults/ and the names of the tests. -->

What is done to Waystation on purpose, what must hold, and which tests show it. A test carries the ids of the faults
that it plays in its name; this page is made from those names, and `cargo xtask tidy` fails when an id has neither a
test nor a reason. Unless said otherwise the oracle is the same for all: the failure has a reason code, what was served
stays served whole, and once the fault is gone the next run serves what a mirror serves that met none.

Four families of faults are here. Those of administration, bundles, the rollout and the supply chain belong to the
parts of the product that they are about, and stand with these.

**Runs**: *test* in every `cargo test --workspace`; *ci* in `cargo xtask proof --ci` as well, larger in `--full`; *full*
in `cargo xtask proof --full` alone.

";

pub(super) fn write(families: &[Family], found: &Found) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| family | ids | held | in part | not held | in *test* | in *ci* | in *full* alone | tests |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    families.iter().for_each(|family| summary(&mut text, family, found));
    for family in families {
        let _ = write!(text, "\n## {}: {}\n\n", family.letter, family.name);
        text.push_str("| id | what is done | what must hold | state | runs | tests |\n|---|---|---|---|---|---|\n");
        family.rows.iter().for_each(|row| line(&mut text, row, found));
    }
    text
}

fn of<'a>(row: &Row, found: &'a Found) -> &'a [Test] {
    found.get(row.id).map_or(&[], Vec::as_slice)
}

fn summary(text: &mut String, family: &Family, found: &Found) {
    let claims = |is: fn(&Claim) -> bool| family.rows.iter().filter(|row| is(&row.claim)).count();
    let held = claims(|claim| *claim == Claim::Held);
    let part = claims(|claim| matches!(claim, Claim::But(_)));
    let not = claims(|claim| matches!(claim, Claim::Not(_)));
    let within = |tier: Tier| family.rows.iter().filter(|row| of(row, found).iter().any(|t| t.tier == tier)).count();
    let alone = |row: &&Row| !of(row, found).is_empty() && of(row, found).iter().all(|test| test.tier == Tier::Full);
    let mut tests: Vec<&Test> = family.rows.iter().flat_map(|row| of(row, found)).collect();
    tests.sort();
    tests.dedup();
    let _ = writeln!(
        text,
        "| {}: {} | {} | {held} | {part} | {not} | {} | {} | {} | {} |",
        family.letter,
        family.name,
        family.rows.len(),
        within(Tier::Test),
        within(Tier::Ci),
        family.rows.iter().filter(alone).count(),
        tests.len(),
    );
}

fn line(text: &mut String, row: &Row, found: &Found) {
    let tests = of(row, found);
    let state = match row.claim {
        Claim::Held => "held".to_owned(),
        Claim::But(what) => format!("held, but: {what}"),
        Claim::Not(why) => format!("not held: {why}"),
    };
    let tiers = [(Tier::Test, "test"), (Tier::Ci, "ci"), (Tier::Full, "full")];
    let runs: Vec<&str> =
        tiers.iter().filter(|(tier, _)| tests.iter().any(|test| test.tier == *tier)).map(|(_, name)| *name).collect();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {state} | {} | {} |",
        row.id,
        row.injected,
        row.holds,
        runs.join(", "),
        listed(tests)
    );
}

/// Tests by their crates.
fn listed(tests: &[Test]) -> String {
    let mut packages: Vec<&str> = tests.iter().map(|test| test.package.as_str()).collect();
    packages.sort_unstable();
    packages.dedup();
    let of = |package: &str| {
        let mut names: Vec<String> =
            tests.iter().filter(|test| test.package == package).map(|test| format!("`{}`", test.name)).collect();
        names.sort();
        names.dedup();
        format!("{package}: {}", names.join(", "))
    };
    packages.into_iter().map(of).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_listed_by_crate_and_tier() {
        let test = |tier, package: &str, name: &str| Test { tier, package: package.to_owned(), name: name.to_owned() };
        let tests = vec![test(Tier::Test, "b", "x_u01"), test(Tier::Ci, "a", "z_u01"), test(Tier::Test, "a", "y_u01")];
        assert_eq!(listed(&tests), "a: `y_u01`, `z_u01`; b: `x_u01`");
        let found = Found::from([("U01".to_owned(), tests)]);
        const ROWS: &[Row] = &[Row::new("U01", "a", "b"), Row::new("U02", "c", "d").without("why")];
        let page = write(&[Family { letter: 'U', name: "Up", rows: ROWS }], &found);
        assert!(page.contains("| U: Up | 2 | 1 | 0 | 1 | 1 | 1 | 0 | 3 |\n"), "{page}");
        assert!(page.contains("| U01 | a | b | held | test, ci | a: `y_u01`"), "{page}");
        assert!(page.contains("| U02 | c | d | not held: why |  |  |\n"), "{page}");
    }
}
