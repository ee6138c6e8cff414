//! Licences, bans and sources of dependencies, by the lists of deny.toml, so that `cargo deny` and this agree.

use anyhow::{Context, Result};
use cargo_metadata::Package;
use toml::{Table, Value};

use super::house::House;
use super::spdx;

pub(crate) fn check(house: &House) -> Result<Vec<String>> {
    let policy: Table = house.text("deny.toml")?.parse().context("reading deny.toml")?;
    let allowed = texts(&policy, "licenses", "allow");
    let banned: Vec<String> = entries(&policy, "bans", "deny")
        .iter()
        .filter_map(|entry| entry.get("crate").or_else(|| entry.get("name")).and_then(Value::as_str).map(str::to_owned))
        .collect();
    let found = house.metadata.packages.iter().flat_map(|package| judge(package, &allowed, &banned));
    Ok(found.collect())
}

fn judge(package: &Package, allowed: &[String], banned: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    // Ours has no source; its licence is the workspace's.
    let Some(source) = &package.source else { return findings };
    match package.license.as_deref() {
        Some(expression) if spdx::is_met(expression, allowed) => {}
        Some(expression) => {
            findings.push(format!("{} is under {expression}, which deny.toml does not allow", package.name))
        }
        None => findings.push(format!("{} names no licence", package.name)),
    }
    if !source.is_crates_io() {
        findings.push(format!("{} comes from {source}, not from the registry", package.name));
    }
    if banned.contains(&package.name.to_string()) {
        findings.push(format!("{} is banned by deny.toml", package.name));
    }
    findings
}

fn entries<'a>(policy: &'a Table, section: &str, key: &str) -> &'a [Value] {
    let list = policy.get(section).and_then(|section| section.get(key)).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn texts(policy: &Table, section: &str, key: &str) -> Vec<String> {
    entries(policy, section, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
