//! Who may lean on whom.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata, PackageId};

use super::codemap;
use super::house::House;

/// Crates that do no IO, and libraries that they must not reach by any way.
const PURE: [&str; 6] = ["model", "trust", "vendors", "settings", "rollout", "bundle"];
const IMPURE: [&str; 6] = ["tokio", "reqwest", "hyper", "sqlx", "rustix", "rand"];

/// Libraries that only some crates may name.
const OWNED: [(&str, &[&str]); 8] = [
    ("fuser", &["fault-lab"]),
    ("reqwest", &["outbound"]),
    ("hyper", &["outbound"]),
    ("sqlx", &["catalog"]),
    ("axum", &["admin-http", "vendor-sim"]),
    ("httparse", &["content-http", "admin-http", "doctor", "endpoint", "vendor-sim"]),
    ("lettre", &["alarm"]),
    ("vendor-sim", &["cli", "e2e", "simulation", "xtask"]),
];

/// Crates for tests, which any crate may name among its dev-dependencies.
const FOR_TESTS: [&str; 3] = ["vendor-sim", "test-support", "e2e"];

/// The one lean against the order: the binary plays vendors in `demo`.
const EXCEPTIONS: [(&str, &str); 1] = [("cli", "vendor-sim")];

/// One line of a manifest: who names whom, and what for.
struct Lean<'a> {
    from: &'a str,
    on: &'a str,
    kind: DependencyKind,
}

pub(crate) fn check(house: &House) -> Result<Vec<String>> {
    let rows = codemap::rows(house.text("ARCHITECTURE.md")?);
    let mut findings = Vec::new();
    for package in house.crates() {
        let from = package.name.as_str();
        for dependency in &package.dependencies {
            let lean = Lean { from, on: &dependency.name, kind: dependency.kind };
            findings.extend(order(&rows, &lean));
            findings.extend(owned(&lean));
        }
        if PURE.contains(&from) {
            let reached = reach(&house.metadata, &package.id);
            let impure = IMPURE.iter().filter(|library| reached.contains(**library));
            findings.extend(impure.map(|library| format!("{from} is pure, but reaches {library}")));
        }
    }
    Ok(findings)
}

fn order(rows: &[Vec<String>], lean: &Lean<'_>) -> Option<String> {
    let row = |name: &str| rows.iter().position(|row| row.iter().any(|one| one == name));
    let is_above = row(lean.on)? < row(lean.from)?;
    let for_tests = lean.kind == DependencyKind::Development && FOR_TESTS.contains(&lean.on);
    let fine = is_above || for_tests || EXCEPTIONS.contains(&(lean.from, lean.on));
    (!fine).then(|| format!("{} leans on {}, which is not above it in ARCHITECTURE.md", lean.from, lean.on))
}

fn owned(lean: &Lean<'_>) -> Option<String> {
    let (_, owners) = OWNED.iter().find(|(library, _)| *library == lean.on)?;
    let fine = lean.kind == DependencyKind::Development || owners.contains(&lean.from);
    (!fine).then(|| format!("{} names {}, which only {} may", lean.from, lean.on, owners.join(", ")))
}

/// Every package that one reaches when it is built, tests aside.
fn reach(metadata: &Metadata, from: &PackageId) -> BTreeSet<String> {
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let nodes: BTreeMap<&PackageId, _> =
        metadata.resolve.iter().flat_map(|resolve| &resolve.nodes).map(|node| (&node.id, node)).collect();
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(id) = waiting.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for dependency in &node.deps {
            let built = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if built && seen.insert(&dependency.pkg) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    seen.iter().filter_map(|id| names.get(id)).map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cargo_metadata::MetadataCommand;

    #[test]
    fn leans_against_the_order_are_found() {
        let rows: Vec<Vec<String>> =
            [vec!["model"], vec!["mirror"], vec!["cli"], vec!["vendor-sim"], vec!["e2e", "xtask"]]
                .into_iter()
                .map(|row| row.into_iter().map(str::to_owned).collect())
                .collect();
        let (built, tests) = (DependencyKind::Normal, DependencyKind::Development);
        for (from, on, kind, fine) in [
            ("mirror", "model", built, true),
            ("model", "mirror", built, false),
            ("model", "mirror", tests, false),
            ("mirror", "vendor-sim", tests, true),
            ("mirror", "vendor-sim", built, false),
            ("cli", "vendor-sim", built, true),
            ("xtask", "e2e", built, false),
            ("mirror", "serde", built, true),
        ] {
            assert_eq!(order(&rows, &Lean { from, on, kind }).is_none(), fine, "{from} on {on}");
        }
    }

    #[test]
    fn libraries_have_owners() {
        let (built, tests) = (DependencyKind::Normal, DependencyKind::Development);
        for (from, on, kind, fine) in [
            ("outbound", "reqwest", built, true),
            ("mirror", "reqwest", built, false),
            ("mirror", "reqwest", tests, true),
            ("mirror", "sqlx", built, false),
            ("content-http", "axum", built, false),
            ("mirror", "serde", built, true),
        ] {
            assert_eq!(owned(&Lean { from, on, kind }).is_none(), fine, "{from} on {on}");
        }
    }

    /// On the workspace itself, so that a change of cargo's format cannot blind the check.
    #[test]
    fn what_a_crate_reaches_is_followed_to_the_end() {
        let metadata = MetadataCommand::new().other_options(["--offline".to_owned()]).exec().unwrap();
        let reached = |name: &str| {
            let packages = metadata.workspace_packages();
            reach(&metadata, &packages.iter().find(|package| package.name.as_str() == name).unwrap().id)
        };
        assert!(reached("outbound").contains("rustls-webpki"));
        assert!(reached("config").contains("model") && !reached("config").contains("tokio"));
    }
}
