//! Documents that are written by the code they describe.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use model::{Fault, Reason, Retry};

use super::house::House;

fn documents(house: &House) -> Result<[(&'static str, String); 5]> {
    let schema = serde_json::to_string_pretty(&config::schema()).context("writing the schema")?;
    Ok([
        ("docs/command-line.md", super::command_line::page(&house.root)?),
        ("docs/faults.md", super::faults::page(house)),
        ("docs/reason-codes.md", reason_codes()),
        ("docs/configuration.md", config::reference_markdown()),
        ("docs/waystation.schema.json", format!("{schema}\n")),
    ])
}

pub(crate) fn check(house: &House) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (path, text) in documents(house)? {
        // From the disk, since it may have been written a moment ago.
        match std::fs::read_to_string(house.root.join(path)) {
            Ok(there) if there == text => {}
            Ok(_) => findings.push(format!("{path} is not what the code says; run `cargo xtask tidy --fix`")),
            Err(_) => findings.push(format!("{path} is missing; run `cargo xtask tidy --fix`")),
        }
    }
    Ok(findings)
}

pub(crate) fn write(house: &House) -> Result<()> {
    for (path, text) in documents(house)? {
        let path = house.root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

const HEAD: &str = "\
# Reason codes

<!-- Written by `cargo xtask tidy --fix` from crates/model. -->

Every refusal, failure and weakening carries one of these codes: in logs, metrics, `status` and `--json`. A code never
changes its meaning. **Whose** says who can do something about it; **again** says whether trying again helps: at once,
at the next run, or not before something else changes.

| code | whose | again | what it means | what to do |
|---|---|---|---|---|
";

fn reason_codes() -> String {
    let mut text = HEAD.to_owned();
    for reason in Reason::ALL {
        let whose = match reason.fault() {
            Fault::Vendor => "vendor",
            Fault::Endpoint => "endpoint",
            Fault::Operator => "operator",
            Fault::Ours => "ours",
        };
        let again = match reason.retry() {
            Retry::Now => "at once",
            Retry::Later => "next run",
            Retry::Never => "no",
        };
        let _ =
            writeln!(text, "| `{}` | {whose} | {again} | {} | {} |", reason.code(), reason.meaning(), reason.remedy());
    }
    text
}
