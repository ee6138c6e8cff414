//! Tests and the ids in their names.

use crate::tidy::house::{House, Source};

/// When a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// In every `cargo test`.
    Test,
    /// In `cargo xtask proof --ci`, larger in `--full`.
    Ci,
    /// In `cargo xtask proof --full` alone.
    Full,
}

/// A test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) tier: Tier,
    pub(super) package: String,
    pub(super) name: String,
}

/// Crates whose tests are not about the product: who plays the vendors, and this one.
const ASIDE: [&str; 2] = ["vendor-sim", "xtask"];

/// Every test of the product.
pub(super) fn tests(house: &House) -> Vec<Test> {
    let proofs = house.text("crates/xtask/src/proof.rs").unwrap_or_default();
    let mut all = Vec::new();
    let ours = |source: &&Source| source.is("rs") && !source.owner().is_empty() && !ASIDE.contains(&source.owner());
    for source in house.sources.iter().filter(ours) {
        let tier = tier(source, &required(house, source), proofs);
        let package = source.owner();
        all.extend(names(&source.text).map(|name| Test { tier, package: package.to_owned(), name: name.to_owned() }));
    }
    all
}

/// The names of tests that a crate builds with its feature `proof` alone.
fn required(house: &House, source: &Source) -> Vec<String> {
    let manifest = house.text(&format!("crates/{}/Cargo.toml", source.owner())).unwrap_or_default();
    let blocks = manifest.split("[[test]]").skip(1).map(|block| block.split("\n[").next().unwrap_or_default());
    let gated = blocks.filter(|block| block.contains("required-features") && block.contains("\"proof\""));
    gated.filter_map(|block| quoted(block.split("name").nth(1)?)).map(str::to_owned).collect()
}

fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

fn tier(source: &Source, required: &[String], proofs: &str) -> Tier {
    let parts: Vec<&str> = source.path.split('/').collect();
    let target = parts.iter().position(|part| *part == "tests").and_then(|at| parts.get(at + 1)).copied();
    let target = target.unwrap_or_default().trim_end_matches(".rs");
    let gated = source.text.contains("#![cfg(feature = \"proof\")]") || required.iter().any(|name| name == target);
    if !gated {
        return Tier::Test;
    }
    // A row of the proofs names tests by the beginning of their path: the module, which is the file.
    let module = parts.last().copied().unwrap_or_default().trim_end_matches(".rs");
    let rows = || proofs.split("\n    Proof {").skip(1).filter(|row| row.contains(&format!("{module}::\"")));
    let only_full = rows().next().is_some() && rows().all(|row| row.contains("from: Size::Full"));
    if only_full { Tier::Full } else { Tier::Ci }
}

/// The names of the functions of a source that have the attribute of a test.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().map(str::trim_start).filter_map(move |line| {
        if line.starts_with("#[") {
            let attribute = line.trim_start_matches("#[").split(['(', ']']).next().unwrap_or_default();
            is_test |= attribute == "test" || attribute.ends_with("::test");
            return None;
        }
        let function = line.trim_start_matches("pub(crate) ").trim_start_matches("async ").strip_prefix("fn ");
        let found = function.filter(|_| is_test).and_then(|rest| rest.split(['(', '<']).next());
        // Comments and the rest of a long attribute may stand between.
        is_test &= function.is_none() && !line.is_empty() && !line.starts_with('}');
        found
    })
}

/// The ids in a name, `u01` or `u01_to_u04`; a range holds those of the catalogue alone.
pub(super) fn ids(name: &str, catalogue: &[&str]) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let mut ids = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some(id) = id(word) else { continue };
        let last = words.get(at + 1).filter(|word| **word == "to").and_then(|_| self::id(words.get(at + 2)?));
        match last.filter(|last| last.starts_with(id.get(..1).unwrap_or_default())) {
            Some(last) => {
                let inside = catalogue.iter().filter(|one| ***one >= *id.as_str() && ***one <= *last.as_str());
                ids.extend(inside.map(|one| (*one).to_owned()));
            }
            None => ids.push(id),
        }
    }
    ids.sort();
    ids.dedup();
    ids
}

fn id(word: &str) -> Option<String> {
    let digits = word.strip_prefix(['u', 'c', 's', 'v'])?;
    (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_are_tests() {
        let text = "fn u16() {}\n\n#[test]\nfn one_u01() {\n    let f = 1;\n}\n\n#[tokio::test(start_paused = true)]\n\
                    #[allow(x)]\nasync fn two_u02_u03() {}\nfn u04() {}\nproptest! {\n    #[test]\n    fn three_c01(a: u8) {}\n}\n\
                    #[cfg(test)]\nmod tests;\nfn u05() {}\n#[test]\npub(crate) fn four<T>() {}\n";
        assert_eq!(names(text).collect::<Vec<_>>(), ["one_u01", "two_u02_u03", "three_c01", "four"]);
    }

    #[test]
    fn ids_and_ranges_are_read() {
        let catalogue = ["C01", "C02", "C04", "C08", "S01"];
        for (name, expected) in [
            ("a_u01_u02", vec!["U01", "U02"]),
            ("s01_full_disks", vec!["S01"]),
            ("paths_c01_to_c04_and_more", vec!["C01", "C02", "C04"]),
            ("from_c08_to_s01", vec!["C08", "S01"]),
            ("reads_u16_numbers_u64x_u1_cu01", vec!["U16"]),
            ("nothing", vec![]),
        ] {
            assert_eq!(ids(name, &catalogue), expected, "{name}");
        }
    }

    #[test]
    fn tiers_follow_the_feature_and_the_rows() {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let proofs =
            "\n    Proof {\n from: Size::Full,\n x(\"large::\")\n    Proof {\n from: Size::Ci,\n x(\"small::\")";
        let gated = ["proof".to_owned()];
        for (path, tier_of) in [
            ("crates/a/tests/proof/large.rs", Tier::Full),
            ("crates/a/tests/proof/small.rs", Tier::Ci),
            ("crates/a/tests/proof/main.rs", Tier::Ci),
            ("crates/a/tests/other/large.rs", Tier::Test),
            ("crates/a/src/large.rs", Tier::Test),
        ] {
            assert_eq!(tier(&source(path, ""), &gated, proofs), tier_of, "{path}");
        }
        assert_eq!(tier(&source("crates/a/tests/b.rs", "#![cfg(feature = \"proof\")]"), &[], proofs), Tier::Ci);
    }
}
